"""Connections to databases that all threads of a process share, and SQLite files, opened in one way."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


_PATIENCE = 60.0  # seconds


def open_database(path: Path | str, prepare: Callable[[sqlite3.Connection], None]) -> sqlite3.Connection:
    """A SQLite file, in a folder that is made if need be; ``":memory:"`` is none. Waits a minute for other processes.

    Parameters
    ----------
    path : Path or ":memory:"
    prepare : callable
        Sets the connection up, and makes the tables that are missing; called again on a new connection where another
        process was in its way.
    """
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + _PATIENCE
    while True:
        connection = sqlite3.connect(path, timeout=_PATIENCE, check_same_thread=False)
        try:
            prepare(connection)
            return connection
        except BaseException as error:
            connection.close()
            if not _is_busy(error) or time.monotonic() > end:
                raise
        # SQLite itself waits for a lock, but not for one that the switch to a write-ahead log needs: it fails at once
        time.sleep(0.01 * random.random())  # at random: two that wait in step would meet again


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class SharedConnection(ABC, Generic[C]):
    """One connection to a database for all threads of a process, which use it one after the other.

    Before a fork it is closed, and whoever asks next opens it again: SQLite's locks do not survive a fork, and of a
    socket both sides would read.
    """

    lasting = True
    """Whether a connection that was closed finds everything again."""

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._connection: C | None = None
        with self.connection():
            _all.add(self)

    @abstractmethod
    def _open(self) -> C:
        """A new connection."""

    @contextmanager
    def connection(self) -> Iterator[C]:
        """Yield the open connection, which no other thread uses meanwhile."""
        with self._turn:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection

    def close(self) -> None:
        """Let go of the connection."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        # psycopg warns of a connection that nobody has closed
        try:  # noqa: SIM105 - at the end of Python there may be nothing left to close, nor suppress() itself
            self.close()
        except Exception:
            pass

    def before_fork(self) -> None:
        """Wait until no thread uses the connection, and close it."""
        self._turn.acquire()
        if self.lasting:
            self.close()

    def after_fork(self) -> None:
        """Let threads use it again."""
        self._turn.release()


class Database(SharedConnection[sqlite3.Connection]):
    """A SQLite file for any number of threads: each statement, and each transaction, belongs to one of them.

    Parameters
    ----------
    path : Path or ":memory:"
    prepare : callable
        As of :func:`open_database`.

    Raises
    ------
    sqlite3.Error, OSError
        From here and from every method, if the file cannot be used.
    """

    def __init__(self, path: Path | str, prepare: Callable[[sqlite3.Connection], None]) -> None:
        self._path, self._prepare = path, prepare
        self.lasting = path != ":memory:"
        super().__init__()

    def _open(self) -> sqlite3.Connection:
        return open_database(self._path, self._prepare)

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        with self.connection() as connection:
            return connection.execute(statement, values).fetchall()

    def write(self, *steps: tuple[str, Sequence[tuple[Any, ...]]]) -> None:
        """Run each statement for each of its rows, in one transaction: all of it or nothing."""
        with self.connection() as connection, connection:
            for statement, rows in steps:
                connection.executemany(statement, rows)


_all: weakref.WeakSet[SharedConnection[Any]] = weakref.WeakSet()
_held: list[SharedConnection[Any]] = []  # from before a fork until after it, in both processes


def _hold() -> None:
    for database in list(_all):
        database.before_fork()
        _held.append(database)


def _let_go() -> None:
    while _held:
        _held.pop().after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
