"""The exchange's day of a daily bar whose stamp is a moment, as 15:00 UTC is.

Midnight in Tokyo is 15:00 UTC of the day before, midnight in London is 23:00 UTC in summer: a bar that is filed under
the day in UTC is known a day too early, on Sundays and never on Fridays. But 21:00 UTC is the close of New York, and
that bar belongs to the day in UTC. What decides is which reading gives an exchange's week.

    stamps ─► zones in which all of them are midnight ─► which days make a week: those as written, or the zone's
           └► none, as of a close at 20:00 in New York ─► a zone whose days make a week, where those written do not
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Days = NDArray[np.datetime64]

# Clocks by which shares, futures or currencies are traded, the largest first; Rome's and Frankfurt's is Paris's.
EXCHANGE_ZONES = (
    "America/New_York", "America/Chicago", "Europe/London", "Europe/Paris", "Asia/Tokyo", "Asia/Hong_Kong",
    "Asia/Kolkata", "Australia/Sydney", "Asia/Riyadh", "America/Toronto", "America/Mexico_City", "America/Bogota",
    "America/Lima", "America/Santiago", "America/Sao_Paulo", "America/Argentina/Buenos_Aires", "Europe/Dublin",
    "Europe/Lisbon", "Europe/Athens", "Europe/Helsinki", "Europe/Bucharest", "Europe/Istanbul", "Europe/Moscow",
    "Africa/Johannesburg", "Africa/Cairo", "Africa/Casablanca", "Africa/Lagos", "Africa/Nairobi",
    "Asia/Jerusalem", "Asia/Dubai", "Asia/Tehran", "Asia/Karachi", "Asia/Kathmandu", "Asia/Colombo", "Asia/Dhaka",
    "Asia/Almaty", "Asia/Bangkok", "Asia/Jakarta", "Asia/Ho_Chi_Minh", "Asia/Shanghai", "Asia/Singapore",
    "Asia/Kuala_Lumpur", "Asia/Manila", "Asia/Taipei", "Asia/Seoul", "Australia/Perth", "Australia/Brisbane",
    "Pacific/Auckland",
)  # fmt: skip

_WEEKS = ({0, 1, 2, 3, 4}, {6, 0, 1, 2, 3}, {5, 6, 0, 1, 2})  # Mon-Fri; Sun-Thu: Riyadh; Sat-Wed: Riyadh until 2013
_NO_WEEK = len(_WEEKS)
_ODD = 0.02  # bars outside the week: single Saturdays on which an exchange was open
_ENOUGH = 10  # bars that show a week
_HOUR = 3600 * 10**6  # microseconds
_DAY = 24 * _HOUR
_PROBED = 8
_NEW_YORK_CLOSE = (20, 22)  # hours in UTC
_EVENING = 20  # hours in UTC: no exchange that opens on Sundays has bars from then on, but currencies and futures open
_SESSION_END = 86_399 * 10**6  # 23:59:59: how Backtrader says that a bar has no time of day


@dataclass(frozen=True, eq=False)
class ExchangeDays:
    """What the stamps of one symbol's bars mean.

    Parameters
    ----------
    days : (n,) datetime64[D]
        The exchange's days.
    zone : str
        A time zone of whose midnights the stamps are, or in which they make a week; empty if they mean the days that
        they name.
    clear : bool
        False if they may mean either; ``days`` are then those as written.
    midnight : bool
        Whether the stamps are midnights of the zone.
    """

    days: Days
    zone: str = ""
    clear: bool = True
    midnight: bool = True


def exchange_days(written: NDArray[np.datetime64], offset: NDArray[np.float64]) -> ExchangeDays:
    """Days of the stamps of one symbol.

    Parameters
    ----------
    written : (n,) datetime64[us]
        Stamps as they are written, by the clock of their own offset.
    offset : (n,) float64
        Minutes from UTC; NaN where no zone is given. Such stamps may be UTC, but no more than that is known: where
        only another day makes a week, they are unclear.
    """
    plain = written.astype("datetime64[D]")
    clocks = (written - plain).astype("timedelta64[us]").astype(np.int64)
    if not len(written) or not ((clocks > 0) & (clocks < _SESSION_END)).any():
        return ExchangeDays(plain)
    minutes = np.nan_to_num(offset, nan=0.0).astype("timedelta64[m]")
    zone = _midnight_zone(written - minutes)
    if not zone:
        zone = _zone_of_week(plain, written - minutes)
        return ExchangeDays(plain, zone, clear=not zone, midnight=False)
    days = _local(written - minutes, zone).astype("datetime64[D]")
    if (days == plain).all():
        return ExchangeDays(plain, zone)
    return _decide(plain, days, zone, clocks, offset)


def _decide(plain: Days, days: Days, zone: str, clocks: NDArray[np.int64], offset: NDArray[np.float64]) -> ExchangeDays:
    moved = plain != days
    as_written, in_zone = week_of(plain[moved]), week_of(days[moved])
    told, in_utc = bool(np.isfinite(offset).all()), bool((offset == 0.0).all())
    enough = len(days) >= _ENOUGH
    if in_zone < as_written and enough and told:
        return ExchangeDays(days, zone)
    if in_zone < as_written and (enough or told):
        return ExchangeDays(plain, zone, clear=False)
    if in_zone == as_written and in_utc and (clocks == 0).any():  # midnight in winter, eleven in summer: no close
        return ExchangeDays(days, zone)
    if in_zone == as_written and in_utc and not _at_close(clocks):
        return ExchangeDays(plain, zone, clear=False)
    return ExchangeDays(plain)


def _at_close(clocks: NDArray[np.int64]) -> bool:
    hours = clocks // _HOUR
    return bool(((hours >= _NEW_YORK_CLOSE[0]) & (hours < _NEW_YORK_CLOSE[1])).all())


def week_of(days: Days) -> int:
    """Which week the days keep: 0 Monday to Friday, 1 Sunday to Thursday, 2 Saturday to Wednesday, 3 none of them."""
    weekdays = (days.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    counts = np.bincount(weekdays, minlength=7)
    for number, week in enumerate(_WEEKS):
        if counts[[day for day in range(7) if day not in week]].sum() <= _ODD * len(days):
            return number
    return _NO_WEEK


def repair_of(zone: str) -> str:
    """The line of pandas that writes the exchange's days in the place of stamps in UTC."""
    return f'pd.DatetimeIndex(pd.to_datetime(dates, utc=True)).tz_convert("{zone}").strftime("%Y-%m-%d")'


