"""Decisions on the bars they are of: which one is in force on a day, and what cannot be placed.

As of a bar counts what was decided by its close, and nothing later: a later row moves no earlier signal, and the order
of the rows in the file moves none at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.check import Problem
from ragsignal.data.decisions import DecisionRows, refuse
from ragsignal.data.names import hint_at
from ragsignal.data.session import BarCloses
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, FloatArray, IntArray
from ragsignal.utils import is_intraday

Days = NDArray[np.datetime64]
Hold = Literal["keep", "neutral"]
_OUTSIDE, _NO_BAR = -1, -2  # in the place of a bar's number
_NAMED = 5
NEEDS_CLOSE = (
    "moments need to know when a bar is known. Add the market's close to the spec, "
    'close = "16:00 America/New_York" in [data], or write whole days into a column date'
)
NEEDS_ZONE = (
    "moments cannot be compared with bars of hours whose stamps have no time zone. Write the prices' stamps with it, "
    "or name each bar in a column date, by its end as the prices do (2024-03-01 15:30)"
)


@dataclass(frozen=True)
class Calendars:
    """The bars that decisions may be of.

    Parameters
    ----------
    days : mapping of symbol to (n_bars,) datetime64[D] or [m]
        Of each symbol that has prices, ascending.
    close : BarCloses, optional
        When a bar is known; needed for moments.
    left_out : mapping of symbol to collection of date
        Days whose bars were dropped; a decision on one of them is counted, and not refused.
    others : collection of str, optional
        Symbols that may be in the file and have no prices here; None: any may.
    """

    days: Mapping[str, Days]
    close: BarCloses | None = None
    left_out: Mapping[str, Collection[date]] = field(default_factory=dict)
    others: Collection[str] | None = ()

    @property
    def unit(self) -> np.dtype[np.datetime64]:
        """How bars are named: datetime64[D], or [m] of bars of hours."""
        return next((days.dtype for days in self.days.values()), np.dtype("datetime64[D]"))


@dataclass(frozen=True, slots=True)
class Decision:
    """What is in force on a bar: the signal's numbers, and the row that they are from."""

    value: float
    probability: float
    rank: float
    row: str
    said: str


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decisions by symbol and bar. Make them with :func:`place_decisions`.

    Parameters
    ----------
    rows : DecisionRows
    bar : (n_rows,) int64
        Number of each row's bar among its symbol's, below 0 for those that are of none.
    days : (n_rows,) datetime64[D] or [m]
        The name of that bar, NaT for those that are of none.
    calendars : Calendars
    valid_bars : int
    hold : {"keep", "neutral"}
    numbers : DataFrame
        ``value``, ``probability`` and ``rank`` of each row, holds resolved.
    """

    rows: DecisionRows
    bar: IntArray
    days: Days
    calendars: Calendars
    valid_bars: int
    hold: Hold
    numbers: pd.DataFrame

    def at(self, symbol: str, day: date) -> Decision | None:
        """The decision in force at the close of ``day``; None where there is none, or no such bar."""
        places = self.in_force.get(symbol)
        if places is None:
            return None
        days = self.calendars.days[symbol]
        bar = int(days.searchsorted(np.datetime64(day)))
        is_bar = bar < len(days) and days[bar] == np.datetime64(day)
        return self._decision(int(places[bar])) if is_bar and places[bar] >= 0 else None

    def _decision(self, place: int) -> Decision:
        value, probability, rank = self._numbers[place].tolist()
        index = self.rows.table.index
        said = f"{self.rows.decided} {self._said[place]}"
        return Decision(value, probability, rank, f"{index.name} {index[place]}", said)

    @cached_property
    def _numbers(self) -> FloatArray:
        return self.numbers[["value", "probability", "rank"]].to_numpy(dtype=np.float64)

    @cached_property
    def _said(self) -> NDArray[np.object_]:
        return self.rows.table["said"].to_numpy(dtype=object)

    @cached_property
    def in_force(self) -> dict[str, IntArray]:
        """By symbol with any decision: the place of the row in force on each of its bars, (n_bars,), -1 for none."""
        symbols = self.rows.table["symbol"].to_numpy(dtype=object)
        placed = np.flatnonzero(self.bar >= 0)
        groups = pd.Series(placed).groupby(symbols[placed], sort=False)
        return {str(name): self._spread(str(name), own.to_numpy()) for name, own in groups}

    def _spread(self, symbol: str, places: IntArray) -> IntArray:
        """Let each decision go on until the next one, or until it is not valid any more."""
        bars = np.arange(len(self.calendars.days[symbol]))
        rows, begun = np.full(len(bars), -1), np.full(len(bars), -1)
        rows[self.bar[places]] = places
        begun[self.bar[places]] = self.bar[places]
        last = np.maximum.accumulate(begun)
        valid = (last >= 0) & (bars - last < self.valid_bars)
        return np.where(valid, rows[last], -1)

    @property
    def unplaced(self) -> int:
        """How many rows are of no bar: outside the prices of their symbol, or of a symbol that is not traded."""
        return int((self.bar < 0).sum())


def place_decisions(rows: DecisionRows, calendars: Calendars, valid_bars: int = 1, hold: Hold = "keep") -> Decisions:
    """Find the bar of each row.

    Parameters
    ----------
    rows : DecisionRows
    calendars : Calendars
    valid_bars : int
        For how many bars of its symbol a decision is in force, unless a newer one takes its place.
    hold : {"keep", "neutral"}
        Whether a hold repeats the symbol's decision before it (neutral, if there is none), or is neutral: value 0. A
        decision of no bar that was not there by the close of the next one is not repeated.

    Raises
    ------
    DataError
        If a symbol is unknown, a day is no bar of its symbol, a bar has two decisions, or a decision was not there by
        its bar's close.
    """
    table = rows.table
    timed = rows.moments or bool(table["known_moment"].notna().any())
    if timed and calendars.close is None:
        column = "decided_at" if rows.moments else "available_at"
        repair = NEEDS_ZONE if calendars.unit != "datetime64[D]" else NEEDS_CLOSE
        raise DataError(f"{rows.file}: {column} holds moments, and {repair}.")
    bar, days = _bars(rows, calendars)
    refuse(rows.file, _problems(rows, calendars, bar, days))
    return Decisions(rows, bar, days, calendars, valid_bars, hold, _resolved(rows, calendars, bar, hold))


def _bars(rows: DecisionRows, calendars: Calendars) -> tuple[IntArray, Days]:
    """Number of each row's bar, or ``_OUTSIDE`` or ``_NO_BAR``; and its day."""
    table = rows.table
    bar = np.full(len(table), _OUTSIDE, dtype=np.int64)
    days_of_bars = np.full(len(table), np.datetime64("NaT"), dtype=calendars.unit)
    places = pd.Series(np.arange(len(table))).groupby(table["symbol"].to_numpy(dtype=object), sort=False)
    for symbol, own in places:
        days, chosen = calendars.days.get(str(symbol)), own.to_numpy()
        if days is None or not len(days):
            continue
        if rows.moments:
            bar[chosen] = _bars_of_moments(table["moment"].to_numpy()[chosen], days, calendars.close)
        else:
            left_out = np.array(sorted(calendars.left_out.get(str(symbol), ())), dtype="datetime64[D]")
            bar[chosen] = _bars_of_days(table["day"].to_numpy()[chosen], days, left_out)
        placed = chosen[bar[chosen] >= 0]
        days_of_bars[placed] = days[bar[placed]]
    return bar, days_of_bars


