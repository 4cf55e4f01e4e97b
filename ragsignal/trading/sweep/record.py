"""What is left of a sweep: ``sweep.json`` for programs, ``sweep.parquet`` for tables; and what a killed one had done.

``sweep.json`` has the same bytes for the same spec, grid and bars, but for its key ``times``.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd

from ragsignal.errors import ConfigError
from ragsignal.utils import Record, locked, needs_room, write_file, write_json

RECORD, TABLE = "sweep.json", "sweep.parquet"

Row = dict[str, Any]
"""A line of the journal and of ``sweep.json``: figures by name and the gap to the benchmark, or why it was refused."""


class Journal:
    """Rows that are done, by address, in a file that grows by a line a row; complete lines survive a kill.

    Several sweeps may add to one file: each takes up what the others had done, and the last one drops it.

    Parameters
    ----------
    path : Path, optional
        None keeps them in memory alone.

    Raises
    ------
    ConfigError
        If the file cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        self._in_use = ExitStack()
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            self._in_use.enter_context(locked(path, alone=False, wait=True))
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"no sweep can be written to {path.parent}: {error}; name another --out") from error
        for line in text.splitlines():
            self._take_up(line)
        if text and not text.endswith("\n"):
            self._append("\n")  # else the next row would be lost with the line that a kill cut short

    def add(self, address: str, row: Row) -> None:
        """Keep one row."""
        self.rows[address] = row
        if self.path is not None:
            self._append(json.dumps([address, row]) + "\n")

    def close(self) -> None:
        """Drop the file, unless another sweep still adds to it: this one is complete."""
        if self.path is None:
            return
        self._in_use.close()
        with locked(self.path, alone=True, wait=False) as unused:
            if unused:
                self.path.unlink(missing_ok=True)

    def _append(self, text: str) -> None:
        assert self.path is not None
        with needs_room(self.path), self.path.open("ab", buffering=0) as file:
            if file.write(text.encode()) < len(text):  # in one write: lines of two sweeps must not mix
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _take_up(self, line: str) -> None:
        try:
            address, row = json.loads(line)
        except ValueError:  # the line that a kill cut short
            return
        self.rows[address] = row


def write_sweep(record: Record, folder: Path) -> None:
    """Write the two files into ``folder``; each appears whole, and the record last. Other files stay."""
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / TABLE, lambda path: table_of(record).to_parquet(path, index=False))
    write_json(folder / RECORD, record)


def table_of(record: Record) -> pd.DataFrame:
    """A row a point: variant, one column a place of the grid, the figures, and the gap to the benchmark a year.

    ``paid`` is the sum of what was paid in and out; by day it stands in the record.
    """
    return pd.DataFrame([_flat(row) for row in record["rows"]])


def _flat(row: Row) -> Row:
    figures = {key: value for key, value in row.items() if key not in ("variant", "point", "gap", "paid", "refused")}
    gap = row.get("gap", {})
    beside = {f"gap_{key}": gap.get(key) for key in ("difference", "low", "high", "p", "adjusted", "distinguishable")}
    places = {place: _cell(value) for place, value in row["point"].items()}
    paid = {"paid": sum(row["paid"].values())} if "paid" in row else {}
    return {"variant": row["variant"], **places, **figures, **paid, **beside, "refused": row.get("refused")}


def _cell(value: Any) -> Any:
    """A list in one cell; a number stays one."""
    return value if isinstance(value, int | float | str) else json.dumps(value)
