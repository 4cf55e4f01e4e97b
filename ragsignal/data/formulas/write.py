"""A formula to text that reads back as the same formula, and to one form for all ways of writing it."""

from __future__ import annotations

import math

import numpy as np

from ragsignal.data.formulas.formula import Call, Field, Formula, Kind, Number, Window
from ragsignal.data.formulas.registry import OPERATORS
from ragsignal.utils import json_digest

# How tightly Python binds, loosest first. A comparison binds less than & and |, unlike in most languages.
_COMPARE, _OR, _AND, _SUM, _PRODUCT, _UNARY, _POWER, _TIGHTEST = range(8)
_BINDS = {
    "<": _COMPARE, ">": _COMPARE, "<=": _COMPARE, ">=": _COMPARE, "==": _COMPARE,
    "|": _OR, "&": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "**": _POWER,
}  # fmt: skip

_TURNED = {"greater": "less", "at_least": "at_most"}


def text_of(formula: Formula) -> str:
    """The formula as text, with no more brackets than it needs; :func:`~.parse.parse` reads it back as it was."""
    return _written(formula)[0]


def canonical(formula: Formula) -> Formula:
    """The same formula in the one form that all ways of writing it share.

    At any depth, the operands of commutative operators stand in the order of their texts, operators on numbers alone
    are the number that they give, and ``a > b`` and ``a >= b`` are ``b < a`` and ``b <= a``. The order of additions is
    left as it is, as sums of floats hang on it.
    """
    if not isinstance(formula, Call):
        return Number(formula.value + 0.0) if isinstance(formula, Number) else formula  # -0.0 is 0.0
    name, arguments = formula.operator, tuple(canonical(part) for part in formula.arguments)
    if name in _TURNED:
        name, arguments = _TURNED[name], arguments[::-1]
    if OPERATORS[name].commutative:
        arguments = tuple(sorted(arguments, key=text_of))
    return folded(Call(name, arguments))


def folded(formula: Formula) -> Formula:
    """The formula with the number in place of an operator whose operands are all numbers; NaN stays unfolded."""
    if not isinstance(formula, Call):
        return formula
    operator, arguments = OPERATORS[formula.operator], tuple(folded(part) for part in formula.arguments)
    numbers = [part.value for part in arguments if isinstance(part, Number)]
    if operator.family == "element" and operator.gives is Kind.SERIES and len(numbers) == len(arguments):
        with np.errstate(all="ignore"):
            value = float(operator.compute(*numbers))
        if math.isfinite(value):
            return Number(value + 0.0)
    return Call(formula.operator, arguments)


def digest_of(formula: Formula) -> str:
    """SHA-256 of the text of the canonical form: equal for ``a + b`` and ``b + a``."""
    return json_digest({"formula": text_of(canonical(formula))})


def _written(formula: Formula) -> tuple[str, int]:
    """Text, and how tightly its outermost sign binds."""
    if isinstance(formula, Field):
        return formula.name, _TIGHTEST
    if isinstance(formula, Window):
        return str(formula.bars), _TIGHTEST
    if isinstance(formula, Number):
        return _number(formula.value), _UNARY if formula.value < 0 else _TIGHTEST
    sign = OPERATORS[formula.operator].sign
    if sign is None or (len(formula.arguments) == 1 and isinstance(formula.arguments[0], Number)):
        return f"{formula.operator}({', '.join(map(text_of, formula.arguments))})", _TIGHTEST
    if len(formula.arguments) == 1:
        return sign + _bracketed(formula.arguments[0], _UNARY), _UNARY
    binds = _BINDS[sign]
    left, right = formula.arguments
    # a - (b - c) and (a < b) < c need their brackets, and so do (a ** b) ** c and a ** -b
    left_least = binds + 1 if binds in (_COMPARE, _POWER) else binds
    return f"{_bracketed(left, left_least)} {sign} {_bracketed(right, binds + 1)}", binds


def _bracketed(formula: Formula, least: int) -> str:
    text, binds = _written(formula)
    return text if binds >= least else f"({text})"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
