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
from ragsignal.llm import StockLLM, Template, adapter_of, load_stockllm
from ragsignal.parallel.remote import ray, result_of
from ragsignal.types import Prompt, Recipe, Score

_RESTARTS = 4  # of one actor: a prompt that kills whoever reads it ends the run at some point
_AHEAD = 4  # batches an actor in one call of ``score``: fewer, and actors wait for each other at its end

Batch = list[Prompt]


@dataclass
class PooledScorer:
    """A :class:`~ragsignal.protocols.Scorer` with the recipe of one process, whose prompts actors read.

    Parameters
    ----------
    local : StockLLM
        The driver's own: it writes and measures prompts, and scores none.
    actors : ModelActors
    """

    local: StockLLM
    actors: ModelActors
    is_model = True

    @property
    def recipe(self) -> Recipe:
        """The recipe of one process: where a prompt is read decides nothing."""
        return self.local.recipe

    @property
    def batch_size(self) -> int:
        """Some batches for every worker; a killed run loses as many."""
        return self.local.batch_size * self.actors.copies * _AHEAD

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
        answers = dict(self.actors.read(batches))
        return [score for number in range(len(batches)) for score in answers[number]]


@dataclass(eq=False)
class ModelActors:
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
    others : list of ModelActors
        Those of the same cluster; they are stopped where this model needs their GPUs.
    """

    llm: LLMSpec
    template: Template
    recipe: Recipe
    copies: int
    others: list[ModelActors] = field(default_factory=list, repr=False)

    def read(self, batches: Sequence[Batch]) -> Iterator[tuple[int, list[Score]]]:
        """Yield ``(place of the batch, its scores)``; an idle actor gets the next batch, or that of one that died."""
        left, idle = deque(range(len(batches))), list(self.handles)
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
        for actor in self.__dict__.pop("handles", ()):
            ray().kill(actor)

    @cached_property
    def handles(self) -> list[Any]:
        """Ray's handles of the actors."""
        gpus = 1 if self.llm.device == "cuda" else 0
        for actors in self.others if gpus else ():  # else this model would wait for their GPUs for ever
            actors.stop()
        threads = max(1, int(ray().cluster_resources().get("CPU", 1)) // self.copies)
        actor = ray().remote(_ModelActor)
        actor = actor.options(
            max_restarts=_RESTARTS,
            num_cpus=0,  # actors live until the pool ends: tasks would wait for ever for cores that these claim
            num_gpus=gpus,
            scheduling_strategy="SPREAD",
        )
        return [actor.remote(self.llm, self._shared_template, threads) for _ in range(self.copies)]

    @cached_property
    def _shared_template(self) -> Any:
        # Sent once, and kept here: an actor that starts again asks for it again.
        return ray().put(self.template)


_ALL_DEAD = (
    "all {copies} workers that held the language model died, each {restarts} times after its first; most often memory "
    "is short: use fewer copies (--jobs), or a smaller llm.batch_size. What was scored before is kept"
)


class _ModelActor:
    """One copy, in a process of its own; the weights are read at the first call, whose error reaches the driver."""

    def __init__(self, llm: LLMSpec, template: Template, threads: int) -> None:
        self._llm, self._template, self._threads = llm, template, threads

    def ready(self) -> None:
        """Answer as soon as the process is there."""

    def score(self, expected: Recipe, batch: Batch) -> list[Score]:
        refuse_other(expected, self._model.recipe)
        return self._model.score(batch)

    @cached_property
    def _model(self) -> StockLLM:
        import torch

        torch.set_num_threads(self._threads)  # no more than this machine's share, whatever the spec asks for
        return load_stockllm(self._llm, self._template, adapter_of(self._llm))


def refuse_other(expected: Recipe, actual: Recipe) -> None:
    """Raise ``ModelError`` where a worker would not give the driver's answers."""
    names = [name for name in {**expected, **actual} if expected.get(name) != actual.get(name)]
    if names:
        differences = "; ".join(f"{name}: {actual.get(name)!r} there, {expected.get(name)!r} here" for name in names)
        raise ModelError(
            f"a worker computes with another recipe, so its answers are not this run's ({differences}); install the "
            "same versions on every machine, and set llm.dtype where processors differ"
        )
