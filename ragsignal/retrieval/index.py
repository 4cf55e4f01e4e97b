"""Exact nearest neighbours among what was known as of a day, for all queries of a run at once.

The corpus is sorted by the day on which a candidate became known, so that an as-of search is a search of a *prefix*:
no filter to forget, and no index trained on the future. Queries are sorted by their prefix and scored in blocks, one
matrix product for many queries and many rows; what lies beyond a query's own prefix is masked at the block's edge.

The product only nominates: what it nominates is scored again in float64, and equal scores come in row order, the
oldest first. So neither the shape of a block nor the company of a query shows in its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import LookAheadError, ModelError
from ragsignal.types import BoolArray, FloatArray, IntArray

Vectors = NDArray[np.float32] | NDArray[np.float16]
Allowed = Callable[[IntArray], BoolArray]
"""From (m,) rows to (m,) bool: which of them may be hits."""
Ranked = tuple[IntArray, FloatArray]
Nominees = tuple[list[IntArray], FloatArray]
"""Of every query the nominated rows, ascending, and the score that no other row of its prefix exceeds."""

_QUERIES, _ROWS = 1024, 8192  # of one product: 32 MiB of scores
_SCORES = 1 << 19  # of a product of few queries, which takes more rows: 2 MiB, near the processor
_FIRST = 8  # a scan's first product has this part of the rows: its scores only tell where the best begin
_SLACK = 32  # rows nominated beyond k, so that most ties and exclusions are settled in the first search
_NOMINEES = 1 << 21  # of all queries that are searched together
_DECIMALS = 6  # float32 scores of equal vectors differ in the 7th decimal with the batch's shape


class AsOfIndex:
    """Inner-product search over date-sorted unit vectors, exact.

    Parameters
    ----------
    vectors : (n, dim) float32 or float16
        Unit rows (or zeros), sorted by ``available_at``; may be memory-mapped. Half precision is read as it is stored
        and scored in float32 and float64.
    available_at : (n,) datetime64[D], ascending

    Raises
    ------
    ModelError
        If a vector, here or in a search, holds NaN or infinity.
    """

    def __init__(self, vectors: Vectors, available_at: NDArray[np.datetime64]) -> None:
        if len(vectors) != len(available_at):
            raise ValueError(f"{len(vectors)} vectors, but {len(available_at)} dates")
        if (available_at[1:] < available_at[:-1]).any():
            raise ValueError("available_at must ascend: an as-of search reads a prefix")
        self._vectors: Vectors = vectors if vectors.flags.c_contiguous else vectors.copy()
        self._available_at = available_at
        for start in range(0, len(vectors), _ROWS):
            _check_finite(self._vectors[start : start + _ROWS])

    def search(
        self, query: NDArray[np.float32], visible: int, as_of: np.datetime64, k: int, allowed: Allowed | None = None
    ) -> Ranked:
        """:meth:`search_all` for one (dim,) query."""
        return self.search_all(query[None, :], [visible], [as_of], k, [allowed])[0]

    def search_all(
        self,
        queries: NDArray[np.float32],
        visible: Sequence[int] | IntArray,
        as_of: Sequence[np.datetime64] | NDArray[np.datetime64],
        k: int,
        allowed: Sequence[Allowed | None] | None = None,
    ) -> list[Ranked]:
        """The k best rows of each query's prefix, best first; fewer where there are fewer.

        Parameters
        ----------
        queries : (n_queries, dim) float32
            Unit rows (or zeros), in any order of dates.
        visible : (n_queries,) int
            Length of the prefix that a query may read.
        as_of : (n_queries,) datetime64, in the unit of ``available_at``
            The day of each query, checked against its prefix.
        k : int
        allowed : sequence of (callable or None), optional
            One a query.

        Returns
        -------
        list of (rows, scores), one a query, in the order of ``queries``
            rows : (<= k,) int64; scores : (<= k,) float64, inner products, rounded to 6 decimals, descending; equal
            scores by ascending row.

        Raises
        ------
        LookAheadError
            If a prefix holds a candidate that was not known at ``as_of``.
        """
        seen = np.asarray(visible, dtype=np.int64)
        self._check_known(seen, np.asarray(as_of, dtype=self._available_at.dtype))
        _check_finite(queries)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        masks = [None] * len(queries) if allowed is None else allowed
        answers: dict[int, Ranked] = {}
        waiting, fetch = np.argsort(seen, kind="stable"), k + _SLACK
        while len(waiting):
            unsettled = []
            for block in _blocks(waiting, min(_QUERIES, max(1, _NOMINEES // fetch))):
                nominated, floors = self._nominate(queries[block], seen[block], fetch)
                for number, rows, floor in zip(block.tolist(), nominated, floors.tolist(), strict=True):
                    rows, scores = self._rank(queries[number], rows, masks[number])
                    answers[number] = rows[:k], scores[:k]
                    # a row that was not nominated scores at most floor: it can neither beat nor tie the k-th
                    settled = len(rows) >= k and scores[k - 1] > floor + 2 * 10.0**-_DECIMALS
                    if not settled and fetch < seen[number]:
                        unsettled.append(number)
            waiting, fetch = np.array(unsettled, dtype=np.int64), 4 * fetch
        return [answers[number] for number in range(len(queries))]

    def _nominate(self, queries: NDArray[np.float32], visible: IntArray, fetch: int) -> Nominees:
        """At least the ``fetch`` best rows of each prefix; all of it where it is no longer. ``visible`` ascends."""
        return scan(self._vectors, queries, 0, visible, fetch)

    @np.errstate(invalid="ignore")  # as in scan
    def _rank(self, query: NDArray[np.float32], rows: IntArray, allowed: Allowed | None) -> Ranked:
        """The rows that are allowed, in the stable order, with their scores."""
        if allowed is not None:
            rows = rows[allowed(rows)]
        scores = np.round(self._vectors[rows].astype(np.float64) @ query.astype(np.float64), _DECIMALS)
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order]

    def _check_known(self, visible: IntArray, as_of: NDArray[np.datetime64]) -> None:
        asking = np.flatnonzero(visible > 0)
        last = self._available_at[visible[asking] - 1]
        early = np.flatnonzero(last > as_of[asking])
        if len(early):
            raise LookAheadError(
                f"asked as of {as_of[asking[early[0]]]} for candidates known on {last[early[0]]}; "
                "the prefix is too long: use Corpus.visible(as_of)"
            )


@np.errstate(invalid="ignore")  # all is finite; some BLAS kernels set the flag for lanes that they then discard
def scan(vectors: Vectors, queries: NDArray[np.float32], first: int, visible: IntArray, fetch: int) -> Nominees:
    """The ``fetch`` rows of ``[first, visible)`` with the highest float32 scores, for each query.

    Parameters
    ----------
    vectors : (n, dim) float32 or float16, finite
    queries : (n_queries, dim) float32, finite
    first : int
    visible : (n_queries,) int64, ascending
    fetch : int

    Returns
    -------
    rows : list of (<= fetch,) int64, ascending
    floors : (n_queries,) float64
        The lowest score among a query's rows; no row that was left out exceeds it. -inf where none was left out.
    """
    best = _Best(len(queries), fetch)
    most = max(_ROWS, _SCORES // len(queries))
    memory = np.empty(len(queries) * most, dtype=np.float32)  # once: fresh pages cost as much as the comparison
    start, end, span = first, int(visible.max(initial=first)), -(-most // _FIRST)
    while start < end:
        stop = min(start + span, end)
        asking = int(np.searchsorted(visible, start, side="right"))  # earlier queries see none of these rows
        shape = (len(queries) - asking, stop - start)
        scores = memory[: shape[0] * shape[1]].reshape(shape)
        np.matmul(queries[asking:], vectors[start:stop].astype(np.float32, copy=False).T, out=scores)
        cut = int(np.searchsorted(visible, stop, side="left"))  # queries from here on see all of them
        scores[: cut - asking][np.arange(start, stop) >= visible[asking:cut, None]] = -np.inf
        best.offer(scores, asking, start)
        start, span = stop, min(2 * span, most)
    return best.taken()


class _Best:
    """The best rows so far of many queries; new scores are compared with the lowest that is still of use.

    That floor rises when as many rows are pending as are kept: a few times in a scan, over all queries at once. After
    the first blocks hardly any score passes it, so that a scan costs one comparison a score.
    """

    def __init__(self, queries: int, fetch: int) -> None:
        self._fetch = fetch
        self._limit = queries * fetch
        self._floor = np.full(queries, -np.inf, dtype=np.float32)
        self._owner = np.empty(0, dtype=np.int64)
        self._row = np.empty(0, dtype=np.int64)
        self._score = np.empty(0, dtype=np.float32)
        self._pending: list[tuple[IntArray, IntArray, NDArray[np.float32]]] = []
        self._waiting = 0

    def offer(self, scores: NDArray[np.float32], owner: int, row: int) -> None:
        """Scores of queries ``owner``, ``owner + 1``, ... (down) and of rows ``row``, ``row + 1``, ... (across)."""
        width = scores.shape[1]
        passed = np.flatnonzero(scores > self._floor[owner:, None])
        if len(passed) > 4 * self._limit:
            passed = self._thinned(scores, passed)
        down, across = np.divmod(passed, width)
        self._pending.append((down + owner, across + row, scores[down, across]))
        self._waiting += len(passed)
        if self._waiting >= self._limit:
            self._merge()

    def _thinned(self, scores: NDArray[np.float32], passed: IntArray) -> IntArray:
        """At most ``4 * fetch`` of ``passed`` a query: of a query with more, the ``fetch`` best."""
        down = passed // scores.shape[1]
        crowded = np.bincount(down, minlength=len(scores)) > 4 * self._fetch
        parts = [passed[~crowded[down]]]
        for number in np.flatnonzero(crowded).tolist():
            best = np.argpartition(scores[number], -self._fetch)[-self._fetch :]
            parts.append(number * scores.shape[1] + best[scores[number, best] > -np.inf])
        return np.concatenate(parts)

    def taken(self) -> Nominees:
        """What :func:`scan` returns."""
        self._merge()
        order = np.lexsort((self._row, self._owner))
        ends = np.cumsum(np.bincount(self._owner, minlength=len(self._floor)))
        return np.split(self._row[order], ends[:-1]), self._floor.astype(np.float64)

    def _merge(self) -> None:
        parts = [(self._owner, self._row, self._score), *self._pending]
        owner, row, score = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((row, -score, owner))
        owner, row, score = owner[order], row[order], score[order]
        counts = np.bincount(owner, minlength=len(self._floor))
        rank = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        last = rank == self._fetch - 1
        self._floor[owner[last]] = score[last]
        keep = rank < self._fetch
        self._owner, self._row, self._score = owner[keep], row[keep], score[keep]
        self._pending, self._waiting = [], 0


def _blocks(numbers: IntArray, size: int) -> Iterator[IntArray]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]


def _check_finite(vectors: Vectors) -> None:
    # NaN compares with nothing: a row of it would be found nowhere, and a query of it would find nothing.
    if not np.isfinite(vectors).all():
        raise ModelError(
            "an embedding is NaN or infinite; unit vectors were expected. "
            "Check the encoder's weights: ragsignal weights verify"
        )
