"""SQLite files, opened in one way, that all threads of a process share."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_database(path: Path | str) -> sqlite3.Connection:
    """A SQLite file, in a folder that is made if need be; ``":memory:"`` is none. Waits a minute for another writer."""
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path, timeout=60, check_same_thread=False)


class Database:
    """A SQLite file for any number of threads: each statement, and each transaction, belongs to one of them.

    Before a fork the file is closed, and whoever asks next opens it again: SQLite's locks do not survive a fork.

    Parameters
    ----------
    path : Path or ":memory:"
    prepare : callable
        Given each new connection: sets it up, and makes the tables that are missing.

    Raises
    ------
    sqlite3.Error, OSError
        From here and from every method, if the file cannot be used.
    """

    def __init__(self, path: Path | str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path, self._prepare = path, prepare
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with self.connection():
            _all.add(self)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the open connection, which no other thread uses meanwhile."""
        with self._turn:
            if self._connection is None:
                opened = open_database(self._path)
                self._prepare(opened)
                self._connection = opened
            yield self._connection

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        with self.connection() as connection:
            return connection.execute(statement, values).fetchall()

    def write(self, *steps: tuple[str, Sequence[tuple[Any, ...]]]) -> None:
        """Run each statement for each of its rows, in one transaction: all of it or nothing."""
        with self.connection() as connection, connection:
            for statement, rows in steps:
                connection.executemany(statement, rows)

    def close(self) -> None:
        """Let go of the file; of ``":memory:"`` nothing is left."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def before_fork(self) -> None:
        """Wait until no thread uses the file, and close it."""
        self._turn.acquire()
        if self._path != ":memory:":
            self.close()

    def after_fork(self) -> None:
        """Let threads use it again."""
        self._turn.release()


_all: weakref.WeakSet[Database] = weakref.WeakSet()
_held: list[Database] = []  # from before a fork until after it, in both processes


def _hold() -> None:
    for database in list(_all):
        database.before_fork()
        _held.append(database)


def _let_go() -> None:
    while _held:
        _held.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
