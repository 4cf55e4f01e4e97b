"""Signals kept by content, in one SQLite file: a cache and an audit trail in one.

A row's key is a digest of everything that decides the signal, so that a hit cannot be stale. With each signal stand
its hits and the prompt that was read. One writer at a time; readers never wait (write-ahead log). A store serves the
process that opened it: SQLite's locks do not survive a fork.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from ragsignal import fingerprint
from ragsignal.errors import StoreError
from ragsignal.types import Candidate, Hit, Movement, Prompt, Signal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS recipes (digest TEXT PRIMARY KEY, recipe TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, symbol TEXT NOT NULL, as_of TEXT NOT NULL,
    value REAL NOT NULL, probability REAL NOT NULL, abstained TEXT,
    hits TEXT NOT NULL, prompt TEXT NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL
);
"""
_COLUMNS = "key, symbol, as_of, value, probability, abstained, hits, tokens, seconds"
_READ_CHUNK = 500  # SQLite's oldest limit on variables in one statement is 999


class SignalStore:
    """A file of signals.

    Parameters
    ----------
    path : Path or ":memory:"
        Created on first use.

    Raises
    ------
    StoreError
        If the file cannot be opened as a store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._process = os.getpid()
        self._recipes: set[str] = set()
        try:
            if path != ":memory:":
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=60)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # With WAL, NORMAL survives a killed process; only a power cut can lose the last batch.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def get(self, keys: Iterable[str]) -> dict[str, Signal]:
        """The stored ones among ``keys``, read in bulk."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, Signal] = {}
        for start in range(0, len(wanted), _READ_CHUNK):
            chunk = wanted[start : start + _READ_CHUNK]
            marks = ",".join("?" * len(chunk))
            for row in self._read(f"SELECT {_COLUMNS} FROM signals WHERE key IN ({marks})", chunk):
                found[row[0]] = _signal_of(row)
        return found

    def put(self, recipe: str, signals: Sequence[Signal], prompts: Sequence[Prompt]) -> None:
        """Add a batch in one transaction: all of it or nothing. A signal that is already there stays as it is."""
        rows = [_row_of(recipe, signal, prompt) for signal, prompt in zip(signals, prompts, strict=True)]
        # not INSERT OR IGNORE, which would also drop a row that breaks NOT NULL (SQLite stores NaN as NULL)
        self._write("INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING", rows)

    def put_recipe(self, recipe: dict[str, Any]) -> str:
        """Record a recipe in clear beside its digest; return the digest."""
        digest = fingerprint.of_json(recipe)
        if digest not in self._recipes:  # a write for each bar would be most of the time of a replay
            row = (digest, fingerprint.canonical_json(recipe))
            self._write("INSERT INTO recipes VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", [row])
            self._recipes.add(digest)
        return digest

    def prompt(self, key: str) -> str | None:
        """The text that was read for a signal; None if there is no such signal."""
        rows = self._read("SELECT prompt FROM signals WHERE key = ?", [key])
        return str(rows[0][0]) if rows else None

    def __len__(self) -> int:
        return int(self._read("SELECT count(*) FROM signals", [])[0][0])

    def _read(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        self._refuse_other_process()
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(self._complaint(error)) from error

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._refuse_other_process()
        try:
            with self._connection:  # inside the try: a full disk may show at the commit only
                self._connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise StoreError(self._complaint(error)) from error

    def _refuse_other_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreError(
                f"the signal store {self.path} was opened by another process, and cannot be used after a fork; give "
                'RagMomentum the path of the spec instead of a loaded pipeline: source="backtests/sample.toml"'
            )

    def _complaint(self, error: Exception) -> str:
        return (
            f"cannot use the signal store {self.path}: {error}; if it is damaged, move the file away and run again "
            "(signals are made anew), or set RAGSIGNAL_CACHE to a folder that can be written"
        )


def _row_of(recipe: str, signal: Signal, prompt: Prompt) -> tuple[Any, ...]:
    text = f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text
    return (
        *(signal.key, recipe, signal.symbol, signal.as_of.isoformat(), signal.value, signal.probability),
        *(signal.abstained, json.dumps([_hit_record(hit) for hit in signal.hits]), text, signal.tokens, signal.seconds),
    )


def _signal_of(row: tuple[Any, ...]) -> Signal:
    key, symbol, as_of, value, probability, abstained, hits, tokens, seconds = row
    return Signal(
        symbol=symbol,
        as_of=date.fromisoformat(as_of),
        value=value,
        probability=probability,
        abstained=abstained,
        hits=tuple(_hit_of(record, rank) for rank, record in enumerate(json.loads(hits))),
        key=key,
        tokens=tokens,
        seconds=seconds,
    )


def _hit_record(hit: Hit) -> list[Any]:
    it = hit.candidate
    days = [day.isoformat() for day in it.dates]
    place = [it.id, it.symbol, it.sequence, days, list(it.values), list(it.scaled)]
    return [hit.score, *place, int(it.movement), it.outcome, it.available_at.isoformat()]


def _hit_of(record: list[Any], rank: int) -> Hit:
    score, name, symbol, sequence, days, values, scaled, movement, outcome, available_at = record
    candidate = Candidate(
        id=name,
        symbol=symbol,
        sequence=sequence,
        dates=tuple(date.fromisoformat(day) for day in days),
        values=tuple(values),
        scaled=tuple(scaled),
        movement=Movement(movement),
        outcome=outcome,
        available_at=date.fromisoformat(available_at),
    )
    return Hit(candidate=candidate, score=score, rank=rank)
