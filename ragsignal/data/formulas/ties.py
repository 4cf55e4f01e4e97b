"""Numbers that agree to nine digits are equal: differences, and ranks among the stocks of a day or of a group.

Where a rank, a sign or a branch hangs on the last bit of a number, multiplying all prices by a constant would flip it.
So the difference of two numbers that agree to :data:`~ragsignal.data.rolling.TIE` of their size is exactly 0, and
neighbours in the order of a day that agree so far share their rank, or that differ by no more than the rounding of what
is usual on the day.
"""

from __future__ import annotations

import numpy as np

from ragsignal.data.rolling import TIE
from ragsignal.types import BoolArray, FloatArray, IntArray

ROUNDING = 1e-13
"""What sums that should be 0 are off by, as a share of what is usual among what they are ranked with."""


def difference(left: FloatArray, right: FloatArray) -> FloatArray:
    """``left - right``, and exactly 0 where they agree to nine digits."""
    return _settled(np.subtract(left, right), left, right)


def summed(left: FloatArray, right: FloatArray) -> FloatArray:
    """``left + right``, and exactly 0 where they cancel to nine digits."""
    return _settled(np.add(left, right), left, right)


def _settled(out: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    size = np.maximum(np.abs(left), np.abs(right))
    return np.where(np.abs(out) <= TIE * size, 0.0, out)


def day_ranks(values: FloatArray) -> FloatArray:
    """Rank among the symbols of the day that have a value, 1 for the lowest; ties share the mean rank."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    return _placed(_tied_ranks(_apart(ordered)) + 1.0, order, values)


def group_ranks(values: FloatArray, codes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Rank among the symbols of the same group and day that have a value, and how many these are.

    Parameters
    ----------
    values : array of shape (n_days, n_symbols)
    codes : array of the same shape, of whole numbers
        Where there is no value, one that no group has.
    """
    order = np.argsort(values, axis=1)
    by_code = np.argsort(np.take_along_axis(codes, order, axis=1), axis=1, kind="stable")
    order = np.take_along_axis(order, by_code, axis=1)
    ordered, code = np.take_along_axis(values, order, axis=1), np.take_along_axis(codes, order, axis=1)
    begins = np.ones(codes.shape, dtype=bool)
    begins[:, 1:] = code[:, 1:] != code[:, :-1]
    first, last = _ends(begins)
    ranks = _tied_ranks(begins | _apart(ordered)) - first + 1.0
    return _placed(ranks, order, values), _placed((last - first + 1).astype(np.float64), order, values)


def _apart(ordered: FloatArray) -> BoolArray:
    """Which values, in their order, do not agree with the one before; those that are missing agree with none."""
    apart = np.ones(ordered.shape, dtype=bool)
    before, after = ordered[:, :-1], ordered[:, 1:]
    size = np.maximum(np.abs(before), np.abs(after))
    apart[:, 1:] = ~(after - before <= np.maximum(TIE * size, ROUNDING * _usual(ordered)))
    return apart


def _usual(ordered: FloatArray) -> FloatArray:
    """The size of what is usual on each day: the larger of its lower and upper tenth, so that no outlier moves it."""
    known = np.sum(~np.isnan(ordered), axis=1, keepdims=True)
    place = np.minimum(np.maximum(known // 10, 1), np.maximum(known - 1, 0))
    places = np.concatenate([place, np.maximum(known - 1 - place, 0)], axis=1)
    tenths = np.take_along_axis(ordered, places, axis=1)
    return np.asarray(np.fmax.reduce(np.abs(tenths), axis=1, keepdims=True, initial=0.0))


def _ends(begins: BoolArray) -> tuple[IntArray, IntArray]:
    """Of each place, the first and the last place of its run."""
    places = np.arange(begins.shape[1])
    ends = np.ones(begins.shape, dtype=bool)
    ends[:, :-1] = begins[:, 1:]
    first = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, places, begins.shape[1] - 1)[:, ::-1], axis=1)[:, ::-1]
    return first, last


def _tied_ranks(begins: BoolArray) -> FloatArray:
    """Mean place of each run, from 0."""
    if begins.all():
        return np.broadcast_to(np.arange(begins.shape[1], dtype=np.float64), begins.shape)
    first, last = _ends(begins)
    return np.asarray((first + last) / 2)


def _placed(ordered: FloatArray, order: IntArray, values: FloatArray) -> FloatArray:
    """Put back from the order of the day to the symbols; NaN where there is no value."""
    out = np.empty(values.shape)
    np.put_along_axis(out, order, ordered, axis=1)
    out[np.isnan(values)] = np.nan
    return out
