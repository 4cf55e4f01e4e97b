"""Retrievers of days: those whose market was most like the query's, random ones, recent ones.

    query day ─► its state ─► days whose payoffs had matured (a prefix) ─► the nearest k, the most unlike ``opposite``

All queries of a day get one and the same object. What a day may see is decided by :meth:`MarketDays.visible` alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from datetime import date
from typing import Self

import numpy as np

from ragsignal.data import DayHits, MarketDays
from ragsignal.retrieval.state_metric import StateMetric, similarity
from ragsignal.types import FloatArray, Hit, IntArray, Query, Recipe
from ragsignal.utils import json_digest

Options = tuple[int, int, int, int | None]
"""``k``, ``opposite``, ``embargo`` and ``max_age`` of a retriever of days."""


class DayRetriever(ABC):
    """Base of the retrievers of days.

    Parameters
    ----------
    days : MarketDays
    metric : StateMetric
        Gives each hit its similarity, however it was found.
    artifact : str
        Digest of what ``metric`` and the shipped days come from.
    k : int
        Days at most.
    opposite : int
        Days beside them that are the most unlike the query's; they get scores below 0. As "anti-regimes" in Mulliner,
        Harvey, Xia, Fang and van Hemert (2025, SSRN 5164863).
    embargo : int
        Trading days between the last visible payoff and the query.
    max_age : int, optional
        Only so many of the latest visible days.
    """

    requires_hits = True

    def __init__(
        self,
        days: MarketDays,
        metric: StateMetric,
        artifact: str = "",
        k: int = 400,
        opposite: int = 0,
        embargo: int = 0,
        max_age: int | None = None,
    ) -> None:
        self.days, self.metric = days, metric
        self.k, self.opposite, self.embargo, self.max_age = k, opposite, embargo, max_age
        self._artifact = artifact
        self._found: dict[tuple[date, Options], DayHits] = {}
        self._digests: dict[tuple[date, int], str] = {}

    @property
    def recipe(self) -> Recipe:
        """Identity of the retriever and its options; the days are addressed by :meth:`corpus_digest`."""
        names = ("k", "opposite", "embargo", "max_age")
        options = dict(zip(names, self._options, strict=True))
        whence = {"artifact": self._artifact, "metric": self.metric.digest}  # every hit's score is by the metric
        return {"candidates": "days", **whence, **options, **self._identity()}

    @property
    def _options(self) -> Options:
        return self.k, self.opposite, self.embargo, self.max_age

    def corpus_digest(self, query: Query) -> str:
        """Digest of the days that ``query`` can see, its own state included."""
        return self.digest_as_of(query.as_of)

    def digest_as_of(self, day: date) -> str:
        """Digest of the days that can be seen as of a day."""
        key = day, self.embargo
        if key not in self._digests:
            self._digests[key] = self.days.digest_as_of(day, self.embargo)
        return self._digests[key]

    def over(self, days: MarketDays) -> Self:
        """The same retriever over other days."""
        other = copy(self)
        other.days, other._found = days, {}
        return other

    def abstains(self, query: Query) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Return None: a day's state is compared whatever a stock's own window is."""
        return None

    def retrieve(self, queries: Sequence[Query]) -> list[Sequence[Hit]]:
        """Days of every query; an empty tuple where the state is unknown, or no payoff was known yet."""
        return [self.of_day(query.as_of) or () for query in queries]

    def of_day(self, day: date) -> DayHits:
        """Return what is retrieved as of the close of a day, nearest first, then the most unlike."""
        key = day, self._options  # options may be changed on a live retriever: its recipe then changes too
        if key not in self._found:
            self._found[key] = self._search(day)
        return self._found[key]

    def _search(self, day: date) -> DayHits:
        row, seen = self.days.row(day), self.days.visible(day, self.embargo)
        if self.max_age is not None:
            seen = seen[-self.max_age :]
        if row is None or not len(seen) or not np.isfinite(self.days.states[row, 0]):
            return DayHits(self.days, np.empty(0, dtype=np.int64), np.empty(0))
        ages = (self.days.days[row] - self.days.days[seen]).astype(np.float64)
        distances = self.metric.distances(self.days.states[row], self.days.states[seen], ages)
        order = self._order(day, distances)
        alike, unlike = order[: self.k], order[max(self.k, len(order) - self.opposite) :][::-1]
        scores = similarity(distances)
        chosen, signs = np.concatenate([alike, unlike]), np.repeat([0.0, 1.0], [len(alike), len(unlike)])
        return DayHits(self.days, seen[chosen], scores[chosen] - signs)

    @abstractmethod
    def _identity(self) -> Recipe: ...

    @abstractmethod
    def _order(self, day: date, distances: FloatArray) -> IntArray:
        """Order the visible days, given oldest first by their squared distances: the first k and the last are hits."""


class NearestDays(DayRetriever):
    """The days whose market state was nearest: FinSeer's way with its own metric, or with the Euclidean one."""

    def _identity(self) -> Recipe:
        return {"retriever": "nearest-days/1"}

    def _order(self, day: date, distances: FloatArray) -> IntArray:  # noqa: ARG002
        return np.argsort(distances, kind="stable")


class RecentDays(DayRetriever):
    """The last k days, latest first: what adapting without retrieval would read. Its opposites are the oldest."""

    def _identity(self) -> Recipe:
        return {"retriever": "recent-days/1"}

    def _order(self, day: date, distances: FloatArray) -> IntArray:  # noqa: ARG002
        return np.arange(len(distances))[::-1]


class RandomDays(DayRetriever):
    """Visible days drawn by chance, opposites too: what retrieval by state has to beat.

    The draw follows from the seed and the day alone.
    """

    def __init__(self, *args: object, seed: int = 0, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.seed = seed

    def _identity(self) -> Recipe:
        return {"retriever": "random-days/1", "seed": self.seed}

    def _order(self, day: date, distances: FloatArray) -> IntArray:
        rng = np.random.default_rng(int(json_digest([self.seed, day])[:16], 16))
        return rng.permutation(len(distances))
