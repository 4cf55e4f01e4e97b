"""Operators of a symbol's own past. NaN until the window is full, and where a value of it is missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import ragsignal.data.formulas.merging as merging
import ragsignal.data.rolling as rolling
from ragsignal.data.formulas.formula import Kind
from ragsignal.data.formulas.registry import Operator, register
from ragsignal.data.formulas.ties import difference
from ragsignal.data.rolling import TIE
from ragsignal.types import FloatArray

_S, _T, _W, _N = Kind.SERIES, Kind.TRUTH, Kind.WINDOW, Kind.NUMBER
_BLOCK = 1 << 17  # values of windows that are sorted at once: 1 MB, which stays in the cache


def _delta(values: FloatArray, bars: int) -> FloatArray:
    return difference(values, rolling.delay(values, bars))


def _mean(values: FloatArray, length: int) -> FloatArray:
    return merging.total(values, length) / length


def _variance(values: FloatArray, length: int) -> FloatArray:
    mean, squares = merging.moments(values, length)
    return np.where(merging.flat(mean, squares, length), 0.0, squares / (length - 1))


def _std(values: FloatArray, length: int) -> FloatArray:
    return np.sqrt(_variance(values, length))


def _zscore(values: FloatArray, length: int) -> FloatArray:
    mean, squares = merging.moments(values, length)
    flat = merging.flat(mean, squares, length)
    return rolling.ratio(difference(values, mean), np.sqrt(squares / (length - 1)), flat)


def _correlation(left: FloatArray, right: FloatArray, length: int) -> FloatArray:
    x, y, xx, yy, xy = merging.comoments(left, right, length)
    flat = merging.flat(x, xx, length) | merging.flat(y, yy, length)
    found = np.clip(rolling.ratio(xy, np.sqrt(xx) * np.sqrt(yy), flat), -1.0, 1.0)
    return np.where(np.abs(found) <= TIE, 0.0, found)


def _covariance(left: FloatArray, right: FloatArray, length: int) -> FloatArray:
    _, _, xx, yy, xy = merging.comoments(left, right, length)
    return np.where(np.abs(xy) <= TIE * np.sqrt(xx) * np.sqrt(yy), 0.0, xy / (length - 1))


def _residual(left: FloatArray, right: FloatArray, length: int) -> FloatArray:
    y, x, _, xx, xy = merging.comoments(left, right, length)
    slope = rolling.ratio(xy, xx, merging.flat(x, xx, length))
    return difference(left, y + slope * (right - x))


def _skew(values: FloatArray, length: int) -> FloatArray:
    mean, second, third, _ = merging.moments_of_four(values, length)
    spread = np.sqrt(second / (length - 1))
    factor = length / ((length - 1) * (length - 2))
    return rolling.ratio(factor * third, spread * spread * spread, merging.flat(mean, second, length))


def _kurtosis(values: FloatArray, length: int) -> FloatArray:
    n = length
    mean, second, _, fourth = merging.moments_of_four(values, length)
    variance = second / (n - 1)
    factor = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3))
    normal = 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    return rolling.ratio(factor * fourth, variance * variance, merging.flat(mean, second, n), normal) - normal


def _rank(values: FloatArray, length: int) -> FloatArray:
    """Rank of the present value among the last ``length``, in (0, 1]; ties share the mean rank."""
    now = values[length - 1 :]
    width = TIE * np.abs(now)
    low, high, true = now - width, now + width, np.empty(now.shape, dtype=bool)
    below, within = (np.zeros(now.shape, dtype=np.min_scalar_type(length)) for _ in range(2))
    for _, lag in _lags(values, length):
        below += np.less(lag, low, out=true)
        within += np.less_equal(lag, high, out=true)
    ranks = (below.astype(np.float64) + within + 1.0) / (2.0 * length)
    return rolling.mask_missing(_aligned(ranks, len(values)), merging.total(values, length))


def _bars_since_highest(values: FloatArray, length: int) -> FloatArray:
    """Of several that agree to nine digits the oldest, as numpy's ``argmax`` and the published code."""
    highest = merging.highest(values, length)
    limit = (highest - TIE * np.abs(highest))[length - 1 :]
    ages = np.zeros(limit.shape)
    for age, lag in reversed([*_lags(values, length)]):
        np.copyto(ages, age, where=lag >= limit)
    return rolling.mask_missing(_aligned(ages, len(values)), highest)


def _lags(values: FloatArray, length: int) -> Iterator[tuple[int, FloatArray]]:
    """The last ``length`` values of all full windows, oldest first, with how many bars ago they are."""
    windows = max(len(values) - length + 1, 0)
    for offset in range(length):
        yield length - 1 - offset, values[offset : offset + windows]


def _aligned(windows: FloatArray, bars: int) -> FloatArray:
    out = np.full((bars, *windows.shape[1:]), np.nan)
    out[bars - len(windows) :] = windows
    return out


