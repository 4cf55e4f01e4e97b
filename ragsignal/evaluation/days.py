"""Order and ties among the symbols of one day, for all days at once: functions of flat arrays.

``day`` numbers the day of every entry, from 0; entries need no order. Ties are treated as if they were broken at random
very often: a forecast that says the same of all symbols of a day ranks none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ragsignal.types import FloatArray, IntArray

_EXPLAINED = 1e-6


@dataclass(frozen=True, eq=False)
class Places:
    """Where each entry stands among those of its day, lowest first.

    Parameters
    ----------
    low, high : (n,) float64
        Its group of equal values holds the places ``low`` to ``high - 1``, counted from 0.
    count : (n,) float64
        Entries of its day.
    """

    low: FloatArray
    high: FloatArray
    count: FloatArray

    @property
    def centred(self) -> FloatArray:
        """Mean place, less the mean place of the day."""
        return (self.low + self.high - self.count) / 2.0

    def share_of_lowest(self, size: FloatArray) -> FloatArray:
        """Chance (n,) of being among the ``size`` lowest of the day, ties broken at random."""
        return np.clip(size - self.low, 0.0, self.high - self.low) / (self.high - self.low)

    def share_of_highest(self, size: FloatArray) -> FloatArray:
        """Chance (n,) of being among the ``size`` highest of the day, ties broken at random."""
        return np.clip(self.high - (self.count - size), 0.0, self.high - self.low) / (self.high - self.low)


def places(values: FloatArray, day: IntArray) -> Places:
    """Rank ``values`` (n,) within their days."""
    order = _order(values, day)
    first, end = _spans(day[order])
    low, high = _spans(values[order], first)
    flat = np.empty((3, len(values)))
    flat[:, order] = low - first, high - first, end - first
    return Places(*flat)


def medians(values: FloatArray, day: IntArray) -> FloatArray:
    """Median (n,) of the day of each entry."""
    order = _order(values, day)
    first, end = _spans(day[order])
    count = end - first
    ascending = values[order]
    out = np.empty(len(values))
    out[order] = (ascending[first + (count - 1) // 2] + ascending[first + count // 2]) / 2.0
    return out


def rank_correlations(left: FloatArray, right: FloatArray, day: IntArray, n_days: int) -> FloatArray:
    """Spearman's correlation (n_days,) within each day; 0 where one side is constant, NaN on a day without entries."""
    daily = correlations(places(left, day).centred, places(right, day).centred, day, n_days)
    return np.where(np.bincount(day, minlength=n_days) > 0, daily, np.nan)


def correlations(x: FloatArray, y: FloatArray, day: IntArray, n_days: int) -> FloatArray:
    """Correlation (n_days,) within each day of numbers whose mean is 0 on every day; 0 where one side is constant."""
    xy, xx, yy = (np.bincount(day, weights=product, minlength=n_days) for product in (x * y, x * x, y * y))
    scale = np.sqrt(xx * yy)
    return np.asarray(np.divide(xy, scale, out=np.zeros(n_days), where=scale > 0))


def residuals(x: FloatArray, controls: FloatArray, day: IntArray, n_days: int) -> FloatArray:
    """What is left of ``x`` (n,) within each day after a regression on ``controls`` (n, m) and a constant.

    Exactly 0 on a day on which they explain all but a millionth of it.
    """
    columns = [np.ones(len(x)), *controls.T]
    sums = [[np.bincount(day, weights=one * two, minlength=n_days) for two in [*columns, x]] for one in columns]
    normal = np.moveaxis(np.array(sums), -1, 0)  # (n_days, m + 1, m + 2): the equations, and their right side
    weights = np.linalg.pinv(normal[:, :, :-1], hermitian=True) @ normal[:, :, -1:]
    left = x - sum(column * weights[day, number, 0] for number, column in enumerate(columns))
    kept, whole = (np.bincount(day, weights=it * it, minlength=n_days) for it in (left, x))
    return np.where((kept > _EXPLAINED * whole)[day], left, 0.0)


def _order(values: FloatArray, day: IntArray) -> IntArray:
    """Order by day, then by value: as lexsort, but several times faster (two bytes are sorted by their digits)."""
    ascending = np.argsort(values)
    days = day[ascending]
    small = days.astype(np.uint16) if days.max(initial=0) < 2**16 else days
    return np.asarray(ascending[np.argsort(small, kind="stable")])


def _spans(ascending: NDArray[np.generic], within: IntArray | None = None) -> tuple[IntArray, IntArray]:
    """First index, and index after the last, of the run of equal entries that each entry stands in.

    ``within`` splits runs further, at each change of it.
    """
    fresh = np.r_[True, ascending[1:] != ascending[:-1]][: len(ascending)]
    if within is not None:
        fresh[1:] |= within[1:] != within[:-1]
    starts = np.flatnonzero(fresh)
    run = np.cumsum(fresh) - 1
    return starts[run], np.r_[starts[1:], len(ascending)][run]
