"""Make the bundled prices, ``ragsignal/data/sample.parquet``, from the table that they are a part of.

    python -m benchmarks.bundle us_cc0_1998_2014.parquet

The 100 stocks that were traded most in 2010, as one could tell on its last day. Where the table is from, and what is
wrong with the bars: ragsignal/data/sample.md. The same table and pyarrow give the same bytes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ragsignal.data import find_problems

OUT = Path(__file__).parent.parent / "ragsignal" / "data" / "sample.parquet"
START, CHOSEN_ON, END = "2009-06-01", "2010-12-31", "2014-12-31"
STOCKS = 100
HISTORY = 250
"""Bars that a stock must have on the day of the choice."""
_PRICES = ["open", "high", "low", "close"]


def most_traded(table: pd.DataFrame, n_stocks: int = STOCKS) -> list[str]:
    """Symbols with the largest median of close times volume in 2010, ascending by name.

    Only symbols with a bar after ``CHOSEN_ON`` count: others cannot be shipped to ``END``, and so all are survivors.
    """
    known = table[table["date"] <= CHOSEN_ON]
    year = known[known["date"] >= CHOSEN_ON[:4]]
    money = (year["close"].astype("float64") * year["volume"]).groupby(year["symbol"]).median()
    bars = known.groupby("symbol").size().reindex(money.index)
    last = table.groupby("symbol")["date"].max().reindex(money.index)
    able = money[(bars >= HISTORY) & (last > CHOSEN_ON)]
    return sorted(able.sort_values(ascending=False, kind="stable").index[:n_stocks])


def trusted(bars: pd.DataFrame) -> pd.Series:
    """Whether prices are above zero, open and close within low to high, and the volume is a number: (n_bars,) bool."""
    prices = bars[_PRICES]
    ends = bars[["open", "close"]]
    ordered = (ends.max(axis=1) <= bars["high"]) & (ends.min(axis=1) >= bars["low"])
    return ordered & (prices.gt(0) & prices.lt(np.inf)).all(axis=1) & bars["volume"].ge(0) & bars["volume"].lt(np.inf)


def bundle(table: pd.DataFrame, n_stocks: int = STOCKS) -> tuple[pd.DataFrame, int]:
    """The bundled bars, sorted by symbol and date, float32; and how many bars were dropped as not to be trusted."""
    table = table.assign(symbol=table["symbol"].astype(str), date=pd.to_datetime(table["date"]))
    within = table["date"].between(START, END) & table["symbol"].isin(most_traded(table, n_stocks))
    bars = table[within]
    kept = bars[trusted(bars)].sort_values(["symbol", "date"], kind="stable")
    numbers = [*_PRICES, "volume"]
    return kept[["symbol", "date", *numbers]].astype(dict.fromkeys(numbers, "float32")), len(bars) - len(kept)


def write(bars: pd.DataFrame, out: Path) -> None:
    """Write the table and raise ``SystemExit`` where ``ragsignal data check`` would find a problem in it."""
    arrow = pa.Table.from_pandas(bars, preserve_index=False).replace_schema_metadata(None)
    # A dictionary of nearly distinct prices would only be a second copy of them.
    pq.write_table(arrow, out, compression="zstd", compression_level=19, use_dictionary=["symbol", "date"])
    problems = find_problems(out)
    if problems:
        raise SystemExit("\n".join(map(str, problems)))


if __name__ == "__main__":
    made, dropped = bundle(pd.read_parquet(sys.argv[1]))
    write(made, OUT)
    days = made["date"].nunique()
    print(f"{made['symbol'].nunique()} symbols, {days} days, {len(made)} bars, {dropped} dropped: {OUT}")
