"""The tables of a run as CSV, for spreadsheets and other languages, and the round trips of all its variants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from ragsignal.report.record import ORDERS, naive_days
from ragsignal.trading import round_trips

FEW_ORDERS = 100_000
"""Orders up to which a run has them as CSV too: 10 MB, some seconds."""


def write_csv(folder: Path, every: bool = False) -> None:
    """Write ``equity.csv`` and, of up to ``FEW_ORDERS`` orders, ``orders.csv`` and ``trades.csv`` beside the Parquet.

    Days are ISO text, moments too, to the minute; an empty cell is a figure that does not exist.

    Parameters
    ----------
    folder : Path
        Of a run, with its Parquet tables.
    every : bool
        Whether all tables are written, however large: ``signals.csv`` too, a row a variant, bar and symbol, its hits
        joined by blanks.
    """
    equity, orders = (pd.read_parquet(folder / f"{name}.parquet") for name in ("equity", "orders"))
    _write(equity.reset_index(), folder / "equity.csv")
    if every or len(orders) <= FEW_ORDERS:
        _write(orders, folder / "orders.csv")
        _write(stacked_trades(orders, pd.DatetimeIndex(equity.index)), folder / "trades.csv")
    if every:
        table = pd.read_parquet(folder / "signals.parquet")
        _write(table.assign(hits=table["hits"].map(" ".join, na_action="ignore")), folder / "signals.csv")


def stacked_trades(orders: pd.DataFrame, bars: pd.DatetimeIndex) -> pd.DataFrame:
    """Round trips of all variants.

    Parameters
    ----------
    orders : DataFrame
        As in ``orders.parquet``, with a column ``variant``.
    bars : DatetimeIndex
        The bars of the run.

    Returns
    -------
    DataFrame
        ``variant``, then the columns of :func:`~ragsignal.trading.round_trips.round_trips`.
    """
    by_variant: Mapping[str, pd.DataFrame] = {str(name): own for name, own in orders.groupby("variant", sort=False)}
    parts = [
        round_trips(own.assign(date=naive_days(own["date"])), bars).assign(variant=name)
        for name, own in by_variant.items()
    ]
    empty = round_trips(ORDERS.empty_table().to_pandas(), bars).assign(variant="")
    table = pd.concat(parts, ignore_index=True) if parts else empty
    return table[["variant", *table.columns.drop("variant")]]


def _write(table: pd.DataFrame, path: Path) -> None:
    stamps = pd.DatetimeIndex(pd.concat([table[name] for name in table if table[name].dtype.kind == "M"]).dropna())
    form = "%Y-%m-%d" if (stamps == stamps.normalize()).all() else "%Y-%m-%d %H:%M"
    table.to_csv(path, index=False, date_format=form, lineterminator="\n", encoding="utf-8")
