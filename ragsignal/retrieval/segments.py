"""Approximate search in corpora past memory or past ten million candidates, as of a day.

The date-sorted corpus is cut into segments of equal length. A segment that is full is closed: it gets a FAISS index
(inverted lists of vectors in half precision) that is trained and filled from its own rows only, so that it stays what
it is when later rows arrive, and no later row shapes it. An index over all rows would have looked ahead in training.

A query uses the segments that lie in its prefix whole; the rest of the prefix, the newest part, is searched exactly.
All that they nominate is scored again in float64 and merged in the stable order of the exact index.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import StoreError
from ragsignal.retrieval.index import AsOfIndex, Nominees, Vectors, scan
from ragsignal.types import IntArray, Recipe
from ragsignal.utils import array_digest, json_digest, write_folder

FORMAT = 1
"""Raised when the same rows would give another index."""

SEGMENT_ROWS = 500_000
"""Of ten million rows, half a segment (2.5 %) is searched exactly on average: about as long as all closed ones take."""

ROWS_A_LIST = 700
"""The square root of a segment: as many centroids to compare with as rows in a list."""

PROBES = 4
"""Inverted lists that a query reads of a segment for each 32 rows that it wants; all of them if it wants all rows.

Of the five nearest by the shipped numeric FinSeer they hold 99.7 %; 8 held all, and took half as long again.
"""

_FILE = "segment.faiss"
_TRAINING_ROWS = 64  # a centroid; FAISS takes 256, four times the time for the same recall
_WANTED = 32
_SEED = 1234
_HALF = 2.0**-11  # relative rounding of half precision: of an inner product of unit vectors, an absolute bound


class SegmentedIndex(AsOfIndex):
    """Inner-product search over date-sorted unit vectors; exact in the newest segment, by inverted lists before it.

    Parameters
    ----------
    vectors : (n, dim) float32 or float16
        As of :class:`AsOfIndex`.
    available_at : (n,) datetime64[D], ascending
    cache : Path, optional
        Folder of the segments' indexes, addressed by their content; without one they are built in memory.
    segment_rows, rows_a_list, probes : int
        What :meth:`options` tells of.

    Raises
    ------
    ModelError
        If a vector, here or in a search, holds NaN or infinity.
    StoreError
        If a segment's file is damaged.
    """

    def __init__(
        self,
        vectors: Vectors,
        available_at: NDArray[np.datetime64],
        cache: Path | None = None,
        segment_rows: int = SEGMENT_ROWS,
        rows_a_list: int = ROWS_A_LIST,
        probes: int = PROBES,
    ) -> None:
        super().__init__(vectors, available_at)
        self._segment_rows = segment_rows
        self._rows_a_list = rows_a_list
        self._probes = probes
        lists = max(1, segment_rows // rows_a_list)
        self._segments = [
            _open_segment(self._vectors[end - segment_rows : end], lists, cache)
            for end in range(segment_rows, len(vectors) + 1, segment_rows)
        ]

    @staticmethod
    def options() -> Recipe:
        """The defaults, for a recipe: what is found depends on where segments begin and how much of them is read."""
        options = {"segment_rows": SEGMENT_ROWS, "rows_a_list": ROWS_A_LIST, "probes": PROBES}
        return {"index": f"segmented/{FORMAT}", **options}

    def _nominate(self, queries: NDArray[np.float32], visible: IntArray, fetch: int) -> Nominees:
        """The best of the lists that are read of each closed segment, and of all rows after the last of them."""
        nominated: list[list[IntArray]] = [[] for _ in queries]
        floors = np.full(len(queries), -np.inf)
        for begin, (rows_of, lowest) in self._parts(queries, visible, fetch):
            those = slice(begin, begin + len(rows_of))
            floors[those] = np.maximum(floors[those], lowest)
            for parts, rows in zip(nominated[those], rows_of, strict=True):
                parts.append(rows)
        return [np.sort(np.concatenate(parts)) for parts in nominated], floors

    def _parts(self, queries: NDArray[np.float32], visible: IntArray, fetch: int) -> Iterator[tuple[int, Nominees]]:
        """Nominees of one segment, or of the newest part, for some queries in a row; with the number of the first."""
        closed = visible // self._segment_rows  # whole segments in each prefix; ascending, as visible is
        for count in np.unique(closed).tolist():
            begin, end = np.searchsorted(closed, [count, count + 1]).tolist()
            yield begin, scan(self._vectors, queries[begin:end], count * self._segment_rows, visible[begin:end], fetch)
        all_wanted = int(np.searchsorted(visible, fetch, side="right"))  # from here on prefixes are longer than fetch
        for number, segment in enumerate(self._segments[: int(closed[-1])]):
            first = int(np.searchsorted(closed, number, side="right"))  # earlier prefixes end before the segment does
            few = min(segment.nlist, self._probes * (fetch // _WANTED))
            for begin, end, lists in ((first, all_wanted, segment.nlist), (max(first, all_wanted), len(queries), few)):
                if begin < end:
                    places, floors = _read(segment, queries[begin:end], fetch, lists)
                    yield begin, ([number * self._segment_rows + rows for rows in places], floors)


def _read(segment: Any, queries: NDArray[np.float32], fetch: int, lists: int) -> Nominees:
    """As :func:`scan`, of the ``lists`` nearest to each query; a row of another list may exceed the floor."""
    import faiss

    options = faiss.SearchParametersIVF()
    options.nprobe = lists
    scores, places = segment.search(queries, min(fetch, segment.ntotal), params=options)
    # FAISS fills up with -1 where the lists hold fewer rows; none of theirs was left out then
    full = places[:, -1] >= 0
    return [rows[rows >= 0] for rows in places], np.where(full, scores[:, -1] + _HALF, -np.inf)


def _open_segment(vectors: Vectors, lists: int, cache: Path | None) -> Any:
    """The index of one closed segment, from ``cache`` where it was built before; memory-mapped there."""
    if cache is None:
        return _build(vectors, lists)
    import faiss

    key = json_digest([FORMAT, lists, array_digest(vectors)])
    folder = cache / key[:32]
    if not folder.exists():
        write_folder(folder, lambda scratch: faiss.write_index(_build(vectors, lists), str(scratch / _FILE)))
    try:
        return faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise StoreError(f"cannot read the index in {folder}: {error}; delete the folder and run again") from error


def _build(vectors: Vectors, lists: int) -> Any:
    """An index of (n, dim) rows in ``lists`` inverted lists, from these rows only; threads change no bit of it."""
    import faiss

    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    dim = rows.shape[1]
    quantizer = faiss.IndexFlatIP(dim)
    half = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, half, faiss.METRIC_INNER_PRODUCT, False)
    index.cp.seed = _SEED
    index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _TRAINING_ROWS
    index.train(rows)
    index.add(rows)
    return index
