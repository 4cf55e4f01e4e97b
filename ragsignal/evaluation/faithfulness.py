"""Whether explanations are true to the reader: what they call important must move P more than what chance picks.

    queries ─► importance of factors (or hits) ─► delete the most important, and as many at random ─► |change of P|

A deleted factor takes the letters of another stock of the same day, which is another thing than the middle that the
explanation asked with: an importance that only knows its own way to delete does not pass. It is the comprehensiveness
of DeYoung et al. (2020, ERASER, ACL) against a random ranking, with days drawn and not queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragsignal.config import Variant
from ragsignal.evaluation.questions import Questions
from ragsignal.explanation import Reading, open_reading, without_each_factor
from ragsignal.statistics import ratio_interval
from ragsignal.study import Study, spread
from ragsignal.types import BoolArray, FloatArray, IntArray, Query

PASSES_BELOW = 0.01
"""The p-value below which an explanation counts as faithful."""

_DELETED = 0.125  # of the factors or hits: 5 of 41 factors, 1 of 5 returns, 75 of 600 days
_RANDOM = 8  # random sets of each query, whose mean is its control
_MOST_STOCKS = 60  # of a day: those that give their letters need not be all

Importance = Callable[[Reading, IntArray, FloatArray], FloatArray]
"""How important each factor of some signals of a day is, (m, n_factors): of their places (m,), and their P (m,)."""


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """One variant's explanations under the test.

    Parameters
    ----------
    variant : str
    parts : {"factors", "hits"}
        What was deleted.
    deleted, of : int
        How many of how many, of a query (of hits: the most that one had).
    queries, days : int
    important, random : float or None
        Mean absolute change of P when the most important are deleted, and when as many drawn by chance are. None where
        no query could be asked, as for what follows.
    difference, low, high, p : float or None
        Their paired difference with a 95 % interval, clustered by day, and the p-value of "no difference". Fewer than
        100 days have no interval.
    passes : bool or None
        Whether the important ones move P more, at p < .01; None where too few days speak.
    """

    variant: str
    parts: Literal["factors", "hits"]
    deleted: int
    of: int
    queries: int
    days: int
    important: float | None
    random: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    passes: bool | None


@dataclass(frozen=True, slots=True)
class _Paired:
    """One query: on which day, how many parts of how many were deleted, and |change of P| of both ways."""

    day: int
    deleted: int
    of: int
    important: float
    random: float


def effect_sizes(reading: Reading, places: IntArray, probability: FloatArray) -> FloatArray:
    """Importance as an explanation shows it: the size of each factor's effect, (m, n_factors)."""
    return np.abs(probability[:, None] - without_each_factor(reading, places))


