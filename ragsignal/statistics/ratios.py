"""Sharpe ratios per bar, not annualised: how exact one is, and whether two differ.

Returns are fractions per bar, the risk-free rate is 0. A series that does not move has no Sharpe ratio (NaN).
"""

from __future__ import annotations

import math

import numpy as np

from ragsignal.statistics.intervals import LEAST_DAYS, LEVEL, Interval, unbounded
from ragsignal.types import FloatArray

REPETITIONS = 4999
_NOISE = 1e-10
_PARZEN_RATE = 2.6614  # Andrews (1991), Econometrica 59, equation 6.2


def sharpe(returns: FloatArray) -> float:
    """Mean over sample standard deviation, per bar; NaN for a series that does not move, or of one bar."""
    if len(returns) < 2:
        return math.nan
    deviation = float(np.std(returns, ddof=1))
    mean = float(np.mean(returns))
    return mean / deviation if deviation > _NOISE * abs(mean) else math.nan


def sharpe_a_year(returns: FloatArray, bars: int) -> float | None:
    """:func:`sharpe` times the root of the ``bars`` of a year; None where there is none."""
    ratio = sharpe(returns)
    return ratio * math.sqrt(bars) if math.isfinite(ratio) else None


def sharpe_error(returns: FloatArray) -> float:
    """Standard error of :func:`sharpe`, with the returns' own skew and kurtosis.

    It takes bars for independent: with autocorrelation the truth is wider (Lo 2002, section "Non-IID returns").

    References
    ----------
    Mertens (2002), Comments on variance of the IID estimator in Lo (2002); for normal returns it is that of Lo (2002),
    The statistics of Sharpe ratios, Financial Analysts Journal 58: ``sqrt((1 + sharpe**2 / 2) / n)``. Divided by
    ``n - 1`` as in Bailey and López de Prado (2012).
    """
    return sharpe_error_of(sharpe(returns), len(returns), *shape(returns))


