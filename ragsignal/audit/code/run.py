"""The audit of code: every subject through every test, after the control has shown that the tests can see.

First each subject runs on all bars in a fresh process, twice, and cut runs of the full history each in their own. Then
blocks of cut points and poisoned futures, modes and later starts are spread over the workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ragsignal.audit.code import control, fills, modes, poison, prefix, start_point
from ragsignal.audit.code.compare import differences
from ragsignal.audit.code.cuts import Block, Market, blocks_of, whole_cuts
from ragsignal.audit.code.evidence import Case, Part
from ragsignal.audit.code.fresh import Errand, run_fresh
from ragsignal.audit.code.subjects import Bench, Subject
from ragsignal.audit.code.trace import Trace
from ragsignal.audit.verdict import Finding
from ragsignal.config import CostSpec
from ragsignal.parallel import open_pool
from ragsignal.utils import Progress, silent

Told = Callable[[str, int, int], None]
TESTS = ("prefix", "poison", "start_point", "modes", "fills")
"""The tests of code, as they are reported."""
_KINDS = {"modes": ("strategy", "indicator"), "fills": ("strategy",)}
"""Where a test is not for every kind: a function has no modes, and only a strategy trades."""


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
    plants = examine(control.PLANTS, market, costs, jobs, progress, control.CATCHES)
    shown = control.finding(plants, market)
    if shown.verdict == "broken":
        words = "Not known: the control failed, so that a pass would mean nothing."
        concerned = [(test, it) for test in TESTS for it in subjects if _concerns(test, it)]
        return [shown, *(Finding(test, it.label, "broken", words) for test, it in concerned)]
    return [shown, *examine(subjects, market, costs, jobs, progress)]


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
    wanted = only or [TESTS] * len(subjects)
    bench = Bench(market, costs, tuple(subjects))
    if not subjects:
        return []
    with open_pool(jobs) as pool:
        processes = getattr(pool, "jobs", 1)
        cases = _whole(bench, processes)
        tasks = _tasks(bench, cases, wanted)
        shown: dict[tuple[str, int], Any] = {}
        with pool.holding(bench) as workers:
            for done, (place, result) in enumerate(workers.map_unordered(_do, tasks), 1):
                kind, number = tasks[place][:2]
                if isinstance(result, Part):
                    case = cases[number]
                    setattr(case, kind, getattr(case, kind) + result)
                else:
                    shown[kind, number] = result
                progress("control" if only else "audit of code", done, len(tasks))
        _repeat(bench, cases, processes)
    found = {number: _of_case(case, number, shown, bench) for number, case in enumerate(cases)}
    return [found[it][test] for test in TESTS for it in found if test in wanted[it] and test in found[it]]


def _concerns(test: str, subject: Subject) -> bool:
    return subject.kind in _KINDS.get(test, (subject.kind,))


def _whole(bench: Bench, jobs: int) -> list[Case]:
    """Each subject on all bars twice, and on cuts of them, each of these in a fresh process."""
    last, numbers = len(bench.market.days) - 1, range(len(bench.subjects))
    points = whole_cuts(last + 1)
    errands = [Errand(number, last, 2) for number in numbers]
    errands += [Errand(number, point) for number in numbers for point in points]
    traces: dict[tuple[int, int], list[Trace]] = {
        (errand.subject, errand.last): found for errand, found in run_fresh(bench, errands, jobs)
    }
    cases = []
    for number in numbers:
        base, again = traces[number, last]
        case = Case(bench.subjects[number], base, again)
        for point in points if len(case.base) else ():
            prefix.compare_cut(case.prefix, case.base, traces[number, point][0], bench.market, point)
        cases.append(case)
    return cases


Task = tuple[str, int, Block | None, int]


def _tasks(bench: Bench, cases: Sequence[Case], wanted: Sequence[Sequence[str]]) -> list[Task]:
    """What is left to be run: nothing of a subject that does not run at all."""
    tasks: list[Task] = []
    for number, case in enumerate(cases):
        if case.nothing:
            continue
        blocks = blocks_of(len(bench.market.days), case.base.minimum_period)
        tasks += [(kind, number, block, len(blocks)) for block in blocks for kind in ("prefix", "poison")]
        tasks += [(kind, number, None, 0) for kind in ("modes", "start_point")]
    return [it for it in tasks if it[0] in wanted[it[1]] and _concerns(it[0], cases[it[1]].subject)]


def _do(bench: Bench, task: Task) -> Any:
    kind, number, block, n_blocks = task
    if block is not None:
        return (
            prefix.cut_block(bench, (number, block))
            if kind == "prefix"
            else poison.poison_block(bench, (number, block, n_blocks))
        )
    return modes.other_modes(bench, number) if kind == "modes" else start_point.later_starts(bench, number)


def _repeat(bench: Bench, cases: Sequence[Case], jobs: int) -> None:
    """Run what differed once more, as it began: what does not repeat itself proves nothing."""
    last = len(bench.market.days) - 1
    doubted = [number for number, case in enumerate(cases) if _differs(case)]
    for errand, (trace,) in run_fresh(bench, [Errand(number, last) for number in doubted], jobs) if doubted else ():
        case = cases[errand.subject]
        case.repeats = not differences(case.base, trace, last)


def _differs(case: Case) -> bool:
    return bool(case.prefix.clues or case.poison.clues or differences(case.base, case.again, len(case.base) - 1))


def _of_case(case: Case, number: int, shown: dict[tuple[str, int], Any], bench: Bench) -> dict[str, Finding]:
    """The verdict of each test on one subject."""
    found = {
        "prefix": prefix.finding(case),
        "poison": poison.finding(case),
        "start_point": start_point.finding(case, shown.get(("start_point", number), {})),
    }
    if ("modes", number) in shown or case.nothing:
        found["modes"] = modes.finding(case, shown.get(("modes", number), []))
    if case.subject.kind == "strategy":
        found["fills"] = fills.finding(case, bench.market, bench.costs)
    return {test: it for test, it in found.items() if _concerns(test, case.subject)}
