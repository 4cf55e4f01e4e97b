"""Which candidates a query gets to see: dense (text or shape), DTW, random, none.

All share one rule for what is visible (``available_at <= as_of``, an embargo, the query's own symbol in or out), in
:class:`CorpusRetriever`; each only ranks. ``RandomRetriever`` and ``NoRetriever`` are the baselines that a retriever
has to beat, and the fakes that tests use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal import fingerprint
from ragsignal.protocols import Encoder, Recipe
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.encoders import zscore_rows
from ragsignal.retrieval.index import AsOfIndex
from ragsignal.types import Hit, Query


class CorpusEncoder(Encoder, Protocol):
    """An encoder of both sides: queries and candidates."""

    def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return (n, dim) float32, unit rows."""
        ...


class CorpusRetriever(ABC):
    """Base of the retrievers that read a corpus.

    Parameters
    ----------
    corpus : Corpus
    k : int
        Hits at most.
    exclude_own_symbol : bool
        Leave out candidates of the query's own symbol.
    embargo : int
        Trading days between the last visible outcome and the query, on top of ``available_at <= as_of``.
    """

    requires_hits = True

    def __init__(self, corpus: Corpus, k: int = 5, exclude_own_symbol: bool = False, embargo: int = 0) -> None:
        self.corpus = corpus
        self.k = k
        self.exclude_own_symbol = exclude_own_symbol
        self.embargo = embargo

    @property
    def recipe(self) -> Recipe:
        """Identity of the retriever and its options; the corpus is addressed by :meth:`corpus_digest`."""
        options = {"k": self.k, "exclude_own_symbol": self.exclude_own_symbol, "embargo": self.embargo}
        return options | self._identity()

    def corpus_digest(self, query: Query) -> str:
        """Fingerprint of the candidates that ``query`` can see."""
        return self.corpus.digest_as_of(query.as_of, self.embargo)

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        """Hits of every query, best first; an empty tuple where nothing was known yet."""
        ranked = self._rank_all(queries) if queries else []
        return [self._hits(rows, scores) for rows, scores in ranked]

    @abstractmethod
    def _identity(self) -> Recipe: ...

    @abstractmethod
    def _rank_all(self, queries: Sequence[Query]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]: ...

    def _visible(self, query: Query) -> int:
        return self.corpus.visible(query.as_of, self.embargo)

    def _allowed(self, query: Query) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None:
        if not self.exclude_own_symbol or query.symbol not in self.corpus.symbols:
            return None
        own = self.corpus.symbols.index(query.symbol)
        return lambda rows: np.asarray(self.corpus.symbol_id[rows] != own)

    def _visible_rows(self, query: Query) -> NDArray[np.int64]:
        rows = np.arange(self._visible(query))
        allowed = self._allowed(query)
        return rows if allowed is None else rows[allowed(rows)]

    def _hits(self, rows: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[Hit, ...]:
        return tuple(
            Hit(candidate=self.corpus.candidate(int(row)), score=float(score), rank=rank)
            for rank, (row, score) in enumerate(zip(rows, scores, strict=True))
        )


class DenseRetriever(CorpusRetriever):
    """Nearest neighbours in an encoder's space: FinSeer's way, with any encoder."""

    def __init__(
        self,
        corpus: Corpus,
        encoder: CorpusEncoder,
        k: int = 5,
        exclude_own_symbol: bool = False,
        embargo: int = 0,
    ) -> None:
        super().__init__(corpus, k, exclude_own_symbol, embargo)
        self.encoder = encoder
        self._index: AsOfIndex | None = None

    def _identity(self) -> Recipe:
        return {"retriever": "dense/1", **self.encoder.recipe}

    def _rank_all(self, queries: Sequence[Query]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        if self._index is None:  # on first need: a run that the store answers never encodes
            self._index = AsOfIndex(self.encoder.encode_corpus(self.corpus), self.corpus.available_at)
        vectors = self.encoder.encode_queries(queries)
        return [
            self._index.search(vector, self._visible(query), np.datetime64(query.as_of), self.k, self._allowed(query))
            for query, vector in zip(queries, vectors, strict=True)
        ]


class DTWRetriever(CorpusRetriever):
    """Least dynamic-time-warping distance between z-scored windows; score = minus the distance.

    The paper's DTW compares raw price levels, and so finds stocks of the same price; here both sides are normalised.
    """

    def _identity(self) -> Recipe:
        return {"retriever": "dtw/1"}

    def _rank_all(self, queries: Sequence[Query]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        candidates = zscore_rows(np.asarray(self.corpus.values))
        windows = zscore_rows(np.array([query.closes[1:] for query in queries]))
        return [self._rank(query, window, candidates) for query, window in zip(queries, windows, strict=True)]

    def _rank(
        self, query: Query, window: NDArray[np.float64], candidates: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        from dtaidistance import dtw

        rows = self._visible_rows(query)
        if not len(rows):
            return rows, np.empty(0)
        stack = np.vstack([window, candidates[rows]])
        # the first row of the pairwise matrix only: the query against every candidate
        distances = dtw.distance_matrix_fast(stack, block=((0, 1), (1, len(stack))), compact=True, parallel=False)
        scores = np.subtract(0.0, np.round(distances, 6))  # and not -distances: the same shape is 0.0, not -0.0
        best = np.argsort(-scores, kind="stable")[: self.k]
        return rows[best], scores[best]


class RandomRetriever(CorpusRetriever):
    """k visible candidates drawn at random: the null that any retriever has to beat.

    The draw depends on the seed and on the query alone, so that it is the same in every batch and every process.
    """

    def __init__(
        self, corpus: Corpus, k: int = 5, exclude_own_symbol: bool = False, embargo: int = 0, seed: int = 0
    ) -> None:
        super().__init__(corpus, k, exclude_own_symbol, embargo)
        self.seed = seed

    def _identity(self) -> Recipe:
        return {"retriever": "random/1", "seed": self.seed}

    def _rank_all(self, queries: Sequence[Query]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return [self._draw(query) for query in queries]

    def _draw(self, query: Query) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = self._visible_rows(query)
        digest = fingerprint.of_json([self.seed, query.symbol, query.as_of])
        rng = np.random.default_rng(int(digest[:16], 16))
        chosen = rng.choice(len(rows), size=min(self.k, len(rows)), replace=False)
        return rows[chosen], np.zeros(len(chosen))


class NoRetriever:
    """No hits, by choice: the same run without retrieval."""

    requires_hits = False

    @property
    def recipe(self) -> Recipe:
        """Identity: there is nothing to choose."""
        return {"retriever": "none"}

    def corpus_digest(self, query: Query) -> str:  # noqa: ARG002 - the protocol's signature
        """Nothing is visible."""
        return ""

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        """One empty tuple a query."""
        return [() for _ in queries]
