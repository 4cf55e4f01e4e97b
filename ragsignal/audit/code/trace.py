"""What a subject could see, and what it did, bar by bar: the only thing that the tests of code compare.

A trace holds at every bar the value of every line as it stood *then*: of each indicator, those inside others too, and
of the strategy itself. Under Cerebro's default modes lines are computed for all bars before the first one is traded, so
that a line which read the future shows it at its own bar. Orders are written down when they are sent, and again when
they are filled.
"""

from __future__ import annotations

import contextlib
import io
import random
import sysconfig
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import backtrader as bt
import numpy as np

from ragsignal.audit.code.cuts import Market
from ragsignal.config import CostSpec
from ragsignal.trading import PreloadedFeed, lines_of, named_lines, set_costs
from ragsignal.types import FloatArray

RaisedBy = Literal["code", "lines", "period"]
"""Where an error came from: the subject's own code at a bar or before the first one; lines that are computed for all
bars at once; an indicator that has fewer bars than its period."""


class Mode(NamedTuple):
    """How Cerebro is run."""

    preload: bool = True
    runonce: bool = True

    def __str__(self) -> str:
        return f"preload={self.preload}, runonce={self.runonce}"


BATCH = Mode()
"""Backtrader's default: all bars loaded, and all lines computed, before the first bar is traded."""
BAR_BY_BAR = Mode(runonce=False)
"""All bars loaded, and each line computed when its bar comes: no indicator has too few bars for it."""


class BrokerEvent(NamedTuple):
    """Something that a strategy, or the broker for it, did.

    ``kind`` is ``order``, ``cancel`` or ``fill``; ``details`` are numbers by name, and the type of an order.
    """

    bar: int
    kind: str
    symbol: str
    details: Mapping[str, Any]

    @property
    def words(self) -> str:
        """For people."""
        details = ", ".join(f"{name} {short(value)}" for name, value in self.details.items() if value is not None)
        return f"{self.kind} {self.symbol}: {details}"


@dataclass(frozen=True)
class Trace:
    """One run.

    Parameters
    ----------
    labels : tuple of str
        Name of each line.
    rows : (n_bars, n_lines) float64
        Values as they stood at each bar; fewer bars than the market's where the run ended early.
    events : tuple of BrokerEvent
    error : str or None
        What ended the run early.
    minimum_period : int
    absent : mapping of str to str
        Of symbols for which a function raised: how their labels would have ended, and the error.
    raised_by : {"code", "lines", "period"}
        Where ``error`` came from.
    """

    labels: tuple[str, ...]
    rows: FloatArray
    events: tuple[BrokerEvent, ...] = ()
    error: str | None = None
    minimum_period: int = 1
    absent: Mapping[str, str] = field(default_factory=dict)
    raised_by: RaisedBy = "code"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def values(self) -> int:
        """How many values there are to compare."""
        return int(np.count_nonzero(~np.isnan(self.rows)))

    @property
    def orders(self) -> int:
        """How many orders were sent."""
        return sum(event.kind == "order" for event in self.events)

    @property
    def is_evidence(self) -> bool:
        """Whether anything was seen that could have moved."""
        return bool(self.values or self.events)

    def has_begun(self, excused: Sequence[RaisedBy] = ("period",)) -> bool:
        """Whether it can be compared: it came to its first bar, or did not for a reason that is not ``excused``."""
        return bool(len(self)) or self.error is None or self.raised_by not in excused

    def with_lines(self, keeps: Callable[[str], bool]) -> Trace:
        """The same trace with those lines alone whose label is kept."""
        kept = [place for place, label in enumerate(self.labels) if keeps(label)]
        return replace(self, labels=tuple(self.labels[place] for place in kept), rows=self.rows[:, kept])


def trace_strategy(
    strategy: type[Any], params: Mapping[str, Any], market: Market, costs: CostSpec, mode: Mode = BATCH
) -> Trace:
    """Run a strategy on a market; whatever it raises ends the trace and stands in it.

    Parameters
    ----------
    strategy : type of bt.Strategy
    params : mapping
    market : Market
    costs : CostSpec
        The broker of the spec.
    mode : Mode
    """
    recording = _Recording()
    cerebro = bt.Cerebro(stdstats=False, preload=mode.preload, runonce=mode.runonce)
    for symbol, frame in market.frames.items():
        cerebro.adddata(PreloadedFeed(dataname=frame), name=symbol)
    cerebro.broker = RecordingBroker()
    cerebro.broker.recording = recording
    set_costs(cerebro.broker, costs)
    cerebro.addstrategy(strategy, **params)
    cerebro.addanalyzer(LineRecorder, recording=recording)
    with isolated():
        error, raised_by = _error_of(cerebro.run)
    rows = np.array(recording.rows, dtype=np.float64).reshape(len(recording.rows), len(recording.labels))
    return Trace(
        tuple(recording.labels), rows, tuple(recording.events), error, recording.minimum_period, raised_by=raised_by
    )


