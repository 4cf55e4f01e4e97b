"""SQLite files that many processes open at once."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from ragsignal.utils import database, open_database


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS things (name TEXT)")


@pytest.fixture
def written_by_another(tmp_path: Path) -> tuple[Path, sqlite3.Connection]:
    """A new file that another connection is about to write, so that its journal cannot be switched."""
    path = tmp_path / "file.sqlite"
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("CREATE TABLE first (name TEXT)")
    other.execute("BEGIN IMMEDIATE")
    return path, other


def test_a_file_that_another_process_opens_at_the_same_time_is_waited_for(
    written_by_another: tuple[Path, sqlite3.Connection],
) -> None:
    path, other = written_by_another
    plain = sqlite3.connect(path, timeout=60)
    with pytest.raises(sqlite3.OperationalError, match="locked"):  # what SQLite does without us: it does not wait
        _prepare(plain)
    plain.close()
    done = threading.Timer(0.2, other.close)
    done.start()
    opened = open_database(path, _prepare)
    assert opened.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    opened.close()
    done.join()


def test_one_that_is_never_let_go_is_an_error_in_the_end(
    written_by_another: tuple[Path, sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = written_by_another
    monkeypatch.setattr(database, "_PATIENCE", 0.1)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        open_database(path, _prepare)
    other.close()


def test_any_other_fault_is_told_at_once(tmp_path: Path) -> None:
    calls = []

    def spoilt(connection: sqlite3.Connection) -> None:
        calls.append(connection)
        connection.execute("CREATE NONSENSE")

    with pytest.raises(sqlite3.OperationalError, match="syntax"):
        open_database(tmp_path / "file.sqlite", spoilt)
    assert len(calls) == 1
