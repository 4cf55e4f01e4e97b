"""Weekly and monthly bars: recognised by their distance, dated by the day on which they end, or made of daily ones.

A week's bar is known at the close of the last day on which the market traded in it, and is dated so. That day is the
market's and not the stock's: that a stock will not trade again this week is known when the week is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import DataSpec
from ragsignal.data.bar_names import is_all_week
from ragsignal.data.prices import Prices, calendar_of, days_of
from ragsignal.data.readers import COLUMNS
from ragsignal.data.spacing import bars_apart, usual_gap_of
from ragsignal.errors import DataError
from ragsignal.types import IntArray
from ragsignal.utils import ALL_WEEK, DAILY, Clock, clock_named, days_in

Period = Literal["week", "month"]
_WEEKLY, _MONTHLY = (5.0, 10.0), (25.0, 35.0)  # days between bars
_EARLY = {"week": 1, "month": 4}  # a bar that is dated by so few days into its period is dated by its begin
_HOW = {"open": "first", "high": "max", "low": "min", "close": "last"}

Days = NDArray[np.datetime64]


def on_clock(prices: Prices, spec: DataSpec) -> Prices:
    """``prices`` as a spec wants them: recognised as weekly or monthly, or resampled to weeks or months.

    Raises
    ------
    DataError
        If bars are not of the kind that the spec says, or may be dated by the day on which they begin.
    """
    frames = {symbol: frame for symbol, frame in prices.frames.items() if len(frame)}
    if not frames:
        return prices
    _check_week(frames, spec)
    if prices.clock.intraday:
        return prices
    gap = usual_gap_of(map(days_of, frames.values())) or 1.0
    own = _recognised(gap, spec.all_week)
    if own != DAILY:
        _refuse_other_period(own, spec, gap)
        return _named(_dated(prices, own, spec), own)
    if spec.stamp is not None and not spec.all_week and not spec.days_are_whole:
        raise DataError(
            f'data.stamp = "{spec.stamp}": the bars are daily and named by their day; delete that line. It belongs to '
            'bars of hours, weeks and months, and to data.calendar = "24/7"'
        )
    if spec.bar_period is None:
        return prices
    return resample(prices, spec.bar_period, spec.all_week)


def _recognised(gap: float, all_week: bool) -> Clock:
    whole = ALL_WEEK if all_week else ""
    if _WEEKLY[0] <= gap <= _WEEKLY[1]:
        return clock_named(f"week{whole}")
    if _MONTHLY[0] <= gap <= _MONTHLY[1]:
        return clock_named(f"month{whole}")
    return clock_named(f"{gap:.0f} days{whole}") if gap >= _WEEKLY[0] else DAILY


def _refuse_other_period(own: Clock, spec: DataSpec, gap: float) -> None:
    if spec.bar is not None and own.name.removesuffix(ALL_WEEK) != spec.bar:
        raise DataError(
            f'data.bar = "{spec.bar}", but the source has {bars_apart(gap)}; weeks and months are made of daily bars: '
            "give it those, or delete data.bar to take the bars as they are"
        )


def _check_week(frames: Mapping[str, pd.DataFrame], spec: DataSpec) -> None:
    """Refuse a market that trades at weekends and is said not to, where that would count; and the reverse."""
    for symbol, frame in frames.items():
        days = np.unique(days_in(days_of(frame)))
        found = None if (usual_gap_of([days]) or 1.0) >= _WEEKLY[0] else is_all_week(days)
        if found is False and spec.all_week:
            raise DataError(
                f'{symbol}: data.calendar = "24/7", but it has no bars at weekends from {days[0]} to {days[-1]}; '
                "delete that line"
            )
        if found and not spec.all_week and spec.bar is not None:
            raise DataError(
                f'{symbol} has bars at weekends, and data.bar = "{spec.bar}" would take them for those of an exchange; '
                'write data.calendar = "24/7"'
            )


def _dated(prices: Prices, clock: Clock, spec: DataSpec) -> Prices:
    """Weekly or monthly bars, dated by the day on which they end."""
    word = clock.name.removesuffix(ALL_WEEK)
    if spec.stamp == "end" or (word not in _EARLY and spec.stamp is None):
        return prices
    if word not in _EARLY:
        raise DataError(f'data.stamp = "start": where {clock.words} end cannot be told; write the days of their ends')
    frames = {}
    for symbol, frame in prices.frames.items():
        days = days_of(frame)
        first = _first_day(_period_of(days, word), word)
        early = (days - first).astype(np.int64) <= _EARLY[word]
        if spec.stamp is None:
            _refuse_begins(symbol, days, early, clock)
        ends = _last_day(_period_of(days, word), word, spec.all_week)
        frames[symbol] = frame.set_axis(pd.DatetimeIndex(ends), axis=0) if spec.stamp == "start" else frame
    return Prices(frames, prices.dropped)


def _refuse_begins(symbol: str, days: Days, early: NDArray[np.bool_], clock: Clock) -> None:
    if early.mean() > 0.5:
        day = days[early][0]
        raise DataError(
            f"{symbol}: its {clock.words} are dated by the day on which they begin, it seems, such as {day}: each "
            'would be known too early. Write data.stamp = "start", or "end" if they do end on these days'
        )


def _named(prices: Prices, clock: Clock) -> Prices:
    frames = {symbol: frame.rename_axis(clock.name) for symbol, frame in prices.frames.items()}
    return Prices(frames, prices.dropped)


def resample(prices: Prices, period: Period, all_week: bool = False) -> Prices:
    """Weekly or monthly bars of daily ones; a period that may go on after the last day is no bar.

    Parameters
    ----------
    prices : Prices
        Daily.
    period : {"week", "month"}
        Weeks are those of ISO 8601, from Monday to Sunday.
    all_week : bool, optional
        Whether the market trades at weekends: a week then ends on Sunday, else on Friday.

    Returns
    -------
    Prices
        Dated by the last day of the period on which any symbol has a bar.
    """
    calendar = calendar_of(prices.frames.values())
    periods = _period_of(calendar, period)
    last = np.append(periods[1:] != periods[:-1], [_is_over(calendar[-1], period, all_week)])
    ends = dict(zip(periods[last].tolist(), calendar[last], strict=True))
    name = clock_named(f"{period}{ALL_WEEK if all_week else ''}").name
    frames = {symbol: _joined(frame, period, ends, name) for symbol, frame in prices.frames.items()}
    return Prices(frames, prices.dropped)


def _joined(frame: pd.DataFrame, period: str, ends: Mapping[int, np.datetime64], name: str) -> pd.DataFrame:
    periods = _period_of(days_of(frame), period)
    whole = np.isin(periods, list(ends))
    groups = frame[whole].groupby(periods[whole])
    table = groups.agg(_HOW)
    table["volume"] = groups["volume"].sum(min_count=1)
    index = pd.DatetimeIndex(np.array([ends[it] for it in table.index], dtype="datetime64[us]"), name=name)
    return table.set_axis(index, axis=0)[list(COLUMNS)].astype(np.float64)


def _period_of(days: Days, period: str) -> IntArray:
    """Number of the week or month of each day."""
    if period == "month":
        return days.astype("datetime64[M]").astype(np.int64)
    return (days.astype(np.int64) + 3) // 7  # from a Monday on: 1970-01-01 was a Thursday


def _first_day(periods: IntArray, period: str) -> Days:
    if period == "month":
        return periods.astype("datetime64[M]").astype("datetime64[D]")
    return (7 * periods - 3).astype("datetime64[D]")


def _last_day(periods: IntArray, period: str, all_week: bool) -> Days:
    """The last day of each period on which the market can trade."""
    last = _first_day(periods + 1, period) - np.timedelta64(1, "D")
    return last if all_week else np.busday_offset(last, 0, roll="backward")


def _is_over(day: np.datetime64, period: str, all_week: bool) -> bool:
    """Whether no later day of the period can be traded."""
    (last,) = _last_day(_period_of(np.array([day]), period), period, all_week)
    return bool(day >= last)
