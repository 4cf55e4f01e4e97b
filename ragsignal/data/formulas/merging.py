"""Sums, extremes and moments of trailing windows, put together from those of halves.

The window of 2n bars is two windows of n bars next to each other, so a window of any length takes some log2(length)
vector operations in place of one a bar. What is put together, and in which order, depends on the length alone: the
value of a day has the same bits whatever comes after it, and whatever came before its window. Moments are those about
the mean of the window, joined as Chan, Golub and LeVeque (1983) and Pebay (2008) give it: nothing large is subtracted
from something large, and a window of equal values has exactly no variance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ragsignal.data.rolling import TIE
from ragsignal.types import BoolArray, FloatArray

State = tuple[FloatArray, ...]
"""What is known of windows: arrays with one row a window, named by its first bar."""
Join = Callable[[State, State, int, int], State]
"""Of windows of ``n`` bars and windows of ``m`` bars right after them: what is known of both together."""


def merged(state: State, join: Join, length: int) -> State:
    """What is known of all windows of ``length`` bars, aligned to the end of each; NaN before the first full one.

    Parameters
    ----------
    state : tuple of array of shape (n_bars, n_symbols)
        Of single bars.
    join : callable
    length : int
    """
    bars = len(state[0])
    if length > bars:
        return tuple(np.full(each.shape, np.nan) for each in state)
    done, covered, width = state, 0, 1
    while True:
        if length & width:
            rows = bars - covered - width + 1
            later = tuple(each[covered : covered + rows] for each in state)
            done = join(tuple(each[:rows] for each in done), later, covered, width) if covered else later
            covered += width
        if covered == length:
            return tuple(_aligned(each, bars) for each in done)
        state = join(tuple(each[:-width] for each in state), tuple(each[width:] for each in state), width, width)
        width *= 2


def _aligned(windows: FloatArray, bars: int) -> FloatArray:
    out = np.full((bars, *windows.shape[1:]), np.nan)
    out[bars - len(windows) :] = windows
    np.copyto(out, np.nan, where=np.isinf(out))  # too large a sum is none, and nothing is measured by it
    return out


def total(values: FloatArray, length: int) -> FloatArray:
    """Sum of the last ``length`` values."""
    return merged((values,), lambda old, new, _n, _m: (old[0] + new[0],), length)[0]


def product(values: FloatArray, length: int) -> FloatArray:
    """Product of the last ``length`` values."""
    return merged((values,), lambda old, new, _n, _m: (old[0] * new[0],), length)[0]


def lowest(values: FloatArray, length: int) -> FloatArray:
    """Minimum of the last ``length`` values."""
    return merged((values,), lambda old, new, _n, _m: (np.minimum(old[0], new[0]),), length)[0]


def highest(values: FloatArray, length: int) -> FloatArray:
    """Maximum of the last ``length`` values."""
    return merged((values,), lambda old, new, _n, _m: (np.maximum(old[0], new[0]),), length)[0]


def since(truth: FloatArray, length: int) -> FloatArray:
    """Bars since the condition was last true; ``length`` if it was not in the last ``length`` bars."""

    def join(old: State, new: State, _n: int, m: int) -> State:
        return (np.where(new[0] < m, new[0], m + old[0]),)

    found = merged((np.where(truth > 0, 0.0, 1.0),), join, length)[0]
    return np.where(np.isnan(total(truth, length)), np.nan, found)


def decayed(values: FloatArray, length: int) -> FloatArray:
    """Mean with weights 1 for the oldest of the last ``length`` values, 2, ... and ``length`` for the present one."""

    def join(old: State, new: State, n: int, _m: int) -> State:
        return old[0] + new[0] + n * new[1], old[1] + new[1]

    return merged((values, values), join, length)[0] / (length * (length + 1) / 2)


def decayed_exp(values: FloatArray, length: int) -> FloatArray:
    """Mean with weights that shrink by ``1 - 2 / (length + 1)`` a bar into the past, of the last ``length`` values."""
    shrink = 1 - 2 / (length + 1)
    weights = float(np.sum(shrink ** np.arange(length)))
    return merged((values,), lambda old, new, _n, m: (new[0] + shrink**m * old[0],), length)[0] / weights


def moments(values: FloatArray, length: int) -> tuple[FloatArray, FloatArray]:
    """Mean of the last ``length`` values, and the sum of squares of their distances from it."""

    def join(old: State, new: State, n: int, m: int) -> State:
        gap = new[0] - old[0]
        return old[0] + gap * (m / (n + m)), old[1] + new[1] + gap * gap * (n * m / (n + m))

    mean, squares = merged((values, np.zeros_like(values)), join, length)
    return mean, squares


def moments_of_four(values: FloatArray, length: int) -> State:
    """Mean of the last ``length`` values, and sums of the second, third and fourth powers of distances from it."""

    def join(old: State, new: State, n: int, m: int) -> State:
        both, gap = n + m, new[0] - old[0]
        square = gap * gap
        second = old[1] + new[1] + square * (n * m / both)
        third = old[2] + new[2] + square * gap * (n * m * (n - m) / both**2)
        third += gap * (3 / both) * (n * new[1] - m * old[1])
        fourth = old[3] + new[3] + square * square * (n * m * (n * n - n * m + m * m) / both**3)
        fourth += square * (6 / both**2) * (n * n * new[1] + m * m * old[1])
        fourth += gap * (4 / both) * (n * new[2] - m * old[2])
        return old[0] + gap * (m / both), second, third, fourth

    none = np.zeros_like(values)
    return merged((values, none, none, none), join, length)


def comoments(left: FloatArray, right: FloatArray, length: int) -> State:
    """Two means over the last ``length`` bars, the sums of squares of distances from them, and of their products."""

    def join(old: State, new: State, n: int, m: int) -> State:
        x, y, size = new[0] - old[0], new[1] - old[1], n * m / (n + m)
        later = m / (n + m)
        means = old[0] + x * later, old[1] + y * later
        x *= size
        xx, yy, xy = x * (new[0] - old[0]), y * y * size, x * y
        return (*means, old[2] + new[2] + xx, old[3] + new[3] + yy, old[4] + new[4] + xy)

    none = np.zeros(np.broadcast_shapes(left.shape, right.shape))
    return merged((left, right, none, none, none), join, length)


def trend(values: FloatArray, length: int) -> FloatArray:
    """Slope of the line through the last ``length`` values, a bar; 0 where the values do not go with the time."""

    def join(old: State, new: State, n: int, m: int) -> State:
        gap = new[0] - old[0]
        # the middles of the two windows lie (n + m) / 2 bars apart
        rises = old[2] + new[2] + gap * (n * m / 2)
        return old[0] + gap * (m / (n + m)), old[1] + new[1] + gap * gap * (n * m / (n + m)), rises

    none, times = np.zeros_like(values), length * (length * length - 1) / 12
    _, squares, rises = merged((values, none, none), join, length)
    return np.where(np.abs(rises) <= TIE * np.sqrt(squares * times), 0.0, rises / times)


def flat(mean: FloatArray, squares: FloatArray, length: int) -> BoolArray:
    """Whether a window's standard deviation is at most ``TIE`` times its mean: its values agree to nine digits."""
    return np.asarray(squares <= length * np.square(TIE * mean))
