"""Trailing-window arithmetic on arrays of bars: what factor formulas are made of.

Every function takes (n_bars,) or (n_bars, n_symbols) float64 and returns the same shape, NaN until its window is full;
the bits of a column do not depend on the columns beside it. A window is added up lag by lag, one vector operation a
lag, and never by updating a running sum: the value at t then has the same bits whatever comes after t, and carries no
rounding from before its window. Cost is n x length, which numpy does at the speed of the cache if the array fits in it.

Prices that agree to nine digits are taken as equal (``TIE``): a branch of a formula must not hang on the last bit of
a mean, or multiplying all prices by a constant would flip it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from ragsignal.types import BoolArray, FloatArray

TIE = 1e-9
"""Relative difference up to which two numbers count as equal."""


def delay(values: FloatArray, bars: int) -> FloatArray:
    """Give each bar the value of ``bars`` bars ago."""
    out = np.full(values.shape, np.nan)
    out[bars:] = values[:-bars]
    return out


def delta(values: FloatArray, bars: int) -> FloatArray:
    """Change over ``bars`` bars."""
    return values - delay(values, bars)


def mean(values: FloatArray, length: int) -> FloatArray:
    """Arithmetic mean of the last ``length`` values."""
    return _align(_sum(values, length) / length, len(values))


def std(values: FloatArray, length: int) -> FloatArray:
    """Sample standard deviation (divisor ``length - 1``, the pandas default that the published code used)."""
    center = _sum(values, length) / length
    squares, gap = np.zeros_like(center), np.empty_like(center)
    for lag in _lags(values, length):
        np.subtract(lag, center, out=gap)
        squares += np.square(gap, out=gap)
    return _align(np.sqrt(squares / (length - 1)), len(values))


def lowest(values: FloatArray, length: int) -> FloatArray:
    """Minimum of the last ``length`` values."""
    out = _now(values, length).copy()
    for lag in _lags(values, length):
        np.minimum(out, lag, out=out)
    return _align(out, len(values))


def highest(values: FloatArray, length: int) -> FloatArray:
    """Maximum of the last ``length`` values."""
    return -lowest(-values, length)


def rank(values: FloatArray, length: int) -> FloatArray:
    """Rank of the present value among the last ``length``, in (0, 1]; ties share the middle rank.

    Values are expected to be of order one: the tie tolerance is absolute here.
    """
    now = _now(values, length)
    limit, gap, true = now - TIE, np.empty_like(now), np.empty(now.shape, dtype=bool)
    below, equal = (np.zeros(now.shape, dtype=np.min_scalar_type(length)) for _ in range(2))  # bytes: less to move
    for lag in _lags(values, length):
        below += np.less(lag, limit, out=true)
        np.abs(np.subtract(lag, now, out=gap), out=gap)
        equal += np.less_equal(gap, TIE, out=true)
    out = (below + (equal.astype(np.float64) + 1) / 2) / length
    return _align(mask_missing(out, _sum(values, length)), len(values))


def zscore(values: FloatArray, length: int) -> FloatArray:
    """Distance of the present value from the mean of the last ``length``, in standard deviations; 0 if all are equal.

    Values are expected to be of order one: the tie tolerance is absolute here.
    """
    spread = std(values, length)
    return ratio(values - mean(values, length), spread, flat=spread <= TIE)


def correlation(left: FloatArray, right: FloatArray, length: int) -> FloatArray:
    """Pearson correlation of the last ``length`` pairs; 0 if either side does not move."""
    left_sum, right_sum = _sum(left, length), _sum(right, length)
    left_center, right_center = left_sum / length, right_sum / length
    xx, yy, xy = (np.zeros_like(left_center) for _ in range(3))
    x, y, product = (np.empty_like(left_center) for _ in range(3))
    for left_lag, right_lag in zip(_lags(left, length), _lags(right, length), strict=True):
        np.subtract(left_lag, left_center, out=x)
        np.subtract(right_lag, right_center, out=y)
        xy += np.multiply(x, y, out=product)
        xx += np.square(x, out=x)
        yy += np.square(y, out=y)
    # A side is flat where its standard deviation is at most TIE x its mean size.
    left_size, right_size = (
        _sum(np.abs(one), length) if (one < 0).any() else total for one, total in ((left, left_sum), (right, right_sum))
    )
    flat = (xx * length <= (TIE * left_size) ** 2) | (yy * length <= (TIE * right_size) ** 2)
    return _align(np.clip(ratio(xy, np.sqrt(xx) * np.sqrt(yy), flat), -1.0, 1.0), len(left))


def ema(values: FloatArray, weight: float) -> FloatArray:
    """Exponential mean, ``y += weight * (x - y)``, started at the first known value.

    pandas' ``ewm(alpha=weight, adjust=False).mean()``, in the form that leaves a constant series exactly constant.
    """
    # Leading NaN only: a later one must not move what came before.
    first = np.isnan(values).cumprod(axis=0).sum(axis=0)
    if values.ndim == 1:  # plain floats: numpy would take ten times as long a number
        smooth = list(accumulate(values[int(first) :].tolist(), lambda y, x: y + weight * (x - y)))
        return _align(np.array(smooth, dtype=np.float64), len(values))
    out, step = values.copy(), np.empty(values.shape[1:])
    latest = int(first[first < len(values)].max(initial=0))
    rows = list(out)
    for bar in range(1, len(rows)):  # bar by bar, but all symbols at once; scipy's lfilter has other bits
        np.subtract(rows[bar], rows[bar - 1], out=step)
        np.multiply(weight, step, out=step)
        begun = True if bar > latest else first < bar
        np.add(rows[bar - 1], step, out=rows[bar], where=begun)
    return out


def side(difference: FloatArray, unit: FloatArray | float = 1.0) -> FloatArray:
    """Sign of ``difference``: -1, 0 or 1, and 0 within ``TIE * unit``; NaN stays NaN."""
    return np.where(np.abs(difference) <= TIE * unit, 0.0, np.sign(difference))


def ratio(numerator: FloatArray, denominator: FloatArray, flat: BoolArray, at_flat: float = 0.0) -> FloatArray:
    """``numerator / denominator``; ``at_flat`` where ``flat`` (nothing to divide by); NaN if either is NaN."""
    out = np.full(numerator.shape, at_flat)
    np.divide(numerator, denominator, out=out, where=~flat)
    return mask_missing(out, numerator, denominator)


def mask_missing(values: FloatArray, *needed: FloatArray) -> FloatArray:
    """Put NaN into ``values`` wherever one of ``needed`` is NaN (comparisons turn NaN into False and lose it)."""
    missing = np.zeros(values.shape, dtype=bool)
    for other in needed:
        missing |= np.isnan(other)
    return np.where(missing, np.nan, values)


def _lags(values: FloatArray, length: int) -> Iterator[FloatArray]:
    """Give views on ``values`` such that row i of all of them together is the i-th full window."""
    windows = max(len(values) - length + 1, 0)
    for offset in range(length):
        yield values[offset : offset + windows]


def _now(values: FloatArray, length: int) -> FloatArray:
    return values[length - 1 :]


def _sum(values: FloatArray, length: int) -> FloatArray:
    out = np.zeros((max(len(values) - length + 1, 0), *values.shape[1:]))
    for lag in _lags(values, length):
        out += lag
    return out


def _align(windows: FloatArray, bars: int) -> FloatArray:
    """Put results of full windows at the end of ``bars`` bars, NaN before."""
    out = np.full((bars, *windows.shape[1:]), np.nan)
    out[bars - len(windows) :] = windows
    return out
