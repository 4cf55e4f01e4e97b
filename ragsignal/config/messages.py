"""What is wrong with a spec, in words: every mistake with its place and, for a typo, the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

RawTable = dict[str, Any]
"""A table as TOML holds it, before it is checked."""


def explain(
    where: str | Path,
    raw: RawTable,
    error: ValidationError,
    kind: type[BaseModel],
    overlaid: Mapping[str, type[BaseModel]],
) -> str:
    """All mistakes of a spec, a line each; ``overlaid`` are the tables that a variant holds a part of."""
    lines = [f"{where}: {error.error_count()} mistake(s)"]
    for item in error.errors():
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = "unknown key." + did_you_mean(str(item["loc"][-1]), _known_keys(item["loc"], kind, overlaid))
        elif item["type"] == "missing":
            message = "missing, and it has no default"
        elif item["type"].startswith("date"):
            message = f"a day was expected, such as 2015-01-02, and not {item['input']!r}"
        elif item["type"] == "tuple_type":
            message = "one value, where a list was expected: [[variant]] for tables, [...] for values"
        lines.append(f"  {_place(item['loc'], raw)}: {message}")
    return "\n".join(lines)


def _place(loc: tuple[int | str, ...], raw: RawTable) -> str:
    """Where a mistake stands, dotted; a variant goes by its name, or by its number from 1 where it has none."""
    parts = [str(part) for part in loc]
    if loc[0:1] == ("variant",) and len(loc) > 1:
        number = int(loc[1])
        variant = raw["variant"][number]
        parts[1] = str(variant.get("name", number + 1)) if isinstance(variant, dict) else str(number + 1)
    return ".".join(parts) or "spec"


def _known_keys(
    loc: tuple[int | str, ...], kind: type[BaseModel], overlaid: Mapping[str, type[BaseModel]]
) -> list[str]:
    """Keys of the table in which the unknown key ``loc[-1]`` stands."""
    model = kind
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            annotation = model.model_fields[part].annotation
            choices = [annotation, *get_args(annotation), overlaid.get(part)]
            model = next((c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def did_you_mean(word: str, known: list[str]) -> str:
    """A sentence with the nearest known word, or with all of them; begins with a space."""
    lowered = {name.lower(): name for name in reversed(known)}
    near = difflib.get_close_matches(word, known, n=1) or difflib.get_close_matches(word.lower(), lowered, n=1)
    return f" Did you mean {lowered.get(near[0].lower(), near[0])!r}?" if near else f" Known: {', '.join(known)}."
