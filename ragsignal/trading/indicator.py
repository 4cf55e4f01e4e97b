"""RagMomentum: the signal as a Backtrader line. A window of closes goes in, numbers come out; no model is known here.

Under Cerebro's default modes all bars go to the source in one call (``once``), so that a model works in batches; in
streaming modes each bar is one call (``next``). Both see the same windows, cut from bars up to the present one.
"""

from __future__ import annotations

import itertools
import warnings
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import backtrader as bt

from ragsignal.data import cut_queries, cut_query
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.protocols import SignalSource
from ragsignal.study import hit_record, load_pipeline
from ragsignal.trading.feed_days import FeedDays, moment_of, refuse_other_days, refuse_other_unit, refuse_replay
from ragsignal.trading.lines import SignalLine
from ragsignal.types import FeedBars, Query, Signal
from ragsignal.utils import DAILY, Clock

NO_BAR = "no bar yet"
"""Why there is no view before the first bar of a feed."""
_NEUTRAL = (0.0, 0.5, 0.0, 1.0)  # signal, probability, rank, abstained
_BAR = ("open", "high", "low", "close", "volume")


class RagMomentum(bt.Indicator):
    """Retrieval-augmented P(rise) of what comes after the bar.

    Lines
    -----
    signal
        P(rise) - P(fall) in [-1, 1]; > 0 long, < 0 short, exactly 0.0 where there is no view (never NaN).
    probability
        P(rise) in [0, 1]; 0.5 where there is no view.
    rank
        Place of the signal among those of its universe's stocks on the day, in [-1, 1]: 1.0 is the highest. Exactly 0.0
        where there is no view, and from readers that see one stock alone. Probabilities of daily moves lie near 0.5
        whatever the model; a rank is what a threshold can be put on.
    abstained
        1.0 where there is no view, else 0.0; :meth:`evidence` gives the reason.

    Params
    ------
    source
        A :class:`~ragsignal.protocols.SignalSource`, or the path of a spec. Use a path under ``optstrategy``: it
        pickles, a loaded model does not.
    variant
        With a path: which variant of the spec; None takes the first that has a signal.
    symbol
        Name of the feed in the corpus; None takes the feed's own name.

    Notes
    -----
    The value at a bar is known at that bar's close; an order sent on it fills at the next open. Before the first bar of
    its feed, as in ``prenext`` of a strategy with another feed that began earlier, there is no view.

    Raises
    ------
    ConfigError
        If there is no source, the input is no data feed, the feed is of shorter bars than the source, or its bars are
        as far apart as none that the source knows.
    DataError
        If the feed's bars are filed under other days than the exchange's.
    """

    lines = ("signal", "probability", "rank", "abstained")
    params = (("source", None), ("variant", None), ("symbol", None))
    csv = True  # Backtrader's writers print the lines
    plotinfo = {"plothlines": [0.0], "plotymargin": 0.15}  # noqa: RUF012 - Backtrader's metaclass reads it
    plotlines = {  # noqa: RUF012 - as above. The signal on a scale of its own: beside ranks of -1 to 1 it would be flat
        "signal": {"color": "tab:blue", "_fill_gt": (0, "tab:green"), "_fill_lt": (0, "tab:red")},
        "probability": {"_plotskip": True},
        "rank": {"_plotskip": True, "color": "tab:orange"},
        "abstained": {"_plotskip": True},
    }

    def __init__(self) -> None:
        super().__init__()
        self._source = _source_of(self.p.source, self.p.variant)
        self._symbol = self.p.symbol or _name_of(self.data)
        self._bar_clock: Clock = getattr(self._source, "clock", DAILY)  # who says nothing reads daily bars
        self._evidence: list[Signal] = []
        self._query: Query | None = None
        self._feed_days = None if self._bar_clock.intraday else FeedDays(self._symbol)
        self._days: list[date] = []  # streaming modes keep no more of a feed than the minimum period
        self._columns: tuple[list[float], ...] = ([], [], [], [], [])
        for line, neutral in zip(self.lines, _NEUTRAL, strict=True):
            SignalLine.guard(line, neutral, self.data, inside=not isinstance(self._owner, bt.Strategy))
        # Not only the warm-up: under exactbars the feed keeps no more bars than this.
        self.addminperiod(self._source.lookback + 1)

    def evidence(self, ago: int = 0) -> Signal:
        """The whole signal of the present bar (or ``ago`` <= 0 bars back): hits, reason, key.

        Before the feed's first bar it is an abstention of the strategy's day.

        Raises
        ------
        LookAheadError
            If ``ago`` > 0: in batch mode the signals of all bars are there already.
        IndexError
            If the feed has no such bar yet.
        """
        if ago > 0:
            raise LookAheadError(f"evidence({ago}) asks for a bar to come; 0 is the present one, -1 the one before")
        bars = len(self.data)  # not of self: in batch mode Backtrader leaves an indicator inside another at its end
        strategy = _strategy_of(self)
        if not (bars or ago) and len(strategy):
            return Signal(self._symbol, self._name_of_bar(strategy.datetime.datetime(0)), 0.0, 0.5, NO_BAR, (), "")
        if -ago >= bars:
            raise IndexError(f"evidence({ago}) of {self._symbol}: there are {bars} bars so far")
        return self._evidence[bars - 1 + ago]

    def retrieved(self, ago: int = 0) -> list[dict[str, Any]]:
        """The hits of :meth:`evidence` as plain records, best first; empty where nothing was retrieved.

        Returns
        -------
        list of dict
            Of sequences their fields. Of days ``date``, ``similarity``, ``unlike`` (read with a minus sign),
            ``available_at``, ``payoffs`` by factor, ``words``, and more: see :func:`ragsignal.study.hit_record`.
        """
        return list(map(hit_record, self.evidence(ago).hits))

    def _plotlabel(self) -> list[str]:
        """What a plot says of it: whose it is, and the lines that are not drawn, as of the last bar."""
        variant = [self.p.variant] if self.p.variant else []
        return [self._symbol, *variant, f"P(rise) {self.l.probability[0]:.2f}", f"rank {self.l.rank[0]:+.2f}"]

    def prenext(self) -> None:
        """Abstain while bars are few: 0.0, not Backtrader's NaN."""
        self.next()

    def next(self) -> None:
        """One bar, one call."""
        bar = len(self) - 1
        if bar < len(self._evidence) and not self.data.replaying:  # another feed moved, this one did not
            _refuse_early_bar(self.data, self._evidence[bar], self._name_of_bar(self.data.datetime.datetime(0)))
            return
        refuse_other_unit(self.data, self._bar_clock)
        refuse_replay(self.data, self._bar_clock)
        if self._feed_days is not None:
            self._feed_days.see(self.data.datetime.datetime(0))
        have = min(len(self.data), self._source.lookback + 1)
        days = [self._name_of_bar(self.data.datetime.datetime(-back)) for back in range(have - 1, -1, -1)]
        closes = list(self.data.close.get(size=have))
        query = cut_query(self._symbol, days, closes, self._source.lookback, self._seen(days[-1]))
        if query == self._query:
            return
        _refuse_open_day(self._query, query)
        self._query = query
        signal = self._source.signals([query])[0]
        self._evidence[bar:] = [signal]  # under replaydata a bar comes several times: the last view of it stays
        self.l.signal[0] = signal.value
        self.l.probability[0] = signal.probability
        self.l.rank[0] = signal.rank
        self.l.abstained[0] = float(signal.abstained is not None)

    def _name_of_bar(self, stamp: datetime) -> date:
        """The day of a bar, or of bars of a few hours the moment of its end."""
        return moment_of(stamp) if self._bar_clock.intraday else stamp.date()

    def _seen(self, day: date) -> FeedBars:
        """All bars so far, the present one included; under replaydata its last view only."""
        again = bool(self._days) and self._days[-1] == day
        for column, name in zip(self._columns, _BAR, strict=True):
            column[len(self._days) - again :] = [getattr(self.data, name)[0]]
        self._days[len(self._days) - again :] = [day]
        return FeedBars(self._days, self._columns, len(self._days))

    def preonce(self, start: int, end: int) -> None:
        """Leave the warm-up bars to :meth:`once`."""

    def oncestart(self, start: int, end: int) -> None:
        """Leave the first bar of the minimum period to :meth:`once`."""

    def once(self, start: int, end: int) -> None:  # noqa: ARG002 - called last, with the rest
        """All bars of the feed in one call: Backtrader calls this last, and also for a feed that is too short."""
        refuse_other_unit(self.data, self._bar_clock)
        # The feed's own num2date, which knows its time zone, as data.datetime.datetime() in next() does.
        stamps = [self.data.num2date(stamp) for stamp in self.data.datetime.array]
        if not self._bar_clock.intraday:
            refuse_other_days(self._symbol, stamps)
        days = list(map(self._name_of_bar, stamps))
        # The arrays hold the whole history under preload: cut_queries is where the future is cut off.
        columns = tuple(getattr(self.data, name).array for name in _BAR)
        queries = cut_queries(self._symbol, days, self.data.close.array, self._source.lookback, columns)
        self._evidence = self._source.signals(queries)
        for bar, signal in enumerate(self._evidence):
            self.l.signal.array[bar] = signal.value
            self.l.probability.array[bar] = signal.probability
            self.l.rank.array[bar] = signal.rank
            self.l.abstained.array[bar] = float(signal.abstained is not None)
        if isinstance(self.p.source, str | Path):  # others make their signals themselves, and say so themselves
            _warn_of_silence(self._symbol, self._evidence)


