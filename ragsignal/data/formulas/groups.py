"""Operators of the stocks of a group on a day, and the maker of groups. Without a value or a group there is none."""

from __future__ import annotations

import numpy as np

from ragsignal.data.formulas.formula import Kind
from ragsignal.data.formulas.registry import Operator, register
from ragsignal.data.formulas.ties import day_ranks, difference, group_ranks
from ragsignal.data.rolling import TIE, ratio
from ragsignal.types import BoolArray, FloatArray, IntArray

_S, _G, _W = Kind.SERIES, Kind.GROUP, Kind.WINDOW
_DIRECT = 4096  # codes below are used as they are; higher or negative ones are counted through first


def _bucket(values: FloatArray, number: int) -> FloatArray:
    known = np.sum(~np.isnan(values), axis=1, keepdims=True)
    return np.asarray(np.floor((day_ranks(values) - 0.5) * number / known))


class _Cells:
    """The groups of all days; what has no value or no group is in a cell of its own."""

    def __init__(self, values: FloatArray, groups: FloatArray) -> None:
        self.values = values
        self.missing = np.isnan(values) | np.isnan(groups)
        self.codes = _codes(groups, self.missing)
        self.width = int(self.codes.max(initial=0)) + 1
        self.index = self.codes + self.width * np.arange(len(values))[:, None]

    def total(self, values: FloatArray) -> FloatArray:
        """Sum over the group of each place; what is missing is not read."""
        filled = np.where(self.missing, 0.0, values).ravel()
        cells = np.bincount(self.index.ravel(), weights=filled, minlength=self.width * len(values))
        return self._back(np.where(np.isinf(cells), np.nan, cells))

    def number(self) -> FloatArray:
        """Members of the group of each place."""
        return self.total(np.ones(self.index.shape))

    def highest(self, values: FloatArray) -> FloatArray:
        """Maximum over the group of each place."""
        found = np.full(self.width * len(values), -np.inf)
        np.maximum.at(found, self.index.ravel(), np.where(self.missing, -np.inf, values).ravel())
        return self._back(found)

    def mean(self) -> FloatArray:
        """Mean over the group of each place."""
        return self.total(self.values) / self.number()

    def _back(self, cells: FloatArray) -> FloatArray:
        return np.where(self.missing, np.nan, cells[self.index])


def _codes(groups: FloatArray, missing: BoolArray) -> IntArray:
    """Groups as whole numbers from 1; 0 where something is missing."""
    known = groups[~missing]
    if known.size and (known.min() < 0 or known.max() >= _DIRECT):
        out = np.zeros(groups.shape, dtype=np.int64)
        out[~missing] = np.unique(known, return_inverse=True)[1] + 1
        return out
    return np.where(missing, 0, np.where(missing, 0.0, groups) + 1).astype(np.int64)


def _mean(values: FloatArray, groups: FloatArray) -> FloatArray:
    return _Cells(values, groups).mean()


def _neutralize(values: FloatArray, groups: FloatArray) -> FloatArray:
    return difference(values, _Cells(values, groups).mean())


def _rank(values: FloatArray, groups: FloatArray) -> FloatArray:
    cells = _Cells(values, groups)
    ranks, number = group_ranks(np.where(cells.missing, np.nan, values), cells.codes)
    return ranks / number


def _zscore(values: FloatArray, groups: FloatArray) -> FloatArray:
    cells = _Cells(values, groups)
    mean, number = cells.mean(), cells.number()
    gap = values - mean
    spread = np.sqrt(cells.total(np.square(gap)) / np.maximum(number - 1, 1))
    return ratio(gap, spread, spread <= TIE * np.abs(mean))


def _scale(values: FloatArray, groups: FloatArray) -> FloatArray:
    size = _Cells(values, groups).total(np.abs(values))
    return ratio(values, size, size == 0)


def _max(values: FloatArray, groups: FloatArray) -> FloatArray:
    return _Cells(values, groups).highest(values)


def _min(values: FloatArray, groups: FloatArray) -> FloatArray:
    return -_Cells(values, groups).highest(-values)


def _count(values: FloatArray, groups: FloatArray) -> FloatArray:
    return _Cells(values, groups).number()


register(
    Operator("bucket", (_S, _W), _G, _bucket, "group", "groups of like {0}, {1} of equal size on the day", shortest=2),
    Operator("group_mean", (_S, _G), _S, _mean, "group", "mean of {0} in the group of the stock by {1}"),
    Operator("group_neutralize", (_S, _G), _S, _neutralize, "group", "{0} less its mean in the group by {1}"),
    Operator("group_rank", (_S, _G), _S, _rank, "group", "rank of {0} in the group by {1}"),
    Operator(
        "group_zscore", (_S, _G), _S, _zscore, "group", "standard deviations of {0} from its mean in the group by {1}"
    ),
    Operator("group_scale", (_S, _G), _S, _scale, "group", "{0} as a share of its sizes in the group by {1}"),
    Operator("group_max", (_S, _G), _S, _max, "group", "highest of {0} in the group by {1}"),
    Operator("group_min", (_S, _G), _S, _min, "group", "lowest of {0} in the group by {1}"),
    Operator("group_count", (_S, _G), _S, _count, "group", "number of stocks with {0} in the group by {1}"),
)
