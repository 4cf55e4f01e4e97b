"""Specs by a call: a small experiment and a small training, of which a test names what it changes.

    spec(retrieval={"retriever": "embedding"}, benchmark="random")
    write_spec(tmp_path, costs={"commission_bps": 0.0})                    # the same as a file, for what reads one

A table is laid over the one that is there, key by key; anything else takes its place; None takes it away.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from ragsignal.config import RunSpec, TrainSpec

Tables = dict[str, Any]
"""A spec as TOML holds it."""

VOTE = {"name": "vote", "signal": "vote"}
RANDOM = {"name": "random", "signal": "vote", "retrieval": {"retriever": "random"}}
MOMENTUM = {"name": "momentum", "signal": "none", "strategy": {"class": "ragsignal.strategies:PriceMomentum"}}
HOLD = {"name": "hold", "signal": "none", "strategy": {"class": "ragsignal.strategies:BuyAndHold"}}

SMALL: Tables = {
    "name": "small",
    "benchmark": "hold",
    "data": {
        "source": "planted",
        "symbols": ["AAA", "BBB"],
        "start": date(2015, 1, 5),
        "end": date(2015, 12, 31),
    },
    "corpus": {"indicators": ["adj_close"]},
    "retrieval": {"retriever": "shape", "k": 15},
    "strategy": {"class": "ragsignal.strategies:LongShort"},
    "variant": [VOTE, RANDOM, MOMENTUM, HOLD],
}
TINY: Tables = {
    "name": "tiny",
    "out": "artifacts",
    "data": {
        "source": "planted",
        "symbols": ["AA", "BB"],
        "start": date(2014, 1, 2),
        "end": date(2015, 12, 31),
    },
    "split": {"valid_from": date(2015, 7, 1)},
    "corpus": {"indicators": ["adj_close"]},
    "classifier": {"kind": "logistic"},
}


def spec(**changes: Any) -> RunSpec:
    """``SMALL`` with changes."""
    return RunSpec.model_validate(changed(SMALL, **changes))


def train_spec(**changes: Any) -> TrainSpec:
    """``TINY`` with changes."""
    return TrainSpec.model_validate(changed(TINY, **changes))


def write_spec(folder: Path, **changes: Any) -> Path:
    """``SMALL`` with changes, as a file in a folder."""
    return write(folder / "small.toml", changed(SMALL, **changes))


def write_train_spec(folder: Path, **changes: Any) -> Path:
    """``TINY`` with changes, as a file in a folder."""
    return write(folder / "tiny.toml", changed(TINY, **changes))


def changed(tables: Tables, **changes: Any) -> Tables:
    """Other tables, with ``changes`` laid over ``tables``."""
    whole = dict(tables)
    for key, value in changes.items():
        there = whole.get(key) if isinstance(whole.get(key), dict) else {}
        whole[key] = _filled(there | value) if isinstance(value, dict) else value
    return _filled(whole)


def write(path: Path, tables: Tables) -> Path:
    """A spec as a TOML file."""
    plain = {key: value for key, value in tables.items() if not _holds_tables(value)}
    lines = [f"{key} = {_literal(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        if key not in plain:
            head = f"[{key}]" if isinstance(value, dict) else f"[[{key}]]"
            for table in [value] if isinstance(value, dict) else value:
                lines += [head, *(f"{name} = {_literal(held)}" for name, held in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _filled(table: Tables) -> Tables:
    return {key: value for key, value in table.items() if value is not None}


def _holds_tables(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _literal(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_literal(held)}" for key, held in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(str(value)) if isinstance(value, str | Path) else str(value)