def _quantile(values: FloatArray, length: int, share: float) -> FloatArray:
    """Quantile of the last ``length`` values, between two of them on the line that joins them."""
    if not 0 <= share <= 1:
        return np.full(values.shape, np.nan)
    out = np.full(values.shape, np.nan)
    place = share * (length - 1)
    low, high = int(np.floor(place)), int(np.ceil(place))
    rows = max(1, _BLOCK // (length * max(1, values.shape[1])))
    for start in range(0, len(values) - length + 1, rows):
        windows = np.lib.stride_tricks.sliding_window_view(values[start : start + rows + length - 1], length, axis=0)
        ordered = np.sort(windows, axis=2)
        below, above = ordered[..., low], ordered[..., high]
        found = below + (above - below) * (place - low)
        out[start + length - 1 : start + length - 1 + len(found)] = np.where(np.isnan(ordered[..., -1]), np.nan, found)
    return out


def _median(values: FloatArray, length: int) -> FloatArray:
    return _quantile(values, length, 0.5)


def _within(values: FloatArray, length: int) -> FloatArray:
    lowest, highest = merging.lowest(values, length), merging.highest(values, length)
    span = difference(highest, lowest)
    return rolling.ratio(values - lowest, span, span == 0, 0.5)


def _returns(values: FloatArray, bars: int) -> FloatArray:
    before = rolling.delay(values, bars)
    return difference(values, before) / before


def _below_highest(values: FloatArray, length: int) -> FloatArray:
    return difference(values, merging.highest(values, length))


def _lag(windows: tuple[int, ...]) -> int:
    return windows[0]


register(
    Operator("ts_delay", (_S, _W), _S, rolling.delay, "time", "{0} of {1} bars ago", memory=_lag),
    Operator("ts_delta", (_S, _W), _S, _delta, "time", "change of {0} over {1} bars", memory=_lag),
    Operator("ts_returns", (_S, _W), _S, _returns, "time", "relative change of {0} over {1} bars", memory=_lag),
    Operator("ts_mean", (_S, _W), _S, _mean, "time", "mean of {0} over {1} bars"),
    Operator("ts_sum", (_S, _W), _S, merging.total, "time", "sum of {0} over {1} bars"),
    Operator("ts_product", (_S, _W), _S, merging.product, "time", "product of {0} over {1} bars"),
    Operator("ts_std", (_S, _W), _S, _std, "time", "standard deviation of {0} over {1} bars", shortest=2),
    Operator("ts_var", (_S, _W), _S, _variance, "time", "variance of {0} over {1} bars", shortest=2),
    Operator("ts_skew", (_S, _W), _S, _skew, "time", "skewness of {0} over {1} bars", shortest=3),
    Operator("ts_kurt", (_S, _W), _S, _kurtosis, "time", "excess kurtosis of {0} over {1} bars", shortest=4),
    Operator("ts_min", (_S, _W), _S, merging.lowest, "time", "lowest of {0} over {1} bars"),
    Operator("ts_max", (_S, _W), _S, merging.highest, "time", "highest of {0} over {1} bars"),
    Operator("ts_max_diff", (_S, _W), _S, _below_highest, "time", "{0} less its highest over {1} bars"),
    Operator(
        "ts_argmin",
        (_S, _W),
        _S,
        lambda values, length: _bars_since_highest(-values, length),
        "time",
        "bars since {0} was lowest in {1} bars",
    ),
    Operator("ts_argmax", (_S, _W), _S, _bars_since_highest, "time", "bars since {0} was highest in {1} bars"),
    Operator("ts_median", (_S, _W), _S, _median, "time", "median of {0} over {1} bars"),
    Operator(
        "ts_quantile",
        (_S, _W, _N),
        _S,
        _quantile,
        "time",
        "quantile of {0} over {1} bars, at {2} of the way from the lowest to the highest",
        numbers=(0.0, 1.0),
    ),
    Operator("ts_rank", (_S, _W), _S, _rank, "time", "rank of {0} among its last {1} bars"),
    Operator(
        "ts_zscore", (_S, _W), _S, _zscore, "time", "standard deviations of {0} from its mean over {1} bars", shortest=2
    ),
    Operator(
        "ts_scale", (_S, _W), _S, _within, "time", "place of {0} between its lowest and highest of {1} bars, 0 to 1"
    ),
    Operator("ts_corr", (_S, _S, _W), _S, _correlation, "time", "correlation of {0} and {1} over {2} bars", shortest=2),
    Operator("ts_cov", (_S, _S, _W), _S, _covariance, "time", "covariance of {0} and {1} over {2} bars", shortest=2),
    Operator(
        "ts_residual",
        (_S, _S, _W),
        _S,
        _residual,
        "time",
        "what is left of {0} after a line on {1} through {2} bars",
        shortest=2,
    ),
    Operator(
        "ts_slope", (_S, _W), _S, merging.trend, "time", "slope of a line through {0} over {1} bars, a bar", shortest=2
    ),
    Operator(
        "ts_decay_linear",
        (_S, _W),
        _S,
        merging.decayed,
        "time",
        "mean of {0} over {1} bars with weights that fall evenly",
    ),
    Operator(
        "ts_decay_exp",
        (_S, _W),
        _S,
        merging.decayed_exp,
        "time",
        "mean of {0} over {1} bars with weights that fall by the same share a bar",
    ),
    Operator("ts_count", (_T, _W), _S, merging.total, "time", "number of bars of {1} on which {0}"),
    Operator("ts_since", (_T, _W), _S, merging.since, "time", "bars since {0}, {1} if not in {1} bars"),
)
