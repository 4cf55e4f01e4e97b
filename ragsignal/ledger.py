"""Every configuration that was ever run against some bars: rows are added, never changed and never removed.

The best of many trials looks good by chance, so a result means little without their number (Bailey and López de Prado
2014). It stands beside the user's other data, not in the cache: what cannot be made again must not go with what can.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from platformdirs import user_data_path

from ragsignal.errors import StoreError
from ragsignal.utils.database import open_database
from ragsignal.utils.digest import json_digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS bars (
    id TEXT PRIMARY KEY, market TEXT NOT NULL, symbols TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (
    bars TEXT NOT NULL REFERENCES bars (id), configuration TEXT NOT NULL, command TEXT NOT NULL, sharpe REAL,
    PRIMARY KEY (bars, configuration)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS trials_stay BEFORE DELETE ON trials
    BEGIN SELECT RAISE(ABORT, 'the ledger of trials only grows'); END;
CREATE TRIGGER IF NOT EXISTS trials_hold BEFORE UPDATE ON trials
    BEGIN SELECT RAISE(ABORT, 'the ledger of trials only grows'); END;
"""
_AT_ONCE = 500  # data sets in one statement; older SQLite takes 999 values


@dataclass(frozen=True, slots=True)
class Bars:
    """What a configuration was tried on.

    Parameters
    ----------
    market : str
        Empty for real prices; source and seed of a made-up market, whose symbols are other ones under another seed.
    symbols : tuple of str
    first, last : date
        The traded window, both inclusive.
    """

    market: str
    symbols: tuple[str, ...]
    first: date
    last: date

    @property
    def digest(self) -> str:
        """Address in the ledger."""
        return json_digest([self.market, sorted(self.symbols), str(self.first), str(self.last)])


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration: digest of all that decides its result, the command that ran it, its Sharpe ratio per bar.

    ``sharpe`` is None where there is none: no broker, an account that never moved, or too few bars.
    """

    configuration: str
    command: str
    sharpe: float | None


def ledger_path() -> Path:
    """``trials.sqlite`` in ``$RAGSIGNAL_CACHE``, where that is set, else in the user's data folder."""
    chosen = os.environ.get("RAGSIGNAL_CACHE")
    folder = Path(chosen).expanduser() if chosen else user_data_path("ragsignal")
    return folder / "trials.sqlite"


class TrialLedger:
    """A file of trials.

    Parameters
    ----------
    path : Path or ":memory:"
        Created on first use.

    Raises
    ------
    StoreError
        If the file cannot be opened as a ledger, or not be written.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        try:
            self._connection = open_database(path)
            self._connection.executescript(_SCHEMA)
            # a file that can only be read says so now, not after the work; BEGIN IMMEDIATE would not notice
            self._connection.execute("INSERT OR IGNORE INTO bars VALUES ('', '', '', '', '')")
            self._connection.rollback()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def add(self, bars: Bars, trials: Iterable[Trial]) -> None:
        """Count ``trials`` on ``bars``; one that was counted before stays as it is."""
        place = (bars.digest, bars.market, "\n".join(sorted(bars.symbols)), str(bars.first), str(bars.last))
        rows = [(bars.digest, it.configuration, it.command, it.sharpe) for it in trials]
        try:
            with self._connection:
                self._connection.execute("INSERT INTO bars VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", place)
                self._connection.executemany(
                    "INSERT INTO trials VALUES (?, ?, ?, ?) ON CONFLICT (bars, configuration) DO NOTHING", rows
                )
        except sqlite3.Error as error:
            raise StoreError(self._complaint(error)) from error

    def against(self, bars: Bars) -> list[Trial]:
        """All trials on bars that share a symbol and a day with ``bars``: whoever looked there has seen these days."""
        try:
            found = self._connection.execute(
                "SELECT id, symbols FROM bars WHERE market = ? AND first <= ? AND last >= ? ORDER BY id",
                (bars.market, str(bars.last), str(bars.first)),
            ).fetchall()
            shared = [name for name, symbols in found if not set(bars.symbols).isdisjoint(symbols.split("\n"))]
            return [trial for start in range(0, len(shared), _AT_ONCE) for trial in self._on(shared[start:][:_AT_ONCE])]
        except sqlite3.Error as error:
            raise StoreError(self._complaint(error)) from error

    def _on(self, names: list[str]) -> list[Trial]:
        marks = ",".join("?" * len(names))
        statement = f"SELECT configuration, command, sharpe FROM trials WHERE bars IN ({marks}) ORDER BY bars"
        return [Trial(*row) for row in self._connection.execute(statement, names)]

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _complaint(self, error: Exception) -> str:
        return (
            f"cannot use the ledger of trials {self.path}: {error}; it counts what was tried on which bars, and "
            "results are judged by that number. If it is damaged, move it away (the count then begins anew), or set "
            "RAGSIGNAL_CACHE to a folder that can be written"
        )