def faithfulness(
    study: Study, variant: Variant, questions: Questions, n_queries: int, importance: Importance = effect_sizes
) -> list[Faithfulness]:
    """Test the explanations of about ``n_queries`` queries: by factors, and by hits where it reads some.

    Parameters
    ----------
    study : Study
    variant : Variant
    questions : Questions
    n_queries : int
        Spread over the days, as many on each.
    importance : callable, optional
        What names the important factors; by default the explanations' own effects.
    """
    factors: list[_Paired] = []
    hits: list[_Paired] = []
    days = spread(range(questions.n_days), n_queries)
    each = -(-n_queries // len(days))
    for done, (number, reading, probability) in enumerate(_readings(study, variant, questions, days), 1):
        rng = np.random.default_rng([number, len(probability)])
        asked = _Asked(number, reading, probability, np.sort(rng.permutation(len(probability))[:each]), rng)
        factors += asked.without_factors(importance)
        hits += asked.without_hits()
        study.progress(f"faithfulness of {variant.name}", done, len(days))
    rows = [_summary(variant.name, "factors", factors)]
    return rows + ([_summary(variant.name, "hits", hits)] if hits else [])


def _readings(
    study: Study, variant: Variant, questions: Questions, days: Sequence[int]
) -> Iterator[tuple[int, Reading, FloatArray]]:
    """Number of each day, its reader, and P of the signals that it has a view on."""
    source = study.pipeline(variant)
    for number in days:
        first, last = np.searchsorted(questions.day, [number, number + 1])
        queries: list[Query] = spread(questions.queries[first:last], _MOST_STOCKS)
        signals = source.signals(queries)
        views = [(query, it) for query, it in zip(queries, signals, strict=True) if it.abstained is None]
        if not views:
            continue
        ((pipeline, _),) = source.parts(queries)
        seen, spoken = [query for query, _ in views], [signal for _, signal in views]
        reading = open_reading(study, variant, pipeline, seen, spoken)
        yield number, reading, np.array([signal.probability for signal in spoken])


@dataclass(frozen=True, eq=False)
class _Asked:
    """The queries of one day that are tested: their places among the signals that a reader has a view on."""

    day: int
    reading: Reading
    probability: FloatArray
    places: IntArray
    rng: np.random.Generator

    def without_factors(self, importance: Importance) -> list[_Paired]:
        """Delete factors; nothing where no other stock could give its letters."""
        signals, factors = self.reading.letters.shape
        if signals < 2:
            return []
        count = max(1, round(_DELETED * factors))
        named = _leading(importance(self.reading, self.places, self.probability[self.places]), count)
        sets = [named, *(_leading(self.rng.random(named.shape), count) for _ in range(_RANDOM))]
        donors = (self.places + self.rng.integers(1, signals, len(self.places))) % signals
        owner = np.tile(self.places, len(sets))  # all sets are read together
        answers = self.reading.replaced(owner, np.concatenate(sets), np.tile(donors, len(sets)))
        changes = np.abs(answers - self.probability[owner]).reshape(len(sets), -1)
        pairs = zip(changes[0].tolist(), changes[1:].mean(axis=0).tolist(), strict=True)
        return [_Paired(self.day, count, factors, important, random) for important, random in pairs]

    def without_hits(self) -> list[_Paired]:
        """Delete the hits that speak most for the side; nothing where a reader reads none."""
        everywhere = np.arange(self.reading.most_hits)
        if not len(everywhere):
            return []
        answers = self.reading.without_hits(everywhere, self.places)
        # of a single hit nothing would be left
        return [self._of_hits(*it) for it in zip(self.places.tolist(), answers, strict=True) if len(it[1]) > 1]

    def _of_hits(self, place: int, without: FloatArray) -> _Paired:
        own, hits = float(self.probability[place]), len(without)
        count = max(1, round(_DELETED * hits))
        # not the largest effects either way: those that speak against each other would cancel out
        named = _leading((np.sign(own - 0.5) * (own - without))[None], count)
        sets = [named, *(_leading(self.rng.random((1, hits)), count) for _ in range(_RANDOM))]
        changes = [abs(self.reading.with_hits(place, ~absent[0]) - own) for absent in sets]
        return _Paired(self.day, count, hits, changes[0], float(np.mean(changes[1:])))


def _leading(importance: FloatArray, count: int) -> BoolArray:
    """The ``count`` most important of each row."""
    chosen = np.zeros(importance.shape, dtype=np.bool_)
    order = np.argsort(-importance, axis=1, kind="stable")[:, :count]
    np.put_along_axis(chosen, order, True, axis=1)
    return chosen


def _summary(variant: str, parts: Literal["factors", "hits"], pairs: Sequence[_Paired]) -> Faithfulness:
    if not pairs:
        return Faithfulness(variant, parts, 0, 0, 0, 0, *(None,) * 7)
    days, place = np.unique([pair.day for pair in pairs], return_inverse=True)
    counts = np.bincount(place.ravel()).astype(np.float64)
    important, random = (np.array([getattr(pair, name) for pair in pairs]) for name in ("important", "random"))
    daily = np.bincount(place.ravel(), weights=important - random).astype(np.float64)
    interval = ratio_interval(daily, counts)
    known = np.isfinite(interval.low)
    return Faithfulness(
        variant=variant,
        parts=parts,
        deleted=max(pair.deleted for pair in pairs),
        of=max(pair.of for pair in pairs),
        queries=len(pairs),
        days=len(days),
        important=float(important.mean()),
        random=float(random.mean()),
        difference=interval.difference,
        low=interval.low if known else None,
        high=interval.high if known else None,
        p=interval.p if known else None,
        passes=bool(interval.difference > 0.0 and interval.p < PASSES_BELOW) if known else None,
    )
