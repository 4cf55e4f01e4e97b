"""Published formulas: Kakushadze, 101 Formulaic Alphas (arXiv 1601.00991), appendix A."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from ragsignal.config import did_you_mean
from ragsignal.data.formulas.formula import Call, Field, Formula, Kind, fields_of
from ragsignal.data.formulas.parse import BAR_FIELDS, parse
from ragsignal.data.formulas.registry import kind_of
from ragsignal.errors import ConfigError

STAND_INS: Mapping[str, str] = {
    "sector": "bucket(ts_mean(close * volume, 20), 5)",
    "industry": "bucket(ts_mean(close * volume, 20), 10)",
    "subindustry": "bucket(ts_mean(close * volume, 20), 20)",
}
"""What stands in for the groups of the source on a panel that has none: stocks of like traded value."""
_ALL: Mapping[str, Kind] = {**BAR_FIELDS, "cap": Kind.SERIES, **dict.fromkeys(STAND_INS, Kind.GROUP)}


@dataclass(frozen=True)
class LibraryFormula:
    """A published formula.

    Parameters
    ----------
    name : str
    formula : Formula
    source : str
        Where it was published.
    differs : str
        How it differs from what was published; empty where it does not.
    """

    name: str
    formula: Formula
    source: str
    differs: str


def library(
    known: Mapping[str, Kind] = BAR_FIELDS, groups: Mapping[str, str] | None = None
) -> tuple[LibraryFormula, ...]:
    """The published formulas that a panel has the fields for.

    Parameters
    ----------
    known : mapping of str to Kind
        The panel's fields, :attr:`.FieldPanel.known`. The one formula that reads ``cap``, the market value of a
        company, is left out where there is no such field.
    groups : mapping of str to str, optional
        Formulas of the groups ``sector``, ``industry`` and ``subindustry`` where the panel has no such fields; by
        default those of :data:`STAND_INS`.

    Raises
    ------
    ConfigError
        If a name of ``groups`` is none of the three, or its formula cannot be read or gives no groups.
    """
    stand_ins = {name: _groups(name, text, known) for name, text in {**STAND_INS, **(groups or {})}.items()}
    used = {name: it for name, it in stand_ins.items() if name not in known}
    fitted = (replace(it, formula=_replaced(it.formula, used)) for it in _published())
    return tuple(it for it in fitted if fields_of(it.formula) <= {*known})


@cache
def _published() -> tuple[LibraryFormula, ...]:
    text = files("ragsignal.data").joinpath("formulas/kakushadze.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return tuple(
        LibraryFormula(it["name"], parse(it["text"], _ALL), data["source"], it.get("differs", ""))
        for it in data["formula"]
    )


def _groups(name: str, text: str, known: Mapping[str, Kind]) -> Formula:
    if name not in STAND_INS:
        hint = did_you_mean(name, [*STAND_INS])
        raise ConfigError(f"there are no groups {name} in the library, only {', '.join(STAND_INS)}.{hint}")
    read = parse(f"group_count(close, {text})", known)
    assert isinstance(read, Call)
    return read.arguments[1]


def _replaced(formula: Formula, by_name: Mapping[str, Formula]) -> Formula:
    if isinstance(formula, Field):
        return by_name.get(formula.name, formula) if kind_of(formula) is Kind.GROUP else formula
    if not isinstance(formula, Call):
        return formula
    return Call(formula.operator, tuple(_replaced(part, by_name) for part in formula.arguments))
