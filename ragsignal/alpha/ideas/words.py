"""A formula in plain words, and fields as people call them."""

from __future__ import annotations

from ragsignal.data import FACTOR_WORDS, NEWS_WORDS, Call, Field, Formula, words_of

_BAR_WORDS = {
    "open": "open price",
    "high": "high price",
    "low": "low price",
    "close": "close price",
    "volume": "volume",
    "vwap": "typical price",
    "returns": "return of the day",
}


def field_words(name: str) -> str:
    """What people call a field of a panel; its name with blanks where nobody calls it otherwise."""
    return (_BAR_WORDS | FACTOR_WORDS | NEWS_WORDS).get(name, name.replace("_", " "))


def describe(formula: Formula) -> str:
    """A sentence on what ranks a stock high by a formula, made of its operators' words.

    >>> describe(parse("rank(ts_delta(volume, 20))"))
    'High where this is high: rank of (change of volume over 20 bars) among the stocks of the day.'
    """
    return f"High where this is high: {phrase(formula)}."


def phrase(formula: Formula) -> str:
    """A formula in words, operators within others in brackets, fields as people call them."""
    return words_of(_renamed(formula))


def _renamed(formula: Formula) -> Formula:
    if isinstance(formula, Field):
        return Field(field_words(formula.name), formula.kind)
    if isinstance(formula, Call):
        return Call(formula.operator, tuple(map(_renamed, formula.arguments)))
    return formula
