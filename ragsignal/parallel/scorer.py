"""A language model on many workers: actors hold the weights, the driver writes the prompts and keeps the answers.

A worker whose recipe is not the driver's (another torch, another dtype) refuses: its answers would lie under a wrong
address. Batches are cut as one process would cut them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ragsignal.config import LLMSpec
from ragsignal.errors import ModelError
from ragsignal.llm import StockLLM, Template, adapter_of, load_reader
from ragsignal.parallel.remote import ray, result_of
from ragsignal.protocols import Recipe
from ragsignal.types import Hit, Prompt, Query, Score

_RESTARTS = 4  # of one actor: a prompt that kills whoever reads it ends the run at some point
_AHEAD = 4  # batches an actor in one call of ``score``: fewer, and actors wait for each other at its end

Batch = list[Prompt]


@dataclass
class PooledScorer:
    """A :class:`~ragsignal.protocols.Scorer`: ``local``'s recipe and prompts, read by a crew.

    Parameters
    ----------
    local : StockLLM
        The driver's own: it writes and measures prompts, and scores none.
    crew : Crew
    """

    local: StockLLM
    crew: Crew
    is_model: bool = True

    @property
    def recipe(self) -> Recipe:
        """That of one process: where a prompt is read decides nothing."""
        return self.local.recipe

    @property
    def batch_size(self) -> int:
        """Some batches for every worker; a killed run loses as many."""
        return self.local.batch_size * self.crew.copies * _AHEAD

    def context_digest(self, query: Query) -> str:
        """As of one process."""
        return self.local.context_digest(query)

    def render(self, query: Query, hits: tuple[Hit, ...]) -> Prompt:
        """The prompt of one process."""
        return self.local.render(query, hits)

    def length(self, prompt: Prompt) -> int:
        """As of one process: batches are cut alike."""
        return self.local.length(prompt)

    def score(self, prompts: Sequence[Prompt]) -> list[Score]:
        """P(rise) of every prompt, in order.

        Raises
        ------
        ModelError
            If a worker has another recipe, or all of them died too often.
        """
        lean = [replace(prompt, hits=()) for prompt in prompts]  # a model reads the text
        size = self.local.batch_size
        batches = [lean[start : start + size] for start in range(0, len(lean), size)]
        answers = dict(self.crew.read(batches))
        return [score for number in range(len(batches)) for score in answers[number]]


@dataclass(eq=False)
class Crew:
    """Copies of one model, each in an actor; they start at the first call of :meth:`read`.

    Parameters
    ----------
    llm : LLMSpec
        From which workers load the model by themselves.
    template : Template
    recipe : dict
        The driver's.
    copies : int
        Actors. Each has an equal share of the cluster's cores as threads, or one GPU.
    others : list of Crew
        Those of the same cluster; they are stopped where this one needs their GPUs.
    """

    llm: LLMSpec
    template: Template
    recipe: Recipe
    copies: int
    others: list[Crew] = field(default_factory=list, repr=False)

    def read(self, batches: Sequence[Batch]) -> Iterator[tuple[int, list[Score]]]:
        """``(place of the batch, its scores)``: each idle actor gets the next batch, or that of an actor that died."""
        left, idle = deque(range(len(batches))), list(self.actors)
        busy: dict[Any, tuple[Any, int | None]] = {}
        while left or any(place is not None for _, place in busy.values()):
            while left and idle:
                actor, number = idle.pop(), left.popleft()
                busy[actor.score.remote(self.recipe, batches[number])] = actor, number
            if not busy:
                raise ModelError(_ALL_DEAD.format(copies=self.copies, restarts=_RESTARTS))
            (done,), _ = ray().wait(list(busy))
            actor, place = busy.pop(done)
            try:
                answer = result_of(done)
            except ray().exceptions.RayActorError:
                if place is not None:
                    left.appendleft(place)
                    busy[actor.ready.remote()] = actor, None  # answered after its restart; fails if there is none left
                continue
            idle.append(actor)
            if place is not None:
                yield place, answer

    def stop(self) -> None:
        """End the actors; the next call of :meth:`read` starts others."""
        for actor in self.__dict__.pop("actors", ()):
            ray().kill(actor)

    @cached_property
    def actors(self) -> list[Any]:
        """Ray's handles of the actors."""
        gpus = 1 if self.llm.device == "cuda" else 0
        for crew in self.others if gpus else ():  # else this one would wait for theirs for ever
            crew.stop()
        threads = max(1, int(ray().cluster_resources().get("CPU", 1)) // self.copies)
        # No cores are claimed: actors live until the pool ends, and tasks would wait for theirs.
        options: dict[str, Any] = {"num_cpus": 0, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}
        remote = ray().remote(_Reader).options(max_restarts=_RESTARTS, **options)
        return [remote.remote(self.llm, self._shared_template, threads) for _ in range(self.copies)]

    @cached_property
    def _shared_template(self) -> Any:
        # Sent once, and kept here: an actor that starts again asks for it again.
        return ray().put(self.template)


_ALL_DEAD = (
    "all {copies} workers that held the language model died, each {restarts} times after its first; most often memory "
    "is short: use fewer copies (--jobs), or a smaller llm.batch_size. What was scored before is kept"
)


class _Reader:
    """One copy, in a process of its own; the weights are read at the first call, whose error reaches the driver."""

    def __init__(self, llm: LLMSpec, template: Template, threads: int) -> None:
        self._llm, self._template, self._threads = llm, template, threads

    def ready(self) -> None:
        """Answer as soon as the process is there."""

    def score(self, expected: Recipe, batch: Batch) -> list[Score]:
        reader = self._reader
        refuse_other(expected, reader.recipe)
        return reader.score(batch)

    @cached_property
    def _reader(self) -> StockLLM:
        import torch

        torch.set_num_threads(self._threads)
        return load_reader(self._llm, self._template, adapter_of(self._llm))


def refuse_other(expected: Recipe, found: Recipe) -> None:
    """Raise ``ModelError`` where a worker would not give the driver's answers."""
    names = [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
    if names:
        told = "; ".join(f"{name}: {found.get(name)!r} there, {expected.get(name)!r} here" for name in names)
        raise ModelError(
            f"a worker computes with another recipe, so its answers are not this run's ({told}); install the same "
            "versions on every machine, and set llm.dtype where processors differ"
        )
