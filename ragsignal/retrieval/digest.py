"""The running digest of a corpus: one hash a day, of all candidates known by then, whatever comes after.

It is taken while a corpus is built and kept beside it (a day is 72 bytes): to hash what it stands for again would read
the whole corpus at the start of every run, 5 GB for 43 million candidates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import StoreError
from ragsignal.types import IntArray
from ragsignal.utils import is_intraday

_FILE = "digests.npy"
_DAY, _MOMENT = (np.dtype([("day", f"<M8[{unit}]"), ("end", "<i8"), ("digest", "S64")]) for unit in ("D", "m"))


@dataclass(frozen=True, eq=False)
class DayDigests:
    """Days on which something became known.

    Parameters
    ----------
    table : (n_days,) of (day datetime64[D] or [m], end int64, digest 64 hex digits)
        ``end`` is the number of candidates known by ``day``; days and ends ascend.
    """

    table: NDArray[Any]

    def save(self, folder: Path) -> None:
        """Write one file into the folder of a corpus."""
        np.save(folder / _FILE, self.table)

    @classmethod
    def load(cls, folder: Path, rows: int) -> DayDigests | None:
        """Read what :meth:`save` wrote beside a corpus of ``rows`` candidates; None where nobody wrote it.

        Raises
        ------
        StoreError
            If the file is damaged, or of another corpus.
        """
        path = folder / _FILE
        if not path.exists():
            return None
        try:
            table = np.load(path, allow_pickle=False)
        except (OSError, EOFError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if table.dtype not in (_DAY, _MOMENT) or int(table["end"][-1] if len(table) else 0) != rows:
            raise _damaged(path, f"it does not cover the {rows} candidates beside it")
        return cls(table)


class RunningDigest:
    """Takes the candidates of a corpus, block by block.

    Parameters
    ----------
    symbols, sequences : sequence of str
        What ``symbol_id`` and ``sequence_id`` mean: names are hashed, so that a digest does not depend on which other
        names the corpus holds.
    """

    def __init__(self, symbols: Sequence[str], sequences: Sequence[str]) -> None:
        self._symbols, self._sequences = _name_hashes(symbols), _name_hashes(sequences)
        self._running = hashlib.sha256()
        self._seen = 0
        self._days: list[tuple[Any, int, str]] = []

    def add(self, rows: Mapping[str, NDArray[Any]]) -> None:
        """Take the next candidates, as columns of a :class:`~ragsignal.retrieval.corpus.Corpus`; a day comes whole."""
        available_at = rows["available_at"]
        columns = [
            self._symbols[rows["symbol_id"]],
            self._sequences[rows["sequence_id"]],
            rows["dates"],
            available_at,
            rows["values"],
            rows["scaled"],
            rows["outcome"],
        ]
        start = 0
        for end in last_rows(available_at).tolist():
            for column in columns:
                self._running.update(np.ascontiguousarray(column[start:end]).view(np.uint8).data)
            self._days.append((available_at[end - 1], self._seen + end, self._running.hexdigest()))
            start = end
        self._seen += len(available_at)

    def result(self) -> DayDigests:
        """The digests so far."""
        moments = bool(self._days) and is_intraday(np.asarray(self._days[0][0]))
        return DayDigests(np.array(self._days, dtype=_MOMENT if moments else _DAY))


def last_rows(available_at: NDArray[np.datetime64]) -> IntArray:
    """Row after the last one of each day, of ascending days."""
    return np.flatnonzero(np.r_[available_at[1:] != available_at[:-1], True][: len(available_at)]) + 1


def _name_hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    """64 bits a name."""
    return np.array([int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) for name in names], dtype=np.uint64)


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(f"cannot read {path}: {why}; delete the folder and run again")
