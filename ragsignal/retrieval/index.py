"""Exact nearest neighbours among what was known as of a day.

The corpus is sorted by the day on which a candidate became known, so that an as-of search is a search of a *prefix*:
no filter to forget, and no index trained on the future. Equal scores come in row order, the oldest first, whatever
the batch: FAISS alone returns ties in no useful order, and may cut a group of ties anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import LookAheadError, ModelError

_SLACK = 32  # rows fetched beyond k, so that most ties and exclusions are settled in the first search
_DECIMALS = 6  # float32 scores of equal vectors differ in the 7th decimal with the batch's shape


class AsOfIndex:
    """Inner-product search over date-sorted unit vectors, by FAISS, exact.

    Parameters
    ----------
    vectors : (n, dim) float32
        Unit rows (or zeros), sorted by ``available_at``.
    available_at : (n,) datetime64[D], ascending

    Raises
    ------
    ModelError
        If a vector, here or in a search, holds NaN or infinity.
    """

    def __init__(self, vectors: NDArray[np.float32], available_at: NDArray[np.datetime64]) -> None:
        if len(vectors) != len(available_at):
            raise ValueError(f"{len(vectors)} vectors, but {len(available_at)} dates")
        if (available_at[1:] < available_at[:-1]).any():
            raise ValueError("available_at must ascend: an as-of search reads a prefix")
        self._vectors = _checked(np.ascontiguousarray(vectors, dtype=np.float32))
        self._available_at = available_at

    def search(
        self,
        query: NDArray[np.float32],
        visible: int,
        as_of: np.datetime64,
        k: int,
        allowed: Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None = None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k best rows of the first ``visible`` ones, best first; fewer where there are fewer.

        Parameters
        ----------
        query : (dim,) float32
        visible : int
            Length of the prefix that may be read.
        as_of : datetime64[D]
            The day of the query, checked against the prefix.
        allowed : callable, optional
            From (m,) rows to (m,) bool: which of them may be hits.

        Returns
        -------
        rows : (<= k,) int64
        scores : (<= k,) float64
            Inner products, rounded to 6 decimals, descending; equal scores by ascending row.

        Raises
        ------
        LookAheadError
            If the prefix holds a candidate that was not known at ``as_of``.
        """
        if visible and self._available_at[visible - 1] > as_of:
            raise LookAheadError(
                f"asked as of {as_of} for candidates known on {self._available_at[visible - 1]}; "
                "the prefix is too long: use Corpus.visible(as_of)"
            )
        query = _checked(query)
        fetch = min(visible, k + _SLACK)
        while True:
            rows, scores, floor = self._fetch(query, visible, fetch)
            if allowed is not None:
                keep = allowed(rows)
                rows, scores = rows[keep], scores[keep]
            # a row that was not fetched scores at most floor: it can neither beat nor tie the k-th
            settled = len(rows) >= k and scores[k - 1] > floor + 2 * 10.0**-_DECIMALS
            if settled or fetch == visible:
                return rows[:k], scores[:k]
            fetch = min(visible, 4 * fetch)

    def _fetch(
        self, query: NDArray[np.float32], visible: int, fetch: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
        """The ``fetch`` best rows in the stable order, and the lowest raw score among them."""
        if fetch == 0:
            return np.empty(0, np.int64), np.empty(0), np.inf
        import faiss

        raw, found = faiss.knn(query[None, :], self._vectors[:visible], fetch, metric=faiss.METRIC_INNER_PRODUCT)
        rows = np.sort(found[0].astype(np.int64))
        exact = self._vectors[rows].astype(np.float64) @ query.astype(np.float64)
        scores = np.round(exact, _DECIMALS)
        order = np.argsort(-scores, kind="stable")
        return rows[order], scores[order], float(raw[0].min())


def _checked(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    # FAISS answers NaN with row -1, which is the last row of the whole corpus: the future.
    if not np.isfinite(vectors).all():
        raise ModelError(
            "an embedding is NaN or infinite; unit vectors were expected. "
            "Check the encoder's weights: ragsignal weights verify"
        )
    return vectors