def sharpe_error_of(ratio: float, n_bars: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
    """:func:`sharpe_error` from moments; ``kurtosis`` is 3 for the normal distribution."""
    if n_bars < 2:
        return math.nan
    return math.sqrt(max(_variance(ratio, skew, kurtosis), 0.0) / (n_bars - 1))


def _variance(ratio: float, skew: float, kurtosis: float) -> float:
    """Variance of a Sharpe ratio times the number of bars."""
    return 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2


def shape(returns: FloatArray) -> tuple[float, float]:
    """Skew and kurtosis (3 for the normal distribution) of a series; NaN for one that does not move."""
    if not len(returns):
        return math.nan, math.nan
    deviations = returns - np.mean(returns)
    spread = float(np.mean(deviations**2))
    if not spread > (_NOISE * float(np.mean(returns))) ** 2:
        return math.nan, math.nan
    standard = deviations / math.sqrt(spread)
    return float(np.mean(standard**3)), float(np.mean(standard**4))


def probabilistic_sharpe(returns: FloatArray, benchmark: float = 0.0) -> float:
    """Probability that the true Sharpe ratio exceeds ``benchmark``, both per bar; NaN for a series that does not move.

    References
    ----------
    Bailey and López de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15.
    """
    return probabilistic_sharpe_of(sharpe(returns), len(returns), *shape(returns), benchmark)


def probabilistic_sharpe_of(
    ratio: float, n_bars: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """:func:`probabilistic_sharpe` from moments."""
    from scipy.special import ndtr

    error = sharpe_error_of(ratio, n_bars, skew, kurtosis)
    return float(ndtr((ratio - benchmark) / error)) if error > 0.0 else math.nan


def minimum_track_record(returns: FloatArray, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Bars that a Sharpe ratio such as this needs before it is above ``benchmark`` with that confidence.

    Infinite for one that is not above it.

    References
    ----------
    Bailey and López de Prado (2012), The Sharpe ratio efficient frontier, Journal of Risk 15.
    """
    return minimum_track_record_of(sharpe(returns), *shape(returns), benchmark, confidence)


def minimum_track_record_of(
    ratio: float, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """:func:`minimum_track_record` from moments."""
    from scipy.special import ndtri

    if not ratio > benchmark:
        return math.nan if math.isnan(ratio) else math.inf
    return 1.0 + _variance(ratio, skew, kurtosis) * float(ndtri(confidence) / (ratio - benchmark)) ** 2


def sharpe_difference(left: FloatArray, right: FloatArray, seed: int = 0) -> Interval:
    """Sharpe ratio of ``left`` minus that of ``right``, per bar, on the same bars.

    Studentised circular block bootstrap: the difference over its standard error is compared with the same of resampled
    bars. The interval is symmetric, and its p-value is below 0.05 exactly where it leaves zero out.

    Parameters
    ----------
    left, right : (n_bars,) float64
        Returns of the same bars.

    Returns
    -------
    Interval
        NaN where one side does not move; infinite below 100 bars.

    References
    ----------
    Ledoit and Wolf (2008), Robust performance hypothesis testing with the Sharpe ratio, Journal of Empirical Finance
    15, section 3.2: standard error of the original with a Parzen kernel and the automatic bandwidth of Andrews (1991),
    here on the linearised difference, one series; that of a resample from its own blocks (Götze and Künsch 1996).
    """
    estimate = sharpe(left) - sharpe(right)
    if not np.isfinite(estimate) or len(left) < LEAST_DAYS:
        return unbounded(estimate)
    returns = np.column_stack([left, right])
    error = _long_run_error(_influence(returns))
    if error <= _NOISE:  # the same account, or one that holds the other's positions at another size
        return Interval(0.0, 0.0, 0.0, 1.0)
    distances = _studentised(returns, estimate, sharpe_block(len(left)), seed)
    rank = math.floor((1.0 - LEVEL) * (len(distances) + 1))
    reach = float(np.sort(distances)[-rank]) * error
    further = int(np.count_nonzero(distances >= abs(estimate) / error))
    return Interval(estimate, estimate - reach, estimate + reach, (further + 1) / (len(distances) + 1))


def sharpe_block(n_bars: int) -> int:
    """Bars in a block: 10 for 300 bars, 15 for 1,000, 22 for 3,000, as the cube root grows."""
    return max(1, round(1.5 * math.pow(n_bars, 1.0 / 3.0)))


def _influence(returns: FloatArray) -> FloatArray:
    """What each bar adds to the difference of the two Sharpe ratios, to first order (n_bars,)."""
    scaled = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    ratios = returns.mean(axis=0) / returns.std(axis=0)
    moves = scaled - 0.5 * ratios * (scaled**2 - 1.0)
    return np.asarray(moves[:, 0] - moves[:, 1])


def _long_run_error(series: FloatArray) -> float:
    """Standard error of the mean of a series that has mean zero: Parzen kernel, bandwidth of Andrews (1991)."""
    n = len(series)
    spread = float(series @ series)
    if spread <= n * _NOISE**2:
        return 0.0
    slope = min(max(float(series[1:] @ series[:-1]) / spread, -0.97), 0.97)
    bandwidth = _PARZEN_RATE * (4.0 * slope**2 / (1.0 - slope) ** 4 * n) ** 0.2
    variance = spread / n
    for lag in range(1, min(math.ceil(bandwidth), n)):
        variance += 2.0 * _parzen(lag / bandwidth) * float(series[lag:] @ series[:-lag]) / n
    return math.sqrt(variance / (n - 4))


def _parzen(x: float) -> float:
    return 1.0 - 6.0 * x**2 + 6.0 * x**3 if x <= 0.5 else 2.0 * (1.0 - x) ** 3


def _studentised(returns: FloatArray, estimate: float, block: int, seed: int) -> FloatArray:
    """Distances (repetitions,) of resampled differences from the original's, in their own standard errors."""
    sums = _block_sums(np.column_stack([returns, returns**2]), block)
    n_blocks = len(returns) // block
    starts = np.random.default_rng(seed).integers(0, len(returns), size=(REPETITIONS, n_blocks))
    blocks = sums[starts] / block  # (repetitions, n_blocks, 4): means of the blocks
    moments = blocks.mean(axis=1)
    # a resample without the only bars that moved has no ratio
    moved = (moments[:, 2:] - moments[:, :2] ** 2 > _NOISE * moments[:, 2:]).all(axis=1)
    blocks, moments = blocks[moved], moments[moved]
    mean, square = moments[:, :2], moments[:, 2:]
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-300))
    gradient = np.concatenate([square / deviation**3, -0.5 * mean / deviation**3], axis=1) * [1.0, -1.0, 1.0, -1.0]
    parts = np.einsum("rbm,rm->rb", blocks - moments[:, None, :], gradient)
    error = np.sqrt(np.mean(parts**2, axis=1) / n_blocks)
    ratios = mean / deviation * math.sqrt(1.0 - 1.0 / len(returns))  # as sharpe() has it, with n - 1
    return np.asarray(np.abs(ratios[:, 0] - ratios[:, 1] - estimate) / np.maximum(error, 1e-300))


def _block_sums(columns: FloatArray, block: int) -> FloatArray:
    """Sums (n, m) of the ``block`` rows from each row on; the first row follows the last."""
    running = np.cumsum(np.vstack([np.zeros(columns.shape[1]), columns, columns[: block - 1]]), axis=0)
    return np.asarray(running[block:] - running[:-block])
