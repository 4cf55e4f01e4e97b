"""What makes a bar untrustworthy: one rule, one small function, over the bars of all symbols at once.

Every function takes the bars of :func:`ragsignal.data.readers.parse_bars` with a column ``symbol`` (any label that
tells symbols apart) and returns which rows break its rule: (n_rows,) bool. Rows of one symbol stand in the order of
the file; symbols may be mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.data.readers import PRICES
from ragsignal.types import BoolArray

CLOSE_TOLERANCE = 1e-3
"""Open and close may lie outside [low, high] by this fraction: vendors round each of the four on its own."""


@dataclass(frozen=True, slots=True)
class DroppedBar:
    """A bar that was left out: of which symbol, the rule that it broke first, and its day."""

    symbol: str
    rule: str
    day: date


@dataclass(frozen=True)
class RowRule:
    """A mask of the rows that break it, its name, and what to do then; ``mended`` if leaving the rows out mends it."""

    name: str
    broken: Callable[[pd.DataFrame], BoolArray]
    repair: str
    mended: bool = False


def _unreadable_date(bars: pd.DataFrame) -> BoolArray:
    return np.asarray(bars["day"].isna())


def _mixed_zones(bars: pd.DataFrame) -> BoolArray:
    """One zone has offsets an hour apart, by summer time, or two, where its own was changed; more is a mixture."""
    if bars["offset"].isna().all():
        return np.zeros(len(bars), dtype=bool)
    readable = bars["day"].notna()
    first = bars[readable].drop_duplicates("symbol").set_index("symbol")["offset"]  # NaN without a zone
    usual = bars["symbol"].map(first)
    differs = bars["offset"].isna() != usual.isna()
    return np.asarray(readable & (differs | ((bars["offset"] - usual).abs() > 120)))


def _intraday(bars: pd.DataFrame) -> BoolArray:
    """Several times of day on one day; or a last bar at a time that no other has, as of a day that is not over.

    One bar a day is daily, whatever its time: the close of an exchange is an hour earlier in summer, as UTC counts, and
    some hours earlier on the day before a holiday.
    """
    readable = bars["day"].notna()
    dated = bars[readable]
    if dated["clock"].nunique() < 2:
        return np.zeros(len(bars), dtype=bool)
    by_day = dated.groupby(["symbol", "day"])["clock"]
    broken = readable.copy()
    broken[readable] = by_day.transform("nunique") > 1
    for _, clocks in dated.groupby("symbol")["clock"]:
        apart = (clocks.iloc[:-1] - clocks.iloc[-1]).abs()
        broken[clocks.index[-1]] |= len(apart) > 0 and not apart.isin([0.0, 3600.0, 82_800.0]).any()
    return broken.to_numpy()


def _duplicate_dates(bars: pd.DataFrame) -> BoolArray:
    return np.asarray(bars["day"].notna() & bars.duplicated(["symbol", "day"], keep=False))


def _unsorted_dates(bars: pd.DataFrame) -> BoolArray:
    days = bars["day"].astype("int64")  # NaT is the smallest, and so hides no other day
    return np.asarray(bars["day"].notna() & (days < days.groupby(bars["symbol"]).cummax()))


def _no_price(bars: pd.DataFrame) -> BoolArray:
    broken = np.zeros(len(bars), dtype=bool)
    for name in (*PRICES, "adj close"):
        if name in bars:
            price = bars[name].to_numpy()
            broken |= ~((price > 0) & (price < np.inf))
    return broken


def _no_volume(bars: pd.DataFrame) -> BoolArray:
    volume = bars["volume"].to_numpy()
    return np.asarray(~((volume >= 0) & (volume < np.inf)))


def _high_below_low(bars: pd.DataFrame) -> BoolArray:
    return np.asarray(bars["high"].to_numpy() < bars["low"].to_numpy()) & ~_no_price(bars)


def _outside_range(bars: pd.DataFrame) -> BoolArray:
    open_, high, low, close = (bars[name].to_numpy() for name in PRICES)
    above = np.maximum(open_, close) > high * (1 + CLOSE_TOLERANCE)
    below = np.minimum(open_, close) < low * (1 - CLOSE_TOLERANCE)
    return np.asarray((above | below) & ~_no_price(bars) & (high >= low))


ROW_RULES = (
    RowRule("unreadable dates", _unreadable_date, "Write days as YYYY-MM-DD."),
    RowRule("mixed time zones", _mixed_zones, "Convert all rows to the exchange's time zone."),
    RowRule(
        "intraday bars",
        _intraday,
        "Keep one bar a day, of days that are over; bars of an hour or more need data.bar and data.stamp in the spec.",
    ),
    RowRule("duplicate dates", _duplicate_dates, "Keep the one right bar of each day."),
    RowRule("unsorted dates", _unsorted_dates, "Sort the rows by date, oldest first."),
    RowRule(
        "prices missing or not above zero",
        _no_price,
        "Correct these prices or delete the rows; no gap is filled.",
        mended=True,
    ),
    RowRule("volume missing or negative", _no_volume, "Correct it, or write 0 where nothing was traded.", mended=True),
    RowRule("high below low", _high_below_low, "Correct both, or delete the rows.", mended=True),
    RowRule(
        "open or close outside low..high",
        _outside_range,
        "Widen high and low to hold them, or delete the rows.",
        mended=True,
    ),
)
