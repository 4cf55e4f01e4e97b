"""Text to a formula: ``rank(ts_delta(close, 5)) * -1``, with the signs, brackets and precedence of Python.

Python's own parser reads the text into a tree, and of that tree only names, numbers, calls and signs are taken; nothing
is ever run.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping

from ragsignal.config import did_you_mean
from ragsignal.data.formulas.formula import Call, Field, Formula, Kind, Number, Window, fields_of
from ragsignal.data.formulas.registry import OPERATORS, check_call, kind_of
from ragsignal.errors import ConfigError

BAR_FIELDS: Mapping[str, Kind] = dict.fromkeys(
    ("open", "high", "low", "close", "volume", "vwap", "returns"), Kind.SERIES
)
"""What every panel of bars has. ``vwap`` is the typical price (high + low + close) / 3, as bars tell no more."""
LONGEST_TEXT = 4000
_DEEPEST = 40  # brackets in brackets; Python's own parser gives up at some 100
_NAMED = 8  # fields in a message
_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "power",
    ast.USub: "neg",
    ast.Lt: "less",
    ast.Gt: "greater",
    ast.LtE: "at_most",
    ast.GtE: "at_least",
    ast.Eq: "equal",
    ast.BitAnd: "both",
    ast.BitOr: "either",
    ast.Invert: "negate",
}


def parse(text: str, fields: Mapping[str, Kind] = BAR_FIELDS) -> Formula:
    """Read a formula.

    Parameters
    ----------
    text : str
    fields : mapping of str to Kind
        The fields that there are.

    Raises
    ------
    ConfigError
        If it cannot be read, or reads no field: the text, the place, what was expected there.
    """
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"a formula of {len(text)} characters; at most {LONGEST_TEXT} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = getattr(error, "offset", None)
        at = f" at character {place}" if place else ""
        raise ConfigError(
            f"the formula {_short(text)!r} cannot be read{at}: {getattr(error, 'msg', error)}; a formula is "
            "written as rank(ts_delta(close, 5)) * -1 (ragsignal alpha operators)"
        ) from error
    return _Reader(text.strip(), fields).formula(tree)


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


class _Reader:
    """Turns Python's tree into ours; ``text`` is for messages."""

    def __init__(self, text: str, fields: Mapping[str, Kind]) -> None:
        self.text, self.fields = text, fields

    def formula(self, tree: ast.expr) -> Formula:
        """The whole; what reads no field is the same of all stocks, and ranks none."""
        read = self.part(tree, Kind.SERIES, 0)
        if not fields_of(read):
            some = ", ".join([*self.fields][:_NAMED]) + (" ..." if len(self.fields) > _NAMED else "")
            raise self.error(tree, f"it reads no field, and is the same of all stocks; write a field into it: {some}")
        if kind_of(read) not in (Kind.SERIES, Kind.TRUTH):
            raise self.error(tree, f"a series or a condition was expected, and this is {kind_of(read).value}")
        return read

    def part(self, tree: ast.expr, expected: Kind, deep: int) -> Formula:
        """A part where ``expected`` is; whether it is of that kind is judged by the call around it."""
        if deep > _DEEPEST:
            raise self.error(tree, f"more than {_DEEPEST} operators within each other")
        number = _number(tree)
        if number is not None:
            return self.number(tree, number, expected)
        if isinstance(tree, ast.Name):
            return self.field(tree)
        name, arguments = self.called(tree)
        takes = OPERATORS[name].takes
        kinds = takes + (Kind.SERIES,) * (len(arguments) - len(takes))
        call = Call(name, tuple(self.part(it, kind, deep + 1) for it, kind in zip(arguments, kinds, strict=False)))
        try:
            check_call(call)
        except ConfigError as error:
            raise self.error(tree, str(error)) from error
        return call

    def number(self, tree: ast.expr, number: float, expected: Kind) -> Formula:
        """A window where one is expected, else a number."""
        if not math.isfinite(number):
            raise self.error(tree, "a number that is finite was expected")
        if expected is not Kind.WINDOW:
            return Number(float(number))
        if number != int(number):
            raise self.error(tree, f"a window is a whole number of bars, and {number:g} is none")
        return Window(int(number))

    def field(self, tree: ast.Name) -> Field:
        """A name."""
        if tree.id not in self.fields:
            known = [*self.fields, *OPERATORS]
            raise self.error(tree, f"there is no field {tree.id}.{did_you_mean(tree.id, known)}")
        return Field(tree.id, self.fields[tree.id])

    def called(self, tree: ast.expr) -> tuple[str, list[ast.expr]]:
        """Name and arguments of a call, or of a sign."""
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords:
            if tree.func.id not in OPERATORS:
                raise self.error(
                    tree, f"there is no operator {tree.func.id}.{did_you_mean(tree.func.id, [*OPERATORS])}"
                )
            return tree.func.id, tree.args
        if isinstance(tree, ast.BinOp) and type(tree.op) in _SIGNS:
            return _SIGNS[type(tree.op)], [tree.left, tree.right]
        if isinstance(tree, ast.UnaryOp) and type(tree.op) in _SIGNS:
            return _SIGNS[type(tree.op)], [tree.operand]
        if isinstance(tree, ast.Compare) and len(tree.ops) == 1 and type(tree.ops[0]) in _SIGNS:
            return _SIGNS[type(tree.ops[0])], [tree.left, tree.comparators[0]]
        raise self.error(tree, "only fields, numbers, operators, + - * / ** < > <= >= == & | ~ and brackets are read")

    def error(self, tree: ast.expr, why: str) -> ConfigError:
        """What is wrong, with its place."""
        part = ast.get_source_segment(self.text, tree) or self.text
        inside = f", in {_short(part)!r} at character {tree.col_offset + 1}" if part != self.text else ""
        return ConfigError(f"the formula {_short(self.text)!r}{inside}: {why} (ragsignal alpha operators)")


def _number(tree: ast.expr) -> float | None:
    """A number with or without a sign; a minus before it belongs to it."""
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        inner = _number(tree.operand) if isinstance(tree.operand, ast.Constant) else None
        return None if inner is None else -inner
    if isinstance(tree, ast.Constant) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        try:
            return float(tree.value)
        except OverflowError:
            return math.inf
    return None
