"""Intervals that resample whole days: a repetition is a set of weights on days, made once and shared by all figures.

A figure is a function of sums over days, so that 1,000 repetitions of it are one product of matrices; and because all
figures share the weights, a difference of two is paired day by day.

References
----------
Politis and Romano (1992), A circular block-resampling procedure for stationary data; basic ("reverse percentile")
interval, widened for few blocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ragsignal.types import FloatArray

REPETITIONS = 1000
LONGEST_BLOCK = 30
"""Days: six weeks; volatility clusters for longer, but fewer than some 30 blocks say little about their own spread."""

# Without the widening a "95 %" interval holds 52 % at 3 normal days, 76 % at 5, 84 % at 10, 85 % from 20 to 60 and 90 %
# at 100; fewer days than this say nothing.
LEAST_DAYS = 100
LEVEL = 0.95
_OVERLAPS = 3

_NOISE = 1e-12


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its 95 % interval; distinguishable from zero only if the interval leaves zero out.

    Parameters
    ----------
    difference, low, high : float
        NaN where the figure does not exist; ``low`` and ``high`` infinite where too few days speak.
    p : float
        Two-sided p-value of "no difference": below 0.05 exactly where the interval leaves zero out. NaN where unknown.
    """

    difference: float
    low: float
    high: float
    p: float = math.nan

    @property
    def distinguishable(self) -> bool:
        """Whether zero lies outside the interval; False where the interval is unknown (NaN)."""
        return self.low > 0.0 or self.high < 0.0

    @property
    def error(self) -> float:
        """Standard error of a normal interval as wide as this one."""
        from scipy.special import ndtri

        return float((self.high - self.low) / (2.0 * ndtri(_upper(LEVEL))))

    def times(self, factor: float) -> Interval:
        """The same difference in another unit, such as a year's instead of a day's; ``factor`` above 0."""
        return Interval(self.difference * factor, self.low * factor, self.high * factor, self.p)


def mean_interval(series: FloatArray, seed: int = 0, overlap: int = 1) -> Interval:
    """Mean of a time series with a 95 % interval that resamples days in blocks.

    Parameters
    ----------
    series : (n_days,) float64
        For a paired comparison: the difference of the two variants, day by day.
    overlap : int
        How many consecutive days share a part of their outcome.
    """
    return ratio_interval(series, np.ones_like(series), seed, overlap)


def ratio_interval(numerators: FloatArray, denominators: FloatArray, seed: int = 0, overlap: int = 1) -> Interval:
    """``sum(numerators) / sum(denominators)`` over days, with an interval that resamples whole days in blocks.

    Signals of one day share that day's move, so days are drawn, not signals. Fewer than 100 days say nothing: their
    interval is infinite.

    Parameters
    ----------
    numerators, denominators : (n_days,) float64
        In the order of time. Denominators positive: a day without a signal is left out.
    overlap : int
        How many consecutive days share a part of their outcome.
    """
    estimate = _ratio(np.sum(numerators), np.sum(denominators))
    n_days = len(numerators)
    if not np.isfinite(estimate) or n_days < LEAST_DAYS:
        return unbounded(estimate)
    weights = day_weights(n_days, seed, overlap=overlap)
    draws = (weights @ numerators) / (weights @ denominators)
    return interval_of_draws(estimate, draws, n_days, block_length(n_days, overlap))


def unbounded(estimate: float) -> Interval:
    """Return an infinite interval, as too few days speak; NaN throughout where there is not even a figure."""
    if not np.isfinite(estimate):
        return Interval(math.nan, math.nan, math.nan)
    return Interval(estimate, -math.inf, math.inf)


def interval_of_draws(estimate: float, draws: FloatArray, n_days: int, block: int) -> Interval:
    """Interval and p-value of a difference from its bootstrap draws; parameters as for :func:`bounds`."""
    low, high = bounds(estimate, draws, n_days, block)
    return Interval(estimate, low, high, p_value(estimate, draws, n_days, block))


def day_weights(n_days: int, seed: int = 0, repetitions: int = REPETITIONS, overlap: int = 1) -> FloatArray:
    """How often each day is drawn in each repetition of a circular block bootstrap.

    Parameters
    ----------
    n_days : int
        Consecutive days; :func:`block_length` of them make a block.
    overlap : int
        How many consecutive days share a part of their outcome: those of h bars overlap for h days.

    Returns
    -------
    (repetitions, n_days) float64
        Whole numbers; every row sums to ``n_days``. Read-only: all that stand on as many days share it.
    """
    return _drawn(n_days, seed, repetitions, block_length(n_days, overlap))


