"""SQLite files, opened in one way."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def open_database(path: Path | str) -> sqlite3.Connection:
    """A SQLite file, in a folder that is made if need be; ``":memory:"`` is none. Waits a minute for another writer."""
    if path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    return sqlite3.connect(path, timeout=60)
