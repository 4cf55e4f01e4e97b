"""The five tables of a signal store, and what a database must do to hold them.

::

    SignalStore ─► SignalTables ─┬► SqliteTables      one file: one machine
                                 └► PostgresTables    a database: as many machines as there are

Every table has a key, rows are added and never changed, and of two rows with the same key the first one stays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ragsignal.errors import StoreError
from ragsignal.utils import disk_is_full, full_disk

TableName = Literal["recipes", "signals", "hit_sets", "market_days", "scores"]
COLUMNS: dict[TableName, tuple[str, ...]] = {
    "recipes": ("digest", "recipe"),
    "signals": (
        *("key", "recipe", "symbol", "as_of", "value", "probability", "abstained"),
        *("hits", "prompt", "tokens", "seconds", "rank"),
    ),
    "hit_sets": ("key", "known_through", "hits"),
    "market_days": ("key", "record"),
    "scores": ("key", "probability", "tokens"),
}
"""The columns of each table, the key first."""


class SignalTables(ABC):
    """Tables in a database.

    Parameters
    ----------
    place : Path or str
        Where, for messages and for other processes; without a password.
    """

    def __init__(self, place: Path | str) -> None:
        self.place = place

    @property
    @abstractmethod
    def repair(self) -> str:
        """What to do if it cannot be used; ends an error's message."""

    @abstractmethod
    def among(self, keys: Sequence[str], columns: str, table: TableName) -> list[tuple[Any, ...]]:
        """Rows whose first column is one of ``keys``, which are distinct and at least one; raises ``StoreError``."""

    @abstractmethod
    def add(self, table: TableName, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows of all columns, in one transaction: all of them or nothing; raises ``StoreError``.

        A row whose key is there already is left out.
        """

    @abstractmethod
    def count(self, table: TableName) -> int:
        """How many rows a table has; raises ``StoreError``."""

    def error(self, words: str, cause: Exception | None = None) -> StoreError:
        """The error to raise."""
        if cause is not None and disk_is_full(cause):
            return full_disk(f"the signal store {self.place}", cause)
        return StoreError(f"cannot use the signal store {self.place}: {words}; {self.repair}")
