"""From raw log-odds to probabilities with a calibration that was fitted in training, and to ranks among stocks.

:mod:`ragsignal.training.calibration` fits slope and intercept on validation days; an artifact's card carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ragsignal.types import FloatArray


def calibrated(log_odds: FloatArray, calibration: Mapping[str, Any] | None) -> FloatArray:
    """Return ``slope * log_odds + intercept``; the log-odds as they are where there is no calibration.

    Parameters
    ----------
    log_odds : (n,) float64
        log P(rise)/P(fall) as the model gives it.
    calibration : mapping with ``slope`` and ``intercept``, or None
        The card's entry; a slope is positive, so the order of the scores stays.
    """
    if calibration is None:
        return log_odds
    moved: FloatArray = calibration["slope"] * log_odds + calibration["intercept"]
    return moved


def probability_of(log_odds: FloatArray) -> FloatArray:
    """Return P(rise) of (n,) log-odds; exact in both tails, where 1 / (1 + exp(-x)) overflows below -709."""
    probability: FloatArray = np.exp(-np.logaddexp(0.0, -log_odds))
    return probability


def place_among(score: float, others: FloatArray) -> float:
    """Rank in (0, 1) of a score that is one more among ``others``."""
    known = others[np.isfinite(others)]
    below, equal = int((known < score).sum()), int((known == score).sum())
    return (below + (equal + 1) / 2) / (len(known) + 1)