def _bars_of_days(decided: Days, days: Days, left_out: Days) -> IntArray:
    found = np.searchsorted(days, decided).astype(np.int64)
    is_bar = days[np.minimum(found, len(days) - 1)] == decided
    dropped = np.isin(decided.astype("datetime64[D]"), left_out)  # of bars of hours their day is kept
    outside = (decided < days[0]) | (decided > days[-1]) | dropped
    return np.where(is_bar, found, np.where(outside, _OUTSIDE, _NO_BAR))


def _bars_of_moments(moments: NDArray[np.datetime64], days: Days, close: BarCloses | None) -> IntArray:
    if close is None:
        return np.full(len(moments), _OUTSIDE, dtype=np.int64)
    bar = close.first_bar(moments, days)
    # what was decided before the day of the first bar began may be years old
    early = moments <= close.instants(days[:1] - np.timedelta64(1, "D"))[0]
    return np.where(early | (bar == len(days)), _OUTSIDE, bar)


def _resolved(rows: DecisionRows, calendars: Calendars, bar: IntArray, hold: str) -> pd.DataFrame:
    """The numbers of all rows; a hold that keeps has those of the last decision of its symbol that is none."""
    table = rows.table
    numbers = table[["value", "probability", "rank"]].reset_index(drop=True)
    holds = table["holds"].to_numpy()
    if hold == "neutral" or not holds.any():
        return numbers
    order = np.argsort(_when(table).to_numpy(), kind="stable")
    symbols = table["symbol"].to_numpy(dtype=object)[order]
    kept = numbers.iloc[order].copy()
    # of no bar, it was not refused: a hold must not repeat what came after it
    late, _ = _late(table, calendars.close, _next_bars(table, calendars, bar))
    kept[(holds | late)[order]] = np.nan
    neutral = {"value": 0.0, "probability": 0.5, "rank": 0.0}
    return kept.groupby(symbols, sort=False).ffill().fillna(neutral).sort_index()


