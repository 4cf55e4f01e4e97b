"""A file a symbol: its closes, and of every variant the signals, the fills, and the letters that were read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragsignal.data import RANK_FACTORS
from ragsignal.report.figures import Plotly, packed
from ragsignal.report.record import naive_days
from ragsignal.signals import SignalStore
from ragsignal.trading import RunResult, VariantResult
from ragsignal.types import IntArray

_SPELLED = frozenset("ABCDEFGHIJKLMNOP-")


@dataclass(frozen=True)
class Tables:
    """Signals and orders of all variants by number and symbol, the days as naive ones."""

    days: pd.DatetimeIndex
    signals: Mapping[tuple[int, str], pd.DataFrame]
    orders: Mapping[tuple[int, str], pd.DataFrame]


def bars_of(days: pd.DatetimeIndex, dates: pd.Series) -> IntArray:
    """The numbers of the bars on which ``dates`` lie; -1 for NaT."""
    return np.asarray(days.get_indexer(pd.DatetimeIndex(dates)), dtype=np.int64)


def tables_of(result: RunResult, symbols: Sequence[str]) -> Tables:
    """Take the tables of a run apart once, for some of its symbols."""
    days, numbered = naive_days(result.closes.index), list(enumerate(result.variants))

    def by_symbol(number: int, table: pd.DataFrame) -> Iterator[tuple[tuple[int, str], pd.DataFrame]]:
        shown = table[table["symbol"].isin(symbols)]
        shown = shown.assign(date=naive_days(shown["date"]))
        # a strategy may make bars of its own, weeks for instance, whose days are none of the run's
        for symbol, own in shown[shown["date"].isin(days)].groupby("symbol", sort=False):
            yield (number, str(symbol)), own

    return Tables(
        days,
        {key: own for number, it in numbered for key, own in by_symbol(number, it.signals)},
        {key: own for number, it in numbered for key, own in by_symbol(number, it.orders)},
    )


def last_text(variant: VariantResult, store: SignalStore) -> str:
    """What a variant read for its last signal; empty where nothing is known here."""
    keys = variant.signals["key"]
    return next(iter(store.prompts(keys[keys != ""].iloc[-1:]).values()), "")


def text_kind(text: str) -> str:
    """Tell ``letters`` of ranks from a ``prompt`` of words, and both from nothing (empty)."""
    if len(text) >= len(RANK_FACTORS) and _SPELLED.issuperset(text):  # more with formulas, and with news
        return "letters"
    return "prompt" if text else ""


def letters_by_key(signals: pd.DataFrame, symbols: Sequence[str], store: SignalStore) -> dict[str, str]:
    """The letters that were read for the signals of ``symbols``, by key; in one read of the store."""
    return store.prompts(signals["key"][signals["symbol"].isin(symbols) & (signals["key"] != "")])


def symbol_file(
    result: RunResult, symbol: str, tables: Tables, letters: tuple[int, Mapping[str, str]] | None
) -> Plotly:
    """All that the chart of one symbol draws.

    Parameters
    ----------
    result : RunResult
    symbol : str
    tables : Tables
    letters : tuple of int and mapping, optional
        The number of a variant that read letters, and its letters by key.

    Returns
    -------
    dict
        ``close`` and ``outcome`` (the return from the next bar's open to the one after it, known two bars later);
        ``letters``, 41 signs a bar (44 with news), blanks where none were read; by number of the variant ``signals``
        and ``orders``.
    """
    numbers = range(len(result.variants))
    signals = {number: tables.signals[number, symbol] for number in numbers if (number, symbol) in tables.signals}
    orders = {number: tables.orders[number, symbol] for number in numbers if (number, symbol) in tables.orders}
    bars = {number: bars_of(tables.days, table["date"]) for number, table in signals.items()}
    outcome = np.full(len(tables.days), np.nan)
    for number, table in signals.items():
        outcome[bars[number]] = table["target"]
    read = signals.get(letters[0]) if letters else None
    return {
        "close": packed(result.closes[symbol]),
        "outcome": packed(outcome),
        "letters": "" if read is None or letters is None else _letters(read, letters[1], tables.days),
        "signals": {number: _signals(table, bars[number], len(tables.days)) for number, table in signals.items()},
        "orders": {number: _orders(table, tables.days) for number, table in orders.items()},
    }


def _signals(table: pd.DataFrame, bars: IntArray, count: int) -> Plotly:
    """``values`` a bar, NaN where nobody asked; ``ranks`` where there are any; bars of abstentions by reason."""
    columns = {name: np.full(count, np.nan) for name in ("value", "rank")}
    for name, column in columns.items():
        column[bars] = table[name]
    reasons = table["abstained"].to_numpy()
    silent = [(str(reason), int(bar)) for reason, bar in zip(reasons, bars, strict=True) if isinstance(reason, str)]
    return {
        "values": packed(columns["value"]),
        "ranks": packed(columns["rank"]) if np.nan_to_num(columns["rank"]).any() else "",
        "abstained": {reason: [bar for it, bar in silent if it == reason] for reason, _ in silent},
    }


def _orders(table: pd.DataFrame, days: pd.DatetimeIndex) -> Plotly:
    return {
        "bars": bars_of(days, table["date"]).tolist(),
        "sizes": packed(table["size"]),
        "prices": packed(table["price"]),
    }


def _letters(table: pd.DataFrame, letters: Mapping[str, str], days: pd.DatetimeIndex) -> str:
    blank = " " * max(map(len, letters.values()), default=len(RANK_FACTORS))
    texts = pd.Series([letters.get(key, blank) for key in table["key"]], index=table["date"])
    return "".join(texts.reindex(days, fill_value=blank))
