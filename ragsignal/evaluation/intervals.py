"""Intervals that resample whole days: a repetition is a set of weights on days, made once and shared by all figures.

A figure is a function of sums over days (:mod:`ragsignal.evaluation.metrics`), so 1,000 repetitions of it are one
product of matrices; and because all figures share the weights, a difference of two is paired day by day.

References
----------
Politis and Romano (1992), A circular block-resampling procedure for stationary data; basic ("reverse percentile")
interval, widened for few blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragsignal.evaluation.days import Floats

REPETITIONS = 1000
LONGEST_BLOCK = 30
"""Days: six weeks; volatility clusters for longer, but fewer than some 30 blocks say little about their own spread."""

# Bootstrap intervals of few days are too short, see ragsignal.statistics: fewer days than this say nothing.
LEAST_DAYS = 100
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval; NaN where the figure does not exist, infinite where too few days speak."""

    value: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether zero lies outside the interval; for a difference."""
        return self.low > 0.0 or self.high < 0.0


def day_weights(n_days: int, seed: int = 0, repetitions: int = REPETITIONS) -> Floats:
    """How often each day is drawn in each repetition of a circular block bootstrap.

    Parameters
    ----------
    n_days : int
        Consecutive days of queries; blocks are sqrt(n_days) of them long, at most 30.

    Returns
    -------
    (repetitions, n_days) float64
        Whole numbers; every row sums to ``n_days``.
    """
    block = block_length(n_days)
    n_blocks = -(-n_days // block)
    starts = np.random.default_rng(seed).integers(0, n_days, size=(repetitions, n_blocks, 1))
    drawn = ((starts + np.arange(block)) % n_days).reshape(repetitions, -1)[:, :n_days]
    cells = drawn + n_days * np.arange(repetitions)[:, None]
    return np.bincount(cells.ravel(), minlength=repetitions * n_days).reshape(repetitions, n_days).astype(np.float64)


def block_length(n_days: int) -> int:
    """Days in a block."""
    return max(1, min(LONGEST_BLOCK, math.isqrt(n_days)))


def interval(value: float, draws: Floats, n_days: int, block: int) -> Estimate:
    """Put a basic interval around ``value``, as wide as few blocks ask for (:func:`widening`).

    Parameters
    ----------
    value : float
        The figure, as it is with every day drawn once.
    draws : (repetitions,) float64
        The figure on resampled days; repetitions in which it does not exist (NaN) are left out.
    n_days, block : int
        Days that the figure rests on, and days in a block.
    """
    known: NDArray[np.float64] = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(known):
        return Estimate(float("nan"), float("nan"), float("nan"))
    if n_days < LEAST_DAYS:
        return Estimate(value, -np.inf, np.inf)
    tail = (1.0 - LEVEL) / 2.0
    below, above = (np.quantile(known, [tail, 1.0 - tail]) - value) * widening(n_days, block)
    return Estimate(value, float(value - above), float(value - below))


def widening(n_days: int, block: int) -> float:
    """Factor on the deviations of the draws, above 1.

    Blocks take their own days' mean along, which costs the variance a share of ``block / n_days``; and a variance from
    few blocks is itself unsure: it has about 1.5 ``n_days / block`` degrees of freedom, those of a Bartlett window
    (Priestley 1981, Spectral Analysis and Time Series, table 6.2), so Student's t stands for the normal. Measured on
    2,000 means of 100, 152, 260 and 1,000 normal days with autocorrelation 0 and 0.3: 95 % intervals hold 0.935 to
    0.955 with it and 0.89 to 0.94 without it.
    """
    from scipy import stats

    upper = 1.0 - (1.0 - LEVEL) / 2.0
    freedom = max(1.0, 1.5 * n_days / block - 1.0)
    return float(stats.t.ppf(upper, freedom) / stats.norm.ppf(upper) / np.sqrt(1.0 - block / n_days))
