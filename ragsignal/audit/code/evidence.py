"""What the runs of a subject have shown, before a verdict is made of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from ragsignal.audit.code.compare import Difference, differences
from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.subjects import Subject, SubjectRunner
from ragsignal.audit.code.trace import BAR_BY_BAR, BATCH, Mode, RaisedBy, Trace, short
from ragsignal.audit.verdict import Evidence
from ragsignal.utils import stamp_texts

Run = Callable[[Market, Mode], Trace]
"""Traces a subject on some bars."""


@dataclass(frozen=True)
class DatedDifference:
    """What something was at ``day`` with the bars after ``cut`` (``with_future``), and without them.

    ``before`` is how many bars ``day`` lies before the cut.
    """

    day: str
    cut: str
    before: int
    what: str
    with_future: str | float
    without: str | float

    @property
    def record(self) -> dict[str, str | float]:
        """JSON-able."""
        return {name: getattr(self, name) for name in ("what", "day", "cut", "with_future", "without")}

    def words(self, otherwise: str) -> str:
        """For people; ``otherwise`` says what stood in the place of the bars after the cut."""
        where = f"on {self.day}" if self.what in ("order", "run", "lines") else f"{self.what} on {self.day}"
        return f"{where}: {short(self.with_future)} with the bars after {self.cut}, {short(self.without)} {otherwise}"


@dataclass
class ComparedRuns:
    """What a number of cut or poisoned runs have shown.

    ``runs`` were compared, and ``differing`` of them differ; ``not_run`` have nothing to compare, for the ``reason``
    that stands there: so few bars are too few for the subject.
    """

    runs: int = 0
    not_run: int = 0
    reason: str | None = None
    differences: list[DatedDifference] = field(default_factory=list)
    differing: int = 0

    def compare(
        self, base: Trace, other: Trace, days: pd.DatetimeIndex, cut: int, excused: Sequence[RaisedBy] = ("period",)
    ) -> None:
        """Compare a run with its baseline up to bar ``cut``; ``days`` are those of the baseline's bars.

        An error of the run's own before its first bar is a difference, unless it is ``excused``.
        """
        if not len(base) or not other.has_begun(excused):
            self.skip(other.error if len(base) else base.error)
            return
        parted = differences(base, other, cut, raising="lines" not in excused)
        if not (len(other) or parted):  # a function that raises in its warm-up
            self.skip(other.error)
            return
        self.runs += 1
        self.differing += bool(parted)
        for bar, what, left, right in parted:
            day, end = stamp_texts(days[[bar, cut]])
            self.differences.append(DatedDifference(day, end, cut - bar, what, left, right))

    def skip(self, reason: str | None) -> None:
        """Count a run that cannot be compared."""
        self.not_run += 1
        self.reason = self.reason or reason

    def __add__(self, other: ComparedRuns) -> ComparedRuns:
        return ComparedRuns(
            self.runs + other.runs,
            self.not_run + other.not_run,
            self.reason or other.reason,
            [*self.differences, *other.differences],
            self.differing + other.differing,
        )


def compare_futures(
    run: Run,
    bars: Market,
    futures: Iterable[tuple[int, Market]],
    enough: int | None = None,
    excused: Sequence[RaisedBy] = ("period",),
) -> ComparedRuns:
    """Compare a run on ``bars`` with runs on the same bars up to a cut, and another future or none.

    Where one of two runs cannot be made in batch, because of an error that is ``excused``, both are made bar by bar.
    ``run`` traces a subject; ``futures`` are cuts, counted from the first of ``bars``, each with the bars that are run
    instead. After ``enough`` runs that differ no more are made.
    """
    baseline = functools.cache(functools.partial(run, bars))
    compared = ComparedRuns()
    for cut, market in futures:
        base, other = _pair(baseline, functools.partial(run, market), excused)
        compared.compare(base, other, bars.days, cut, excused)
        if compared.differing == enough:
            break
    return compared


def compare_ends(run: Run, bars: Market, longer: Market) -> ComparedRuns:
    """Compare a run on ``bars`` that cannot be a baseline with one on ``longer``, which goes on to the last bar.

    Nothing is compared where ``bars`` can be a baseline: its cuts then say the same.
    """
    compared, end = ComparedRuns(), functools.partial(run, bars)
    trace = end(BATCH)
    trace = trace if trace.has_begun() else end(BAR_BY_BAR)
    if (trace.absent or not len(trace)) and len(longer.days) > len(bars.days):
        compared.compare(*_pair(functools.partial(run, longer), end), longer.days, len(bars.days) - 1)
    return compared


def _pair(
    left: Callable[[Mode], Trace], right: Callable[[Mode], Trace], excused: Sequence[RaisedBy] = ("period",)
) -> tuple[Trace, Trace]:
    """Both in batch, or both bar by bar where one of them has not begun."""
    traces = left(BATCH), right(BATCH)
    if all(trace.has_begun(excused) for trace in traces):
        return traces
    return left(BAR_BY_BAR), right(BAR_BY_BAR)


@dataclass
class SubjectRuns:
    """Subject ``number`` of a runner, and all that its runs have shown.

    Parameters
    ----------
    runner : SubjectRunner
    number : int
    base : Trace
        All bars, in a process that had run nothing before.
    again : Trace
        All bars once more, in the same process.
    seconds : float
        What a run on all bars took of a processor.
    cut_points : int
        Bars that are cut points of blocks; 0 before the blocks are planned.
    prefix, poison : ComparedRuns
    modes : list of Trace
        All bars in Cerebro's other modes.
    later_starts : dict of int to Trace
        By the bar that data begin with instead.
    repeats : bool
        Whether all bars, in yet another fresh process, gave ``base`` again; asked only where something differed.
    """

    runner: SubjectRunner
    number: int
    base: Trace
    again: Trace
    seconds: float = 0.0
    cut_points: int = 0
    prefix: ComparedRuns = field(default_factory=ComparedRuns)
    poison: ComparedRuns = field(default_factory=ComparedRuns)
    modes: list[Trace] = field(default_factory=list)
    later_starts: dict[int, Trace] = field(default_factory=dict)
    repeats: bool = True

    @property
    def subject(self) -> Subject:
        """What is run."""
        return self.runner.subjects[self.number]

    def add(self, test: str, result: ComparedRuns | list[Trace] | dict[int, Trace]) -> None:
        """Add what one task of a test has given."""
        if isinstance(result, list):
            self.modes = result
        elif isinstance(result, dict):
            self.later_starts = result
        elif test == "prefix":
            self.prefix += result
        else:
            self.poison += result

    @property
    def remembered(self) -> list[Difference]:
        """Where the second run in a process differs from the first: what was remembered from run to run."""
        return differences(self.base, self.again, len(self.base) - 1)

    @property
    def unknown(self) -> str | None:
        """Why nothing can be said of the subject, or None."""
        if not len(self.base):
            return f"It could not be run: {self.base.error or 'no bar'}."
        if not (self.base.is_evidence or self.again.is_evidence):
            return "No evidence: it shows no value of a line and sends no order on these bars."
        if not self.repeats:
            return (
                "Two runs on the same bars, each in a process of its own, differ: it draws random numbers without a "
                "fixed seed, or reads a clock. Fix its seed, then audit it again."
            )
        return None

    @property
    def counts(self) -> Evidence:
        """How much there was to compare."""
        base = self.base
        counts = {"bars": len(base), "lines": len(base.labels), "values": base.values, "orders": base.orders}
        return {"variants": list(self.subject.variants), **counts} if self.subject.variants else counts
