"""One out-of-sample line through time: every query is answered by the pipeline of its step.

The line is no average and no vote: a bar has one model, the one that was trained before its step began. A query from
before the first step, or after the last, has none, and is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.signals import Cost, RagPipeline
from ragsignal.study.walk_forward.steps import Step
from ragsignal.types import Query, Recipe, Signal
from ragsignal.utils import DAILY, SIGNALS, Clock, Steps, silent_steps

StepPipeline = tuple[RagPipeline, object]
"""A step's pipeline, and what it shares with other variants, which lives as long as somebody holds it."""


@dataclass
class WalkForward:
    """A :class:`~ragsignal.signals.pipeline.Pipeline` made of one pipeline a step.

    Parameters
    ----------
    steps : sequence of Step
        In the order of time, without gaps.
    open_step : callable
        Gives a step's pipeline, and what has to be held while it is used.
    lookback : int
        Returns a query must have.
    clock : Clock, optional
        That of the bars.
    progress : callable, optional
        Told (signals made, signals to make) of the step that is being asked.
    cost : Cost
        Of all steps together.
    """

    steps: Sequence[Step]
    open_step: Callable[[Step], StepPipeline]
    lookback: int
    clock: Clock = DAILY
    progress: Steps = field(default=silent_steps)
    cost: Cost = field(default_factory=Cost)
    _held: tuple[Step, StepPipeline] | None = None  # one step's models at a time: ten would not fit into memory

    @property
    def recipe(self) -> Recipe:
        """The recipe of every step, with its days."""
        return {
            "walk_forward": [
                {"first": step.first.isoformat(), "last": step.last.isoformat(), **self._at(step).recipe}
                for step in self.steps
            ]
        }

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order; of several threads one after the other is answered.

        Raises
        ------
        LookAheadError
            If a query lies outside the steps, or as a step's pipeline raises it.
        ModelError
            As a step's pipeline raises it.
        """
        answers: dict[int, Signal] = {}
        with SIGNALS:  # one step's models are held at a time
            for step, numbers in self._by_step(queries):
                signals = self._at(step).signals([queries[number] for number in numbers])
                answers |= dict(zip(numbers, signals, strict=True))
        return [answers[number] for number in range(len(queries))]

    def missing(self, queries: Sequence[Query]) -> dict[str, int]:
        """Signals that would have to be made, by key: a place in ``queries`` of each; raises as :meth:`signals`."""
        absent: dict[str, int] = {}
        with SIGNALS:
            for step, numbers in self._by_step(queries):
                part = self._at(step).missing([queries[number] for number in numbers])
                absent |= {key: numbers[place] for key, place in part.items()}
        return absent

    def parts(self, queries: Sequence[Query]) -> Iterator[tuple[RagPipeline, list[Query]]]:
        """Who answers what: each step's pipeline that has something to answer, with its queries."""
        for step, numbers in self._by_step(queries):
            yield self._at(step), [queries[number] for number in numbers]

    def __reduce__(self) -> Any:
        """Refuse to pickle, as :class:`~ragsignal.signals.pipeline.RagPipeline` does."""
        raise ConfigError(
            "a loaded pipeline cannot go to another process, as optstrategy asks; give RagMomentum the path of its "
            'spec: source="backtests/walk_forward.toml"'
        )

    def _by_step(self, queries: Sequence[Query]) -> list[tuple[Step, list[int]]]:
        """Places in ``queries`` by step, in the order of time: each step's models are read once a call."""
        firsts = [step.first for step in self.steps]
        places: dict[int, list[int]] = {}
        for number, query in enumerate(queries):
            place = bisect_right(firsts, query.as_of) - 1
            if place < 0 or query.as_of > self.steps[-1].last:
                raise LookAheadError(
                    f"{query.symbol} as of {query.as_of}: this walk-forward has models for {firsts[0]} to "
                    f"{self.steps[-1].last}; move data.start or data.end of its spec, or feed it those days alone"
                )
            places.setdefault(place, []).append(number)
        return [(self.steps[place], places[place]) for place in sorted(places)]

    def _at(self, step: Step) -> RagPipeline:
        if self._held is None or self._held[0] != step:
            self._held = None  # let go before the next is made
            self._held = (step, self.open_step(step))
        pipeline = self._held[1][0]
        pipeline.cost, pipeline.progress = self.cost, self.progress
        return pipeline
