"""Formulas that were kept by a search, or written by hand: a file that a spec names, and that becomes a part of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ragsignal.config.messages import RawTable, explain
from ragsignal.config.tables import KeptAlpha, Table
from ragsignal.errors import ConfigError

_EXAMPLE = (
    'a table [[alpha]] a formula, with name = "fade", formula = "-ts_delta(close, 5)", known_through = 2010-12-31'
)


class AlphaFile(Table):
    """A file of kept formulas: a table ``[[alpha]]`` each."""

    alpha: Annotated[tuple[KeptAlpha, ...], Field(strict=False, min_length=1)]


def read_alphas(path: Path, key: str = "corpus.alphas") -> list[dict[str, Any]]:
    """The formulas of a file, as a spec holds them; ``key`` names it.

    Raises
    ------
    ConfigError
        If there is no such file, or what it holds are no formulas.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{key}: no file {path}; `ragsignal alpha search SPEC` writes one, {_EXAMPLE}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{key}: {path} is not a TOML file: {error}; expected was {_EXAMPLE}") from None
    if not raw.get("alpha"):
        raise ConfigError(f"{key}: {path} holds no formula; expected was {_EXAMPLE}")
    try:
        read = AlphaFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(explain(path, raw, error, AlphaFile, {})) from None
    # records leave the digest out; a spec that is being read needs it to refuse a formula that was changed
    return [alpha.model_dump() | {"digest": alpha.digest} for alpha in read.alpha]


def put_alphas(raw: RawTable) -> None:
    """Put the formulas in the place of their file's path: a run is known by what it says, and not by where it lies."""
    for name, key in (("corpus", "alphas"), ("alpha", "known")):
        table = raw.get(name)
        if isinstance(table, dict) and isinstance(table.get(key), str):
            table[key] = read_alphas(Path(table[key]), f"{name}.{key}")
