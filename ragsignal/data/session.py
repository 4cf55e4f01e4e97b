"""When a bar is known, and which bar may know what was said at a moment.

A day's bar dated d is known at the close of d, and a bar of hours at its own end. What somebody decided or published at
a moment may be read by the first bar whose close is not earlier: at the close itself it is in time, a second later it
belongs to the next bar.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.types import IntArray

_FORM = re.compile(r"(\d{1,2}):(\d{2}) (\S+)")
_EXPECTED = 'expected a time and a zone of the IANA database, such as "16:00 America/New_York" or "24:00 UTC"'


class BarCloses(ABC):
    """When bars are known."""

    @abstractmethod
    def instants(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Moments in UTC at which the bars of these names are known: (n,) datetime64[s], without a zone."""

    def first_bar(self, moments: NDArray[np.datetime64], days: NDArray[np.datetime64]) -> IntArray:
        """The first bar that may know of each moment: the number of the first day whose close is not earlier.

        Parameters
        ----------
        moments : (m,) datetime64, in UTC
            Compared to the microsecond.
        days : (n,) datetime64[D] or [m], ascending

        Returns
        -------
        (m,) int64
            ``n`` where the last close is earlier than the moment.
        """
        closes = self.instants(days).astype("datetime64[us]")
        return np.searchsorted(closes, moments.astype("datetime64[us]"), side="left").astype(np.int64)


@dataclass(frozen=True)
class BarEnds(BarCloses):
    """Of bars of some hours that are named by their ends in UTC: each is known when it ends."""

    def instants(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """The ends themselves.

        Parameters
        ----------
        days : (n,) datetime64[m]
        """
        return days.astype("datetime64[s]")


@dataclass(frozen=True)
class SessionClose(BarCloses):
    """The time of day at which a market closes, by the market's own clock.

    Parameters
    ----------
    after_midnight : timedelta
        Up to 24 hours: a market that never closes has its daily bar at the end of the day.
    zone : ZoneInfo
    """

    after_midnight: timedelta
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str) -> SessionClose:
        """Read ``"16:00 America/New_York"``, the key ``data.close`` of a spec.

        Raises
        ------
        ValueError
            If the text has another form, no such time of day, or no such zone.
        """
        found = _FORM.fullmatch(text)
        hours, minutes = (int(found[1]), int(found[2])) if found else (99, 0)
        if found is None or minutes > 59 or hours * 60 + minutes > 24 * 60:
            raise ValueError(f"{text!r}: {_EXPECTED}")
        try:
            zone = ZoneInfo(found[3])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{text!r}: there is no time zone {found[3]!r}; {_EXPECTED}") from None
        return cls(timedelta(hours=hours, minutes=minutes), zone)

    def instants(self, days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
        """Moments in UTC at which the bars of ``days`` are known.

        Parameters
        ----------
        days : (n,) datetime64[D]

        Returns
        -------
        (n,) datetime64[s], without a zone: UTC
        """
        clock = pd.DatetimeIndex(days.astype("datetime64[s]")) + self.after_midnight
        # An hour that the clocks skip or repeat: the later moment, as a bar must not be known too early.
        known = clock.tz_localize(self.zone, ambiguous=np.zeros(len(clock), bool), nonexistent="shift_forward")
        return known.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[s]")