class RagEvidence(bt.Analyzer):
    """The signals of every :class:`RagMomentum` of a strategy, warm-up included: ``get_analysis()`` after the run."""

    def start(self) -> None:
        """Begin empty."""
        self._signals: list[Signal] = []

    def stop(self) -> None:
        """Collect at the end: under replaydata a bar has its last view only then."""
        # No indicator is kept: it could not be pickled on the way back from an optstrategy worker.
        seen = [it._evidence[: len(it.data)] for it in _indicators_of(self.strategy)]
        self._signals = sorted(itertools.chain.from_iterable(seen), key=lambda signal: signal.as_of)

    def get_analysis(self) -> list[Signal]:
        """All signals of the run by day, those of one day in the order of the indicators."""
        return self._signals


def _indicators_of(owner: Any) -> list[RagMomentum]:
    indicators: list[RagMomentum] = []
    # A line operation (close(-1), a + b) is registered as an indicator too, but holds none.
    for child in getattr(owner, "_lineiterators", {}).get(bt.LineIterator.IndType, []):
        if isinstance(child, RagMomentum):
            indicators.append(child)
        indicators += _indicators_of(child)
    return indicators


def _strategy_of(indicator: Any) -> Any:
    while not isinstance(indicator, bt.Strategy):
        indicator = indicator._owner
    return indicator


