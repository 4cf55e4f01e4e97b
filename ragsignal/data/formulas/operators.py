"""The operators of one place, of time, of the stocks of a day, and of groups of them."""

from __future__ import annotations

import numpy as np

import ragsignal.data.rolling as rolling
from ragsignal.data.formulas.formula import Kind
from ragsignal.data.formulas.registry import Operator, register
from ragsignal.types import FloatArray

_S, _T, _W, _G = Kind.SERIES, Kind.TRUTH, Kind.WINDOW, Kind.GROUP


def _less(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.where(np.isnan(left) | np.isnan(right), np.nan, (np.asarray(left) < right).astype(np.float64))


def _where(truth: FloatArray, then: FloatArray, otherwise: FloatArray) -> FloatArray:
    return np.where(np.isnan(truth), np.nan, np.where(truth > 0, then, otherwise))


def _rank(values: FloatArray) -> FloatArray:
    """Rank among the stocks of the day, in (0, 1]; ties share the mean rank."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1, nan_policy="omit")
    return np.asarray(ranks / np.sum(~np.isnan(values), axis=1, keepdims=True))


register(
    Operator("add", (_S, _S), _S, np.add, "element", "{0} plus {1}", "+", commutative=True),
    Operator("sub", (_S, _S), _S, np.subtract, "element", "{0} minus {1}", "-"),
    Operator("mul", (_S, _S), _S, np.multiply, "element", "{0} times {1}", "*", commutative=True),
    Operator("div", (_S, _S), _S, np.divide, "element", "{0} divided by {1}", "/"),
    Operator("neg", (_S,), _S, np.negative, "element", "minus {0}", "-"),
    Operator("less", (_S, _S), _T, _less, "element", "{0} is below {1}", "<"),
    Operator("where", (_T, _S, _S), _S, _where, "element", "{1} if {0}, else {2}"),
    Operator("ts_delay", (_S, _W), _S, rolling.delay, "time", "{0} of {1} bars ago", memory=lambda it: it[0]),
    Operator("ts_delta", (_S, _W), _S, rolling.delta, "time", "change of {0} over {1} bars", memory=lambda it: it[0]),
    Operator("ts_mean", (_S, _W), _S, rolling.mean, "time", "mean of {0} over {1} bars"),
    Operator("rank", (_S,), _S, _rank, "cross", "rank of {0} among the stocks of the day"),
)
