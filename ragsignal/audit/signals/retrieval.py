"""Does retrieval see the past only? Every hit of every signal, a corpus that ends at the query's day, and plants.

    every hit         available_at <= as_of, of all signals that the run trades on
    truncated corpus  built from prices that end at as_of: the same hits, so nothing later had a say
    planted           the query's own window with the best outcome, known a day too late: must not be returned
    leaky retriever   one that returns the planted candidate: the pipeline must refuse with LookAheadError

How often a planted candidate is returned when it is known in time tells what it is worth that it was not: random draws
never do. Retrieved days are tested in the same ways (:mod:`ragsignal.audit.signals.days`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypedDict, cast

import pandas as pd

from ragsignal.audit.signals.beside import beside_until
from ragsignal.audit.signals.days import DayRetrievalTest
from ragsignal.audit.signals.planted import (
    BEST_OUTCOME,
    LeakyRetriever,
    count_returned,
    is_refused,
    known_too_late,
    last_visible,
    planted_candidate,
    with_candidates,
)
from ragsignal.audit.signals.variants import AuditedVariant, audited_variants, late_hits, spread_from_last
from ragsignal.audit.verdict import Finding
from ragsignal.config import RetrievalSpec
from ragsignal.errors import LookAheadError
from ragsignal.protocols import Retriever
from ragsignal.retrieval import (
    Corpus,
    CorpusRetriever,
    DenseRetriever,
    RandomRetriever,
    TextEncoder,
    build_corpus,
    make_retriever,
)
from ragsignal.signals import queries_of
from ragsignal.study import Study
from ragsignal.types import Candidate, Hit, Movement, Query, Signal
from ragsignal.utils import Progress, json_digest

DAYS = 6
"""Days on which hits are compared with those of a corpus that ends there."""
PLANTED = 4
"""Queries for which a candidate is planted."""
LARGEST = 2_000_000
"""Candidates of a corpus that is built again in memory: about 300 MB. Of a larger one the audit says what it omits."""


def cut_corpus(study: Study, last: date) -> Corpus:
    """The corpus of the spec, built now from prices that end with ``last``."""
    spec = study.spec
    frames = {symbol: frame for symbol, frame in study.prices.between(None, last).frames.items() if len(frame)}
    own = {symbol: frames[symbol] for symbol in spec.corpus.symbols or spec.data.symbols if symbol in frames}
    return build_corpus(own, spec.corpus, beside_until(study, frames, last))


def with_corpus(retriever: Retriever, spec: RetrievalSpec, corpus: Corpus) -> Retriever:
    """The same retriever over another corpus; keeps no vectors on disk."""
    if not isinstance(retriever, CorpusRetriever):
        return retriever
    other = make_retriever(spec, corpus, lambda: cast("DenseRetriever", retriever).encoder)
    other.others = {*retriever.others, *retriever.corpus.symbols}  # some have no bars yet
    return other


def text_encoder_of(retriever: Retriever) -> TextEncoder | None:
    """The encoder of a retriever that embeds text; None for another, whose vectors are made in seconds."""
    encoder = retriever.encoder if isinstance(retriever, DenseRetriever) else None
    return encoder if isinstance(encoder, TextEncoder) else None


def is_embedded(retriever: Retriever, corpus: Corpus, queries: Sequence[Query]) -> bool:
    """Whether ``corpus`` can be searched without embedding text, which takes minutes."""
    encoder = text_encoder_of(retriever)
    return encoder is None or not encoder.missing_lines(corpus, queries)


def audit_retrieval(study: Study, frames: dict[str, pd.DataFrame], progress: Progress) -> list[Finding]:
    """Hits of every variant that has a signal: one ``retrieval`` finding each.

    Parameters
    ----------
    study, frames, progress
        As of :func:`~ragsignal.audit.signals.signals.audit_signals`.
    """
    audited, findings = audited_variants(study, "retrieval")
    of_sequences, of_days = _RetrievalTest(study, frames), DayRetrievalTest(study, frames)
    for number, variant in enumerate(audited):
        progress("audit of retrieval", number, len(audited))
        findings.append((of_days if variant.variant.reads_days else of_sequences).finding(variant))
    progress("audit of retrieval", len(audited), len(audited))
    return findings


class RetrievalEvidence(TypedDict, total=False):
    """What was tested of a variant: signals and hits, truncated corpora, planted candidates; and what was left out."""

    signals: int
    hits: int
    known_too_late: int
    truncated_left_out: str
    truncated_queries: int
    truncated_moved: list[str]
    baits_left_out: str
    baits: int
    baits_taken: int
    baits_found_when_known: int | None
    lies_refused: int


@dataclass
class _RetrievalTest:
    """The test of all variants of one spec, which share truncated corpora and retrievers."""

    study: Study
    frames: Mapping[str, pd.DataFrame]
    _truncated: dict[date, Corpus] = field(default_factory=dict)
    _evidence: dict[str, RetrievalEvidence] = field(default_factory=dict)

    def finding(self, audited: AuditedVariant) -> Finding:
        """All four tests of one variant."""
        if not audited.variant.reads_corpus:
            return Finding("retrieval", audited.name, "unknown", "It retrieves nothing: there is no hit to test.")
        queries = queries_of(self.frames, audited.source.lookback)
        try:
            count, late = late_hits(audited.source.signals(queries))
        except LookAheadError as error:
            return Finding("retrieval", audited.name, "failed", f"Its retriever looked ahead: {error}")
        evidence: RetrievalEvidence = {"signals": len(queries), "hits": count, "known_too_late": len(late)}
        for pipeline, part in audited.source.parts(_on_days(audited.whole_queries(self.frames), DAYS)):
            evidence |= self._of(pipeline.retriever, audited.variant.retrieval, part)
        return _judged(audited.name, evidence, late)

    def _of(self, retriever: Retriever, spec: RetrievalSpec, queries: list[Query]) -> RetrievalEvidence:
        """Truncated corpora and planted candidates, once for each distinct retriever."""
        key = json_digest([retriever.recipe, [str(query) for query in queries]])
        if key not in self._evidence:
            visible = [query for query in queries if retriever.corpus_digest(query)]
            truncated = self._truncate(retriever, spec, visible)
            self._evidence[key] = truncated | self._plant(retriever, spec, visible)
        return self._evidence[key]

    def _truncate(self, retriever: Retriever, spec: RetrievalSpec, queries: list[Query]) -> RetrievalEvidence:
        if len(self.study.corpus) > LARGEST:
            return {"truncated_left_out": f"a corpus of {len(self.study.corpus)} candidates is not built again"}
        moved: list[str] = []
        for day in sorted({query.as_of for query in queries}):
            of_day = [query for query in queries if query.as_of == day]
            corpus = self._until(day)
            if not is_embedded(retriever, corpus, of_day):
                return {"truncated_left_out": "lines were never embedded; run the backtest once, then audit again"}
            truncated = with_corpus(retriever, spec, corpus)
            pairs = zip(of_day, retriever.retrieve(of_day), truncated.retrieve(of_day), strict=True)
            moved += [f"{query.symbol} as of {day}" for query, full, cut in pairs if full != cut]
        return {"truncated_queries": len(queries), "truncated_moved": moved}

    def _until(self, day: date) -> Corpus:
        if day not in self._truncated:
            self._truncated[day] = cut_corpus(self.study, day)
        return self._truncated[day]

    def _plant(self, retriever: Retriever, spec: RetrievalSpec, queries: list[Query]) -> RetrievalEvidence:
        corpus, chosen = self.study.corpus, spread_from_last(queries, PLANTED)
        if not chosen or len(corpus) > LARGEST:
            return {"baits_left_out": "no query with candidates" if not chosen else "the corpus is too large to copy"}
        late = [planted_candidate(query, corpus, spec, known_too_late(query)) for query in chosen]
        last_days = [last_visible(corpus, query, spec.embargo) for query in chosen]
        known = [planted_candidate(query, corpus, spec, day) for query, day in zip(chosen, last_days, strict=True)]

        def returned(planted: list[Candidate]) -> int:
            return count_returned(with_corpus(retriever, spec, with_candidates(corpus, planted)), chosen, planted)

        is_random = isinstance(retriever, RandomRetriever)  # chance finds no planted candidate, however good
        pairs = zip(late, chosen, strict=True)
        return {
            "baits": len(chosen),
            "baits_taken": returned(late),
            "baits_found_when_known": None if is_random else returned(known),
            "lies_refused": sum(
                is_refused(LeakyRetriever(retriever, (Hit(candidate, 1.0, 0),)), query) for candidate, query in pairs
            ),
        }


def _on_days(queries: Sequence[Query], count: int) -> list[Query]:
    days = set(spread_from_last(sorted({query.as_of for query in queries}), count))
    return [query for query in queries if query.as_of in days]


def _judged(name: str, evidence: RetrievalEvidence, late: list[str]) -> Finding:
    """The verdict of one variant; its control is the planted late hit that has to be counted."""
    moved, returned = evidence.get("truncated_moved", []), evidence.get("baits_taken", 0)
    accepted = evidence.get("baits", 0) - evidence.get("lies_refused", 0)
    faults = [
        f"{len(late)} hits were not known yet: {late[0]}" if late else "",
        f"hits change when the corpus ends at the query's day: {moved[0]}" if moved else "",
        f"{returned} planted candidates of the next day were returned" if returned else "",
        f"the pipeline accepted {accepted} hits that were not known yet" if accepted else "",
    ]
    if any(faults):
        words = f"It looks ahead: {'; '.join(filter(None, faults))}. Repair the retriever, then delete its signals."
        return Finding("retrieval", name, "failed", words, evidence)
    if not _counts_a_late_hit():
        words = "A planted hit that was known a day too late was not counted: this test is blind."
        return Finding("retrieval", name, "broken", words, evidence)
    if not evidence["hits"]:
        return Finding("retrieval", name, "unknown", "No signal has a hit: there is nothing to test.", evidence)
    words = f"All {evidence['hits']} hits were known as of their signal's day{_extent(evidence)}."
    return Finding("retrieval", name, "passed", words, evidence)


def _extent(evidence: RetrievalEvidence) -> str:
    """What else was tested, and what was left out."""
    parts = []
    if evidence.get("truncated_queries"):
        parts.append(f"{evidence['truncated_queries']} queries get the same hits from a corpus that ends at their day")
    if evidence.get("baits_found_when_known"):
        in_time = f"{evidence['baits_found_when_known']} when it was known in time"
        parts.append(f"none of {evidence['baits']} planted candidates of the next day was returned, but {in_time}")
    if evidence.get("lies_refused"):
        parts.append("the pipeline refused a retriever that lies")
    left_out = (evidence.get("truncated_left_out"), evidence.get("baits_left_out"))
    parts += [f"left out: {what}" for what in left_out if what]
    return "".join(f"; {part}" for part in parts)


def _counts_a_late_hit() -> bool:
    """The control: a signal of one day with a hit of the next."""
    day = date(2020, 1, 2)
    known = day + timedelta(days=1)
    candidate = Candidate("A/close/x", "A", "close", (day,), (1.0,), (0.0,), Movement.RISE, BEST_OUTCOME, known)
    count, late = late_hits([Signal("A", day, 0.0, 0.5, None, (Hit(candidate, 1.0, 0),), key="")])
    return count == len(late) == 1
