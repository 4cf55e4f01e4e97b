"""The hits of a signal: their numbers over the query's, what they count, and what the answer is without each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from ragsignal.data import STATE_WORDS, DayHits, Letters, factor_values, log_returns
from ragsignal.explanation.explanation import HitEvidence, Overlay
from ragsignal.llm import pooling_weights
from ragsignal.retrieval import DayRetriever
from ragsignal.types import FloatArray, Hit, IntArray, MarketDay, Movement, Query

MOST = 60_000
"""Answers without a hit that are worked out in one call; beyond it, of each signal those of the first and last hits."""

_FIRST, _LAST = 20, 10


def shown_places(hits: int, signals: int) -> IntArray:
    """Places of the hits that are shown and left out: all, or the nearest 20 and the last 10 of many signals."""
    if hits * signals <= MOST or hits <= _FIRST + _LAST:
        return np.arange(hits)
    return np.concatenate([np.arange(_FIRST), np.arange(hits - _LAST, hits)])


@dataclass(frozen=True, eq=False)
class LeftOut:
    """P of a signal as it is, the places of the hits that are shown, and P without each of them, (k,).

    ``without`` is empty where nothing was left out: without its only hit a signal abstains.
    """

    probability: float
    places: IntArray
    without: FloatArray

    @property
    def effects(self) -> list[tuple[float | None, float | None]]:
        """P without each hit that is shown, and the effect of it; twice None where it was not left out."""
        if len(self.without) != len(self.places):
            return [(None, None)] * len(self.places)
        return [(float(it), float(self.probability - it)) for it in self.without]


def sequence_evidence(query: Query, hits: Sequence[Hit], left_out: LeftOut, is_vote: bool) -> tuple[HitEvidence, ...]:
    """Retrieved sequences, in the order of the hits; of a vote with the share that each has in it."""
    movements = [hit.sequence.movement for hit in hits]
    votes = sum(movement is not Movement.FREEZE for movement in movements) + 2  # Laplace's two among them
    shown = [hits[place] for place in left_out.places.tolist()]
    return tuple(
        _sequence(query, hit, int(hit.sequence.movement) / votes if is_vote else None, effect)
        for hit, effect in zip(shown, left_out.effects, strict=True)
    )


class DayEvidenceOf:
    """The retrieved days of a day, as they speak of each of its stocks.

    Parameters
    ----------
    retriever : DayRetriever
    hits : DayHits
        What it retrieved as of ``as_of``.
    as_of : date
    """

    def __init__(self, retriever: DayRetriever, hits: DayHits, as_of: date) -> None:
        self.hits, self._weights, table = hits, pooling_weights(hits), retriever.days
        seen, row = table.states[table.visible(as_of, retriever.embargo)], table.row(as_of)
        assert row is not None  # hits were found by its state
        mean, deviation = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-12)
        shapes = [tuple(it) for it in ((hits.states - mean) / deviation).tolist()]
        query, shape = table.states[row], tuple(((table.states[row] - mean) / deviation).tolist())
        self._overlays = [
            Overlay(tuple(STATE_WORDS.values()), tuple(query.tolist()), tuple(state), shape, other)
            for state, other in zip(hits.states.tolist(), shapes, strict=True)
        ]

    def of_stock(self, letters: Letters, left_out: LeftOut) -> tuple[HitEvidence, ...]:
        """The days as they speak of a stock with these letters (n_factors,)."""
        adds = self._weights * (self.hits.payoffs @ factor_values(letters))
        return tuple(
            self._day(place, float(adds[place]), effect)
            for place, effect in zip(left_out.places.tolist(), left_out.effects, strict=True)
        )

    def _day(self, place: int, adds: float, effect: tuple[float | None, float | None]) -> HitEvidence:
        hit = self.hits[place]
        day = hit.candidate
        assert isinstance(day, MarketDay)
        return HitEvidence(
            rank=hit.rank,
            id=day.id,
            symbol="market",
            sequence="market",
            first=day.day,
            last=day.day,
            known_on=day.available_at,
            score=hit.score,
            unlike=hit.score < 0.0,
            outcome=None,
            movement=None,
            weight=float(self._weights[place]),
            adds=adds,
            overlay=self._overlays[place],
            without=effect[0],
            effect=effect[1],
        )


def _sequence(query: Query, hit: Hit, weight: float | None, effect: tuple[float | None, float | None]) -> HitEvidence:
    window = hit.sequence
    labels = tuple(str(day - len(window.scaled) + 1) for day in range(len(window.scaled)))
    shapes = _shape(np.array(query.closes[1:])), _shape(np.array(window.values))
    overlay = Overlay(labels, tuple(log_returns(query).tolist()), window.scaled, *shapes)
    return HitEvidence(
        rank=hit.rank,
        id=window.id,
        symbol=window.symbol,
        sequence=window.sequence,
        first=window.dates[0],
        last=window.dates[-1],
        known_on=window.available_at,
        score=hit.score,
        unlike=False,
        outcome=window.outcome,
        movement=window.movement.word,
        weight=weight,
        adds=None,
        overlay=overlay,
        without=effect[0],
        effect=effect[1],
    )


def _shape(window: FloatArray) -> tuple[float, ...]:
    spread = window.std()
    return tuple(((window - window.mean()) / spread if spread > 0.0 else np.zeros(len(window))).tolist())
