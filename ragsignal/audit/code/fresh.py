"""A run in a process that has run nothing else, so that what a subject remembers from run to run cannot help it.

A cut run that follows its baseline in one process may find the baseline's future in a class attribute, a module's
variable or a cache; equal results would then prove nothing.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ragsignal.audit.code.subjects import SubjectRunner
from ragsignal.audit.code.trace import BATCH, Mode, Trace


@dataclass(frozen=True)
class FreshRuns:
    """``times`` runs of a subject on the bars up to ``last``, one after the other in one fresh process."""

    subject: int
    last: int
    times: int = 1
    mode: Mode = BATCH


class TimedTraces(NamedTuple):
    """Traces of one process, and the seconds of its processor that each took on average: other work does not count."""

    traces: list[Trace]
    seconds: float


def run_fresh(runner: SubjectRunner, wanted: Sequence[FreshRuns], jobs: int) -> Iterator[tuple[FreshRuns, TimedTraces]]:
    """Make each of ``wanted`` in a process of its own, ``jobs`` at a time; yield them as they are done."""
    context = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":  # with a preload a process takes 20 ms, not 2 s
        context.set_forkserver_preload(["__main__", "ragsignal.audit.code.fresh"])
    alone = [replace(runner, subjects=(subject,)) for subject in runner.subjects]
    tasks = [(runs, alone[runs.subject]) for runs in wanted]
    with context.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_run, tasks, chunksize=1)


# A server without threads is forked; a plain fork of a process that has used torch would hang in OpenMP.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _run(task: tuple[FreshRuns, SubjectRunner]) -> tuple[FreshRuns, TimedTraces]:
    runs, runner = task
    bars = runner.market.span(0, runs.last)
    began = time.process_time()
    traces = [runner.run(0, bars, runs.mode) for _ in range(runs.times)]
    return runs, TimedTraces(traces, (time.process_time() - began) / runs.times)
