"""Retrieved days as StockLLM reads them: letters and eleven numbers each, in training and in use alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ragsignal.data import RANK_LETTERS, DayHits, Letters
from ragsignal.types import FloatArray, Recipe

DAY_HITS_RECIPE: Recipe = {"hits": "days/1"}
"""Version of :func:`day_features`; in the card of an adapter that reads days."""

_LIMIT = 3.0  # standard deviations: 2008 lies beyond all that came before
_AGE = 8.0  # log(1 + calendar days): eight years
# of a standard normal number: sixteen letters that are equally likely
_EDGES = np.array(
    [-1.534, -1.150, -0.887, -0.674, -0.489, -0.319, -0.157, 0.0, 0.157, 0.319, 0.489, 0.674, 0.887, 1.150, 1.534]
)


@dataclass(frozen=True, eq=False)
class DayScales:
    """By what payoffs (n_factors,) and, less their mean, states (8,) are divided before they are read."""

    payoffs: FloatArray
    mean: FloatArray
    states: FloatArray


@dataclass(frozen=True, eq=False)
class DayFeatures:
    """``payoffs`` (k, n_factors) uint8; ``facts`` (k, 11) float32: similarity, whether unlike, age, the state."""

    payoffs: Letters
    facts: NDArray[np.float32]


def day_features(hits: DayHits, as_of: date, scales: DayScales) -> DayFeatures:
    """Features of a day's hits.

    Raises
    ------
    LookAheadError
        If what one of them paid was not known as of the day.
    """
    ages = np.log1p(hits.ages(as_of)) / _AGE
    unlike = hits.scores < 0.0
    alike = hits.scores + unlike  # the similarity itself
    states = np.clip((hits.states - scales.mean) / scales.states, -_LIMIT, _LIMIT)
    return DayFeatures(
        payoffs=normal_letters(hits.payoffs / scales.payoffs),
        facts=np.hstack([np.stack([alike, unlike, ages], axis=1), states]).astype(np.float32),
    )


def normal_letters(values: FloatArray) -> Letters:
    """Sixteenths of a standard normal number; the last letter for NaN."""
    letters: Letters = np.searchsorted(_EDGES, values).astype(np.uint8)
    letters[np.isnan(values)] = RANK_LETTERS
    return letters
