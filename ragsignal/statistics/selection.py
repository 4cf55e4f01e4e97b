"""What choosing the best of many costs: deflated Sharpe, backtest overfitting, tests of many variants at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.statistics.intervals import LEAST_DAYS, REPETITIONS, block_length
from ragsignal.statistics.ratios import probabilistic_sharpe
from ragsignal.types import FloatArray

_NOISE = 1e-10
_CELLS = 2_000_000  # splits x points at a time: some 100 MB


def best_of_noise(variance: float, trials: float) -> float:
    """Sharpe ratio that the best of ``trials`` worthless strategies is expected to show: SR0.

    Parameters
    ----------
    variance : float
        Variance of the trials' Sharpe ratios, in the unit of the answer (per bar for :func:`deflated_sharpe`).
    trials : float
        At least 1; one trial alone is expected to show 0. Trials that resemble each other count for fewer.

    References
    ----------
    The False Strategy theorem: Bailey and López de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio
    Management 40, equation 1.
    """
    from scipy.special import ndtri

    if trials < 1:
        raise ValueError(f"best_of_noise: {trials} trials; expected at least 1, the one that was run")
    if trials == 1:
        return 0.0
    weights = np.array([1.0 - np.euler_gamma, np.euler_gamma])
    highest = ndtri(1.0 - np.array([1.0, 1.0 / math.e]) / trials)
    return float(math.sqrt(variance) * (weights @ highest))


def deflated_sharpe(returns: FloatArray, trials: float, variance: float) -> float:
    """Probability that the true Sharpe ratio is above what the best of so many worthless trials would show.

    Parameters
    ----------
    returns : (n_bars,) float64
        Of the chosen strategy.
    trials : float
        Configurations that were tried, all of them.
    variance : float
        Variance of the trials' Sharpe ratios *per bar*.

    References
    ----------
    Bailey and López de Prado (2014), The deflated Sharpe ratio, Journal of Portfolio Management 40, equation 2.
    """
    return probabilistic_sharpe(returns, best_of_noise(variance, trials))


def superior_predictive_ability(gaps: FloatArray, seed: int = 0) -> float:
    """P-value of "none of these beats the benchmark", however many were tried.

    Parameters
    ----------
    gaps : (n_days, m) float64
        Return of each variant less the benchmark's, day by day.

    Returns
    -------
    float
        NaN below 100 days; 1.0 where no variant differs from the benchmark.

    References
    ----------
    Hansen (2005), A test for superior predictive ability, JBES 23: the consistent p-value, by the library ``arch``.
    """
    from arch.bootstrap import SPA

    scaled, _ = _comparable(gaps)
    if len(gaps) < LEAST_DAYS:
        return math.nan
    if not scaled.shape[1]:
        return 1.0
    return float(_computed(SPA, scaled, seed).pvalues["consistent"])


def step_m(gaps: FloatArray, seed: int = 0) -> tuple[int, ...]:
    """Columns that beat the benchmark, with a chance of 5 % that any of them does not.

    Parameters
    ----------
    gaps : (n_days, m) float64
        Return of each variant less the benchmark's, day by day. Fewer than 100 days name none.

    References
    ----------
    Romano and Wolf (2005), Stepwise multiple testing as formalized data snooping, Econometrica 73, by ``arch``.
    """
    from arch.bootstrap import StepM

    scaled, columns = _comparable(gaps)
    if len(gaps) < LEAST_DAYS or not len(columns):
        return ()
    superior = _computed(partial(StepM, size=0.05), scaled, seed).superior_models
    return tuple(int(it) for it in columns[np.array(superior, dtype=np.intp)])


def _comparable(gaps: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Columns that move at all, each over its deviation, and their numbers.

    A variant of twice the size has twice the gap on every day: unscaled, the wildest one would decide the maximum.
    """
    deviation = gaps.std(axis=0)
    moving = np.flatnonzero(deviation > _NOISE * np.abs(gaps.mean(axis=0)))
    return gaps[:, moving] / deviation[moving], moving