@lru_cache(maxsize=4)  # half a second for 5,000 days, and a report has dozens of differences on the same days
def _drawn(n_days: int, seed: int, repetitions: int, block: int) -> FloatArray:
    n_blocks = -(-n_days // block)
    starts = np.random.default_rng(seed).integers(0, n_days, size=(repetitions, n_blocks, 1))
    drawn = ((starts + np.arange(block)) % n_days).reshape(repetitions, -1)[:, :n_days]
    cells = drawn + n_days * np.arange(repetitions)[:, None]
    counts = np.bincount(cells.ravel(), minlength=repetitions * n_days).reshape(repetitions, n_days).astype(np.float64)
    counts.setflags(write=False)
    return counts


def block_length(n_days: int, overlap: int = 1) -> int:
    """Days in a block: the square root of all, at most 30, and at least three times as many as outcomes overlap.

    Measured on 1,500 means of 250, 500 and 1,000 days whose outcomes overlap for 20: 95 % intervals hold 0.93 with
    blocks of 60, 0.91 to 0.92 with 40, and 0.88 to 0.91 with the square root.
    """
    least = _OVERLAPS * overlap if overlap > 1 else 1
    return max(least, min(LONGEST_BLOCK, math.isqrt(n_days)))


def bounds(value: float, draws: FloatArray, n_days: int, block: int) -> tuple[float, float]:
    """Lower and upper end of a basic 95 % interval around ``value``, as wide as few blocks ask for (:func:`widening`).

    Parameters
    ----------
    value : float
        The figure, as it is with every day drawn once.
    draws : (repetitions,) float64
        The figure on resampled days; repetitions in which it does not exist (NaN) are left out.
    n_days, block : int
        Days that the figure rests on, and days in a block.
    """
    finite: FloatArray = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(finite):
        return math.nan, math.nan
    if n_days < LEAST_DAYS:
        return -math.inf, math.inf
    tail = (1.0 - LEVEL) / 2.0
    below, above = (np.quantile(finite, [tail, 1.0 - tail]) - value) * widening(n_days, block)
    return float(value - above), float(value - below)


def p_value(value: float, draws: FloatArray, n_days: int, block: int) -> float:
    """Two-sided p-value of "the figure is zero": 1 less the highest level at which :func:`bounds` leaves zero out.

    Beyond the reach of the draws (1 in ``repetitions``) Student's t of the widened standard error carries on, so that a
    correction for many comparisons (Holm) has something to correct.
    """
    from scipy.optimize import brentq

    away: FloatArray = np.sort(draws[np.isfinite(draws)] - value)
    if not np.isfinite(value) or not len(away) or n_days < LEAST_DAYS:
        return math.nan
    if value == 0.0:
        return 1.0
    if value < 0.0:
        away = -away[::-1]

    def excess(tail: float) -> float:
        """How far the interval that leaves ``tail`` on each side ends from zero, on the estimate's side of it."""
        return float(abs(value) - np.quantile(away, 1.0 - tail) * widening(n_days, block, 1.0 - 2.0 * tail))

    least, most = 1.0 / len(away), 0.5 - 1e-9
    if excess(least) > 0.0:
        return min(2.0 * least, _student_p(value, away, n_days, block))
    return 1.0 if excess(most) <= 0.0 else 2.0 * float(brentq(excess, least, most))


def widening(n_days: int, block: int, level: float = LEVEL) -> float:
    """Factor on the deviations of the draws, above 1.

    Blocks take their own days' mean along, which costs the variance a share of ``block / n_days``; and a variance from
    few blocks is itself unsure: it has about 1.5 ``n_days / block`` degrees of freedom, those of a Bartlett window
    (Priestley 1981, Spectral Analysis and Time Series, table 6.2), so Student's t stands for the normal. Measured on
    2,000 means of 100, 152, 260 and 1,000 normal days with autocorrelation 0 and 0.3: 95 % intervals hold 0.935 to
    0.955 with it and 0.89 to 0.94 without it.
    """
    from scipy.special import ndtri, stdtrit

    upper = _upper(level)
    return float(stdtrit(_freedom(n_days, block), upper) / ndtri(upper) / np.sqrt(1.0 - block / n_days))


def _student_p(value: float, deviations: FloatArray, n_days: int, block: int) -> float:
    from scipy.special import stdtr

    error = float(np.sqrt(np.mean(deviations**2) / (1.0 - block / n_days)))
    if error <= _NOISE * abs(value):  # every day the same: no spread to tell how far zero is
        return 1.0
    return float(2.0 * stdtr(_freedom(n_days, block), -abs(value) / error))


def _freedom(n_days: int, block: int) -> float:
    return max(1.0, 1.5 * n_days / block - 1.0)


def _upper(level: float) -> float:
    return 1.0 - (1.0 - level) / 2.0


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0.0 else math.nan