def _source_of(source: Any, variant: str | None) -> SignalSource:
    if isinstance(source, str | Path):
        return load_pipeline(source, variant)
    if isinstance(source, SignalSource):
        return source
    raise ConfigError(
        f"RagMomentum got source={source!r}; a signal source or the path of a spec was expected, for example "
        'RagMomentum(data, source="shipped:sample")'
    )


def _warn_of_silence(symbol: str, signals: Sequence[Signal]) -> None:
    """Warn of a feed on most of whose bars there is no view: a strategy that never trades shows no reason."""
    reasons = Counter(signal.abstained for signal in signals if signal.abstained is not None)
    if 2 * reasons.total() > len(signals):
        named = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())
        words = f"RagMomentum has no view of {symbol} on {reasons.total():,} of {len(signals):,} bars: {named}"
        warnings.warn(words, stacklevel=2)


def _name_of(data: Any) -> str:
    if not isinstance(data, bt.feed.AbstractDataBase):
        raise ConfigError(
            f"RagMomentum got a {type(data).__name__}; a data feed was expected, for example "
            "RagMomentum(self.data, source=...), because a signal needs dates and closes"
        )
    if isinstance(data, bt.feed.DataClone):  # what resampledata makes of a feed that is already there, without its name
        return data._name or _name_of(data.p.dataname)
    return data._name or "feed"


def _refuse_early_bar(data: Any, known: Signal, day: date) -> None:
    """Backtrader's buffers under exactbars=1 cannot step back from a bar that was loaded before its time."""
    if day != known.as_of:
        raise LookAheadError(
            f"feed {data._name!r} shows its bar of {day} too early, as Backtrader does under exactbars=1 where feeds "
            "do not share their days; use exactbars=-1 or exactbars=False"
        )


def _refuse_open_day(before: Query | None, now: Query) -> None:
    """A daily signal needs the day's close, and its candidates were known at that close only."""
    if before is not None and before.as_of == now.as_of:
        raise ConfigError(
            f"{now.symbol}: the bar of {now.as_of} changed within its day, as in a replayed intraday feed; daily bars "
            "that are closed were expected. Use cerebro.resampledata(data, timeframe=bt.TimeFrame.Days)"
        )
