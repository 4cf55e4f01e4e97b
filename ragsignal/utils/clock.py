"""How long a bar is, and how bars are named: by a day, or bars of a few hours by the moment of their end.

A frame of prices carries its clock in the name of its index, which slices keep: ``date`` is daily. A day is a
``datetime.date`` and ``datetime64[D]``, a moment a ``datetime.datetime`` and ``datetime64[m]``. A bar that ends at
midnight belongs to the day that is over.

The bounds of a spec are days on every clock; :func:`lower` and :func:`upper` turn them into the unit of an array.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ALL_WEEK = " 24/7"
"""Ends the name of a clock whose market never closes."""
_MINUTE = timedelta(minutes=1)
_FORM = re.compile(r"(?:(?P<word>week|month)|(?P<count>\d+)(?P<unit>min| days))(?P<rest> 24/7)?")
# Bars of trade in days of trade: a week has 5 and a month 21 where an exchange opens from Monday to Friday.
_DAYS = {"week": (5.0, 7.0), "month": (21.0, 365.25 / 12.0)}
_SESSION = 390.0  # minutes from 9:30 to 16:00
_WHOLE_DAY = 1440.0

Unit = Literal["D", "m"]
"""Of numpy's datetime64: days, or minutes."""


@dataclass(frozen=True)
class Clock:
    """What one bar spans.

    Parameters
    ----------
    name : str
        ``date`` (a day), ``week``, ``month``, ``60min``, ``14 days``; with :data:`ALL_WEEK` at its end where the
        market never closes.
    days : float
        Days of trade in a bar: 5 a week, 21 a month, 60 / 390 an hour of a session of six and a half hours; in a
        market that never closes 7, 30.4 and 60 / 1440.
    minutes : int
        Length of a bar that is shorter than a day; 0 of all others.
    """

    name: str = "date"
    days: float = 1.0
    minutes: int = 0

    @property
    def intraday(self) -> bool:
        """Whether bars are named by the moment of their end, and not by a day."""
        return self.minutes > 0

    @property
    def scale(self) -> float:
        """How much farther a price moves in a bar than in a day: the square root of the bar's days."""
        return float(self.days**0.5)

    @property
    def unit(self) -> Unit:
        """Of the names of its bars."""
        return "m" if self.intraday else "D"

    @property
    def noun(self) -> str:
        """The word for one bar: ``day``, ``week``, ``month``, or ``bar``."""
        plain = self.name.removesuffix(ALL_WEEK)
        return {"date": "day", "week": "week", "month": "month"}.get(plain, "bar")

    @property
    def words(self) -> str:
        """Say what its bars are: ``weekly bars``, ``bars of 60 minutes``."""
        plain = self.name.removesuffix(ALL_WEEK)
        named = {"date": "daily bars", "week": "weekly bars", "month": "monthly bars"}.get(plain)
        return named or f"bars of {plain.replace('min', ' minutes')}"


DAILY = Clock()
"""The clock of all prices that say no other."""


@lru_cache
def clock_named(name: str | None) -> Clock:
    """The clock that an index is named after; any name that is not one's is daily."""
    found = _FORM.fullmatch(name or "")
    if found is None:
        return DAILY
    whole = bool(found["rest"])
    if found["word"]:
        return Clock(found[0], _DAYS[found["word"]][whole])
    count = int(found["count"])
    if found["unit"] == "min":
        return Clock(found[0], count / (_WHOLE_DAY if whole else _SESSION), count)
    return Clock(found[0], float(count) * (1.0 if whole else 5.0 / 7.0))


def unit_of(stamp: date) -> Unit:
    """The unit of a bar's name: days, or minutes."""
    return "m" if isinstance(stamp, datetime) else "D"


def as_stamps(stamps: Sequence[date]) -> NDArray[np.datetime64]:
    """Names of bars as an array: (n,) datetime64[D] of days, datetime64[m] of moments."""
    return np.array(stamps, dtype=f"datetime64[{unit_of(stamps[0]) if len(stamps) else 'D'}]")


def lower(bound: date, like: NDArray[Any]) -> np.datetime64:
    """The first name that a bar of a day may have, or the moment itself, in the unit of ``like``."""
    if not is_intraday(like):
        return np.datetime64(day_of(bound), "D")
    if isinstance(bound, datetime):
        return np.datetime64(bound, "m")
    return np.datetime64(datetime.combine(bound, time()) + _MINUTE, "m")


def upper(bound: date, like: NDArray[Any]) -> np.datetime64:
    """The last name that a bar of a day may have, or the moment itself, in the unit of ``like``.

    The last bar of a day may end at midnight.
    """
    if not is_intraday(like):
        return np.datetime64(day_of(bound), "D")
    if isinstance(bound, datetime):
        return np.datetime64(bound, "m")
    return np.datetime64(datetime.combine(bound, time()) + timedelta(days=1), "m")


def is_intraday(stamps: NDArray[Any]) -> bool:
    """Whether an array names bars by moments."""
    return bool(stamps.dtype != np.dtype("datetime64[D]"))


def days_in(stamps: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The day that each bar belongs to: (n,) datetime64[D]."""
    return (stamps - np.timedelta64(1, "m")).astype("datetime64[D]") if is_intraday(stamps) else stamps


def minute_of_day(stamp: date) -> int:
    """Minutes from midnight to a moment; 0 of a day."""
    return 60 * stamp.hour + stamp.minute if isinstance(stamp, datetime) else 0


def day_of(stamp: date) -> date:
    """The day that a bar belongs to: that of a bar that ends at midnight is over."""
    return (stamp - _MINUTE).date() if isinstance(stamp, datetime) else stamp


def is_through(stamp: date, bound: date) -> bool:
    """Whether a bar is not later than ``bound``, a day with all its bars, or a moment."""
    return stamp <= bound if isinstance(bound, datetime) else day_of(stamp) <= bound


def stamp_text(stamp: date) -> str:
    """Write the name of a bar: ``2014-03-05``, or ``2014-03-05 15:30``."""
    return stamp.isoformat(sep=" ", timespec="minutes") if isinstance(stamp, datetime) else stamp.isoformat()


def stamp_texts(index: Any) -> list[str]:
    """Write the names of bars that stand in a pandas index: days, or moments if one of them is no midnight."""
    whole = bool((index == index.normalize()).all())
    return list(index.strftime("%Y-%m-%d" if whole else "%Y-%m-%d %H:%M"))


def read_stamp(text: str) -> date:
    """Read what :func:`stamp_text` wrote; raises ``ValueError`` on anything else."""
    return date.fromisoformat(text) if len(text) == len("2014-03-05") else datetime.fromisoformat(text)
