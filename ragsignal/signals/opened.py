"""Which database the signals of this user are in: a setting of the user's, as a signal is the same wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

from ragsignal.errors import ConfigError
from ragsignal.signals.postgres_tables import PostgresTables
from ragsignal.signals.sqlite_tables import SqliteTables
from ragsignal.signals.tables import SignalTables
from ragsignal.utils import DatabaseUrl, cache_folder

STORE = "RAGSIGNAL_STORE"
"""The environment variable that names a PostgreSQL database; without it signals are in a file of the cache folder."""
_URL = "://"


def store_place() -> Path | str:
    """Where the signals of this user are: a file, or the URL in ``RAGSIGNAL_STORE``.

    Raises
    ------
    ConfigError
        If the variable holds no URL.
    """
    url = os.environ.get(STORE)
    if url and _URL not in url:
        raise ConfigError(
            f"{STORE} holds no URL of a database; expected was postgresql+psycopg://USER:PASSWORD@HOST/NAME. "
            "For a SQLite file unset it, and set RAGSIGNAL_CACHE to its folder"
        )
    return url or cache_folder() / "signals.sqlite"


def open_tables(place: Path | str) -> SignalTables:
    """The tables at a place; raises as :class:`~ragsignal.signals.store.SignalStore`."""
    if isinstance(place, str) and _URL in place:
        return PostgresTables(DatabaseUrl(place, STORE))
    return SqliteTables(place)
