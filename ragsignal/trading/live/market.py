"""A market that goes on: bars from a source, through the journal, to feeds that are in step.

    source ─► Intake ─► signals of the day ─► LiveJournal ─► a day ─► LiveFeed, LiveFeed, ...

First come the days that the journal holds, as they were traded; then those that the source brings. A day is given to
all feeds in one step of Cerebro, after it and its signals were written down.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from ragsignal.config import RunSpec, Variant
from ragsignal.data import Prices, SessionClose, bars_apart, cut_query, days_of, usual_gap_of
from ragsignal.errors import ConfigError, StoreError
from ragsignal.signals import KnownSignals
from ragsignal.study import GrowingSource
from ragsignal.trading.live.bars import Bar, BarSource, Event
from ragsignal.trading.live.intake import Intake
from ragsignal.trading.live.journal import Account, LiveDay, LiveJournal, check_replayed
from ragsignal.trading.live.yahoo import utc_now
from ragsignal.types import Query, Signal
from ragsignal.utils import Progress, canonical_json, silent

_SLOW = 5.0  # days between bars from which on they are no daily ones, as of ragsignal.data.resample
_ENOUGH = 10  # bars that show a distance
_NAP = 0.2  # seconds after which a sleeper looks whether it shall stop
_BACK = 3600.0  # seconds by which the clock may lie before the journal's last entry: a correction of the clock
Listener = Callable[[Sequence[Event]], None]

_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass
class LiveOptions:
    """How a live run goes.

    Parameters
    ----------
    poll : float
        Seconds between two looks at the source.
    wait : float
        Seconds that a day waits for bars that it lacks.
    once : bool
        Trade what is there, and end.
    clock : callable
        The time now, aware of its zone.
    progress : callable
        Told of long work.

    Raises
    ------
    ConfigError
        If seconds are negative, endless, or no number.
    """

    poll: float = 60.0
    wait: float = 600.0
    once: bool = False
    clock: Callable[[], datetime] = utc_now
    progress: Progress = silent

    def __post_init__(self) -> None:
        for name, seconds in (("poll", self.poll), ("wait", self.wait)):
            if not 0.0 <= seconds < float("inf"):
                raise ConfigError(f"{name} = {seconds}: seconds from 0 on, such as 60 (--{name} 60)")


@dataclass
class LiveStatus:
    """Where a market stands.

    Parameters
    ----------
    live : bool
        Whether all that the journal held has been given.
    stopping : str or None
        Why the run ends.
    day : LiveDay or None
        The last one that was given.
    arrived : float
        ``time.perf_counter()`` at which the look at the source began that made it whole.
    latency : float or None
        Seconds from there until the strategies had sent their orders.
    """

    live: bool = False
    stopping: str | None = None
    day: LiveDay | None = None
    arrived: float = 0.0
    latency: float | None = None


@dataclass
class LiveMarket:
    """Gives the days of a journal, and then those of a source.

    Parameters
    ----------
    spec : RunSpec
        With its symbols by name.
    variant : Variant
    source : BarSource
        Of the spec's symbols, those of its corpus included.
    journal : LiveJournal
        Opened by this process.
    options : LiveOptions

    Raises
    ------
    ConfigError, DataError, ModelError
        If the journal is of another run, the clock lies before its last entry, or signals cannot be made.
    """

    spec: RunSpec
    variant: Variant
    source: BarSource
    journal: LiveJournal
    options: LiveOptions = field(default_factory=LiveOptions)

    def __post_init__(self) -> None:
        self.status = LiveStatus()
        self.account: Account = {}
        self._listeners: list[Listener] = []
        self._untold: list[Event] = []
        self.symbols = self.spec.data.symbols
        days = self.journal.days()
        close = self.spec.data.close
        self.intake = Intake(
            self.source.symbols, days, None if close is None else SessionClose.parse(close), self.options.wait
        )
        self._refuse_early_clock()
        self._refuse_ended(days)
        self._accounts = self.journal.accounts()
        self._past: dict[str, tuple[list[date], list[float]]] = {symbol: ([], []) for symbol in self.symbols}
        self._asked: set[str] = set()
        self._today: LiveDay | None = None
        self._known: dict[Query, Signal] = {}
        self.growing: GrowingSource | None = None  # from the first day that there is
        self._end_reached = False
        self._queue: deque[LiveDay] = deque()
        self._begin(days)

    @property
    def signals(self) -> KnownSignals | None:
        """The source that an indicator asks; None where the variant trades prices alone."""
        if not self.variant.has_signal:
            return None
        return KnownSignals(self.spec.corpus.lookback, self._known, fallback=_OfOtherBars(self))

    @property
    def waiting(self) -> bool:
        """Whether a day lies ready."""
        return bool(self._queue)

    def listen(self, listener: Listener) -> None:
        """Tell somebody of events, after each look at the source and each traded day; now, of those so far."""
        self._listeners.append(listener)
        listener(self._untold)
        self._untold = []

    def stop(self, why: str) -> None:
        """End the run before its next day."""
        self.status.stopping = self.status.stopping or why

    def step(self, symbol: str) -> Bar | bool | None:
        """What a feed gives next: its bar of the day, None where it has none, False at the end.

        The market goes on when a feed asks for the second time: by then all have been asked.
        """
        if not self._asked or symbol in self._asked:
            self._asked.clear()
            self._today = self._next()
        self._asked.add(symbol)
        if self.status.stopping is not None and self._today is None:
            return False
        return self._today.bars.get(symbol) if self._today is not None else None

    def traded(self, account: Account) -> None:
        """Write down, or compare with what was written, the account after the day's orders.

        Raises
        ------
        DataError
            If a day that is replayed ends otherwise than it did.
        """
        if self._today is None:
            return
        if self.status.live:
            self.status.latency = time.perf_counter() - self.status.arrived
        self.account = account
        day, text = self._today.day, canonical_json(account)
        if day in self._accounts:
            check_replayed(self.journal.path, day, self._accounts[day], text)
        else:
            self.journal.record_account(day, text)
        if self.status.live:
            self._tell([])

    def _begin(self, days: list[LiveDay]) -> None:
        """Queue what was traded before, make what its signals need, and take in what the source has by now."""
        self._known |= self._recorded(days)
        if days:
            self._open(days)
            self._restore_hits()
        self._queue.extend(day for day in days if self._is_traded(day))
        self._look()
        if self.growing is not None:
            self.growing.warm()

    def _open(self, days: Sequence[LiveDay]) -> None:
        prices = prices_of(self.source.symbols, days)
        _refuse_other_clock(prices)
        if self.variant.has_signal:
            scratch = self.journal.path.with_suffix(".scratch")
            self.growing = GrowingSource(self.spec, self.variant, prices, scratch, self.options.progress)
            self.journal.keep({"recipe of the signals": self.growing.recipe})

    def _recorded(self, days: Sequence[LiveDay]) -> dict[Query, Signal]:
        if not self.variant.has_signal:
            return {}
        signals = {(it.as_of, it.symbol): it for it in self.journal.signals()}
        queries = [query for day in days if self._is_traded(day) for query in self._queries(day)]
        absent = next((it for it in queries if (it.as_of, it.symbol) not in signals), None)
        if absent is not None:
            raise StoreError(
                f"the journal {self.journal.path} has a bar of {absent.symbol} on {absent.as_of} and not its signal: "
                "it is damaged; put back a copy of it, or begin a new one: --journal FILE"
            )
        return {query: signals[query.as_of, query.symbol] for query in queries}

    def _restore_hits(self) -> None:
        """Take recorded signals from the store where it has them: with what was retrieved for them."""
        if self.growing is not None:
            stored = self.growing.stored([signal.key for signal in self._known.values() if signal.key])
            self._known |= {query: stored.get(signal.key, signal) for query, signal in self._known.items()}

    def _is_traded(self, day: LiveDay) -> bool:
        return day.day >= self.spec.data.start

    def _queries(self, day: LiveDay) -> list[Query]:
        """The query of each traded symbol that has a bar, as an indicator asks it."""
        queries, lookback = [], self.spec.corpus.lookback
        for symbol, (dates, closes) in self._past.items():
            if symbol in day.bars:
                dates.append(day.day)
                closes.append(day.bars[symbol].close)
                queries.append(cut_query(symbol, dates[-lookback - 1 :], closes[-lookback - 1 :], lookback))
        return queries

    def _next(self) -> LiveDay | None:
        """The next day; None where there is none yet, or none any more."""
        if not self._queue and self._end_reached:
            self.stop(f"data.end = {self.spec.data.end} is reached; write a later one to go on")
        if not self._queue and self.status.stopping is None:
            self.status.live = True
            self._look()
            if not self._queue:
                self._idle()
        if not self._queue or self.status.stopping is not None:
            return None
        self.status.day = self._queue.popleft()
        return self.status.day

    def _idle(self) -> None:
        if self.options.once:
            self.stop("all that was there is traded")
        until = time.monotonic() + self.options.poll
        while self.status.stopping is None and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _NAP))

    def _look(self) -> None:
        """Ask the source, and record the days that became whole."""
        began, polled = time.perf_counter(), self.source.poll()
        now, at = self.options.clock(), time.monotonic()
        events = [*polled.events, *self.intake.take(polled.bars, now, at)]
        days, gaps = self.intake.ready(at)
        if days:
            self.status.arrived = began
            self._record(self._until_end(days), now)
        self._tell(self.journal.note([*events, *gaps], now))

    def _until_end(self, days: list[LiveDay]) -> list[LiveDay]:
        end = self.spec.data.end
        self._end_reached = days[-1].day >= end
        return [day for day in days if day.day <= end]

    def _record(self, days: list[LiveDay], now: datetime) -> None:
        if self.growing is None and days:  # the first look: all at once
            self._open(days)
            self._write(days, now)
            return
        for day in days:
            if self.growing is not None:
                self.growing.add(day.day, {symbol: bar.values for symbol, bar in day.bars.items()})
            self._write([day], now)

    def _write(self, days: list[LiveDay], now: datetime) -> None:
        traded = [day for day in days if self._is_traded(day)]
        signals: list[Signal] = []
        if self.growing is not None:
            queries = [query for day in traded for query in self._queries(day)]
            signals = self.growing.signals(queries)
            self._known |= dict(zip(queries, signals, strict=True))
        self.journal.record(days, signals, now)
        self._queue.extend(traded)

    def _tell(self, events: Sequence[Event]) -> None:
        for listener in self._listeners:
            listener(events)
        if not self._listeners:  # the first look is taken before anybody listens
            self._untold.extend(events)

    def _refuse_early_clock(self) -> None:
        last, now = self.journal.last_recorded(), self.options.clock()
        if last is not None and (last - now).total_seconds() > _BACK:
            raise ConfigError(
                f"the clock says {now:%Y-%m-%d %H:%M} UTC, and the journal {self.journal.path} was written on "
                f"{last:%Y-%m-%d %H:%M}: it has gone back, and would hold bars that are over; set the clock"
            )

    def _refuse_ended(self, days: Sequence[LiveDay]) -> None:
        if days and days[-1].day >= self.spec.data.end:
            raise ConfigError(
                f"data.end = {self.spec.data.end}, and the journal {self.journal.path} is traded through "
                f"{days[-1].day}: nothing can follow; write a later data.end, such as 2099-12-31"
            )


class _OfOtherBars:
    """Signals of bars that a strategy makes itself, such as weeks: they are in no journal, but in the signal store."""

    def __init__(self, market: LiveMarket) -> None:
        self.lookback = market.spec.corpus.lookback
        self._market = market

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query."""
        growing = self._market.growing
        return [] if growing is None else growing.signals(queries)


def _refuse_other_clock(prices: Prices) -> None:
    long = [days_of(frame) for frame in prices.frames.values() if len(frame) > _ENOUGH]
    gap = usual_gap_of(long) or 1.0
    if gap >= _SLOW:
        raise ConfigError(
            f"the source has {bars_apart(gap)}, and a live run reads daily ones; give it daily bars, or run such bars "
            "by ragsignal backtest"
        )


def prices_of(symbols: Sequence[str], days: Sequence[LiveDay]) -> Prices:
    """The bars of days as prices; a symbol without any has an empty frame."""
    frames = {}
    for symbol in symbols:
        bars = [day.bars[symbol] for day in days if symbol in day.bars]
        index = pd.DatetimeIndex([bar.day for bar in bars]).as_unit("us").rename("date")
        rows = [bar.values for bar in bars]
        frames[symbol] = pd.DataFrame(rows, index=index, columns=list(_COLUMNS), dtype="float64")
    return Prices(frames)
