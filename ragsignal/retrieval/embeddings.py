"""Embeddings kept by content: (encoder weights, text) -> vector, in one SQLite file.

Each batch is committed as it is made, so that an interrupted run goes on where it stopped, and a corpus that grew by
a day pays for that day only.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import StoreError
from ragsignal.utils import Steps, open_database, silent_steps

_READ_CHUNK = 500  # SQLite's oldest limit on variables in one statement is 999


class EmbeddingCache:
    """A file of unit vectors.

    Parameters
    ----------
    path : Path
        Created on first use.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def vectors(
        self,
        encoder: str,
        texts: Sequence[str],
        encode: Callable[[Sequence[str]], NDArray[np.float32]],
        batch_size: int,
        progress: Steps = silent_steps,
    ) -> NDArray[np.float32]:
        """Vectors of ``texts``; only those that the file lacks are encoded.

        Parameters
        ----------
        encoder : str
            Digest of the weights that ``encode`` uses.
        texts : sequence of str, distinct
        encode : callable
            From at most ``batch_size`` texts to (n, dim) float32 unit rows.
        progress : callable, optional
            Called with (texts encoded, texts to encode) after each batch.

        Returns
        -------
        (n_texts, dim) float32

        Raises
        ------
        StoreError
            If the file is not a readable cache.
        """
        keys = _keys(encoder, texts)
        with self._connected() as connection:
            stored = _stored(connection, keys)
            missing = [row for row, key in enumerate(keys) if key not in stored]
            missing.sort(key=lambda row: len(texts[row]))  # a batch is padded to its longest text
            for start in range(0, len(missing), batch_size):
                rows = missing[start : start + batch_size]
                made = encode([texts[row] for row in rows])
                fresh = [(keys[row], vector.tobytes()) for row, vector in zip(rows, made, strict=True)]
                with connection:
                    connection.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", fresh)
                progress(start + len(rows), len(missing))
            return _read(connection, keys)

    def missing(self, encoder: str, texts: Sequence[str]) -> int:
        """How many of ``texts`` (distinct) the file lacks, so that :meth:`vectors` would encode them.

        Raises
        ------
        StoreError
            If the file is not a readable cache.
        """
        with self._connected() as connection:
            return len(texts) - len(_stored(connection, _keys(encoder, texts)))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(open_database(self._path, _prepare)) as connection:
                yield connection
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"cannot use the embedding cache {self._path}: {error}; delete the file and run again"
            ) from error


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")


def _keys(encoder: str, texts: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(f"{encoder}\n{text}".encode()).digest() for text in texts]


def _stored(connection: sqlite3.Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of ``keys`` that the file has; only its index is read."""
    return {key for chunk in _chunks(keys) for (key,) in _select(connection, "key", chunk)}


def _read(connection: sqlite3.Connection, keys: Sequence[bytes]) -> NDArray[np.float32]:
    """The vectors of ``keys``, all of which the file has; filled in place, so that they are in memory once."""
    vectors = np.empty((len(keys), 0), dtype=np.float32)
    for number, chunk in enumerate(_chunks(keys)):
        vector_of = dict(_select(connection, "key, vector", chunk))
        rows = np.frombuffer(b"".join([vector_of[key] for key in chunk]), dtype=np.float32).reshape(len(chunk), -1)
        if not number:
            vectors = np.empty((len(keys), rows.shape[1]), dtype=np.float32)
        vectors[number * _READ_CHUNK :][: len(chunk)] = rows
    return vectors


def _select(connection: sqlite3.Connection, columns: str, keys: Sequence[bytes]) -> sqlite3.Cursor:
    marks = ",".join("?" * len(keys))
    return connection.execute(f"SELECT {columns} FROM embeddings WHERE key IN ({marks})", keys)


def _chunks(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), _READ_CHUNK):
        yield keys[start : start + _READ_CHUNK]
