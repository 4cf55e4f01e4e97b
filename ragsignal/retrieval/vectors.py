"""The vectors of a whole corpus in one memory-mapped file, so that a second run neither encodes nor gathers them.

Addressed by what made them (encoder, corpus, precision), written once, block after block: at no time is the matrix in
memory. A process that maps it reads the pages that it searches, and shares them with every other process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import StoreError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.types import Recipe
from ragsignal.utils import json_digest, write_folder

Storage = Literal["float32", "float16"]

FORMAT = 1
"""Raised when the same encoder and corpus would give another file."""

_FILE = "vectors.npy"


@runtime_checkable
class CostlyEncoder(Protocol):
    """An encoder whose vectors are worth a file, and come in blocks of rows."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the encoder."""
        ...

    def corpus_blocks(self, corpus: Corpus) -> Iterator[NDArray[np.float32]]:
        """(rows, dim) float32 unit rows, one block after the other, in the order of the corpus."""
        ...


def corpus_vectors(
    encoder: CostlyEncoder, corpus: Corpus, storage: Storage, cache: Path
) -> NDArray[np.float32] | NDArray[np.float16]:
    """The vectors of ``corpus``, encoded now if they never were.

    Parameters
    ----------
    encoder : CostlyEncoder
    corpus : Corpus
    storage : str
        ``float16`` halves the file and rounds each value to 11 bits.
    cache : Path
        Folder of such files.

    Returns
    -------
    (n, dim) array of ``storage``, read-only, memory-mapped

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    key = json_digest([FORMAT, encoder.recipe, corpus.digest, storage])
    folder = cache / key[:32]
    if not folder.exists():
        write_folder(folder, lambda scratch: _write(scratch / _FILE, encoder, corpus, np.dtype(storage)))
    try:
        vectors = np.load(folder / _FILE, mmap_mode="r", allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        raise StoreError(f"cannot read the vectors in {folder}: {error}; delete the folder and run again") from error
    if len(vectors) != len(corpus):
        raise StoreError(
            f"{folder} holds {len(vectors)} vectors, but the corpus has {len(corpus)}; delete the folder and run again"
        )
    return np.asarray(vectors)


def _write(path: Path, encoder: CostlyEncoder, corpus: Corpus, dtype: np.dtype[np.floating]) -> None:
    with path.open("wb") as file:
        for number, block in enumerate(encoder.corpus_blocks(corpus)):
            if not number:
                header = {"descr": dtype.str, "fortran_order": False, "shape": (len(corpus), block.shape[1])}
                np.lib.format.write_array_header_1_0(file, header)
            block.astype(dtype, copy=False).tofile(file)
