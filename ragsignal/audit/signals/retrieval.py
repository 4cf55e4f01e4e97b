"""Does retrieval see the past only? Every hit of every signal, a corpus that ends at the query's day, and a bait.

    every hit         available_at <= as_of, of all signals that the run trades on
    truncated corpus  built from prices that end at as_of: the same hits, so nothing later had a say
    bait              the query's own window with the best outcome, known a day too late: must not be found
    liar              a retriever that returns the bait: the pipeline must refuse with LookAheadError

How often the bait is found when it is known in time tells what it is worth that it was not: random draws never do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from ragsignal.audit.signals.bait import PRIZE, Liar, bait_of, last_seen, refuses, taken, with_baits
from ragsignal.audit.verdict import Finding
from ragsignal.config import RetrievalSpec, Variant
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
from ragsignal.signals import Pipeline, RagPipeline, queries_of
from ragsignal.study import Study
from ragsignal.types import Candidate, Hit, Movement, Query, Signal
from ragsignal.utils import Progress, json_digest

DAYS = 6
"""Days on which hits are compared with those of a corpus that ends there."""
BAITS = 4
LARGEST = 2_000_000
"""Candidates of a corpus that is built again in memory: about 300 MB. Of a larger one the audit says what it omits."""
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Audited:
    """A variant with its source, as the run would use them."""

    variant: Variant
    source: Pipeline


def audited(study: Study, test: str) -> tuple[list[Audited], list[Finding]]:
    """The variants that have a signal; a finding for each that refuses to make one, or if none has any."""
    found: list[Audited] = []
    refused: list[Finding] = []
    for variant in study.spec.variants:
        if not variant.has_signal:
            continue
        try:
            source = study.pipeline(variant)
        except LookAheadError as error:
            words = "It refuses to make signals, so that there is none to test; the test of training says why."
            refused.append(Finding(test, variant.name, "unknown", words, {"error": str(error)}))
            continue
        found.append(Audited(variant, source))
    if not found and not refused:
        words = "No variant has a signal: there is nothing to test here."
        refused.append(Finding(test, study.spec.name, "unknown", words))
    return found, refused


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most ``count`` of them, evenly apart, the last one among them."""
    places = np.linspace(len(items) - 1, 0, min(count, len(items))).round().astype(int)
    return [items[place] for place in np.unique(places)]


def cut_corpus(study: Study, last: date) -> Corpus:
    """The corpus of the spec, built now from prices that end with ``last``."""
    spec = study.spec
    prices = study.prices.select(spec.corpus.symbols or spec.data.symbols).between(None, last)
    return build_corpus({symbol: frame for symbol, frame in prices.frames.items() if len(frame)}, spec.corpus)


def over(retriever: Retriever, spec: RetrievalSpec, corpus: Corpus) -> Retriever:
    """The same retriever over another corpus; keeps no vectors on disk."""
    if not isinstance(retriever, CorpusRetriever):
        return retriever
    return make_retriever(spec, corpus, lambda: cast("DenseRetriever", retriever).encoder)


def affordable(retriever: Retriever, corpus: Corpus, queries: Sequence[Query]) -> bool:
    """Whether it can search ``corpus`` without embedding a line that was never embedded: minutes, where it is text."""
    if not (isinstance(retriever, DenseRetriever) and isinstance(retriever.encoder, TextEncoder)):
        return True
    return not retriever.encoder.missing_lines(corpus, queries)


def audit_retrieval(study: Study, frames: dict[str, pd.DataFrame], progress: Progress) -> list[Finding]:
    """Hits of every variant that has a signal: one ``retrieval`` finding each.

    Parameters
    ----------
    study : Study
    frames : dict of symbol to DataFrame
        The traded bars.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``.
    """
    subjects, findings = audited(study, "retrieval")
    bench = _Bench(study, frames)
    for number, it in enumerate(subjects):
        progress("audit of retrieval", number, len(subjects))
        findings.append(bench.finding(it))
    progress("audit of retrieval", len(subjects), len(subjects))
    return findings


def later_hits(signals: Iterable[Signal]) -> tuple[int, list[str]]:
    """How many hits there are, and which of them were not known as of their signal's day."""
    count, late = 0, []
    for signal in signals:
        for hit in signal.hits:
            count += 1
            if hit.candidate.available_at > signal.as_of:
                late.append(
                    f"{signal.symbol} as of {signal.as_of}: {hit.candidate.id}, known on {hit.candidate.available_at}"
                )
    return count, late


