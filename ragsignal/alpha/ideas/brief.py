"""An idea with all that is known of it: what a language model is told, and nothing else is told to any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragsignal.alpha.ideas.knowledge import Found, Knowledge
from ragsignal.alpha.ideas.words import field_words
from ragsignal.data import BAR_FIELDS, LONGEST, OPERATORS, Call, Formula, Kind, parts, text_of
from ragsignal.errors import ConfigError, LookAheadError

CONTEXT = 6
"""Formulas of the library that a language model is shown at most."""
_LONGEST_IDEA = 500
_BARS = re.compile(r"(\d{1,4})[ -]?(bar|day|session|week|month|quarter|year)s?\b")
_ONE = re.compile(r"(?<![\d-])(?<!\d )\b(yesterday|week|month|quarter|year)(?:ly|'s)?\b")
_BARS_IN = {"bar": 1, "day": 1, "session": 1, "yesterday": 1, "week": 5, "month": 20, "quarter": 60, "year": 250}


@dataclass(frozen=True)
class Tried:
    """A formula that was tried, and how it ranked on days of the search window.

    Parameters
    ----------
    formula : Formula
    ic : float
        Mean rank correlation of a day with what followed.
    days : int
    window : {"search", "selection", "holdout"}
        The days it is of. Only those of the search may come into a brief.
    """

    formula: Formula
    ic: float
    days: int
    window: Literal["search", "selection", "holdout"] = "search"


@dataclass(frozen=True)
class Brief:
    """An idea, what formulas may read, and what is known that is like it.

    Parameters
    ----------
    idea : str
        A line.
    fields : mapping of str to Kind
    windows : tuple of int
        Bars that the idea names, ascending.
    context : tuple of Found
        Formulas of the library that fit, likest first.
    tried : tuple of Tried
        Of the search window.
    """

    idea: str
    fields: Mapping[str, Kind]
    windows: tuple[int, ...] = ()
    context: tuple[Found, ...] = ()
    tried: tuple[Tried, ...] = ()

    def __post_init__(self) -> None:
        late = [it for it in self.tried if it.window != "search"]
        if late:
            raise LookAheadError(
                f"{text_of(late[0].formula)} was tried on the {late[0].window} window; only results of the search "
                "window may guide new formulas: else these days judge what was made of them"
            )


def polish(
    idea: str,
    fields: Mapping[str, Kind] = BAR_FIELDS,
    knowledge: Knowledge | None = None,
    tried: Sequence[Tried] = (),
) -> Brief:
    """Make a brief of an idea in words.

    Parameters
    ----------
    idea : str
        Such as ``"momentum of volume over 20 days"``.
    fields : mapping of str to Kind
        Of the panel.
    knowledge : Knowledge, optional
        What formulas like it are looked up in; without, there are none.
    tried : sequence of Tried
        What came of earlier formulas, on the search window.

    Raises
    ------
    ConfigError
        If there is no idea, or one that is no line of words.
    LookAheadError
        If a result is of another window.
    """
    line = " ".join(idea.split())
    if not re.search(r"[^\W\d_]{2}", line):
        raise ConfigError(f'the idea {idea!r} has no words; say what should rank stocks, such as "momentum of volume"')
    if len(line) > _LONGEST_IDEA:
        raise ConfigError(f"an idea of {len(line)} characters; say it within {_LONGEST_IDEA}")
    if not line.isprintable():
        raise ConfigError("the idea holds characters that cannot be printed; write it as a line of words")
    found = knowledge.search(line, 5 * CONTEXT, fields) if knowledge else []
    return Brief(line, dict(fields), _windows(line), _different(found), tuple(tried))


def _different(found: Sequence[Found]) -> tuple[Found, ...]:
    """The likest of those that have the same operators, :data:`CONTEXT` at most."""
    first: dict[tuple[str, ...], Found] = {}
    for it in found:
        first.setdefault(tuple(part.operator for part in parts(it.known.formula) if isinstance(part, Call)), it)
    return tuple(first.values())[:CONTEXT]


def _windows(idea: str) -> tuple[int, ...]:
    named = {int(number) * _BARS_IN[unit] for number, unit in _BARS.findall(idea.lower())}
    named |= {_BARS_IN[unit] for unit in _ONE.findall(idea.lower())}
    return tuple(sorted(bars for bars in named if 1 <= bars <= LONGEST))


def prompt_of(brief: Brief) -> str:
    """A text that ends where the formula of the idea begins: for models that go on with a text."""
    examples = [(it.known.words, text_of(it.known.formula)) for it in reversed(brief.context)] or _FORMAT
    lines = [
        "Formulas rank stocks by their bars. Each line says an idea, then its formula.",
        f"Fields: {', '.join(brief.fields)}.",
        *(f"{words} => {text}" for words, text in examples),
        *(f"tried, rank correlation {it.ic:+.3f} => {text_of(it.formula)}" for it in brief.tried),
        f"{brief.idea} =>",
    ]
    return "\n".join(lines)


_FORMAT = [
    ("stocks that fell this week", "rank(-ts_delta(close, 5) / close)"),
    ("traded more than in its mean of 20 days", "volume / ts_mean(volume, 20)"),
]
"""Two lines that show the form, where nothing that is known fits the idea."""


def message_of(brief: Brief, count: int) -> str:
    """What a model that answers is asked: a text of the brief's parts, of operators, and of nothing else."""
    operators = [
        f"{name}({', '.join(kind.name.lower() for kind in it.takes)}): "
        + it.words.format(*"abcd") + (f"; also written with {it.sign}" if it.sign else "")
        for name, it in OPERATORS.items()
    ]  # fmt: skip
    known = [f"{text_of(it.known.formula)}: {it.known.words}" for it in brief.context]
    tried = [f"{text_of(it.formula)}: {it.ic:+.4f} over {it.days} days" for it in brief.tried]
    blocks = [
        f"Write {count} different formulas that rank stocks by this idea: {brief.idea}",
        "Answer with one formula a line and nothing else. A window is a whole number of bars, 1 to "
        f"{LONGEST}, and ends with the present bar. A formula reads like: rank(ts_delta(close, 5)) * -1",
        _block("Fields", [f"{name}: {field_words(name)} ({it.name.lower()})" for name, it in brief.fields.items()]),
        _block("Operators, with what a, b, c are", operators),
        _block("Bars that the idea names", [", ".join(map(str, brief.windows))] if brief.windows else []),
        _block("Known formulas that say something like it", known),
        _block("Mean rank correlation with what followed of formulas that were tried", tried),
    ]
    return "\n\n".join(block for block in blocks if block)


def _block(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{head}:", *lines]) if lines else ""
