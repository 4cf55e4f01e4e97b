"""What becomes of a bar that comes in: it waits for its day, or it is refused, in a way that a restart would repeat.

    bars ─► judged against what was traded ─► days that wait ─► whole days, oldest first

A day goes on as soon as every symbol has its bar, or once it has been waited for long enough. What comes after that is
late and stays outside; what comes again is ignored, or told of where it is another bar than the one that was traded on.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from ragsignal.data import SessionClose
from ragsignal.trading.live.bars import Bar, Event, Kind
from ragsignal.trading.live.journal import LiveDay

SILENT = 5
"""Days without a bar after which a symbol is not waited for."""

_OVERLAP = 3  # known bars that a source has to give again before a common ratio is taken for a dividend or a split
_LATEST = 10  # of them are looked at
_RATIO = 2e-4  # within which their ratios have to agree: prices are rounded to a cent
_EXACT = 1e-6  # a ratio that is no nearer to 1 is a change of basis
_AHEAD = timedelta(hours=14)  # no place on earth has a later date
_AGAIN = "A new journal (--journal FILE) would trade on it"


class Intake:
    """Takes bars in, and gives days out.

    Parameters
    ----------
    symbols : sequence of str
    days : sequence of LiveDay
        Those that were given out before, oldest first.
    close : SessionClose, optional
        When a day's bar is known; by default once its date has come anywhere on earth.
    wait : float
        Seconds that a day waits for the bars that it lacks, from its first bar on.

    Attributes
    ----------
    counts : Counter
        How many bars were refused, by kind, and how many days lacked a bar.
    """

    def __init__(
        self, symbols: Sequence[str], days: Sequence[LiveDay], close: SessionClose | None, wait: float
    ) -> None:
        self._symbols, self._close, self._wait = tuple(symbols), close, wait
        self._known: dict[str, dict[date, Bar]] = {symbol: {} for symbol in self._symbols}
        self._silence = dict.fromkeys(self._symbols, 0)
        self._last: date | None = None
        self._pending: dict[date, dict[str, Bar]] = {}
        self._arrived: dict[date, float] = {}
        self._held: list[Bar] = []
        self._basis: dict[str, float] = {}
        self._closes: dict[date, np.datetime64] = {}
        self._first, self._resumed = True, bool(days)
        self.counts: Counter[Kind] = Counter()
        for day in days:
            self._give(day)

    @property
    def missing(self) -> tuple[str, ...]:
        """The symbols that the oldest day still waits for."""
        return self._missing(min(self._pending)) if self._pending else ()

    def take(self, bars: Sequence[Bar], now: datetime, at: float) -> list[Event]:
        """Judge bars.

        Parameters
        ----------
        bars : sequence of Bar
        now : datetime
            The time, aware of its zone.
        at : float
            Seconds of a clock that never goes back.

        Returns
        -------
        list of Event
            What a person may want to know.
        """
        bars, self._held = [*self._held, *bars], []
        of_symbol: dict[str, list[Bar]] = {}
        for bar in bars:
            of_symbol.setdefault(bar.symbol, []).append(bar)
        events = [event for it in of_symbol.values() for event in self._rebase(it)]
        for bar in bars:
            event = self._judge(bar, now, at)
            if event is not None:
                self.counts[event.kind] += 1
                events.append(event)
        return events

    def ready(self, at: float) -> tuple[list[LiveDay], list[Event]]:
        """Days that are whole or were waited for, oldest first, and the gaps in them.

        What the first look at a source finds before its newest day is over: nothing is waited for. What is missing
        there is told of where the run was started before: of the history of a new one nobody expects all bars.
        """
        days, events = [], list[Event]()
        while self._pending:
            day = min(self._pending)
            missing = self._missing(day)
            old = self._first and day < max(self._pending)
            if missing and not old and at - self._arrived[day] < self._wait:
                break
            tell = self._resumed or not old
            if tell:
                events += [self._gap(symbol, day, old) for symbol in missing]
            days.append(LiveDay(day, self._pending.pop(day)))
            self._arrived.pop(day)
            events += self._give(days[-1], tell=tell)
        self._first = False
        return days, events

    def _missing(self, day: date) -> tuple[str, ...]:
        there = self._pending[day]
        return tuple(it for it in self._symbols if it not in there and self._silence[it] < SILENT)

    def _gap(self, symbol: str, day: date, old: bool) -> Event:
        self.counts["gap"] += 1
        when = "as the run was started with a later day there" if old else f"{self._wait:g} s after its first one"
        return Event("gap", symbol, day, f"no bar when the day was traded, {when}. If it comes, it is late")

    def _give(self, day: LiveDay, tell: bool = False) -> list[Event]:
        """Remember a day that is given out; tells of symbols that are not waited for any more."""
        self._last, events = day.day, []
        for symbol in self._symbols:
            if symbol in day.bars:
                self._known[symbol][day.day] = day.bars[symbol]
                self._silence[symbol] = 0
                continue
            self._silence[symbol] += 1
            if tell and self._silence[symbol] == SILENT:
                words = f"no bar on {SILENT} days: it is not waited for until it has one again"
                events.append(Event("silent", symbol, day.day, words))
        return events

    def _rebase(self, bars: Sequence[Bar]) -> list[Event]:
        """See whether a source has rescaled the past of a symbol, as a dividend or a split does."""
        symbol = bars[0].symbol
        known = self._known[symbol]
        again = sorted((bar for bar in bars if bar.day in known and bar.close > 0), key=lambda bar: bar.day)[-_LATEST:]
        if len(again) < _OVERLAP:
            return []
        ratios = [known[bar.day].close / bar.close for bar in again]
        ratio = statistics.median(ratios)
        if max(abs(it / ratio - 1.0) for it in ratios) > _RATIO:
            return []
        ratio = 1.0 if abs(ratio - 1.0) < _EXACT else ratio
        if ratio == self._basis.get(symbol, 1.0):
            return []
        self._basis[symbol] = ratio
        words = (
            f"the source has divided its past prices by {ratio:.6g}, as after a dividend or a split; its new bars are "
            "brought to the basis that the account is in"
        )
        return [Event("rescaled", symbol, again[-1].day, words)]

    def _judge(self, bar: Bar, now: datetime, at: float) -> Event | None:
        given, basis = bar, self._basis.get(bar.symbol, 1.0)
        bar = bar if basis == 1.0 else bar.times(basis)
        if bar.fault is not None:
            words = f"{bar.fault}; correct it at the source, and it is read again"
            return Event("bad", bar.symbol, bar.day, words)
        if self._last is not None and bar.day <= self._last:
            return self._judge_old(bar, rescaled=basis != 1.0)
        if self._is_open(bar.day, now):
            self._held.append(given)  # as it came: the basis is asked for again when its day is over
            return Event("early", bar.symbol, bar.day, "the day is not over by this machine's clock; the bar is held")
        return self._keep(bar, at)

    def _judge_old(self, bar: Bar, rescaled: bool) -> Event | None:
        known = self._known[bar.symbol].get(bar.day)
        if known is None:
            words = f"it came after its day was traded, and is not put into the past. {_AGAIN}"
            return Event("late", bar.symbol, bar.day, words)
        # after a dividend some sources rescale volumes too, and some do not
        volume = known.volume if rescaled else bar.volume
        if replace(bar, volume=volume).same_as(known.values, _RATIO if rescaled else _EXACT):
            self.counts["duplicate"] += not self._first
            return None
        before, after = (", ".join(f"{value:g}" for value in it.values) for it in (known, bar))
        words = f"corrected after its day was traded: {before} is now {after}. The account keeps the first. {_AGAIN}"
        return Event("revision", bar.symbol, bar.day, words)

    def _keep(self, bar: Bar, at: float) -> Event | None:
        there = self._pending.setdefault(bar.day, {})
        self._arrived.setdefault(bar.day, at)
        known = there.get(bar.symbol)
        there[bar.symbol] = bar
        if known is None:
            return None
        if bar.same_as(known.values):
            self.counts["duplicate"] += 1
            return None
        return Event("revision", bar.symbol, bar.day, "corrected before its day was traded: the second one counts")

    def _is_open(self, day: date, now: datetime) -> bool:
        if self._close is None:
            return day > (now + _AHEAD).date()
        if day not in self._closes:  # a day has a bar a symbol, and time zones take milliseconds
            self._closes[day] = self._close.instants(np.array([day], dtype="datetime64[D]"))[0]
        return bool(self._closes[day] > np.datetime64(now.replace(tzinfo=None), "s"))
