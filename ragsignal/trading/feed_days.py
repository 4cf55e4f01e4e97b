"""Whether a feed's bars are filed under the exchange's days: Backtrader keeps stamps in UTC, and a zone is lost there.

``bt.feeds.PandasData`` turns yfinance's own index, midnight in London or Tokyo, into 23:00 or 15:00 of the day before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np

from ragsignal.data import exchange_days
from ragsignal.errors import ConfigError, DataError
from ragsignal.utils import DAILY, Clock

_KEPT = 64  # bars by which a feed is judged while it goes on
_ROUNDED = timedelta(microseconds=10)  # Backtrader keeps days as float64
_SATURDAY = 5
_HALF_A_MINUTE = timedelta(seconds=30)


def refuse_other_unit(data: Any, clock: Clock) -> None:
    """Raise ``ConfigError`` if a feed says that its bars are shorter than those of the source, or of other minutes."""
    if data._timeframe >= bt.TimeFrame.Days:
        return
    unit = bt.TimeFrame.getname(data._timeframe, data._compression)
    if not clock.intraday:
        raise ConfigError(
            f"feed {data._name!r} has {unit} bars; daily or longer were expected. "
            "Use cerebro.resampledata(data, timeframe=bt.TimeFrame.Days)"
        )
    if data._timeframe != bt.TimeFrame.Minutes or data._compression != clock.minutes:
        raise ConfigError(
            f"feed {data._name!r} has {unit} bars; {clock.words} were expected. Use cerebro.resampledata(data, "
            f"timeframe=bt.TimeFrame.Minutes, compression={clock.minutes})"
        )


def refuse_replay(data: Any, clock: Clock) -> None:
    """Raise ``ConfigError`` if bars that are not daily are shown before they are over: each view has another name."""
    if data.replaying and clock != DAILY:
        raise ConfigError(
            f"feed {data._name!r} is replayed: {clock.words} change before they are over, and a signal is of bars that "
            "are. Use cerebro.resampledata in the place of replaydata"
        )


def moment_of(stamp: datetime) -> datetime:
    """The whole minute that a feed's stamp means: Backtrader keeps moments as float64."""
    return (stamp + _HALF_A_MINUTE).replace(second=0, microsecond=0, tzinfo=None)


def refuse_other_days(symbol: str, stamps: Sequence[datetime]) -> None:
    """Raise ``DataError`` if only the midnights of another time zone make an exchange's week of ``stamps``."""
    if not any(stamp.hour or stamp.minute for stamp in stamps):
        return
    whole = [(stamp + _ROUNDED).replace(microsecond=0, tzinfo=None) for stamp in stamps]
    found = exchange_days(np.array(whole, dtype="datetime64[us]"), np.full(len(whole), np.nan))
    if not found.clear:
        clocks = [stamp for stamp in whole if stamp.hour or stamp.minute]
        odd = clocks[0] if found.midnight else next((it for it in whole if it.weekday() >= _SATURDAY), clocks[0])
        what = (
            f"stamped at midnight in {found.zone}, as UTC counts, that is a day early"
            if found.midnight
            else f"stamped on days that make no week from Monday to Friday, as those by the clock of {found.zone} do"
        )
        normal = "" if found.midnight else ".normalize()"
        raise DataError(
            f"{symbol}: the feed's bars are {what}: {odd} ({odd:%A}) for example. Give the feed the exchange's days: "
            f"frame.index = pd.to_datetime(frame.index, utc=True)"
            f'.tz_convert("{found.zone}").tz_localize(None){normal}'
        )


class FeedDays:
    """Judges a feed while it goes on: a wrong day shows on a weekend.

    Parameters
    ----------
    symbol : str
    """

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._stamps: list[datetime] = []

    def see(self, stamp: datetime) -> None:
        """Take in the stamp of the next bar; raises as :func:`refuse_other_days`."""
        self._stamps = [*self._stamps[1 - _KEPT :], stamp]
        if stamp.weekday() >= _SATURDAY:
            refuse_other_days(self._symbol, self._stamps)
