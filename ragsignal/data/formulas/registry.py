"""The operators of formulas, by name: what each takes, what it gives, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ragsignal.data.formulas.formula import LONGEST, Call, Field, Formula, Kind, Number, Window
from ragsignal.errors import ConfigError

Family = Literal["element", "time", "cross", "group"]


@dataclass(frozen=True)
class Operator:
    """An operator.

    Parameters
    ----------
    name : str
    takes : tuple of Kind
        The kinds of its arguments, in order.
    gives : Kind
    compute : callable
        Takes the values of its arguments: of series, conditions and groups float64 arrays of shape
        (n_days, n_symbols), NaN where there is no value (conditions: 1.0, 0.0, NaN; groups: whole numbers, NaN); a
        number is a float, a window an int, and a series of an operator of one place may be a float too. Gives a new
        array of that shape. A day's value has the same bits whatever comes after it; arguments are not changed.
    family : {"element", "time", "cross", "group"}
        Whether it reads one place, the past of a symbol, the symbols of a day, or those of a group.
    words : str
        What it is, for people: ``"mean of {0} over {1} bars"``.
    sign : str, optional
        How it is written between its operands, or before its only one.
    commutative : bool
        Whether its two operands may change places.
    memory : callable, optional
        How many bars before the present one it reads, given its windows; by default the longest window less one for
        operators over time, and none for others.
    shortest : int
        The least that its windows may be: bars, or what else is counted by a whole number.
    numbers : (float, float)
        The least and the most that its numbers may be.
    """

    name: str
    takes: tuple[Kind, ...]
    gives: Kind
    compute: Callable[..., Any]
    family: Family
    words: str
    sign: str | None = None
    commutative: bool = False
    memory: Callable[[tuple[int, ...]], int] | None = None
    shortest: int = 1
    numbers: tuple[float, float] = (-math.inf, math.inf)

    def memory_of(self, windows: tuple[int, ...]) -> int:
        """Bars before the present one that the operator itself reads."""
        if self.memory is not None:
            return self.memory(windows)
        return max(windows, default=1) - 1 if self.family == "time" else 0


OPERATORS: dict[str, Operator] = {}
"""All operators by name."""


def register(*operators: Operator) -> None:
    """Make operators known; each name once."""
    for operator in operators:
        if operator.name in OPERATORS:
            raise ValueError(f"there are two operators {operator.name}")
        OPERATORS[operator.name] = operator


def kind_of(formula: Formula) -> Kind:
    """What a formula gives."""
    if isinstance(formula, Call):
        return OPERATORS[formula.operator].gives
    if isinstance(formula, Field):
        return formula.kind
    return Kind.WINDOW if isinstance(formula, Window) else Kind.NUMBER


def fits(given: Kind, expected: Kind) -> bool:
    """Whether what is ``given`` may stand where ``expected`` is."""
    return given is expected or (expected is Kind.SERIES and given in (Kind.TRUTH, Kind.NUMBER))


def memory(formula: Formula) -> int:
    """How many bars before a day decide its value: a formula of a panel that begins so many earlier has it.

    Of operators that read other stocks too, this holds of every stock's bars.
    """
    if not isinstance(formula, Call):
        return 0
    windows = tuple(part.bars for part in formula.arguments if isinstance(part, Window))
    return OPERATORS[formula.operator].memory_of(windows) + max(map(memory, formula.arguments), default=0)


def check_call(call: Call) -> None:
    """Raise ``ConfigError`` where an operator's arguments are not what it takes."""
    operator = OPERATORS[call.operator]
    if len(call.arguments) != len(operator.takes):
        raise ConfigError(
            f"{call.operator} takes {len(operator.takes)} arguments "
            f"({', '.join(kind.value for kind in operator.takes)}), and here has {len(call.arguments)}"
        )
    for number, (part, expected) in enumerate(zip(call.arguments, operator.takes, strict=True), start=1):
        if not fits(kind_of(part), expected):
            raise ConfigError(
                f"argument {number} of {call.operator} has to be {expected.value}, and is {kind_of(part).value}"
            )
        if expected is Kind.WINDOW or expected is Kind.NUMBER:
            _check_bounds(operator, part)


def _check_bounds(operator: Operator, part: Formula) -> None:
    """Raise ``ConfigError`` where a window or a number is too small or too large."""
    if isinstance(part, Window) and not operator.shortest <= part.bars <= LONGEST:
        over_time = operator.family == "time"
        raise ConfigError(
            f"{operator.name} takes a {'window' if over_time else 'number'} of {operator.shortest} to {LONGEST}"
            f"{' bars' if over_time else ' groups'}, and here has {part.bars}"
            + (": a window ends with the present bar, and no later one can be reached" if over_time else "")
        )
    low, high = operator.numbers
    if isinstance(part, Number) and not low <= part.value <= high:
        raise ConfigError(f"{operator.name} takes a number of {low:g} to {high:g}, and here has {part.value:g}")
