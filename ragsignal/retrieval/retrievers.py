"""Which candidates a query gets to see: dense (text or shape), DTW, random, none.

All share one rule for what is visible (``available_at <= as_of``, an embargo, the query's own symbol in or out), in
:class:`CorpusRetriever`; each only ranks. ``RandomRetriever`` and ``NoRetriever`` are the baselines that a retriever
has to beat, and the fakes that tests use.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal.data import hint_at, same_stock, second_names
from ragsignal.errors import ConfigError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.encoders import is_flat, zscore_rows
from ragsignal.retrieval.index import Allowed, AsOfIndex, Ranked, Vectors
from ragsignal.retrieval.segments import SegmentedIndex
from ragsignal.retrieval.vectors import CostlyEncoder, Storage, corpus_vectors
from ragsignal.types import Candidate, FloatArray, Hit, IntArray, Query, Recipe
from ragsignal.utils import as_stamps, json_digest

FLAT_WINDOW = "flat window"
"""Why a retriever by shape abstains: prices that do not move resemble all windows and none."""

IndexName = Literal["exact", "segmented"]


class CorpusEncoder(Protocol):
    """Turns windows of queries and candidates into unit vectors; sees scale-free values only, never an outcome."""

    @property
    def recipe(self) -> Recipe:
        """Identity of the encoder: a change of it is a change of every signal."""
        ...

    def encode_queries(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return (n_queries, dim) float32, unit rows."""
        ...

    def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
        """Return (n, dim) float32, unit rows; zeros where :meth:`is_blank` would hold of a query."""
        ...

    def is_blank(self, query: Query) -> bool:
        """Whether a query has no direction, so that its vector is zeros: no candidate is nearer than another."""
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

    Attributes
    ----------
    others : collection of str
        Symbols that are known to have no candidates, under names of the corpus's own source: nothing of theirs is to
        be left out.
    """

    requires_hits = True
    others: Collection[str] = frozenset()

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
        """Digest of the candidates that ``query`` can see."""
        return self.corpus.digest_as_of(query.as_of, self.embargo)

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        """Hits of every query, best first; an empty tuple where nothing was known yet, or it :meth:`abstains`."""
        asked = [number for number, query in enumerate(queries) if self.abstains(query) is None]
        ranked = self._rank_all([queries[number] for number in asked]) if asked else []
        # once a row: queries of one day often share their hits
        distinct = {row for rows, _ in ranked for row in rows.tolist()}
        candidates = {row: self.corpus.candidate(row) for row in sorted(distinct)}
        found = {number: _hits(candidates, *it) for number, it in zip(asked, ranked, strict=True)}
        return [found.get(number, ()) for number in range(len(queries))]

    def abstains(self, query: Query) -> str | None:
        """Why nothing can be retrieved for ``query``: :data:`FLAT_WINDOW`, or None.

        Raises
        ------
        ConfigError
            If the query's own symbol is to be left out, and the corpus knows it by no name, or by another.
        """
        self._own(query)
        return FLAT_WINDOW if self._is_blank(query) else None

    def _is_blank(self, query: Query) -> bool:  # noqa: ARG002 - of those that compare no windows
        return False

    @abstractmethod
    def _identity(self) -> Recipe: ...

    @abstractmethod
    def _rank_all(self, queries: Sequence[Query]) -> list[Ranked]: ...

    def _visible(self, query: Query) -> int:
        return self.corpus.visible(query.as_of, self.embargo)

    def _own(self, query: Query) -> int | None:
        """The number of the symbol whose candidates are left out; None where none are."""
        if not self.exclude_own_symbol:
            return None
        number = self.corpus.number_of.get(query.symbol)
        if number is None:
            self._refuse_unknown(query.symbol)
        elif query.symbol in self._second_names:
            raise ConfigError(
                f"retrieval.exclude_own_symbol = true, but the corpus has {query.symbol!r} under another name too, "
                f"{self._second_names[query.symbol]!r}, whose windows would stay in. Leave one of them out of "
                "corpus.symbols"
            )
        return number

    @cached_property
    def _second_names(self) -> dict[str, str]:
        return second_names(self.corpus.symbols)

    def _refuse_unknown(self, symbol: str) -> None:
        """Raise unless ``symbol`` is known to have no candidates: else its own windows would be among the hits."""
        if symbol in self.others and not same_stock(symbol, self.corpus.symbols):
            return
        raise ConfigError(
            f"retrieval.exclude_own_symbol = true, but the corpus has no symbol {symbol!r}, so that its own windows "
            f"would stay in. {hint_at(symbol, self.corpus.symbols)} Name the feed as the corpus does: "
            'RagMomentum(data, source=..., symbol="NAME"), or cerebro.adddata(data, name="NAME"). If the corpus holds '
            "nothing of this stock, nothing has to be left out: write exclude_own_symbol = false"
        )


def _hits(candidates: Mapping[int, Candidate], rows: IntArray, scores: FloatArray) -> tuple[Hit, ...]:
    pairs = zip(rows.tolist(), scores.tolist(), strict=True)
    return tuple(Hit(candidates[row], score, rank) for rank, (row, score) in enumerate(pairs))


class DenseRetriever(CorpusRetriever):
    """Nearest neighbours in an encoder's space: FinSeer's way, with any encoder.

    Parameters
    ----------
    corpus, k, exclude_own_symbol, embargo
        As of :class:`CorpusRetriever`.
    encoder : CorpusEncoder
    storage : str
        ``float32``, or ``float16``: half the memory, and vectors rounded to 11 bits.
    index : str
        ``exact``, or ``segmented``: approximate, for corpora past memory or past ten million candidates.
    cache : Path, optional
        Folder where the vectors of a costly encoder and the segments' indexes stay.
    """

    def __init__(
        self,
        corpus: Corpus,
        encoder: CorpusEncoder,
        k: int = 5,
        exclude_own_symbol: bool = False,
        embargo: int = 0,
        storage: Storage = "float32",
        index: IndexName = "exact",
        cache: Path | None = None,
    ) -> None:
        super().__init__(corpus, k, exclude_own_symbol, embargo)
        self.encoder = encoder
        self._storage: Storage = storage
        self._index_name = index
        self._cache = cache
        self._index: AsOfIndex | None = None

    def _identity(self) -> Recipe:
        stored = {} if self._storage == "float32" else {"storage": self._storage}
        indexed = {} if self._index_name == "exact" else SegmentedIndex.options()
        return {"retriever": "dense/1", **self.encoder.recipe, **stored, **indexed}

    def _rank_all(self, queries: Sequence[Query]) -> list[Ranked]:
        if self._index is None:  # on first need: a run that the store answers never encodes
            self._index = self._make_index()
        visible = [self._visible(query) for query in queries]
        days = as_stamps([query.as_of for query in queries])
        allowed = [self._allowed(query) for query in queries]
        return self._index.search_all(self.encoder.encode_queries(queries), visible, days, self.k, allowed)

    def _make_index(self) -> AsOfIndex:
        days = np.asarray(self.corpus.available_at)
        if self._index_name == "exact":
            return AsOfIndex(self._vectors(), days)
        return SegmentedIndex(self._vectors(), days, self._cache and self._cache / "segments")

    def _vectors(self) -> Vectors:
        if self._cache is not None and isinstance(self.encoder, CostlyEncoder):
            return corpus_vectors(self.encoder, self.corpus, self._storage, self._cache)
        vectors: Vectors = self.encoder.encode_corpus(self.corpus).astype(self._storage, copy=False)
        return vectors

    def _is_blank(self, query: Query) -> bool:
        return self.encoder.is_blank(query)

    def _allowed(self, query: Query) -> Allowed | None:
        own = self._own(query)
        return None if own is None else lambda rows: np.asarray(self.corpus.symbol_id[rows] != own)


class DTWRetriever(CorpusRetriever):
    """Least dynamic-time-warping distance between z-scored windows; score = minus the distance.

    The paper's DTW compares raw price levels, and so finds stocks of the same price; here both sides are normalised.
    Flat windows have no shape: a flat query abstains, and flat candidates are left out.
    """

    def _is_blank(self, query: Query) -> bool:
        return is_flat(query.closes[1:])

    def _identity(self) -> Recipe:
        return {"retriever": "dtw/2"}

    def _rank_all(self, queries: Sequence[Query]) -> list[Ranked]:
        candidates = zscore_rows(np.asarray(self.corpus.values))
        windows = zscore_rows(np.array([query.closes[1:] for query in queries]))
        return [self._rank(query, window, candidates) for query, window in zip(queries, windows, strict=True)]

    def _rank(self, query: Query, window: FloatArray, candidates: FloatArray) -> Ranked:
        from dtaidistance import dtw

        own, rows = self._own(query), np.arange(self._visible(query))
        if own is not None:
            rows = rows[self.corpus.symbol_id[rows] != own]
        rows = rows[candidates[rows].any(axis=1)]  # zeros are at 1 from every shape, and nearer than many
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
        self._rows_of: dict[int, IntArray] = {}

    def _identity(self) -> Recipe:
        return {"retriever": "random/1", "seed": self.seed}

    def _rank_all(self, queries: Sequence[Query]) -> list[Ranked]:
        return [self._draw(query) for query in queries]

    def _draw(self, query: Query) -> Ranked:
        visible, own = self._visible(query), self._own_rows(query)
        own = own[: np.searchsorted(own, visible)]
        count = visible - len(own)
        digest = json_digest([self.seed, query.symbol, query.as_of])
        rng = np.random.default_rng(int(digest[:16], 16))
        chosen = rng.choice(count, size=min(self.k, count), replace=False)
        # The n-th row that is not the symbol's own, without a list of them: so many own rows come before it.
        before = np.searchsorted(own - np.arange(len(own)), chosen, side="right")
        return chosen + before, np.zeros(len(chosen))

    def _own_rows(self, query: Query) -> IntArray:
        """Ascending rows that are left out, of the whole corpus."""
        own = self._own(query)
        if own is None:
            return np.empty(0, dtype=np.int64)
        if own not in self._rows_of:
            self._rows_of[own] = np.flatnonzero(self.corpus.symbol_id == own)
        return self._rows_of[own]


class NoRetriever:
    """No hits, by choice: the same run without retrieval."""

    requires_hits = False

    @property
    def recipe(self) -> Recipe:
        """Identity: there is nothing to choose."""
        return {"retriever": "none"}

    def corpus_digest(self, query: Query) -> str:  # noqa: ARG002 - the protocol's signature
        """Return the digest of nothing."""
        return ""

    def abstains(self, query: Query) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Return None: nothing is what was asked for."""
        return None

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        """Return one empty tuple a query."""
        return [() for _ in queries]
