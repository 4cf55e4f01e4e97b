"""Any record in JSON's own types, so that equal results give equal bytes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.utils.files import write_file

Record = dict[str, Any]
"""What is written as a JSON file: text, numbers, lists and such mappings, by name."""

SIGNIFICANT_DIGITS = 12
"""Below the last bits, where two builds of NumPy may round differently."""


def plain(value: Any, place: str = "record") -> Any:
    """``value`` in JSON's own types: floats of 12 significant digits, None for NaN and infinities.

    Parameters
    ----------
    value
        Numbers, text, days, paths, and mappings, sequences and dataclasses of them. A field of a dataclass stands under
        its name, or under ``key`` of its metadata, where the record's word is no identifier.
    place : str
        The path of ``value``, for the error.

    Raises
    ------
    TypeError
        For what JSON cannot hold, with its place.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), place)
    if isinstance(value, float):
        # + 0.0 turns -0.0 into 0.0: equal numbers, equal bytes
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") + 0.0 if math.isfinite(value) else None
    if is_dataclass(value):
        return plain({it.metadata.get("key", it.name): getattr(value, it.name) for it in fields(value)}, place)
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence):
        return [plain(item, f"{place}[{number}]") for number, item in enumerate(value)]
    if isinstance(value, (date, Path)):
        return str(value)
    raise TypeError(f"{place} is a {type(value).__name__}, which JSON cannot hold; give numbers, text, lists or dicts")


def rounded(value: Any) -> Any:
    """``value`` with each number as :func:`plain` writes it, in the same dataclasses, mappings and sequences."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{it.name: rounded(getattr(value, it.name)) for it in fields(value)})
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(rounded, value))
    return plain(value)


def write_json(path: Path, record: Record) -> None:
    """Write ``record`` so that equal ones have equal bytes; a reader finds the old file or the new one, whole."""
    text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_file(path, lambda draft: draft.write_text(text, encoding="utf-8", newline="\n"))
