"""What the stamps of a source name: days of an exchange, days of a market that never closes, or bars of some hours.

A bar of hours is named by the moment at which it ends, as it is known then and not before. Vendors stamp the moment at
which it begins, Backtrader's resampler that of its end; which of them a file does cannot be seen in it, so a spec says
it. A wrong word is a look-ahead of one bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.config import DataSpec
from ragsignal.data.session import SessionClose
from ragsignal.types import IntArray
from ragsignal.utils import ALL_WEEK, DAILY, Clock, clock_named

_DAY = np.timedelta64(1, "D")
_LAST_SECOND = 59  # of a minute: 15:59:59.999 is how some vendors write the end of a bar
_WEEKEND_SHARE = 0.1  # of bars, two sevenths where all days are traded
_ENOUGH = 28  # bars that show whether weekends are traded


@dataclass(frozen=True)
class BarNames:
    """How a source names its bars.

    Parameters
    ----------
    clock : Clock
        Of the bars as they stand in the source; weeks and months are told by their distance, and count as daily here.
    stamp : str, optional
        Whether a stamp is the ``start`` or the ``end`` of its bar; None where nothing was said.
    zone : str
        By whose clock a day begins in a market that never closes; empty for exchanges.
    """

    clock: Clock = DAILY
    stamp: Literal["start", "end"] | None = None
    zone: str = ""

    @property
    def of_exchange_days(self) -> bool:
        """Whether stamps name days of an exchange, or of longer bars."""
        return not (self.zone or self.clock.intraday)

    @classmethod
    def of(cls, spec: DataSpec) -> BarNames:
        """As the table ``[data]`` of a spec says."""
        minutes, close = spec.bar_minutes, SessionClose.parse(spec.close) if spec.close else None
        clock = clock_named(f"{minutes}min{ALL_WEEK if spec.all_week else ''}") if minutes else DAILY
        whole = close is not None and close.after_midnight == pd.Timedelta(days=1)
        zone = close.zone.key if close and whole else ("UTC" if spec.all_week else "")
        return cls(clock, spec.stamp, zone)


AS_DAYS = BarNames()
"""Daily bars of an exchange."""

Stamps = NDArray[np.datetime64]
Fault = tuple[str, str]
"""A rule that stamps break, and the repair."""


def moments_of(written: Stamps, offset: NDArray[np.float64], names: BarNames) -> tuple[Stamps, Fault | None]:
    """Ends of one symbol's bars of some hours, in UTC where the stamps have a zone, else by the clock as written.

    Parameters
    ----------
    written : (n,) datetime64[us]
        Stamps by the clock of their own offset, in the order of the file.
    offset : (n,) float64
        Minutes from UTC; NaN where no zone is given.
    names : BarNames

    Returns
    -------
    moments : (n,) datetime64[us]
        On whole minutes, where there is no fault.
    fault : tuple of two str, optional
    """
    utc = written - np.nan_to_num(offset, nan=0.0).astype("timedelta64[m]")
    late = utc.astype("datetime64[s]").astype(np.int64) % 60 == _LAST_SECOND
    whole = np.where(late, utc + np.timedelta64(1, "s"), utc).astype("datetime64[s]").astype("datetime64[m]")
    if (np.abs(whole.astype("datetime64[us]") - utc) > np.timedelta64(1, "s")).any():
        return utc, ("stamps with seconds", "Write the minute at which each bar begins or ends.")
    length = names.clock.minutes
    moments = whole + np.timedelta64(length if names.stamp == "start" else 0, "m")
    return moments.astype("datetime64[us]"), _spaced(moments, length)


def _spaced(moments: Stamps, length: int) -> Fault | None:
    """Whether bars are as long as is said; the last of a session may be shorter."""
    gaps, counts = np.unique(np.diff(np.sort(moments)).astype(np.int64), return_counts=True)
    shorter = counts[(gaps > 0) & (gaps < length)]
    right = int(counts[gaps == length].sum())
    days = len(np.unique(moments.astype("datetime64[D]")))
    if len(moments) <= 2 * days + 1 and not (len(moments) == days > 1):
        return None  # two bars a session: how long the first one is cannot be seen
    if right and right >= int(shorter.max(initial=0)) / 2:
        return None
    if len(moments) < 3:
        return None
    usual = int(gaps[np.argmax(counts)])
    return (
        f"bars mostly {usual} minutes apart, where data.bar says {length}",
        "Write the length of the bars into data.bar, or give the source bars of that length.",
    )


def days_in_zone(written: Stamps, offset: NDArray[np.float64], names: BarNames) -> tuple[Stamps, Fault | None]:
    """Days of one symbol's daily bars in a market that never closes.

    A stamp is the midnight at which its day begins, by the market's clock, or with ``stamp = "end"`` the one at which
    it ends; its last second, as some vendors write it, is of the day itself.

    Parameters
    ----------
    written, offset
        As of :func:`moments_of`; stamps without a zone are taken for the market's clock.
    names : BarNames

    Returns
    -------
    days : (n,) datetime64[D]
    fault : tuple of two str, optional
    """
    utc = written - np.nan_to_num(offset, nan=0.0).astype("timedelta64[m]")
    zoned = np.isfinite(offset)
    local = written.copy()
    if zoned.any():
        clock = pd.DatetimeIndex(utc[zoned], tz="UTC").tz_convert(names.zone).tz_localize(None)
        local[zoned] = clock.to_numpy().astype(local.dtype)
    days = local.astype("datetime64[D]")
    past = (local - days).astype("timedelta64[s]").astype(np.int64)
    last = past == 86_399
    if ((past != 0) & ~last).any():
        odd = str(local[(past != 0) & ~last][0].astype("datetime64[m]")).replace("T", " ")
        repair = 'Write data.close = "24:00 ZONE" with the zone whose midnights they are, or the days alone.'
        return days, (f"days that begin at no midnight of {names.zone}, such as {odd}", repair)
    return np.where((names.stamp == "end") & ~last, days - _DAY, days), None


def is_all_week(days: Stamps) -> bool | None:
    """Whether a market trades at weekends; None where too few bars show it.

    Parameters
    ----------
    days : (n,) datetime64[D]
    """
    if len(days) < _ENOUGH:
        return None
    weekdays: IntArray = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    return bool((weekdays >= 5).mean() > _WEEKEND_SHARE)
