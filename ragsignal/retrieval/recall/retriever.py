"""Candidates by their names: titles, then prefixes, and the candidates below them, the latest known first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ragsignal.errors import LookAheadError
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.index import Ranked
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.search import DECIMALS, Asked, Named, Width, search
from ragsignal.retrieval.recall.titles import TITLE_TOKENS, CorpusTokens
from ragsignal.retrieval.recall.trie import Trie, build_trie
from ragsignal.retrieval.retrievers import CorpusRetriever
from ragsignal.types import FloatArray, IntArray, Query, Recipe
from ragsignal.utils import as_stamps

_PATHS = 4096  # followed at once: some 100 MB of keys and values


@dataclass(frozen=True)
class Naming:
    """How a recall names.

    Parameters
    ----------
    titles : int
        Titles that are kept a query.
    beam : int
        Prefixes that are kept a title.
    title_weight : float
        Share of the title in a score, in [0, 1]; the rest is the prefix's. At 1 no prefix is named, at 0 no title.
    """

    titles: int = 2
    beam: int = 10
    title_weight: float = 0.9

    @property
    def recipe(self) -> Recipe:
        """Identity."""
        kept = {} if self.title_weight == 0.0 else {"titles": self.titles}
        kept |= {} if self.title_weight == 1.0 else {"beam": self.beam}
        return {**kept, "title_weight": self.title_weight}


PUBLISHED = Naming()
"""Two titles and ten prefixes, nine to one: arXiv 2402.17010."""


_NOTHING: Ranked = (np.empty(0, dtype=np.int64), np.empty(0))


class RecallRetriever(CorpusRetriever):
    """Two-stage generative retrieval after MindRef (arXiv 2402.17010), with titles and letters in the place of words.

    A score is ``title_weight`` times the mean log-probability of a title's token, plus the rest times that of a
    prefix's. Candidates of one title and prefix have one score, and come in the order in which they became known, the
    latest first (of one day by descending row). Where what is kept holds fewer than ``k`` candidates, four times as
    many titles and prefixes are kept, until there are ``k`` or all are named.

    Parameters
    ----------
    corpus : Corpus
    reader : RecallReader
    k, exclude_own_symbol, embargo
        As of :class:`CorpusRetriever`.
    naming : Naming

    Raises
    ------
    ConfigError
        If the corpus holds no windows of closes.
    ModelError
        If the reader knows no title for one of its indicators, or reads windows of another length.
    """

    def __init__(
        self,
        corpus: Corpus,
        reader: RecallReader,
        k: int = 5,
        exclude_own_symbol: bool = False,
        embargo: int = 0,
        naming: Naming = PUBLISHED,
    ) -> None:
        super().__init__(corpus, k, exclude_own_symbol, embargo)
        self.encoder = reader
        self.naming = naming
        self._tokens: CorpusTokens = reader.tokens(corpus)

    def _identity(self) -> Recipe:
        return {"retriever": "recall/1", **self.encoder.recipe, **self.naming.recipe}

    @cached_property
    def trie(self) -> Trie:
        """All titles and prefixes of the corpus, built on first need and never again."""
        tokens = self._tokens.of_rows()
        if self.naming.title_weight == 1.0:
            tokens = tokens[:, :TITLE_TOKENS]
        elif self.naming.title_weight == 0.0:
            tokens = tokens[:, TITLE_TOKENS - 1 :]
            tokens[:, 0] = self._tokens.vocabulary.any_title
        return build_trie(tokens, np.asarray(self.corpus.available_at), np.asarray(self.corpus.symbol_id))

    @property
    def _title_depth(self) -> int:
        return 1 if self.naming.title_weight == 0.0 else TITLE_TOKENS

    def _rank_all(self, queries: Sequence[Query]) -> list[Ranked]:
        visible = np.array([self._visible(query) for query in queries], dtype=np.int64)
        ranked = dict.fromkeys(range(len(queries)), _NOTHING)
        able = np.flatnonzero(visible > 0)
        if len(able):
            found = self._find([queries[number] for number in able.tolist()], visible[able])
            ranked |= dict(zip(able.tolist(), found, strict=True))
        return list(ranked.values())

    def _find(self, queries: Sequence[Query], visible: IntArray) -> list[Ranked]:
        """The best rows of queries that each see some, with their scores."""
        asked, answers = self._asked(queries, visible), dict.fromkeys(range(len(queries)), _NOTHING)
        waiting, width = np.arange(len(queries)), Width(self.naming.titles, self.naming.beam)
        while len(waiting):
            for block in _blocks(waiting, width):
                named = search(self.trie, self.encoder.scorer, asked.part(block), width, self._title_depth)
                rows = self._candidates(named, visible[block], asked.own[block])
                answers |= dict(zip(block.tolist(), rows, strict=True))
            if _names_all(self.trie, width, self._title_depth):
                break
            short = [number for number in waiting.tolist() if len(answers[number][0]) < self.k]
            waiting, width = np.array(short, dtype=np.int64), width.wider()
        return list(answers.values())

    def _asked(self, queries: Sequence[Query], visible: IntArray) -> Asked:
        seen = np.asarray(self.corpus.available_at[visible - 1])
        self._check_known(queries, seen)
        own = [-1 if (number := self._own(query)) is None else number for query in queries]
        return Asked(self._tokens.of_queries(queries, seen), seen, np.array(own, dtype=np.int64))

    @staticmethod
    def _check_known(queries: Sequence[Query], seen: NDArray[np.datetime64]) -> None:
        """Refuse a prefix that ends after the query's day, as the index of vectors does."""
        late = np.flatnonzero(seen > as_stamps([query.as_of for query in queries]))
        if len(late):
            query = queries[late[0]]
            raise LookAheadError(
                f"{query.symbol} as of {query.as_of} would name candidates that were known on {seen[late[0]]}, in its "
                "future: the prefix of the corpus is wrong; delete the folder `corpora` of the cache and run again"
            )

    def _candidates(self, named: Named, visible: IntArray, own: IntArray) -> list[Ranked]:
        """The candidates of named leaves in the order of their scores, at most ``k`` of each query."""
        weight = self.naming.title_weight
        scores = np.round(weight * named.title + (1.0 - weight) * named.prefix, DECIMALS)
        order = np.lexsort((named.leaf, -scores, named.owner))
        bounds = np.searchsorted(named.owner[order], np.arange(len(visible) + 1))
        return [
            self._below(named.leaf[those], scores[those], int(visible[number]), int(own[number]))
            for number, those in enumerate(np.split(order, bounds[1:-1]))
        ]

    def _below(self, leaves: IntArray, scores: FloatArray, visible: int, own: int) -> Ranked:
        rows, given, wanted = [_NOTHING[0]], [_NOTHING[1]], self.k
        for leaf, score in zip(leaves.tolist(), scores.tolist(), strict=True):
            held = self.trie.below(leaf)
            held = held[: np.searchsorted(held, visible)]
            held = held[self.corpus.symbol_id[held] != own][::-1][:wanted]
            rows.append(held)
            given.append(np.full(len(held), score))
            wanted -= len(held)
            if not wanted:
                break
        return np.concatenate(rows), np.concatenate(given)


def _names_all(trie: Trie, width: Width, title_depth: int) -> bool:
    """Whether a search of this width leaves nothing out."""
    titles = len(trie.levels[title_depth - 1])
    return width.titles >= titles and width.beam >= trie.most_leaves(title_depth - 1)


def _blocks(numbers: IntArray, width: Width) -> list[IntArray]:
    """Queries that are searched together."""
    size = max(1, _PATHS // (width.titles * width.beam))
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