def words_of_unclear(found: ExchangeDays) -> tuple[str, str]:
    """Say why days are unclear, and what to do."""
    if found.midnight:
        rule = f"days unclear: midnight in {found.zone}, or a time on the days that are written"
        return rule, f"Write the exchange's own days; if that is its zone: {repair_of(found.zone)}."
    rule = f"days unclear: no week from Monday to Friday as they are written, but one by the clock of {found.zone}"
    return rule, f"Write the exchange's own days; if those are meant: {repair_of(found.zone)}."


def _midnight_zone(moments: NDArray[np.datetime64]) -> str:
    """The first zone of an exchange in which all moments in UTC are midnight; empty if there is none."""
    probes = moments[:: max(1, len(moments) // _PROBED)]
    for zone in EXCHANGE_ZONES:
        # of so few moments one may be the night of a change, which _at_midnight takes for too many
        if (_local(probes, zone).astype(np.int64) % _DAY <= _HOUR).all() and _at_midnight(moments, zone):
            return zone
    return ""


def _zone_of_week(plain: Days, moments: NDArray[np.datetime64]) -> str:
    """The first zone whose days go from Monday to Friday, where those as written (of a bar each) do not; or empty."""
    as_written = week_of(plain)
    daily = len(plain) >= _ENOUGH and float(np.median(np.diff(plain).astype(np.int64))) == 1.0
    evening = (moments - moments.astype("datetime64[D]")).astype(np.int64) >= _EVENING * _HOUR
    if not daily or as_written == 0 or (as_written != _NO_WEEK and not evening.all()):
        return ""
    named = [(zone, _local(moments, zone).astype("datetime64[D]")) for zone in EXCHANGE_ZONES]
    of_a_bar_each = [(zone, days) for zone, days in named if len(np.unique(days)) == len(days)]
    # where summer begins on other days than there, the first that is right on most days is wrong for weeks
    best, days = min(of_a_bar_each, key=lambda it: int((~np.is_busday(it[1])).sum()), default=("", plain))
    return best if week_of(days) == 0 else ""


def _at_midnight(moments: NDArray[np.datetime64], zone: str) -> bool:
    local = _local(moments, zone).astype(np.int64)
    past = local % _DAY
    # in some zones a summer began at midnight, so that this day's first hour is one o'clock
    return bool((past <= _HOUR).all() and (past == 0).mean() > 1 - _ODD)


def _local(moments: NDArray[np.datetime64], zone: str) -> NDArray[np.datetime64]:
    index = pd.DatetimeIndex(moments, tz="UTC").tz_convert(zone).tz_localize(None)
    return index.to_numpy().astype("datetime64[us]")
