"""Operators of one place: arithmetic, comparisons and conditions. What is missing or undefined gives NaN."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ragsignal.data.formulas.formula import Kind
from ragsignal.data.formulas.registry import Operator, register
from ragsignal.data.formulas.ties import difference, summed
from ragsignal.types import BoolArray, FloatArray

_S, _T = Kind.SERIES, Kind.TRUTH


def _compare(holds: Callable[[FloatArray], BoolArray]) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """A comparison, told by the difference: what agrees to nine digits is equal."""

    def compute(left: FloatArray, right: FloatArray) -> FloatArray:
        gap = difference(left, right)
        return np.where(np.isnan(gap), np.nan, holds(gap))

    return compute


def _where(truth: FloatArray, then: FloatArray, otherwise: FloatArray) -> FloatArray:
    return np.where(np.isnan(truth), np.nan, np.where(truth > 0, then, otherwise))


def _both(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.where((left == 0) | (right == 0), 0.0, np.multiply(left, right))


def _either(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.where((left > 0) | (right > 0), 1.0, np.add(left, right))


def _signed_power(base: FloatArray, exponent: FloatArray) -> FloatArray:
    return np.asarray(np.sign(base) * np.power(np.abs(base), exponent))


register(
    Operator("add", (_S, _S), _S, summed, "element", "{0} plus {1}", "+", commutative=True),
    Operator("sub", (_S, _S), _S, difference, "element", "{0} minus {1}", "-"),
    Operator("mul", (_S, _S), _S, np.multiply, "element", "{0} times {1}", "*", commutative=True),
    Operator("div", (_S, _S), _S, np.divide, "element", "{0} divided by {1}", "/"),
    Operator("neg", (_S,), _S, np.negative, "element", "minus {0}", "-"),
    Operator("abs", (_S,), _S, np.abs, "element", "size of {0} without its sign"),
    Operator("log", (_S,), _S, np.log, "element", "natural logarithm of {0}"),
    Operator("sign", (_S,), _S, np.sign, "element", "sign of {0}, -1, 0 or 1"),
    Operator("sqrt", (_S,), _S, np.sqrt, "element", "square root of {0}"),
    Operator("power", (_S, _S), _S, np.power, "element", "{0} to the power of {1}", "**"),
    Operator(
        "signed_power", (_S, _S), _S, _signed_power, "element", "size of {0} to the power of {1}, with the sign of {0}"
    ),
    Operator("min", (_S, _S), _S, np.minimum, "element", "the lower of {0} and {1}", commutative=True),
    Operator("max", (_S, _S), _S, np.maximum, "element", "the higher of {0} and {1}", commutative=True),
    Operator("where", (_T, _S, _S), _S, _where, "element", "{1} if {0}, else {2}"),
    Operator("less", (_S, _S), _T, _compare(lambda gap: gap < 0), "element", "{0} is below {1}", "<"),
    Operator("greater", (_S, _S), _T, _compare(lambda gap: gap > 0), "element", "{0} is above {1}", ">"),
    Operator("at_most", (_S, _S), _T, _compare(lambda gap: gap <= 0), "element", "{0} is at most {1}", "<="),
    Operator("at_least", (_S, _S), _T, _compare(lambda gap: gap >= 0), "element", "{0} is at least {1}", ">="),
    Operator(
        "equal", (_S, _S), _T, _compare(lambda gap: gap == 0), "element", "{0} equals {1}", "==", commutative=True
    ),
    Operator("both", (_T, _T), _T, _both, "element", "{0} and {1}", "&", commutative=True),
    Operator("either", (_T, _T), _T, _either, "element", "{0} or {1}", "|", commutative=True),
    Operator("negate", (_T,), _T, lambda truth: np.subtract(1.0, truth), "element", "not {0}", "~"),
)
