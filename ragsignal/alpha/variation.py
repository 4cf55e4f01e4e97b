"""Crossover and mutation of formulas; what comes out is of the same kinds and not too deep, or there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ragsignal.alpha.grammar import NUMBERS, Grammar, is_sensible
from ragsignal.data import OPERATORS, Call, Field, Formula, Kind, Number, Window, depth, fits, kind_of, parts

Path = tuple[int, ...]
_INNER = 0.9  # share of crossover points that are operators, not fields: Koza (1992), Genetic Programming, section 6.3


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a formula: the way to it, what is expected there, and what stands there."""

    path: Path
    expected: Kind
    part: Formula


def places(formula: Formula, path: Path = (), expected: Kind = Kind.SERIES) -> Iterator[Place]:
    """All parts of a formula, from the outside in."""
    yield Place(path, expected, formula)
    if isinstance(formula, Call):
        takes = OPERATORS[formula.operator].takes
        for number, (part, kind) in enumerate(zip(formula.arguments, takes, strict=True)):
            yield from places(part, (*path, number), kind)


def replaced(formula: Formula, path: Path, part: Formula) -> Formula:
    """The formula with ``part`` at the end of ``path``."""
    if not path:
        return part
    assert isinstance(formula, Call)
    arguments = list(formula.arguments)
    arguments[path[0]] = replaced(arguments[path[0]], path[1:], part)
    return Call(formula.operator, tuple(arguments))


def crossover(rng: np.random.Generator, left: Formula, right: Formula, levels: int) -> Formula | None:
    """``left`` with a part of ``right`` in the place of one of its own; None where none fits."""
    target = _point(rng, [it for it in places(left) if it.expected not in (Kind.WINDOW, Kind.NUMBER)])
    givers = [it for it in places(right) if fits(kind_of(it.part), target.expected) and not _is_constant(it.part)]
    if not givers:
        return None
    return _sound(replaced(left, target.path, _point(rng, givers).part), levels)


def join(rng: np.random.Generator, left: Formula, right: Formula, grammar: Grammar, levels: int) -> Formula | None:
    """Both formulas as one, each brought to a scale of the day first; None where that is too deep.

    What two weak formulas say together is hard to come by otherwise: their sum needs three operators at once.
    """
    if not grammar.joining or not grammar.levelling:
        return None
    scale = grammar.levelling[rng.integers(len(grammar.levelling))].name
    both = grammar.joining[rng.integers(len(grammar.joining))].name
    return _sound(Call(both, (_levelled(left, scale), _levelled(right, scale))), levels)


def mutate(rng: np.random.Generator, formula: Formula, grammar: Grammar, levels: int) -> Formula | None:
    """The formula with one random change; None where it does not come out sound."""
    changes = (_subtree, _subtree, _point_change, _window_change, _window_change, _hoist)
    changed = changes[rng.integers(len(changes))](rng, formula, grammar, levels)
    return None if changed is None or changed == formula else _sound(changed, levels)


def _levelled(formula: Formula, scale: str) -> Formula:
    levelled = isinstance(formula, Call) and OPERATORS[formula.operator].family in ("cross", "group")
    return formula if levelled else Call(scale, (formula,))


def _point(rng: np.random.Generator, found: list[Place]) -> Place:
    inner = [it for it in found if isinstance(it.part, Call)]
    chosen = inner if inner and rng.random() < _INNER else found
    return chosen[rng.integers(len(chosen))]


def _subtree(rng: np.random.Generator, formula: Formula, grammar: Grammar, levels: int) -> Formula | None:
    """Another part, drawn anew."""
    place = _point(rng, [it for it in places(formula) if it.expected is not Kind.WINDOW])
    return replaced(formula, place.path, grammar.draw(rng, place.expected, levels - len(place.path), full=False))


def _point_change(rng: np.random.Generator, formula: Formula, grammar: Grammar, levels: int) -> Formula | None:  # noqa: ARG001
    """Another operator that takes the same, another field, or another number."""
    place = _point(rng, [it for it in places(formula) if not isinstance(it.part, Window)])
    part = place.part
    if isinstance(part, Call):
        own = OPERATORS[part.operator]
        alike = [it for it in grammar.operators if (it.takes, it.gives) == (own.takes, own.gives) and it is not own]
        if not alike:
            return None
        chosen = alike[rng.integers(len(alike))]
        kept = [_within(it, chosen.shortest) for it in part.arguments]
        return replaced(formula, place.path, Call(chosen.name, tuple(kept)))
    if isinstance(part, Field):
        return replaced(formula, place.path, _another_field(rng, part, grammar))
    return replaced(formula, place.path, Number(NUMBERS[rng.integers(len(NUMBERS))]))


def _another_field(rng: np.random.Generator, part: Field, grammar: Grammar) -> Field:
    fields = [it for it in grammar.fields if it.kind is part.kind]
    return fields[rng.integers(len(fields))] if fields else part


def _window_change(rng: np.random.Generator, formula: Formula, grammar: Grammar, levels: int) -> Formula | None:  # noqa: ARG001 - one signature for all changes
    """A window that is the next longer or shorter one of the search."""
    found = [it for it in places(formula) if isinstance(it.part, Call) and _windows(it.part)]
    if not found:
        return None
    place = found[rng.integers(len(found))]
    assert isinstance(place.part, Call)
    numbers = _windows(place.part)
    number = numbers[rng.integers(len(numbers))]
    known = grammar.windows_of(OPERATORS[place.part.operator])
    now = place.part.arguments[number]
    assert isinstance(now, Window)
    near = int(np.searchsorted(known, now.bars)) + (1 if rng.random() < 0.5 else -1)
    return replaced(formula, (*place.path, number), Window(known[min(max(near, 0), len(known) - 1)]))


def _hoist(rng: np.random.Generator, formula: Formula, grammar: Grammar, levels: int) -> Formula | None:  # noqa: ARG001 - one signature for all changes
    """A part of the formula in its place: shorter."""
    inner = [
        it.part for it in places(formula) if it.path and isinstance(it.part, Call) and kind_of(it.part) is Kind.SERIES
    ]
    return inner[rng.integers(len(inner))] if inner else None


def _sound(formula: Formula, levels: int) -> Formula | None:
    """The formula, unless it is too deep, nothing but a field or a number, or computes with numbers alone."""
    if not isinstance(formula, Call) or depth(formula) > levels:
        return None
    return formula if all(is_sensible(it) for it in parts(formula) if isinstance(it, Call)) else None


def _windows(call: Call) -> list[int]:
    return [number for number, it in enumerate(call.arguments) if isinstance(it, Window)]


def _within(part: Formula, shortest: int) -> Formula:
    return replace(part, bars=max(part.bars, shortest)) if isinstance(part, Window) else part


def _is_constant(part: Formula) -> bool:
    return isinstance(part, Number | Window)
