"""Baits for retrievers: candidates that whoever could look ahead would take, and a retriever that returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from ragsignal.config import RetrievalSpec
from ragsignal.data import QUERY_SEQUENCE, log_returns
from ragsignal.errors import LookAheadError
from ragsignal.llm import TextlessPrompter, VoteScorer
from ragsignal.protocols import Retriever
from ragsignal.retrieval import Corpus
from ragsignal.signals import RagPipeline, SignalStore
from ragsignal.types import Candidate, Hit, Movement, Query, Recipe

PRIZE = 0.2
"""Outcome of a bait, a fraction: better than any that is known."""


def bait_of(query: Query, corpus: Corpus, spec: RetrievalSpec, available_at: date) -> Candidate:
    """The query's own window as a candidate with the best outcome; of another symbol, where the own one is left out."""
    others = [symbol for symbol in corpus.symbols if symbol != query.symbol]
    own = query.symbol in corpus.symbols and not spec.exclude_own_symbol
    symbol = query.symbol if own or not others else others[0]
    sequence = QUERY_SEQUENCE if QUERY_SEQUENCE in corpus.sequences else corpus.sequences[0]
    window = tuple(query.closes[1:]), tuple(log_returns(query).tolist())
    name = f"{symbol}/{sequence}/bait-{query.as_of}"
    return Candidate(name, symbol, sequence, query.dates[1:], *window, Movement.RISE, PRIZE, available_at)


def last_seen(corpus: Corpus, query: Query, embargo: int) -> date:
    """The last day on which a candidate may become known to be seen by ``query``."""
    seen = int(np.searchsorted(corpus.calendar, np.datetime64(query.as_of), side="right"))
    day: date = corpus.calendar[max(0, seen - 1 - embargo)].item()
    return day


def with_baits(corpus: Corpus, baits: Sequence[Candidate]) -> Corpus:
    """A corpus with more candidates, each behind those that are known on its day."""
    baits = sorted(baits, key=lambda bait: bait.available_at)
    days = np.array([bait.available_at for bait in baits], dtype="datetime64[D]")
    rows = np.searchsorted(corpus.available_at, days, side="right")
    columns = {
        "available_at": days,
        "symbol_id": [corpus.symbols.index(bait.symbol) for bait in baits],
        "sequence_id": [corpus.sequences.index(bait.sequence) for bait in baits],
        "dates": np.array([bait.dates for bait in baits], dtype="datetime64[D]"),
        "values": [bait.values for bait in baits],
        "scaled": [bait.scaled for bait in baits],
        "outcome": [bait.outcome for bait in baits],
        "movement": [int(bait.movement) for bait in baits],
    }
    return replace(
        corpus, **{name: np.insert(getattr(corpus, name), rows, np.asarray(it), axis=0) for name, it in columns.items()}
    )


def taken(retriever: Retriever, queries: Sequence[Query], baits: Sequence[Candidate]) -> int:
    """How many queries got the bait that was laid for them."""
    found = retriever.retrieve(queries)
    return sum(any(_same(hit.candidate, bait) for hit in hits) for hits, bait in zip(found, baits, strict=True))


def _same(candidate: Candidate, bait: Candidate) -> bool:
    return replace(candidate, id=bait.id) == bait


@dataclass
class Liar:
    """A retriever that returns one candidate, known or not."""

    honest: Retriever
    bait: Candidate
    requires_hits: bool = True

    @property
    def recipe(self) -> Recipe:
        """No real retriever's."""
        return {"retriever": "liar"}

    def corpus_digest(self, query: Query) -> str:
        """The honest one's."""
        return self.honest.corpus_digest(query)

    def retrieve(self, queries: Sequence[Query]) -> list[tuple[Hit, ...]]:
        """The bait, whatever the query."""
        return [(Hit(self.bait, 1.0, 0),) for _ in queries]


def refuses(liar: Retriever, query: Query) -> bool:
    """Whether a pipeline raises ``LookAheadError`` on what ``liar`` returns; without any model."""
    store = SignalStore(":memory:")
    pipeline = RagPipeline(liar, TextlessPrompter(), VoteScorer(), store, lookback=len(query.closes) - 1)
    try:
        pipeline.signals([query])
    except LookAheadError:
        return True
    return False