def _next_bars(table: pd.DataFrame, calendars: Calendars, bar: IntArray) -> Days:
    """Of each row of no bar its symbol's next one; NaT for other rows, and where there is none."""
    found = np.full(len(table), np.datetime64("NaT", "D"))
    when, symbols = _when(table).to_numpy().astype("datetime64[D]"), table["symbol"].to_numpy(dtype=object)
    for symbol in set(symbols[bar < 0]) & calendars.days.keys():
        own = np.flatnonzero((bar < 0) & (symbols == symbol))
        days = np.append(calendars.days[symbol], np.datetime64("NaT", "D"))
        found[own] = days[np.searchsorted(calendars.days[symbol], when[own])]
    return found


def _when(table: pd.DataFrame) -> pd.Series:
    """Day or moment of each row."""
    return table["day"].where(table["day"].notna(), table["moment"])


# ---- what cannot be placed


def _problems(rows: DecisionRows, calendars: Calendars, bar: IntArray, days: Days) -> Iterator[Problem]:
    file, table = str(rows.file), rows.table
    yield from _unknown_symbols(rows, calendars)
    gone = bar == _NO_BAR
    if gone.any():
        repair = (
            "Nobody can trade then: delete these rows; or write when each was made into a column decided_at, with its "
            "time zone: it then belongs to the first bar whose close is not earlier."
        )
        rule = "decisions on days that are no bar of their symbol"
        if is_intraday(days):
            rule = "decisions at moments at which no bar of their symbol ends"
        yield Problem(file, "", rule, rows.places(gone), repair)
    again = _twice(table, bar)
    if again.any():
        repair = "Keep the one that is meant: of moments the last one before the bar's close."
        yield Problem(file, "", "more than one decision for a bar", rows.places(again), repair)
    yield from _too_late(rows, calendars.close, days)


def _unknown_symbols(rows: DecisionRows, calendars: Calendars) -> Iterator[Problem]:
    if calendars.others is None:
        return
    known = {*calendars.days, *calendars.others}
    unknown = ~rows.table["symbol"].isin(known).to_numpy()
    if unknown.any():
        first = str(rows.table["symbol"][unknown].iloc[0])
        names = rows.table["symbol"][unknown].unique()
        rule = f"{len(names)} symbol{'s' if len(names) > 1 else ''} that the spec does not have"
        repair = f"{hint_at(first, sorted(known))} Rename or delete these rows, or add the symbol to data.symbols."
        yield Problem(str(rows.file), "", rule, rows.places(unknown), repair)


def _twice(table: pd.DataFrame, bar: IntArray) -> BoolArray:
    """Rows of one bar of one symbol, or outside the prices of one time."""
    place = pd.DataFrame({"symbol": table["symbol"], "bar": bar, "when": _when(table).where(bar < 0)})
    return np.asarray(place.duplicated(keep=False).to_numpy(), dtype=bool)


def _too_late(rows: DecisionRows, close: BarCloses | None, days: Days) -> Iterator[Problem]:
    """Decisions that were not there by the close of their bar."""
    late, closes = _late(rows.table, close, days)
    if late.any():
        words = _times(rows.table[late], days[late], closes[late])
        repair = "Nobody could have traded them: date each by the first bar whose close it was known at."
        yield Problem(
            str(rows.file), "", "decisions that were not there by the close", rows.places(late, words), repair
        )


def _late(table: pd.DataFrame, close: BarCloses | None, days: Days) -> tuple[BoolArray, NDArray[np.datetime64]]:
    """Which rows were not there by the close of ``days``, and that close where they say a moment."""
    late = table["known_day"].to_numpy() > days  # a comparison with NaT is False
    closes = np.full(len(table), np.datetime64("NaT", "us"))
    timed = table["known_moment"].notna().to_numpy() & ~np.isnat(days)
    if close is not None and timed.any():
        closes[timed] = close.instants(days[timed]).astype("datetime64[us]")
        late |= table["known_moment"].to_numpy() > closes
    return np.asarray(late, dtype=bool), closes


def _times(late: pd.DataFrame, days: Days, closes: NDArray[np.datetime64]) -> list[str]:
    """Of each row when it was known, and when its bar was."""
    known = late["known_moment"].where(late["known_moment"].notna(), late["known_day"])
    return [
        f"known {_shown(at)}, bar {day}" + ("" if np.isnat(close) else f", known {_shown(close)}")
        for at, day, close in zip(known, days, closes, strict=True)
    ][:_NAMED]


def _shown(moment: object) -> str:
    text = str(pd.Timestamp(moment))  # type: ignore[arg-type]
    return text.removesuffix(" 00:00:00") if text.endswith(" 00:00:00") else f"{text} UTC"
