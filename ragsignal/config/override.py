"""``--set PLACE=VALUE``: other values for keys of a spec, laid over it before anything in it is checked."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from ragsignal.config.messages import RawTable, did_you_mean
from ragsignal.errors import ConfigError

_OF_STRATEGY = ("class", "params", "folder")


def toml_value(text: str) -> Any:
    """``text`` as TOML reads a value: 5, 0.1, true, 2011-01-03, "text", [1, 2].

    Raises
    ------
    ValueError
        If it is no value.
    """
    table = tomllib.loads(f"value = {text}")
    if len(table) > 1:  # a line break would add keys
        raise ValueError(f"{text!r} is more than one value")
    return table["value"]


def override(raw: RawTable, words: Sequence[str]) -> None:
    """Write each ``place=value`` into a spec as TOML holds it, in place.

    A place is dotted: ``data.start``, ``strategy.params.enter`` or, as a sweep has it, ``strategy.enter``, and
    ``variant.NAME.retrieval.k`` for a key of one variant. A value that TOML cannot read is text. Unknown keys are
    written too: the check of the spec answers them with the nearest known one.

    Raises
    ------
    ConfigError
        If a word is no such thing, a place comes twice, is inside something that is no table, or names no variant.
    """
    places: set[str] = set()
    for word in words:
        place, _, text = (part.strip() for part in word.partition("="))
        if not text or not all(place.split(".")):
            raise ConfigError(f"--set {word!r}: place=value was expected, such as data.start=2015-01-02")
        if place in places:
            raise ConfigError(f"--set {place} is given twice; write the one value that is meant")
        places.add(place)
        _put(raw, place, _value(text))


def _value(text: str) -> Any:
    try:
        return toml_value(text)
    except ValueError:
        return text


def _put(raw: RawTable, place: str, value: Any) -> None:
    owner, rest = (raw, place) if not place.startswith("variant.") else _variant(raw, place)
    *path, key = rest.split(".")
    if path == ["strategy"] and key not in _OF_STRATEGY:
        path = ["strategy", "params"]
    if path[:1] == ["strategy"] and owner is not raw and "strategy" not in owner:
        owner["strategy"] = dict(raw.get("strategy", {}))
    for name in path:
        # a copy, as a variant may share a table with the spec
        inner = owner.get(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {place}: {name} is {inner!r} in the spec, and no table; {name} alone can be set")
        owner[name] = dict(inner)
        owner = owner[name]
    owner[key] = value


def _variant(raw: RawTable, place: str) -> tuple[RawTable, str]:
    """The variant that ``variant.NAME.KEY`` means, and its key; a name may have dots in it."""
    tables = raw.get("variant")
    named = {str(it.get("name")): it for it in tables if isinstance(it, dict)} if isinstance(tables, list) else {}
    rest = place.removeprefix("variant.")
    for name in sorted(named, key=len, reverse=True):
        if rest.startswith(f"{name}."):
            return named[name], rest.removeprefix(f"{name}.")
    name = rest.partition(".")[0]
    if name in named:
        raise ConfigError(f"--set {place}: which key of it? A place such as variant.{name}.signal was expected")
    raise ConfigError(f"--set {place}: no variant {name!r}.{did_you_mean(name, list(named))}")