@dataclass
class _Bench:
    """What the variants of one spec share: truncated corpora, and what was found out about a retriever."""

    study: Study
    frames: Mapping[str, pd.DataFrame]
    _cut: dict[date, Corpus] = field(default_factory=dict)
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def finding(self, it: Audited) -> Finding:
        """All four tests of one variant."""
        queries = queries_of(self.frames, it.source.lookback)
        if not it.variant.reads_corpus:
            return Finding("retrieval", it.variant.name, "unknown", "It retrieves nothing: there is no hit to test.")
        try:
            count, late = later_hits(it.source.signals(queries))
        except LookAheadError as error:
            return Finding("retrieval", it.variant.name, "failed", f"Its retriever looked ahead: {error}")
        evidence: dict[str, Any] = {"signals": len(queries), "hits": count, "known_too_late": len(late)}
        asked = [query for query in queries if len(query.closes) > it.source.lookback]
        for pipeline, part in it.source.parts(_on_days(asked, DAYS)):
            evidence |= self._of(pipeline, it, part)
        return _judged(it.variant.name, evidence, late)

    def _of(self, pipeline: RagPipeline, it: Audited, queries: list[Query]) -> dict[str, Any]:
        """Truncated corpora and baits, once for each distinct retriever."""
        key = json_digest([pipeline.retriever.recipe, [str(query) for query in queries]])
        if key not in self._known:
            seen = [query for query in queries if pipeline.retriever.corpus_digest(query)]
            found = self._truncated(pipeline.retriever, it.variant.retrieval, seen)
            self._known[key] = found | self._baited(pipeline.retriever, it.variant.retrieval, seen)
        return self._known[key]

    def _truncated(self, retriever: Retriever, spec: RetrievalSpec, queries: list[Query]) -> dict[str, Any]:
        if len(self.study.corpus) > LARGEST:
            return {"truncated_left_out": f"a corpus of {len(self.study.corpus)} candidates is not built again"}
        compared, moved = 0, []
        for day in sorted({query.as_of for query in queries}):
            asked = [query for query in queries if query.as_of == day]
            corpus = self._until(day)
            if not affordable(retriever, corpus, asked):
                return {"truncated_left_out": "lines were never embedded; run the backtest once, then audit again"}
            pairs = zip(asked, retriever.retrieve(asked), over(retriever, spec, corpus).retrieve(asked), strict=True)
            moved += [f"{query.symbol} as of {day}" for query, full, cut in pairs if full != cut]
            compared += len(asked)
        return {"truncated_queries": compared, "truncated_moved": moved}

    def _until(self, day: date) -> Corpus:
        if day not in self._cut:
            self._cut[day] = cut_corpus(self.study, day)
        return self._cut[day]

    def _baited(self, retriever: Retriever, spec: RetrievalSpec, queries: list[Query]) -> dict[str, Any]:
        corpus, asked = self.study.corpus, spread(queries, BAITS)
        if not asked or len(corpus) > LARGEST:
            return {"baits_left_out": "no query with candidates" if not asked else "the corpus is too large to copy"}
        late = [bait_of(query, corpus, spec, query.as_of + timedelta(days=1)) for query in asked]
        known = [bait_of(query, corpus, spec, last_seen(corpus, query, spec.embargo)) for query in asked]
        found = taken(over(retriever, spec, with_baits(corpus, late)), asked, late)
        drawn = isinstance(retriever, RandomRetriever)  # chance finds no bait, however good
        seen = None if drawn else taken(over(retriever, spec, with_baits(corpus, known)), asked, known)
        refused = sum(refuses(Liar(retriever, bait), query) for query, bait in zip(asked, late, strict=True))
        return {"baits": len(asked), "baits_taken": found, "baits_found_when_known": seen, "lies_refused": refused}


def _on_days(queries: Sequence[Query], count: int) -> list[Query]:
    days = set(spread(sorted({query.as_of for query in queries}), count))
    return [query for query in queries if query.as_of in days]


def _judged(name: str, evidence: dict[str, Any], late: list[str]) -> Finding:
    """The verdict of one variant; its control is the planted late hit that has to be counted."""
    moved, taken = evidence.get("truncated_moved", []), evidence.get("baits_taken", 0)
    lied = evidence.get("baits", 0) - evidence.get("lies_refused", 0)
    faults = [
        f"{len(late)} hits were not known yet: {late[0]}" if late else "",
        f"hits change when the corpus ends at the query's day: {moved[0]}" if moved else "",
        f"{taken} planted candidates of the next day were returned" if taken else "",
        f"the pipeline accepted {lied} hits that were not known yet" if lied else "",
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


def _extent(evidence: Mapping[str, Any]) -> str:
    """What else was tested, and what was left out."""
    parts = []
    if evidence.get("truncated_queries"):
        parts.append(f"{evidence['truncated_queries']} queries get the same hits from a corpus that ends at their day")
    if evidence.get("baits_found_when_known"):
        found = f"{evidence['baits_found_when_known']} when it was known in time"
        parts.append(f"none of {evidence['baits']} planted candidates of the next day was returned, but {found}")
    if evidence.get("lies_refused"):
        parts.append("the pipeline refused a retriever that lies")
    parts += [f"left out: {evidence[name]}" for name in ("truncated_left_out", "baits_left_out") if name in evidence]
    return "".join(f"; {part}" for part in parts)


def _counts_a_late_hit() -> bool:
    """The control: a signal of one day with a hit of the next."""
    day = date(2020, 1, 2)
    late = Candidate("A/close/x", "A", "close", (day,), (1.0,), (0.0,), Movement.RISE, PRIZE, day + timedelta(days=1))
    signal = Signal("A", day, 0.0, 0.5, None, (Hit(late, 1.0, 0),), key="")
    count, found = later_hits([signal])
    return count == len(found) == 1
