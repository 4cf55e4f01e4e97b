"""A run in a process that has run nothing else, so that what a subject remembers from run to run cannot help it.

A cut run that follows its baseline in one process may find the baseline's future in a class attribute, a module's
variable or a cache; equal results would then prove nothing.
"""

from __future__ import annotations

import itertools
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import Any, NamedTuple

from ragsignal.audit.code.subjects import SubjectRunner
from ragsignal.audit.code.trace import BATCH, Mode, Trace
from ragsignal.errors import RagSignalError


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
    """Make each of ``wanted`` in a process of its own, ``jobs`` at a time; yield them as they are done.

    Raises
    ------
    RagSignalError
        If a process ends without an answer.
    """
    context: Any = multiprocessing.get_context(_METHOD)
    if _METHOD == "forkserver":  # with a preload a process takes 20 ms, not 2 s
        # Python 3.11 runs the main module anew in every process: then what it imports has to be there.
        commands = ["ragsignal.cli"] if "ragsignal.cli" in sys.modules else []
        context.set_forkserver_preload(["__main__", "ragsignal.audit.code.fresh", *commands])
    alone = [replace(runner, subjects=(subject,)) for subject in runner.subjects]
    left, running = iter(wanted), dict[Any, Any]()
    try:
        while True:
            for runs in itertools.islice(left, jobs - len(running)):
                ours, theirs = context.Pipe(duplex=False)
                # No pool: one with a task a process looks every 0.1 s whether it may start the next.
                running[ours] = context.Process(target=_answer, args=(runs, alone[runs.subject], theirs))
                running[ours].start()
                theirs.close()
            if not running:
                return
            for ours in connection.wait(list(running)):
                yield _answer_of(running.pop(ours), ours)
    finally:
        for process in running.values():
            process.kill()


# A server without threads is forked; a plain fork of a process that has used torch would hang in OpenMP.
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def _answer(runs: FreshRuns, runner: SubjectRunner, theirs: Any) -> None:
    try:
        theirs.send(_made(runs, runner))
    except Exception as error:  # is raised where it was asked for
        theirs.send(error)


def _made(runs: FreshRuns, runner: SubjectRunner) -> tuple[FreshRuns, TimedTraces]:
    bars = runner.market.span(0, runs.last)
    began = time.process_time()
    traces = [runner.run(0, bars, runs.mode) for _ in range(runs.times)]
    return runs, TimedTraces(traces, (time.process_time() - began) / runs.times)


def _answer_of(process: Any, ours: Any) -> tuple[FreshRuns, TimedTraces]:
    try:
        answer: tuple[FreshRuns, TimedTraces] | Exception = ours.recv()
    except EOFError:
        process.join()
        raise RagSignalError(_DIED.format(code=process.exitcode)) from None
    finally:
        ours.close()
    process.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


_DIED = (
    "a process in which the audit ran a subject ended without an answer (exit code {code}); most often memory is "
    "short: use fewer of them (--jobs)"
)
