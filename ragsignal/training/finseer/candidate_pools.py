"""The candidates that a block of queries shares: half drawn at random, half the nearest by shape.

A pool is visible as of the block's *earliest* query, so that every query of the block may see all of it. Random
candidates alone would never show the teacher what a retriever finds; the nearest alone would all be alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ragsignal.retrieval import AsOfIndex, Corpus, ShapeEncoder
from ragsignal.types import Query
from ragsignal.utils import json_digest


def generator(*key: str | int) -> np.random.Generator:
    """Random numbers that follow from ``key`` (of strings and integers) alone, in every process."""
    return np.random.default_rng(int(json_digest(list(key))[:16], 16))


class CandidatePools:
    """Draws pools; the index over the corpus is built with the first one.

    Parameters
    ----------
    corpus : Corpus
    candidates : int
        Size of a pool.
    seed : int
    """

    def __init__(self, corpus: Corpus, candidates: int, seed: int) -> None:
        self._corpus = corpus
        self._candidates = candidates
        self._seed = seed
        self._encoder = ShapeEncoder()
        self._index: AsOfIndex | None = None

    def rows(self, number: int, queries: Sequence[Query]) -> NDArray[np.int64]:
        """Return (candidates,) distinct rows of the corpus, ascending.

        Parameters
        ----------
        number : int
            Of the block; with the seed it decides the random half.
        queries : sequence of Query
            As of the earliest of them, ``candidates`` rows at least must be visible.
        """
        as_of = min(query.as_of for query in queries)
        visible = self._corpus.visible(as_of)
        near = self._nearest(queries, visible, as_of)
        # enough that the nearest can be taken out; a draw from all rows but those would list millions of them
        drawn = generator(self._seed, "pool", number).choice(visible, size=self._candidates, replace=False)
        others = drawn[~np.isin(drawn, near)][: self._candidates - len(near)]
        return np.sort(np.concatenate([near, others])).astype(np.int64)

    def _nearest(self, queries: Sequence[Query], visible: int, as_of: date) -> NDArray[np.int64]:
        """Half a pool: every query's nearest row, then every query's second, until there are enough distinct ones.

        Flat windows, which have no nearest, are left to the random half.
        """
        if self._index is None:
            self._index = AsOfIndex(self._encoder.encode_corpus(self._corpus), self._corpus.available_at)
        half, day = self._candidates // 2, np.datetime64(as_of)
        shaped = [query for query in queries if not self._encoder.is_blank(query)]
        if not shaped:
            return np.empty(0, dtype=np.int64)
        vectors = self._encoder.encode_queries(shaped)
        nearest = [self._index.search(vector, visible, day, half)[0].tolist() for vector in vectors]
        in_turn = [row for rank in zip(*nearest, strict=True) for row in rank]
        return np.array(list(dict.fromkeys(in_turn))[:half], dtype=np.int64)