def _error_of(run: Callable[[], object]) -> tuple[str | None, RaisedBy]:
    try:
        run()
    except (Exception, SystemExit) as error:  # a strategy's exit() must not end the audit
        return words_of_error(error), _raised_by(error)
    return None, "code"


def words_of_error(error: BaseException) -> str:
    """An error and where it came from: the last line of a file that is no library's."""
    words = f"{type(error).__name__}: {error}"
    places = [place for place in traceback.extract_tb(error.__traceback__) if not place.filename.startswith(_LIBRARIES)]
    return f"{words} ({Path(places[-1].filename).name}, line {places[-1].lineno})" if places else words


_LIBRARIES = (*map(sysconfig.get_path, ("stdlib", "purelib", "platlib")), str(Path(__file__).parents[2]))


def _raised_by(error: BaseException) -> RaisedBy:
    """Look which line, if any, was being computed for all bars at once."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name == "_once"]
    owners = [frame.f_locals["self"] for frame in frames if not isinstance(frame.f_locals.get("self"), bt.Strategy)]
    if not owners:
        return "code"
    return "period" if owners[-1].buflen() < owners[-1]._minperiod else "lines"


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Drop what the code inside prints and warns, and begin its global random numbers anew."""
    ours = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator is what others' code uses
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(ours[0])
        np.random.set_state(ours[1])  # noqa: NPY002


@dataclass
class _Recording:
    """What analyzer and broker write while a run goes on: all that is left of one that raises."""

    labels: list[str] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    events: list[BrokerEvent] = field(default_factory=list)
    minimum_period: int = 1
    orders: dict[int, tuple[int, int]] = field(default_factory=dict)  # order.ref -> (which order, bar it was sent at)


class RecordingBroker(bt.brokers.BackBroker):
    """Backtrader's broker, which writes down what is sent, cancelled and filled, when it happens.

    ``notify_order`` would come a bar late, and never for an order of the last bar.
    """

    recording: _Recording

    def submit(self, order: Any, check: bool = True) -> Any:
        """Write down an order that is sent."""
        self.recording.orders[order.ref] = (len(self.recording.orders), len(self.recording.rows))
        created, has_price = order.created, order.exectype != order.Market
        self._write(
            order,
            "order",
            type=order.getordername(),
            size=float(created.size),
            price=_number(created.price) if has_price else None,
            limit=_number(created.pricelimit) if has_price else None,
            valid=_number(order.valid),
        )
        return super().submit(order, check)

    def cancel(self, order: Any, bracket: bool = False) -> Any:
        """Write down an order that is called back, unless the broker itself does so (``bracket``): a consequence."""
        if not bracket and order.alive():
            self._write(order, "cancel", number=self.recording.orders.get(order.ref, (-1, 0))[0])
        return super().cancel(order, bracket)

    def _execute(self, order: Any, ago: Any = None, *args: Any, **kwargs: Any) -> Any:
        before = order.executed.size
        result = super()._execute(order, ago, *args, **kwargs)
        if ago is not None and order.executed.size != before:  # without ago it only asks whether there is cash
            number, bar = self.recording.orders.get(order.ref, (-1, 0))
            size, price = float(order.executed.size - before), float(order.executed.price)
            day = float(order.executed.dt)
            self._write(order, "fill", number=number, size=size, price=price, sent=bar, day=day)
        return result

    def _write(self, order: Any, kind: str, **details: Any) -> None:
        self.recording.events.append(BrokerEvent(len(self.recording.rows), kind, str(order.data._name), details))


class LineRecorder(bt.Analyzer):
    """Reads every line at every bar, those before the minimum period too."""

    params = (("recording", None),)

    def start(self) -> None:
        """Find the lines: all of them exist by now."""
        recording: _Recording = self.p.recording
        own = [(line, name) for line, name in named_lines(self.strategy) if name != "datetime"]
        self._lines = list(lines_of(self.strategy))
        self._own = [line for line, _ in own]
        owner = type(self.strategy).__name__
        recording.labels = _distinct([label for label, _, _ in self._lines] + [f"{owner}.{name}" for _, name in own])
        recording.minimum_period = int(self.strategy._minperiod)

    def prenext(self) -> None:
        """Bars before the minimum period count too."""
        self.next()

    def next(self) -> None:
        """Write down the values at this bar."""
        # By place and not as line[0]: in batch mode Backtrader leaves an indicator inside another at its end, and one
        # whose feed has not begun would show its last value.
        row = [_at(line.array, len(feed) - 1) for _, feed, line in self._lines]
        row += [_at(line.array, line.idx) for line in self._own]
        self.p.recording.rows.append(row)


def _at(values: Sequence[float], place: int) -> float:
    return values[place] if 0 <= place < len(values) else float("nan")


def _distinct(labels: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    distinct = []
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
        distinct.append(label if counts[label] == 1 else f"{label} #{counts[label]}")
    return distinct


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def short(value: object) -> str:
    """A value in words: floats with six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
