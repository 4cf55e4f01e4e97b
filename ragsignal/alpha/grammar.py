"""Formulas drawn at random from the operators that there are: whatever is drawn can be written, read and evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ragsignal.config import AlphaSpec
from ragsignal.data import (
    BAR_FIELDS,
    LONGEST,
    OPERATORS,
    Call,
    Field,
    Formula,
    Kind,
    Number,
    Operator,
    Window,
    check_call,
    fits,
)
from ragsignal.errors import ConfigError

NUMBERS = (-1.0, 0.25, 0.5, 0.75, 1.0, 2.0)
_A_NUMBER = 0.05  # share of numbers among what ends a branch, where a series is expected
_ENDS = 0.3  # share of branches that end early, where they may
_MOST_GROUPS = 10
_ENDLESS = 99


@dataclass(frozen=True, eq=False)
class Grammar:
    """What formulas are made of.

    Parameters
    ----------
    fields : tuple of Field
    windows : tuple of int
        Bars that operators may look at.
    operators : tuple of Operator
        Those whose arguments can be had.
    least : dict of Kind to int
        Operators within each other that a part of a kind needs at least.
    """

    fields: tuple[Field, ...]
    windows: tuple[int, ...]
    operators: tuple[Operator, ...]
    least: dict[Kind, int]

    @classmethod
    def of(cls, alpha: AlphaSpec) -> Grammar:
        """The grammar of a search."""
        fields = tuple(Field(name, BAR_FIELDS[name]) for name in alpha.fields or BAR_FIELDS)
        least = {Kind.NUMBER: 0, Kind.WINDOW: 0} | {field.kind: 0 for field in fields}
        for _ in OPERATORS:  # each round finds what the last one made possible
            for operator in OPERATORS.values():
                needed = 1 + max((_least_of(least, kind) for kind in operator.takes), default=_ENDLESS)
                if needed < least.get(operator.gives, _ENDLESS):
                    least[operator.gives] = needed
        reached = tuple(it for it in OPERATORS.values() if all(_least_of(least, kind) < _ENDLESS for kind in it.takes))
        return cls(fields, tuple(sorted(set(alpha.windows))), reached, least)

    def draw(self, rng: np.random.Generator, kind: Kind, levels: int, full: bool) -> Formula:
        """A part of a kind with at most ``levels`` operators within each other; ``full``: on every branch, if it can.

        Kinds that no field has may need more levels than there are left: the fewest that will do.
        """
        calls = self.calls(kind, levels)
        ends = self.ends(rng, kind)
        if ends is not None and (not calls or (not full and rng.random() < _ENDS)):
            return ends
        if not calls:
            given = self.calls(kind, _ENDLESS)
            calls = self.calls(kind, min(self._needs[it.name] for it in given))
        return self.call(rng, calls[rng.integers(len(calls))], levels, full)

    def call(self, rng: np.random.Generator, operator: Operator, levels: int, full: bool) -> Call:
        """An operator on arguments that are drawn, of which not all are numbers."""
        while True:
            call = Call(
                operator.name, tuple(self.argument(rng, operator, kind, levels - 1, full) for kind in operator.takes)
            )
            if is_sensible(call):
                return call

    def argument(self, rng: np.random.Generator, operator: Operator, kind: Kind, levels: int, full: bool) -> Formula:
        """One argument of an operator."""
        if kind is Kind.WINDOW:
            return self.window(rng, operator)
        return self.number(rng, operator) if kind is Kind.NUMBER else self.draw(rng, kind, levels, full)

    def number(self, rng: np.random.Generator, operator: Operator) -> Number:
        """A number that an operator takes."""
        low, high = operator.numbers
        known = [it for it in NUMBERS if low <= it <= high]
        return Number(known[int(rng.integers(len(known)))] if known else low)

    def window(self, rng: np.random.Generator, operator: Operator) -> Window:
        """A window that an operator takes."""
        known = self.windows_of(operator)
        return Window(known[rng.integers(len(known))])

    def windows_of(self, operator: Operator) -> tuple[int, ...]:
        """The windows of the search that an operator takes; its shortest one where it takes none of them."""
        most = _MOST_GROUPS if operator.family == "group" else LONGEST
        return tuple(it for it in self.windows if operator.shortest <= it <= most) or (operator.shortest,)

    def calls(self, kind: Kind, levels: int) -> list[Operator]:
        """Operators that give a kind within so many levels."""
        if (kind, levels) not in self._calls:
            given = [it for it in self.operators if fits(it.gives, kind) and self._needs[it.name] <= levels]
            self._calls[kind, levels] = given
        return self._calls[kind, levels]

    def ends(self, rng: np.random.Generator, kind: Kind) -> Formula | None:
        """A field or a number of a kind; None where there is none."""
        fields = [it for it in self.fields if it.kind is kind]
        if kind is Kind.NUMBER or (kind is Kind.SERIES and rng.random() < _A_NUMBER):
            return Number(NUMBERS[rng.integers(len(NUMBERS))])
        return fields[rng.integers(len(fields))] if fields else None

    def ramped(self, rng: np.random.Generator, levels: int) -> Formula:
        """A formula of 1 to ``levels`` levels, in half of the cases as wide as it can be (Koza 1992)."""
        deep = int(rng.integers(1, levels + 1))
        within = [it for it in self.calls(Kind.SERIES, deep) if it.gives is Kind.SERIES]
        return self.call(rng, within[int(rng.integers(len(within)))], deep, bool(rng.random() < 0.5))

    @cached_property
    def joining(self) -> list[Operator]:
        """Operators that make one series of two."""
        return [it for it in self.operators if it.takes == (Kind.SERIES, Kind.SERIES) and it.gives is Kind.SERIES]

    @cached_property
    def levelling(self) -> list[Operator]:
        """Operators that bring a series to a scale of the day: what they give can be added up."""
        return [it for it in self.operators if it.takes == (Kind.SERIES,) and it.family == "cross"]

    @cached_property
    def _needs(self) -> dict[str, int]:
        """Levels that an operator needs at least."""
        return {it.name: 1 + max(_least_of(self.least, kind) for kind in it.takes) for it in self.operators}

    @cached_property
    def _calls(self) -> dict[tuple[Kind, int], list[Operator]]:
        return {}


def is_sensible(call: Call) -> bool:
    """Whether a call can be read, and numbers stand only beside series, in arithmetic: a number's mean is itself."""
    operator = OPERATORS[call.operator]
    try:
        check_call(call)
    except ConfigError:
        return False
    series = [it for it, kind in zip(call.arguments, operator.takes, strict=True) if kind is Kind.SERIES]
    numbers = sum(isinstance(it, Number) for it in series)
    return not numbers or (operator.family == "element" and numbers < len(series))


def _least_of(least: dict[Kind, int], kind: Kind) -> int:
    """Fewest levels of what may stand where ``kind`` is; a series that is nothing but a number is none."""
    able = [
        levels for given, levels in least.items() if fits(given, kind) and (given is kind or given is not Kind.NUMBER)
    ]
    return min(able, default=_ENDLESS)
