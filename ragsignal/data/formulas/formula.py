"""Formulas as trees: fields of a panel, numbers, windows of bars, and operators called on them.

A window is a number of bars that end with the present one; it cannot be negative, and no operator has an argument by
which a later bar could be reached. So no formula that can be written looks ahead.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ragsignal.config import LONGEST_WINDOW

LONGEST = LONGEST_WINDOW
"""The longest window, in bars."""


class Kind(enum.Enum):
    """What a part of a formula is; the values of all but windows and numbers are float64 of shape (n_days, n_symbols).

    A truth may stand where a series is expected: it counts as 1.0 or 0.0. A number may stand there too: it is the same
    on all days, of all symbols.
    """

    SERIES = "a series"
    TRUTH = "a condition"
    GROUP = "groups"
    WINDOW = "a window"
    NUMBER = "a number"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the panel, such as ``close``."""

    name: str
    kind: Kind = Kind.SERIES


@dataclass(frozen=True, slots=True)
class Number:
    """A number, finite."""

    value: float


@dataclass(frozen=True, slots=True)
class Window:
    """A number of bars, 0 to :data:`LONGEST`."""

    bars: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator, by its name in :data:`~ragsignal.data.formulas.registry.OPERATORS`, and what it is called on."""

    operator: str
    arguments: tuple[Formula, ...]


Formula: TypeAlias = Field | Number | Window | Call


def parts(formula: Formula) -> Iterator[Formula]:
    """The formula and all parts of it, from the outside in; one that stands twice comes twice."""
    yield formula
    if isinstance(formula, Call):
        for argument in formula.arguments:
            yield from parts(argument)


def depth(formula: Formula) -> int:
    """Operators on the longest way from the formula to a field or number: 0 of a field."""
    return 1 + max(map(depth, formula.arguments)) if isinstance(formula, Call) else 0


def size(formula: Formula) -> int:
    """Number of parts, windows and numbers included."""
    return sum(1 for _ in parts(formula))


def fields_of(formula: Formula) -> frozenset[str]:
    """Names of the fields that are read."""
    return frozenset(part.name for part in parts(formula) if isinstance(part, Field))
