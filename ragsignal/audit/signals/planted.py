"""Planted candidates: a retriever that looked ahead would return them, and one that does must be refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from ragsignal.config import RetrievalSpec
from ragsignal.data import QUERY_SEQUENCE, log_returns
from ragsignal.errors import LookAheadError
from ragsignal.llm import TextlessPrompter, VoteScorer
from ragsignal.protocols import Retriever
from ragsignal.retrieval import Corpus
from ragsignal.signals import RagPipeline, SignalStore
from ragsignal.types import Candidate, Hit, Movement, Query, Recipe
from ragsignal.utils import DAILY, as_stamps, clock_named, unit_of, upper

BEST_OUTCOME = 0.2
"""Outcome of a planted candidate, a fraction: better than any that is known."""


def planted_candidate(query: Query, corpus: Corpus, spec: RetrievalSpec, available_at: date) -> Candidate:
    """The query's own window as a candidate with the best outcome; of another symbol, where the own one is left out."""
    others = [symbol for symbol in corpus.symbols if symbol != query.symbol]
    own = query.symbol in corpus.symbols and not spec.exclude_own_symbol
    symbol = query.symbol if own or not others else others[0]
    sequence = QUERY_SEQUENCE if QUERY_SEQUENCE in corpus.sequences else corpus.sequences[0]
    return Candidate(
        id=f"{symbol}/{sequence}/bait-{query.as_of}",
        symbol=symbol,
        sequence=sequence,
        dates=query.dates[1:],
        values=tuple(query.closes[1:]),
        scaled=tuple(log_returns(query).tolist()),
        movement=Movement.RISE,
        outcome=BEST_OUTCOME,
        available_at=available_at,
    )


def known_too_late(query: Query) -> date:
    """The first name of a bar after the query's: the next day, or of bars of hours the next minute."""
    return query.as_of + (timedelta(minutes=1) if unit_of(query.as_of) == "m" else timedelta(days=1))


def last_visible(corpus: Corpus, query: Query, embargo: int) -> date:
    """The last day on which a candidate may become known to be visible to ``query``."""
    past = int(np.searchsorted(corpus.calendar, upper(query.as_of, corpus.calendar), side="right"))
    day: date = corpus.calendar[max(0, past - 1 - embargo)].item()
    return day


def with_candidates(corpus: Corpus, candidates: Sequence[Candidate]) -> Corpus:
    """A corpus with more candidates, each behind those that are known on its day."""
    added = sorted(candidates, key=lambda candidate: candidate.available_at)
    days = as_stamps([candidate.available_at for candidate in added])
    rows = np.searchsorted(corpus.available_at, days, side="right")
    columns = {
        "available_at": days,
        "symbol_id": [corpus.symbols.index(candidate.symbol) for candidate in added],
        "sequence_id": [corpus.sequences.index(candidate.sequence) for candidate in added],
        "dates": np.array([candidate.dates for candidate in added], dtype=days.dtype),
        "values": [candidate.values for candidate in added],
        "scaled": [candidate.scaled for candidate in added],
        "outcome": [candidate.outcome for candidate in added],
        "movement": [int(candidate.movement) for candidate in added],
    }
    whole = {
        name: np.insert(getattr(corpus, name), rows, np.asarray(column), axis=0) for name, column in columns.items()
    }
    return replace(corpus, **whole)


def count_returned(retriever: Retriever, queries: Sequence[Query], planted: Sequence[Candidate]) -> int:
    """How many queries got the candidate that was planted for them."""
    pairs = zip(retriever.retrieve(queries), planted, strict=True)
    return sum(any(replace(hit.sequence, id=candidate.id) == candidate for hit in hits) for hits, candidate in pairs)


@dataclass
class LeakyRetriever:
    """A retriever that returns the same hits, known or not."""

    honest: Retriever
    hits: Sequence[Hit]
    requires_hits: bool = True

    @property
    def recipe(self) -> Recipe:
        """A recipe that no real retriever has."""
        return {"retriever": "liar"}

    def corpus_digest(self, query: Query) -> str:
        """The digest of the honest retriever."""
        return self.honest.corpus_digest(query)

    def abstains(self, query: Query) -> str | None:
        """As the honest retriever does."""
        return self.honest.abstains(query)

    def retrieve(self, queries: Sequence[Query]) -> list[Sequence[Hit]]:
        """The same hits, whatever the query."""
        return [self.hits for _ in queries]


def is_refused(retriever: Retriever, query: Query) -> bool:
    """Whether a pipeline raises ``LookAheadError`` on what ``retriever`` returns; without any model."""
    # of which hours does not matter here: names of bars have to be moments
    clock = clock_named("60min") if unit_of(query.as_of) == "m" else DAILY
    store, lookback = SignalStore(":memory:"), len(query.closes) - 1
    pipeline = RagPipeline(retriever, TextlessPrompter(), VoteScorer(), store, lookback=lookback, clock=clock)
    try:
        pipeline.signals([query])
    except LookAheadError:
        return True
    return False
