"""Decisions that somebody else made, as a source of signals like any other.

Nothing is computed and nothing is stored: the file is the store. A signal's key is a digest of the decision that is in
force, so that a row which is added later moves no earlier key; the recipe names the whole file by its digest.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ragsignal.data import Decisions
from ragsignal.signals.pipeline import Cost, RagPipeline, refuse_other_names
from ragsignal.types import Query, Recipe, Signal
from ragsignal.utils import DAILY, Clock, Steps, json_digest, silent_steps

NO_DECISION = "no decision"
"""Why there is no view on a bar on which no decision is in force."""


@dataclass
class ExternalSignals:
    """A :class:`~ragsignal.signals.pipeline.Pipeline` that looks decisions up.

    Parameters
    ----------
    decisions : Decisions
    clock : Clock, optional
        How long the bars are that are decided on.
    minutes : frozenset of int, optional
        Minutes of the day at which bars of hours of an exchange end; a feed of other ones has another clock.
    progress : callable, optional
        Never called: nothing takes long.
    cost : Cost
    """

    decisions: Decisions
    clock: Clock = DAILY
    minutes: frozenset[int] | None = None
    progress: Steps = field(default=silent_steps)
    cost: Cost = field(default_factory=Cost)
    lookback: int = field(default=0, init=False)  # the first bar of a feed may be decided on

    @property
    def recipe(self) -> Recipe:
        """What decides the signals: the file's content, and how it is read."""
        rows = self.decisions.rows
        read = {"valid_bars": self.decisions.valid_bars, "hold": self.decisions.hold}
        return {"signal": "external/1", "decided": rows.decided, "file": rows.digest, **read}

    def signals(self, queries: Sequence[Query]) -> list[Signal]:
        """One signal a query, in order; no decision in force is an abstention.

        Raises
        ------
        ConfigError
            If a feed names its bars otherwise than the prices that the decisions were placed on.
        """
        began = time.perf_counter()
        refuse_other_names(queries, self.clock, self.minutes)
        signals = [self._signal(query) for query in queries]
        self.cost.asked += len(queries)
        self.cost.seconds += time.perf_counter() - began
        return signals

    def missing(self, queries: Sequence[Query]) -> dict[str, int]:  # noqa: ARG002 - the protocol's signature
        """Return nothing: no signal has to be made."""
        return {}

    def parts(self, queries: Sequence[Query]) -> Iterator[tuple[RagPipeline, list[Query]]]:  # noqa: ARG002
        """Yield nothing: no pipeline made the decisions."""
        yield from ()

    def _signal(self, query: Query) -> Signal:
        symbol, day = query.symbol, query.as_of
        found = self.decisions.at(symbol, day)
        if found is None:
            return Signal(symbol, day, 0.0, 0.5, NO_DECISION, (), "")
        numbers = (found.value, found.probability, found.rank)
        key = json_digest(["external/1", symbol, day, numbers])
        return Signal(symbol, day, found.value, found.probability, None, (), key, rank=found.rank)
