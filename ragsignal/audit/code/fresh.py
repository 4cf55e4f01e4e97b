"""A run in a process that has run nothing else, so that what a subject remembers from run to run cannot help it.

A cut run that follows its baseline in one process may find the baseline's future in a class attribute, a module's
variable or a cache; equal results would then prove nothing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ragsignal.audit.code.subjects import Bench, Subject
from ragsignal.audit.code.trace import Trace


@dataclass(frozen=True)
class Errand:
    """``times`` runs of a subject on the bars up to ``last``, one after the other in one fresh process."""

    subject: int
    last: int
    times: int = 1


def run_fresh(bench: Bench, errands: Sequence[Errand], jobs: int) -> Iterator[tuple[Errand, list[Trace]]]:
    """Every errand in a process of its own, ``jobs`` at a time, as they are done."""
    context = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":
        context.set_forkserver_preload(
            ["__main__", "ragsignal.audit.code.fresh"]
        )  # then a process takes 20 ms, not 2 s
    tasks = [(it, bench.subjects[it.subject], Bench(bench.market, bench.costs, ())) for it in errands]
    with context.Pool(jobs, maxtasksperchild=1) as pool:
        yield from pool.imap_unordered(_run, tasks, chunksize=1)


# A server without threads is forked; a plain fork of a process that has used torch would hang in OpenMP.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _run(task: tuple[Errand, Subject, Bench]) -> tuple[Errand, list[Trace]]:
    errand, subject, bench = task
    bars = bench.market.span(0, errand.last)
    return errand, [subject.run(bars, bench.costs) for _ in range(errand.times)]
