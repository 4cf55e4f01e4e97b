"""Which points a sweep has, and the spec at each of them.

A point changes the chosen variants only: their strategy's params, their retrieval, their reader; costs and corpus are
everybody's. What is traded, and when, is the same at all points, or they could not be compared.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from ragsignal.config import (
    CorpusSpec,
    CostSpec,
    ExternalSpec,
    LLMSpec,
    RawTable,
    RetrievalSpec,
    RunSpec,
    Table,
    Variant,
    checked,
    did_you_mean,
    toml_value,
)
from ragsignal.errors import ConfigError

Grid = Mapping[str, Sequence[Any]]
"""Values by dotted place, such as ``strategy.enter``."""
Point = RawTable
"""One value for each place of a grid."""

SHARED = ("costs", "corpus")
"""Tables whose values hold for the benchmark too."""
_TABLES = ("strategy", *SHARED, "retrieval", "llm", "external")
_BARE = re.compile(r"[A-Za-z][\w.:/@-]*")  # a word whose quotes a shell takes away


def parse_grid(words: Sequence[str]) -> dict[str, list[Any]]:
    """A grid from ``place=value,value`` words; values are TOML's, and a plain word needs no quotes.

    Raises
    ------
    ConfigError
        If there is none, a word is no such thing, or a place or a value comes twice.
    """
    grid: dict[str, list[Any]] = {}
    for word in words:
        place, _, text = (part.strip() for part in word.partition("="))
        if not text:
            raise ConfigError(f"--grid {word!r}: place=value,value was expected, such as strategy.enter=0,0.05,0.1")
        if place in grid:
            raise ConfigError(f"--grid {place} is given twice; write all of its values in one")
        grid[place] = _values(place, text)
    if not grid:
        raise ConfigError("a sweep needs a --grid, such as --grid strategy.enter=0,0.05,0.1")
    return grid


def points_of(grid: Grid) -> list[Point]:
    """Every combination, the last place running fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def chosen_variants(spec: RunSpec, names: Sequence[str] = ()) -> list[Variant]:
    """The variants that are swept: the named ones, or all that trade a signal by the spec's own strategy.

    Raises
    ------
    ConfigError
        If there is none, a name is unknown or comes twice, or one is the benchmark.
    """
    if spec.benchmark in names:
        raise ConfigError(f"{spec.benchmark!r} is the benchmark, which points are compared with; name another variant")
    if len(set(names)) < len(names):
        raise ConfigError(f"a variant is named twice: {', '.join(names)}")
    if names:
        return [spec.find_variant(name) for name in names]
    others = [variant for variant in spec.variants if variant.name != spec.benchmark]
    swept = [variant for variant in others if variant.has_signal and not variant.own_strategy]
    if not swept:
        raise ConfigError(
            f"spec {spec.name!r}: no variant but the benchmark trades a signal by [strategy]; name one with --variant "
            f"({', '.join(variant.name for variant in others)})"
        )
    return swept


def spec_at(spec: RunSpec, point: Point, names: Sequence[str]) -> RunSpec:
    """``spec`` with the values of ``point``, for the variants called ``names`` and the benchmark alone.

    Raises
    ------
    ConfigError
        For a place that does not exist, or a value that it does not take.
    """
    raw = _tables_of(spec)
    raw["variant"] = [table for table in raw["variant"] if table["name"] in (*names, spec.benchmark)]
    changed = [table for table in raw["variant"] if table["name"] in names]
    for place, value in point.items():
        table, key = _split(place)
        for owner in [raw] if table in SHARED else changed:
            _put(owner, raw, table, key, value)
    return checked(raw, RunSpec, "--grid " + " ".join(f"{place}={_shown(value)}" for place, value in point.items()))


def _tables_of(spec: RunSpec) -> RawTable:
    """A spec as TOML holds it, with the folders of its strategies, which a dump leaves out."""
    raw = spec.model_dump(mode="json", by_alias=True)
    raw["strategy"]["folder"] = spec.strategy.folder
    for variant, table in zip(spec.variant, raw["variant"], strict=True):
        if variant.strategy is not None:
            table["strategy"]["folder"] = variant.strategy.folder
    return raw


def _put(owner: RawTable, raw: RawTable, table: str, key: str, value: Any) -> None:
    """Write one value into a variant, or into the spec itself."""
    if table == "strategy":
        strategy = owner["strategy"] or raw["strategy"]
        owner["strategy"] = {**strategy, "params": {**strategy["params"], key: value}}
    else:
        owner[table] = {**owner.get(table, {}), key: value}  # a table that says nothing is not written


def _split(place: str) -> tuple[str, str]:
    table, _, key = place.partition(".")
    if table not in _TABLES:
        if not key:
            raise ConfigError(f"--grid {place}: a place is TABLE.KEY. Did you mean {_with_table(place)}?")
        raise ConfigError(f"--grid {place}: no table {table!r} can be swept.{did_you_mean(table, list(_TABLES))}")
    if not key:
        raise ConfigError(f"--grid {place}: which key of {table!r}? A place such as {table}.KEY was expected")
    return table, key


def _with_table(key: str) -> str:
    """The places that a key without a table may mean: of the tables that have it, or a param of the strategy."""
    kinds: dict[str, type[Table]] = {
        "costs": CostSpec,
        "corpus": CorpusSpec,
        "retrieval": RetrievalSpec,
        "llm": LLMSpec,
        "external": ExternalSpec,
    }
    places = [f"{table}.{key}" for table, kind in kinds.items() if key in kind.model_fields]
    return " or ".join(map(repr, places or [f"strategy.{key}"]))


def _values(place: str, text: str) -> list[Any]:
    try:
        values: list[Any] = tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        values = [_value(place, word.strip()) for word in text.split(",")]
    twice = [value for number, value in enumerate(values) if value in values[:number]]
    if twice:
        raise ConfigError(f"--grid {place}: {_shown(twice[0])} comes twice; each point would be tried twice")
    return values


def _value(place: str, word: str) -> Any:
    try:
        return toml_value(word)
    except ValueError:
        if _BARE.fullmatch(word):
            return word
        raise ConfigError(
            f'--grid {place}: {word!r} is no value; TOML\'s were expected: 5, 0.1, true, 2011-01-03, "text"'
        ) from None


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
