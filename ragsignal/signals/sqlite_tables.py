"""The tables of a signal store in a SQLite file: one writer at a time; readers never wait (write-ahead log)."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragsignal.errors import StoreError
from ragsignal.signals.tables import COLUMNS, SignalTables, TableName
from ragsignal.utils import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS recipes (digest TEXT PRIMARY KEY, recipe TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, symbol TEXT NOT NULL, as_of TEXT NOT NULL,
    value REAL NOT NULL, probability REAL NOT NULL, abstained TEXT,
    hits TEXT NOT NULL, prompt TEXT NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL, rank REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS hit_sets (key TEXT PRIMARY KEY, known_through TEXT NOT NULL, hits BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS market_days (key TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
    key TEXT PRIMARY KEY, probability REAL NOT NULL, tokens INTEGER NOT NULL
) WITHOUT ROWID;
"""


class SqliteTables(SignalTables):
    """Tables in a SQLite file, which is made on first use, or ``":memory:"``.

    Raises
    ------
    StoreError
        If the file cannot be opened as a store.
    """

    repair = (
        "if it is damaged, move the file away and run again (signals are made anew), or set RAGSIGNAL_CACHE to a "
        "folder that can be written"
    )

    def __init__(self, place: Path | str) -> None:
        super().__init__(place if place == ":memory:" else Path(place))
        try:
            self._database = Database(place, self._prepare)
            with self._database.connection() as connection:
                self._keys_at_once = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        except (sqlite3.Error, OSError) as error:
            raise self.error(str(error), error) from error

    def among(self, keys: Sequence[str], columns: str, table: TableName) -> list[tuple[Any, ...]]:
        """Rows of ``keys``, in one statement unless SQLite takes fewer (often 250,000).

        Not as one JSON list: SQLite's ``json_each`` ends a text at its first NUL.
        """
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(keys), self._keys_at_once):
            chunk = keys[start : start + self._keys_at_once]
            marks = ",".join("?" * len(chunk))
            rows += self._read(f"SELECT {columns} FROM {table} WHERE {COLUMNS[table][0]} IN ({marks})", chunk)
        return rows

    def add(self, table: TableName, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows whose key is not there, all or none."""
        marks = ", ".join("?" * len(COLUMNS[table]))
        # not INSERT OR IGNORE, which would also drop a row that breaks NOT NULL (SQLite stores NaN as NULL)
        statement = f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT ({COLUMNS[table][0]}) DO NOTHING"
        try:
            self._database.write((statement, rows))
        except (sqlite3.Error, OSError) as error:
            raise self.error(str(error), error) from error

    def count(self, table: TableName) -> int:
        """How many rows a table has."""
        return int(self._read(f"SELECT count(*) FROM {table}", [])[0][0])

    def _read(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._database.read(statement, values)
        except (sqlite3.Error, OSError) as error:
            raise self.error(str(error), error) from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL survives a killed process; only a power cut can lose the last batch.
        connection.execute("PRAGMA synchronous = NORMAL")
        ((version,),) = connection.execute("PRAGMA user_version")
        if version:  # ours has none
            raise StoreError(
                f"the signal store {self.place} has version {version} of its tables, which another version of "
                "ragsignal has made; use that one, or set RAGSIGNAL_CACHE to another folder"
            )
        connection.executescript(_SCHEMA)
        if not _has_rank(connection):
            _add_rank(connection)


def _has_rank(connection: sqlite3.Connection) -> bool:
    return "rank" in [row[1] for row in connection.execute("PRAGMA table_info(signals)")]


def _add_rank(connection: sqlite3.Connection) -> None:
    """Give a file of before ranks existed its column: what a language model said is worth keeping."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")  # another process may add it just now: one at a time, and look again
        if not _has_rank(connection):
            connection.execute("ALTER TABLE signals ADD COLUMN rank REAL NOT NULL DEFAULT 0.0")