def _computed(make: Callable[..., Any], scaled: FloatArray, seed: int) -> Any:
    """Compute a test of ``arch`` on losses, less than 0 where a variant beats the benchmark."""
    test = make(
        np.zeros(len(scaled)),
        -scaled,
        block_size=block_length(len(scaled)),
        reps=REPETITIONS,
        bootstrap="circular",
        nested=True,  # each column's spread by its own resamples: the closed form passes over all columns for each lag
        seed=np.random.default_rng(seed),
    )
    test.compute()
    return test


def backtest_overfitting(returns: FloatArray, blocks: int = 16) -> float:
    """Share of ways to halve the days in which the best point of one half is below the median of the other: PBO.

    Combinatorially symmetric cross-validation: days are cut into ``blocks`` of consecutive ones, and every choice of
    half of the blocks (12,870 of 16) selects the point with the best Sharpe ratio, which is ranked on the other half.

    Parameters
    ----------
    returns : (n_days, n_points) float64
        Of every point of a sweep, on the same days.

    Returns
    -------
    float
        About 0.5 where points differ by luck only, near 0 where one is truly better. NaN for fewer than two points,
        fewer than 100 days, or points that all did the same.

    References
    ----------
    Bailey, Borwein, López de Prado and Zhu (2017), The probability of backtest overfitting, Journal of Computational
    Finance 20.
    """
    n_days, n_points = returns.shape
    if blocks < 2 or blocks % 2:
        raise ValueError(f"backtest_overfitting: {blocks} blocks; expected an even number, 2 or more")
    if n_points < 2 or n_days < max(LEAST_DAYS, 2 * blocks) or not np.ptp(returns, axis=1).any():
        return math.nan
    chosen = _halves(blocks)
    parts = np.array_split(chosen, math.ceil(chosen.shape[0] * n_points / _CELLS))
    return float(np.mean(np.concatenate([_ranks_of_the_best(returns, it, blocks) for it in parts]) <= 0.5))


def _ranks_of_the_best(returns: FloatArray, chosen: FloatArray, blocks: int) -> FloatArray:
    """Rank (n_choices,) on the other blocks of the point that is best on the chosen ones: near 1 the best there too."""
    inside, outside = (_sharpes(returns, it, blocks) for it in (chosen, 1.0 - chosen))
    reached = np.take_along_axis(outside, np.argmax(inside, axis=1)[:, None], axis=1)
    below = np.count_nonzero(outside < reached, axis=1)
    equal = np.count_nonzero(outside == reached, axis=1)  # itself included
    return np.asarray((below + 0.5 * (equal + 1)) / (returns.shape[1] + 1))


def _halves(blocks: int) -> FloatArray:
    """Every choice of half of the blocks as 0 and 1 (n_choices, blocks)."""
    picks = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(picks), blocks))
    np.put_along_axis(chosen, picks, 1.0, axis=1)
    return chosen


def _sharpes(returns: FloatArray, chosen: FloatArray, blocks: int) -> FloatArray:
    """Sharpe ratio (n_choices, n_points) on the chosen blocks; 0 for a point that does not move there."""
    centre = returns.mean(axis=0)  # sums of squares about it, lest a small deviation drown in a large mean
    parts = np.array_split(returns - centre, blocks)
    count = (chosen @ np.array([len(it) for it in parts]))[:, None]
    mean = chosen @ np.array([it.sum(axis=0) for it in parts]) / count
    spread = chosen @ np.array([(it**2).sum(axis=0) for it in parts]) / count - mean**2
    deviation = np.sqrt(np.maximum(spread, 0.0))
    moving = deviation > 1e-7 * np.abs(mean + centre)
    return np.asarray(np.divide(mean + centre, deviation, out=np.zeros_like(mean), where=moving))


def holm(p_values: Sequence[float] | FloatArray) -> FloatArray:
    """P-values (m,) adjusted for m comparisons: the chance of any false discovery below 0.05 stays below 5 %.

    An unknown one (NaN) stays unknown and is not counted.

    References
    ----------
    Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    """
    given = np.asarray(p_values, dtype=np.float64)
    finite = np.flatnonzero(np.isfinite(given))
    order = finite[np.argsort(given[finite], kind="stable")]
    adjusted = np.full(len(given), np.nan)
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(given[order] * factors))
    return adjusted
