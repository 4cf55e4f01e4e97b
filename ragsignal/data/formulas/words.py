"""Formulas in words, as a whole and part by part."""

from __future__ import annotations

from dataclasses import dataclass

from ragsignal.data.formulas.formula import Call, Field, Formula, Number, Window, parts
from ragsignal.data.formulas.registry import OPERATORS
from ragsignal.data.formulas.write import text_of


@dataclass(frozen=True)
class ExplainedPart:
    """A part of a formula as text and in words."""

    text: str
    words: str


def words_of(formula: Formula) -> str:
    """The formula in words, operators within others in brackets: ``mean of (rank of close among ...) over 5 bars``."""
    if isinstance(formula, Field):
        return formula.name
    if isinstance(formula, Number | Window):
        return text_of(formula)
    told = (f"({words_of(part)})" if isinstance(part, Call) else words_of(part) for part in formula.arguments)
    return OPERATORS[formula.operator].words.format(*told)


def explain(formula: Formula) -> tuple[ExplainedPart, ...]:
    """Each operator of the formula with what it is called on, from the inside out; equal parts once."""
    calls = dict.fromkeys(part for part in reversed([*parts(formula)]) if isinstance(part, Call))
    return tuple(ExplainedPart(text_of(part), words_of(part)) for part in calls)
