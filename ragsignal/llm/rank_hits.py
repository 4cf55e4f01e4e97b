"""Hits as StockLLM on rank letters reads them: a row of scale-free numbers each, in training and in use alike.

query, hits ─► hit_features: (k, 4 + lookback) ─► RankLM.hit_embedding ─► positions that the query's day sees
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ragsignal.artifacts import Artifact
from ragsignal.errors import LookAheadError
from ragsignal.types import Hit, IntArray, Query, Recipe

HITS_RECIPE: Recipe = {"hits": "hits/1"}
"""Version of :func:`hit_features`; in the card and the signals of a reader that was trained with hits."""

HitFeatures = NDArray[np.float32]

_OUTCOME = 0.02  # of a forward return: about what a stock moves in a day
_AGE = 8.0  # log(1 + calendar days): eight years
_LIMIT = 4.0  # an outcome of 8 %, and a warping distance of 4
_FLOOR = 5e-5  # half a basis point: a window that moves less is flat, and becomes zeros


def hit_width(lookback: int) -> int:
    """Numbers that a hit has: score, movement, outcome, age, and a window of ``lookback`` values."""
    return 4 + lookback


def reads_hits(artifact: Artifact) -> bool:
    """Whether a reader of rank letters was trained with hits (``ranks.k``)."""
    return "hits" in artifact.card.template


def hit_features(query: Query, hits: Sequence[Hit], lookback: int) -> HitFeatures:
    """Numbers of a query's hits, none of which is a price level, a date or a name.

    Parameters
    ----------
    query : Query
    hits : sequence of Hit
    lookback : int
        Values in a candidate's window.

    Returns
    -------
    (k, 4 + lookback) float32
        The retriever's score, within 4 of zero; the movement, -1, 0 or 1; the outcome in units of 2 %, within 4 of
        zero; ``log(1 + age) / 8``, the age in calendar days since the outcome was known; the scale-free window,
        standardised.

    Raises
    ------
    LookAheadError
        If a hit was not known at the query's day.
    """
    facts = np.array([_facts(query, hit) for hit in hits], dtype=np.float64).reshape(len(hits), 4)
    windows = np.array([hit.sequence.scaled for hit in hits], dtype=np.float64).reshape(len(hits), lookback)
    spread = np.hypot(windows.std(axis=1, keepdims=True), _FLOOR)
    standard = (windows - windows.mean(axis=1, keepdims=True)) / spread
    return np.hstack([np.clip(facts, -_LIMIT, _LIMIT), standard]).astype(np.float32)


def hits_by_count(tables: Sequence[HitFeatures]) -> Iterator[tuple[IntArray, HitFeatures]]:
    """Yield the places of tables with equally many hits, and these tables as one (m, k, n_features) array."""
    counts = np.array([len(table) for table in tables])
    for count in np.unique(counts):
        places = np.flatnonzero(counts == count)
        yield places, np.stack([tables[place] for place in places.tolist()])


def _facts(query: Query, hit: Hit) -> tuple[float, float, float, float]:
    candidate = hit.sequence
    age = (query.as_of - candidate.available_at).days
    if age < 0:
        raise LookAheadError(
            f"{query.symbol} as of {query.as_of}: the outcome of {candidate.id} was only known on "
            f"{candidate.available_at}"
        )
    return hit.score, float(candidate.movement), candidate.outcome / _OUTCOME, math.log1p(age) / _AGE
