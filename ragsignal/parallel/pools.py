"""Pools of this machine: this process, or local processes that hold what every task needs.

A language model stays in the parent, with all its threads: two processes of one thread each are no faster than one
process with two, and hold the weights twice.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ragsignal.config import LLMSpec
from ragsignal.errors import RagSignalError
from ragsignal.llm import StockLLM
from ragsignal.protocols import Scorer

T = TypeVar("T")
R = TypeVar("R")
Task = Callable[[Any, T], R]
"""A function of a module, given what the workers hold and an item; all that it takes and gives can be pickled."""

_TRIES = 3
_AHEAD = 2  # items a worker that are made before they are needed: each may hold all signals of a variant


class Workers(Protocol):
    """Workers that hold a payload."""

    def map_unordered(self, function: Task[T, R], items: Iterable[T]) -> Iterator[tuple[int, R]]:
        """``(place of the item, function(payload, item))`` of every item, in the order in which they are done.

        Items are taken as workers become free. An error of the function ends the work and is raised here.
        """
        ...


class Pool(Protocol):
    """Where independent work is done."""

    def holding(self, payload: Any) -> AbstractContextManager[Workers]:
        """Workers that have received ``payload``, once each and not once a task."""
        ...

    def distribute(self, llm: LLMSpec, model: StockLLM) -> Scorer:
        """Return what scores in the place of ``model``, whose weights have not been read yet."""
        ...


@dataclass
class InProcessPool:
    """No other process: the caller's does one item after the other."""

    @contextmanager
    def holding(self, payload: Any) -> Iterator[Workers]:
        """Yield one worker, this process, with ``payload`` itself."""
        yield _InProcessWorkers(payload)

    def distribute(self, llm: LLMSpec, model: StockLLM) -> Scorer:  # noqa: ARG002 - the protocol's signature
        """Return ``model`` unchanged: this process scores."""
        return model


@dataclass
class _InProcessWorkers:
    payload: Any

    def map_unordered(self, function: Task[T, R], items: Iterable[T]) -> Iterator[tuple[int, R]]:
        for number, item in enumerate(items):
            yield number, function(self.payload, item)


@dataclass
class ProcessPool(InProcessPool):
    """Local processes, started afresh (a forked one would hang in OpenMP); the parent keeps the model and scores.

    Parameters
    ----------
    jobs : int
        At most; they start as tasks come.
    """

    jobs: int

    @contextmanager
    def holding(self, payload: Any) -> Iterator[Workers]:
        """Processes that live until the end of the block.

        Raises
        ------
        RagSignalError
            From their ``map_unordered``, if processes die again and again.
        """
        workers = _ProcessWorkers(self.jobs, payload)
        try:
            yield workers
        finally:
            workers.stop()


class _ProcessWorkers:
    def __init__(self, jobs: int, payload: Any) -> None:
        self.jobs, self._payload = jobs, payload
        self._executor = self._start()

    def map_unordered(self, function: Task[T, R], items: Iterable[T]) -> Iterator[tuple[int, R]]:
        """Yield results as they come; the items of a killed process are done again, and those of all others too."""
        queue, deaths = _Queue(items), 0
        flying: dict[Future[R], tuple[int, T]] = {}
        while True:
            try:
                while len(flying) < _AHEAD * self.jobs and queue.has_more():
                    flying[self._executor.submit(_with_payload, function, queue.first[1])] = queue.first
                    queue.drop_first()
                if not flying:
                    return
                for done in wait(flying, return_when=FIRST_COMPLETED).done:
                    result = done.result()
                    yield flying.pop(done)[0], result
            except BrokenProcessPool:
                deaths += 1
                if deaths == _TRIES:
                    raise RagSignalError(_KILLED.format(tries=_TRIES)) from None
                queue.put_back(flying.values())
                flying.clear()
                self.stop()
                self._executor = self._start()

    def stop(self) -> None:
        """End the processes, and drop the items that have not begun."""
        self._executor.shutdown(cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        fresh = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.jobs, mp_context=fresh, initializer=_hold, initargs=(self._payload,))


_KILLED = (
    "worker processes were killed {tries} times; most often memory is short: use fewer of them (--jobs). What was done "
    "before is kept"
)


class _Queue(Generic[T]):
    """Numbered items, taken one at a time; what was taken can be put back in front."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = enumerate(items)
        self._front: deque[tuple[int, T]] = deque()

    def has_more(self) -> bool:
        """Tell whether there is a first one."""
        if not self._front:
            self._front.extend(itertools.islice(self._items, 1))
        return bool(self._front)

    @property
    def first(self) -> tuple[int, T]:
        """The next item with its number; ask :meth:`has_more` before."""
        return self._front[0]

    def drop_first(self) -> None:
        """Drop the first item."""
        self._front.popleft()

    def put_back(self, numbered: Iterable[tuple[int, T]]) -> None:
        """Put items in front of all others."""
        self._front.extendleft(numbered)


_held: Any = None
"""The payload of this worker process."""


def _hold(payload: Any) -> None:
    global _held
    _held = payload


def _with_payload(function: Task[T, R], item: T) -> R:
    return function(_held, item)
