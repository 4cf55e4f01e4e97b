"""The audit of code: every subject through every test, after the control has shown that the tests can see.

First each subject runs on all bars in a fresh process, twice, and cut runs of the full history each in their own. Then
blocks of cut points and poisoned futures, modes and later starts are spread over the workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ragsignal.audit.code import control, fills, modes, poison, prefix, start_point
from ragsignal.audit.code.compare import differences
from ragsignal.audit.code.cuts import POISONS, Block, Market, blocks_of, whole_cuts
from ragsignal.audit.code.evidence import ComparedRuns, SubjectRuns
from ragsignal.audit.code.fresh import FreshRuns, run_fresh
from ragsignal.audit.code.subjects import Subject, SubjectRunner
from ragsignal.audit.code.trace import BAR_BY_BAR, Trace
from ragsignal.audit.verdict import Finding
from ragsignal.config import CostSpec
from ragsignal.parallel import open_pool
from ragsignal.utils import Progress, silent

_MODULES = (prefix, poison, start_point, modes, fills)
TESTS = tuple(module.TEST for module in _MODULES)
"""The tests of code, as they are reported."""
_KINDS = {"modes": ("strategy", "indicator"), "fills": ("strategy",)}
"""Where a test is not for every kind: a function has no modes, and only a strategy trades."""


SECONDS = 90.0
"""What every bar as a cut point may take a subject, on every process; else short blocks take a sixth of that."""


class _Task(NamedTuple):
    """Runs of one test of subject ``number``: of a block, of which there are ``n_blocks``, or of all bars."""

    test: str
    number: int
    block: Block | None = None
    n_blocks: int = 0


def audit_code(
    subjects: Sequence[Subject], market: Market, costs: CostSpec, jobs: int | None = 1, progress: Progress = silent
) -> list[Finding]:
    """The control, and all tests of all subjects; ``broken`` all of them if the control is.

    Parameters
    ----------
    subjects : sequence of Subject
    market : Market
    costs : CostSpec
        The broker that strategies trade with.
    jobs : int, optional
        Processes; None takes one a core.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.
    """
    few = control.few_feeds(market)
    finding = control.finding(examine(control.PLANTED, few, costs, jobs, progress, control.CAUGHT_BY), few)
    if finding.verdict == "broken":
        words = "Not known: the control failed, so that a pass would mean nothing."
        concerned = [(test, subject) for test in TESTS for subject in subjects if _concerns(test, subject)]
        return [finding, *(Finding(test, subject.label, "broken", words) for test, subject in concerned)]
    return [finding, *examine(subjects, market, costs, jobs, progress)]


def examine(
    subjects: Sequence[Subject],
    market: Market,
    costs: CostSpec,
    jobs: int | None = 1,
    progress: Progress = silent,
    only: Sequence[Sequence[str]] | None = None,
) -> list[Finding]:
    """All tests of all subjects, without the control; test by test, in the order of ``TESTS``.

    ``only``: the tests of each subject, where not all are wanted.
    """
    if not subjects:
        return []
    wanted = only or [TESTS] * len(subjects)
    runner = SubjectRunner(market, costs, tuple(subjects))
    with open_pool(jobs) as pool:
        processes = getattr(pool, "jobs", 1)
        subject_runs = _run_whole(runner, processes)
        tasks = _tasks(runner, subject_runs, wanted, processes)
        with pool.holding(runner) as workers:
            for done, (place, result) in enumerate(workers.map_unordered(_do, tasks), 1):
                subject_runs[tasks[place].number].add(tasks[place].test, result)
                progress("control" if only else "audit of code", done, len(tasks))
        _repeat(runner, subject_runs, processes)
    return [
        module.finding(runs)
        for module in _MODULES
        for runs, tests in zip(subject_runs, wanted, strict=True)
        if module.TEST in tests and _concerns(module.TEST, runs.subject)
    ]


def _concerns(test: str, subject: Subject) -> bool:
    return subject.kind in _KINDS.get(test, (subject.kind,))


def _run_whole(runner: SubjectRunner, jobs: int) -> list[SubjectRuns]:
    """Each subject on all bars twice, and on cuts of them, each of these in a fresh process."""
    days, numbers = runner.market.days, range(len(runner.subjects))
    last = len(days) - 1
    points = sorted({*whole_cuts(len(days)), *runner.market.before_listings} - {last})
    wanted = [FreshRuns(number, last, times=2) for number in numbers]
    wanted += [FreshRuns(number, point) for number in numbers for point in points]
    traces = {(fresh.subject, fresh.last): made for fresh, made in run_fresh(runner, wanted, jobs)}
    subject_runs = []
    for number in numbers:
        (base, again), seconds = traces[number, last]
        runs = SubjectRuns(runner, number, base, again, seconds)
        for point in points:
            if traces[number, point].traces[0].has_begun():
                runs.prefix.compare(base, traces[number, point].traces[0], days, point)
        subject_runs.append(runs)
    short = [
        (number, point) for number in numbers for point in points if not traces[number, point].traces[0].has_begun()
    ]
    _run_bar_by_bar(runner, subject_runs, short, jobs)
    return subject_runs


def _run_bar_by_bar(
    runner: SubjectRunner, subject_runs: Sequence[SubjectRuns], cuts: Sequence[tuple[int, int]], jobs: int
) -> None:
    """Make again, bar by bar, the cuts (subject, bar) that are too short for an indicator in batch."""
    last = len(runner.market.days) - 1
    asked = {(number, point) for number, point in cuts if len(subject_runs[number].base)}
    wanted = [FreshRuns(*cut, mode=BAR_BY_BAR) for cut in sorted(asked | {(number, last) for number, _ in asked})]
    made = run_fresh(runner, wanted, jobs) if wanted else ()
    traces = {(fresh.subject, fresh.last): timed.traces[0] for fresh, timed in made}
    for number, point in sorted(asked):
        runs = subject_runs[number].prefix
        runs.compare(traces[number, last], traces[number, point], runner.market.days, point)


def _tasks(
    runner: SubjectRunner, subject_runs: Sequence[SubjectRuns], wanted: Sequence[Sequence[str]], jobs: int
) -> list[_Task]:
    """What is left to be run: nothing of a subject that does not run at all."""
    tasks: list[_Task] = []
    n_bars = len(runner.market.days)
    for number, runs in enumerate(subject_runs):
        if runs.unknown:
            continue
        affordable = SECONDS * jobs * n_bars / max(runs.seconds, 1e-6)
        blocks = blocks_of(n_bars, runs.base.minimum_period, affordable)
        runs.cut_points = sum(len(block.points) for block in blocks)
        n_blocks = len(blocks) if runs.cut_points == n_bars - 1 else POISONS  # of short blocks each has one future
        of_subject = [_Task(test, number, block, n_blocks) for block in blocks for test in ("prefix", "poison")]
        of_subject += [_Task(test, number) for test in ("modes", "start_point")]
        tasks += [task for task in of_subject if task.test in wanted[number] and _concerns(task.test, runs.subject)]
    return tasks


def _do(runner: SubjectRunner, task: _Task) -> ComparedRuns | list[Trace] | dict[int, Trace]:
    if task.block is None:
        run_on_all_bars = modes.other_modes if task.test == "modes" else start_point.later_starts
        return run_on_all_bars(runner, task.number)
    if task.test == "prefix":
        return prefix.cut_block(runner, task.number, task.block)
    return poison.poison_block(runner, task.number, task.block, task.n_blocks)


def _repeat(runner: SubjectRunner, subject_runs: Sequence[SubjectRuns], jobs: int) -> None:
    """Run what differed once more, as it began: what does not repeat itself proves nothing."""
    last = len(runner.market.days) - 1
    doubted = [runs for runs in subject_runs if runs.prefix.differences or runs.poison.differences or runs.remembered]
    again = [FreshRuns(runs.number, last) for runs in doubted]
    for fresh, made in run_fresh(runner, again, jobs) if again else ():
        runs = subject_runs[fresh.subject]
        runs.repeats = not differences(runs.base, made.traces[0], last)
