"""The paper's ACL18 benchmark: its counts come out again, and its split leaks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import paper
from ragsignal.errors import DataError

RECORD = Path(__file__).parents[1] / "backtests" / "paper_protocol.record.json"
Closes = dict[str, "pd.Series[float]"]


def test_the_committed_record_has_the_papers_counts_and_says_that_it_leaks() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["counts"] == record["expected"] == paper.EXPECTED
    assert (record["span"], record["first_query"]) == (["2014-06-02", "2015-12-31"], "2015-06-02")
    assert record["verdict"] == "LEAKING: same dates in train and test"
    assert record["date_lookup_accuracy"] > record["finseer_accuracy"] + 0.3


@pytest.mark.skipif("RAGSIGNAL_STOCKNET" not in os.environ, reason="RAGSIGNAL_STOCKNET names no folder of prices")
def test_the_record_comes_out_again_from_the_prices() -> None:
    closes = paper.read_closes(os.environ["RAGSIGNAL_STOCKNET"])
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert paper.paper_counts(closes) == record["counts"]
    assert round(paper.date_lookup(closes), 4) == record["date_lookup_accuracy"]


def test_the_stocks_are_split_by_alphabet_and_in_one_part_each() -> None:
    listed = [symbol for part in ("train", "valid", "test") for symbol in paper.STOCKS[part]]
    assert listed == sorted(set(listed))
    assert {part: len(symbols) for part, symbols in paper.STOCKS.items()} == {"train": 33, "valid": 5, "test": 33}


def market(seed: int = 0, common: float = 0.0) -> Closes:
    """Twelve business days for every stock, the last seven of them query days; ``common`` moves all stocks alike."""
    days = pd.bdate_range("2015-05-26", periods=12)
    rng = np.random.default_rng(seed)
    together = common * rng.choice([-1, 1], 12)
    symbols = [symbol for part in paper.STOCKS.values() for symbol in part]
    returns = {symbol: together + rng.choice([-0.02, 0.0, 0.02], 12) for symbol in symbols}
    return {symbol: pd.Series(100 * np.cumprod(1 + it), index=days) for symbol, it in returns.items()}


def test_queries_are_the_days_that_moved_and_candidates_are_days_times_sequences() -> None:
    closes = market()
    expected = sum(
        abs(now / before - 1) > 0.01
        for symbol in paper.STOCKS["valid"]
        for before, now in zip(closes[symbol].iloc[4:], closes[symbol].iloc[5:], strict=False)
    )
    assert paper.paper_counts(closes)["valid"] == {"stocks": 5, "queries": expected, "candidates": 5 * 7 * 34}


def test_a_stock_that_came_late_has_fewer_candidates() -> None:
    closes = market()
    whole = paper.paper_counts(closes)["train"]["candidates"]
    closes["BABA"] = closes["BABA"].iloc[3:]
    assert whole - paper.paper_counts(closes)["train"]["candidates"] == 3 * 34


def test_a_table_of_dates_knows_a_market_that_moves_together_and_only_that() -> None:
    assert paper.date_lookup(market(common=0.05)) == 1.0
    apart = [paper.date_lookup(market(seed)) for seed in range(8)]
    assert np.mean(apart) == pytest.approx(0.5, abs=0.05)


def write_prices(folder: Path, empty: str | None = None) -> None:
    days = pd.bdate_range("2014-05-26", "2016-01-08")
    for symbol in (symbol for part in paper.STOCKS.values() for symbol in part):
        table = pd.DataFrame({"Date": days, "Open": 1.0, "Adj Close": 1.0})
        table.loc[table["Date"] == empty, "Adj Close"] = np.nan
        table.to_csv(folder / f"{symbol}.csv", index=False)


def test_a_bad_bar_outside_the_span_does_not_matter(tmp_path: Path) -> None:
    write_prices(tmp_path, empty="2016-01-05")
    closes = paper.read_closes(tmp_path)["REX"]
    assert (str(closes.index[0].date()), str(closes.index[-1].date())) == ("2014-06-02", "2015-12-31")


def test_a_bad_bar_in_the_span_is_refused(tmp_path: Path) -> None:
    write_prices(tmp_path, empty="2015-01-05")
    with pytest.raises(DataError, match=r"ABBV\.csv: from 2014-06-02 to 2015-12-31, one positive Adj Close a day"):
        paper.read_closes(tmp_path)


@pytest.mark.parametrize("text", ["", "Day,Close\n2015-01-05,1\n", "Date,Adj Close\nnever,1\n", None])
def test_a_file_that_is_not_stocknets_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ABBV.csv").write_text(text)
    with pytest.raises(DataError, match=r"ABBV\.csv"):
        paper.read_closes(tmp_path)
