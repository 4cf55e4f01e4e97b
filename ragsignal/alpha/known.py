"""A file of kept formulas, as a search writes it: ``[[alpha]]`` tables with ``name``, ``formula`` and more."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from ragsignal.data import BAR_FIELDS, Formula, Kind, parse
from ragsignal.errors import ConfigError


def read_formulas(path: Path, fields: Mapping[str, Kind] = BAR_FIELDS) -> dict[str, Formula]:
    """Formulas of a file by name.

    Raises
    ------
    ConfigError
        If it is no such file, a name comes twice, or a formula cannot be read.
    """
    expected = '[[alpha]] tables with name = "..." and formula = "..." were expected, as a search writes alphas.toml'
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"alpha.known: there is no file {path}; {expected}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}; {expected}") from None
    tables = raw.get("alpha", [])
    if not isinstance(tables, list) or not set(raw) <= {"alpha"}:
        raise ConfigError(f"{path}: {expected}")
    found: dict[str, Formula] = {}
    for number, table in enumerate(tables, 1):
        name, text = (table.get(key) if isinstance(table, dict) else None for key in ("name", "formula"))
        if not isinstance(name, str) or not isinstance(text, str):
            raise ConfigError(f"{path}, alpha {number}: {expected}")
        if name in found:
            raise ConfigError(f"{path}: two alphas are called {name!r}; each needs a name of its own")
        found[name] = parse(text, fields)
    return found
