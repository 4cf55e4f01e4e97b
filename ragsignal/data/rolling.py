"""Trailing-window arithmetic on one array: what factor formulas are made of.

Every function takes (n,) float64 and returns (n,) float64, NaN until its window is full. A window is added up lag by
lag, one vector operation a lag, and never by updating a running sum: the value at t then has the same bits whatever
comes after t, and carries no rounding from before its window. Cost is n x length, which numpy does at memory speed.

Prices that agree to nine digits are taken as equal (``TIE``): a branch of a formula must not hang on the last bit of
a mean, or multiplying all prices by a constant would flip it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

TIE = 1e-9
"""Relative difference up to which two numbers count as equal."""


def delay(values: FloatArray, bars: int) -> FloatArray:
    """Give each bar the value of ``bars`` bars ago."""
    out = np.full(len(values), np.nan)
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
    squares = np.zeros_like(center)
    for lag in _lags(values, length):
        squares += (lag - center) ** 2
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
    below, equal = np.zeros_like(now), np.zeros_like(now)
    for lag in _lags(values, length):
        below += lag < now - TIE
        equal += np.abs(lag - now) <= TIE
    out = (below + (equal + 1) / 2) / length
    return _align(known(out, _sum(values, length)), len(values))


def zscore(values: FloatArray, length: int) -> FloatArray:
    """Distance of the present value from the mean of the last ``length``, in standard deviations; 0 if all are equal.

    Values are expected to be of order one: the tie tolerance is absolute here.
    """
    spread = std(values, length)
    return ratio(values - mean(values, length), spread, flat=spread <= TIE)


def correlation(left: FloatArray, right: FloatArray, length: int) -> FloatArray:
    """Pearson correlation of the last ``length`` pairs; 0 if either side does not move."""
    left_center, right_center = _sum(left, length) / length, _sum(right, length) / length
    xx, yy, xy = np.zeros_like(left_center), np.zeros_like(left_center), np.zeros_like(left_center)
    for left_lag, right_lag in zip(_lags(left, length), _lags(right, length), strict=True):
        x, y = left_lag - left_center, right_lag - right_center
        xx += x * x
        yy += y * y
        xy += x * y
    # A side is flat where its standard deviation is at most TIE x its mean size.
    flat = (xx * length <= (TIE * _sum(np.abs(left), length)) ** 2) | (
        yy * length <= (TIE * _sum(np.abs(right), length)) ** 2
    )
    return _align(np.clip(ratio(xy, np.sqrt(xx) * np.sqrt(yy), flat), -1.0, 1.0), len(left))


def ema(values: FloatArray, weight: float) -> FloatArray:
    """Exponential mean, ``y += weight * (x - y)``, started at the first known value.

    pandas' ``ewm(alpha=weight, adjust=False).mean()``, in the form that leaves a constant series exactly constant.
    """
    first = int(np.isnan(values).cumprod().sum())  # leading NaN only: a later one must not move what came before
    smooth = list(accumulate(values[first:].tolist(), lambda y, x: y + weight * (x - y)))
    return _align(np.array(smooth, dtype=np.float64), len(values))


def side(difference: FloatArray, unit: FloatArray | float = 1.0) -> FloatArray:
    """Sign of ``difference``: -1, 0 or 1, and 0 within ``TIE * unit``; NaN stays NaN."""
    return np.where(np.abs(difference) <= TIE * unit, 0.0, np.sign(difference))


def ratio(numerator: FloatArray, denominator: FloatArray, flat: NDArray[np.bool_], at_flat: float = 0.0) -> FloatArray:
    """``numerator / denominator``; ``at_flat`` where ``flat`` (nothing to divide by); NaN if either is NaN."""
    out = np.full(len(numerator), at_flat)
    np.divide(numerator, denominator, out=out, where=~flat)
    return known(out, numerator, denominator)


def known(values: FloatArray, *needed: FloatArray) -> FloatArray:
    """``values`` with NaN wherever one of ``needed`` is NaN (comparisons turn NaN into False and lose it)."""
    missing = np.zeros(len(values), dtype=bool)
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
    out = np.zeros(max(len(values) - length + 1, 0))
    for lag in _lags(values, length):
        out += lag
    return out


def _align(windows: FloatArray, bars: int) -> FloatArray:
    """Put results of full windows at the end of ``bars`` bars, NaN before."""
    out = np.full(bars, np.nan)
    out[bars - len(windows) :] = windows
    return out
