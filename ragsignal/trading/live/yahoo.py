"""Yahoo's daily bars as a source that is asked again and again; needs the extra ``download``.

    yfinance ─► bars of days that are over ─► those since the last look, and some before them

The bar of a day is given once the market's close has passed: before it, Yahoo's row of the day is a bar in the making.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from ragsignal.data import SessionClose
from ragsignal.errors import DataError
from ragsignal.trading.live.bars import Bar, Event, Polled

_OVERLAP = timedelta(days=20)  # given again with each look: by them a dividend or a correction shows
_FIRST_DAY = date(1970, 1, 1)
_YAHOO = ("Open", "High", "Low", "Close", "Adj Close", "Volume")


class YahooSource:
    """Polls Yahoo.

    Parameters
    ----------
    symbols : sequence of str
    close : SessionClose
        When the market's days end.
    last : mapping of symbol to date, optional
        The last bar that is there already: earlier ones are not asked for, but for some weeks.
    clock : callable
        The time now, in UTC and aware of it.
    pause : float
        Seconds until a symbol whose bar is not there yet is asked for again.

    Raises
    ------
    DataError
        If yfinance is not installed.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        close: SessionClose,
        last: Mapping[str, date] | None = None,
        clock: Callable[[], datetime] | None = None,
        pause: float = 900.0,
    ) -> None:
        self.symbols = tuple(symbols)
        self._close, self._clock, self._pause = close, clock or utc_now, pause
        self._last = dict(last or {})
        self._asked: dict[str, float] = {}
        self._yfinance = _yfinance()

    def poll(self) -> Polled:
        """New bars of days that are over.

        Raises
        ------
        DataError
            If Yahoo has never a bar of a symbol.
        """
        polled = Polled()
        over = self._last_day_over()
        for symbol in self.symbols:
            if self._last.get(symbol, date.min) < over and self._may_ask(symbol):
                self._ask(symbol, over, polled)
        return polled

    def _last_day_over(self) -> date:
        """The last weekday whose close has passed."""
        now = self._clock()
        day = now.date() + timedelta(days=1)
        moment = np.datetime64(now.replace(tzinfo=None), "s")
        while day.weekday() > 4 or self._close.instants(np.array([day], dtype="datetime64[D]"))[0] > moment:
            day -= timedelta(days=1)
        return day

    def _may_ask(self, symbol: str) -> bool:
        now = time.monotonic()
        if now - self._asked.get(symbol, -self._pause) < self._pause:
            return False
        self._asked[symbol] = now
        return True

    def _ask(self, symbol: str, over: date, polled: Polled) -> None:
        last = self._last.get(symbol)
        try:
            table = self._yfinance.download(
                symbol,
                start=_FIRST_DAY if last is None else last - _OVERLAP,
                end=over + timedelta(days=1),  # which yfinance leaves out
                auto_adjust=False,
                multi_level_index=False,
                progress=False,
            )
        except Exception as error:  # whatever is raised by the network: it may be there again at the next look
            words = f"Yahoo cannot be asked ({error}); it is asked again in {self._pause:.0f} s"
            polled.events.append(Event("source", symbol, None, words))
            return
        bars = [] if table is None else _bars_of(symbol, table, over)
        if not bars and last is None:
            raise DataError(f"Yahoo has no bars of {symbol} through {over}; check the spelling and the connection")
        polled.bars += bars
        self._last[symbol] = max((bar.day for bar in bars), default=last or date.min)


def _bars_of(symbol: str, table: Any, over: date) -> list[Bar]:
    """Back-adjusted bars through the last day that is over."""
    bars = []
    for stamp, *values in table[list(_YAHOO)].itertuples(name=None):
        day = stamp.date()  # yfinance's index is the market's own calendar
        opened, high, low, close, adjusted, volume = map(float, values)
        factor = adjusted / close
        if day <= over:
            bars.append(Bar(symbol, day, opened * factor, high * factor, low * factor, close * factor, volume / factor))
    return bars


def _yfinance() -> Any:
    try:
        import yfinance
    except ImportError:
        raise DataError(
            'source = "yfinance" needs yfinance; run: pip install "ragsignal[download]", or write source = "folder"'
        ) from None
    return yfinance


def utc_now() -> datetime:
    """The time now, in UTC and aware of it."""
    return datetime.now(UTC)
