"""What the runs of a subject have shown, before a verdict is made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pandas as pd

from ragsignal.audit.code.compare import Difference, differences
from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.subjects import Subject, SubjectRunner
from ragsignal.audit.code.trace import Trace, short
from ragsignal.audit.verdict import Evidence


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

    ``runs`` were compared, and ``differing`` of them differ; ``not_run`` ended before their first bar, most often
    because so few bars are too few for the subject, for the ``reason`` that stands there.
    """

    runs: int = 0
    not_run: int = 0
    reason: str | None = None
    differences: list[DatedDifference] = field(default_factory=list)
    differing: int = 0

    def compare(self, base: Trace, other: Trace, days: pd.DatetimeIndex, cut: int) -> None:
        """Compare a run with its baseline up to bar ``cut``; ``days`` are those of the baseline's bars."""
        if not len(other):
            self.skip(other.error)
            return
        parted = differences(base, other, cut)
        self.runs += 1
        self.differing += bool(parted)
        for bar, what, left, right in parted:
            day, end = (f"{days[place]:%Y-%m-%d}" for place in (bar, cut))
            self.differences.append(DatedDifference(day, end, cut - bar, what, left, right))

    def skip(self, reason: str | None) -> None:
        """Count a run that did not come to its first bar."""
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
    run: Callable[[Market], Trace], bars: Market, futures: Iterable[tuple[int, Market]], enough: int | None = None
) -> ComparedRuns:
    """Compare a run on ``bars`` with runs on the same bars up to a cut, and another future or none.

    ``run`` traces a subject; ``futures`` are cuts, counted from the first of ``bars``, each with the bars that are run
    instead. After ``enough`` runs that differ no more are made.
    """
    base, compared = run(bars), ComparedRuns()
    if not len(base):  # as in the first block of a history that is shorter than the subject's period
        compared.skip(base.error)
        return compared
    for cut, market in futures:
        compared.compare(base, run(market), bars.days, cut)
        if compared.differing == enough:
            break
    return compared


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
