"""Operators of the stocks of a day. A stock without a value is left out of the day, and gets none."""

from __future__ import annotations

import numpy as np

from ragsignal.data.formulas.formula import Kind
from ragsignal.data.formulas.registry import Operator, register
from ragsignal.data.formulas.ties import day_ranks, difference
from ragsignal.data.rolling import TIE, ratio
from ragsignal.types import FloatArray

_S, _N = Kind.SERIES, Kind.NUMBER


def _rank(values: FloatArray) -> FloatArray:
    return day_ranks(values) / _number(values)


def _number(values: FloatArray) -> FloatArray:
    return np.asarray(np.sum(~np.isnan(values), axis=1, keepdims=True), dtype=np.float64)


def _total(values: FloatArray) -> FloatArray:
    found = np.sum(np.where(np.isnan(values), 0.0, values), axis=1, keepdims=True)
    return np.where(np.isinf(found), np.nan, found)  # too large a sum is none, and nothing is measured by it


def _demean(values: FloatArray) -> FloatArray:
    return difference(values, _total(values) / _number(values))


def _spread(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and sample standard deviation of each day; 0 where all values agree to nine digits, or there is one."""
    number, mean = _number(values), _total(values) / _number(values)
    spread = np.sqrt(_total(np.square(values - mean)) / np.maximum(number - 1, 1))
    return mean, np.where(spread <= TIE * np.abs(mean), 0.0, spread)


def _zscore(values: FloatArray) -> FloatArray:
    mean, spread = _spread(values)
    spread = np.broadcast_to(spread, values.shape)
    return ratio(values - mean, spread, spread == 0)


def _scale(values: FloatArray) -> FloatArray:
    size = np.broadcast_to(_total(np.abs(values)), values.shape)
    return ratio(values, size, size == 0)


def _winsorize(values: FloatArray, number: float) -> FloatArray:
    mean, spread = _spread(values)
    reach = abs(number) * spread
    return np.clip(values, mean - reach, mean + reach)


register(
    Operator("rank", (_S,), _S, _rank, "cross", "rank of {0} among the stocks of the day"),
    Operator("zscore", (_S,), _S, _zscore, "cross", "standard deviations of {0} from the mean of the day"),
    Operator("scale", (_S,), _S, _scale, "cross", "{0} as a share of the sum of its sizes on the day"),
    Operator("demean", (_S,), _S, _demean, "cross", "{0} less the mean of the day"),
    Operator(
        "winsorize",
        (_S, _N),
        _S,
        _winsorize,
        "cross",
        "{0} cut at {1} standard deviations from the mean of the day",
        numbers=(0.0, 100.0),
    ),
)
