"""The language model's memory: has it read about the days that it is asked about, and are its answers better for it.

About 200 queries, spread evenly over the window, are asked of each reader in several ways, and the answers are compared
by what happened, paired and clustered by day:

    memory-masked   the reader's prompts with symbols and dates, against the same ones without
    memory-dates    the clear prompts, against the same ones with all dates moved by whole years
    memory-recall   symbol and date alone, no price: can the base model say whether the close rose?
    memory-lap      the run's own forecasts: are they more right where the model finds symbol and date familiar?

No probe can prove that a model remembers nothing of days that lie before the end of its text; a finding says how large
an effect it would have seen. Answers are kept in the store, so that they are paid for once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import pandas as pd

from ragsignal.artifacts import resolve
from ragsignal.audit.models.recall import FamiliarText, firm_date_text, question
from ragsignal.audit.models.traces import MemoryTests, knowledge
from ragsignal.audit.signals.variants import AuditedVariant, audited_variants, spread_from_last
from ragsignal.audit.verdict import Finding
from ragsignal.config import LLMSpec
from ragsignal.data import forward_returns
from ragsignal.llm import Template, load_stockllm
from ragsignal.protocols import Scorer
from ragsignal.signals import ReadOnce
from ragsignal.statistics import LEAST_DAYS
from ragsignal.study import Study
from ragsignal.types import FloatArray, Hit, Prompt, Query
from ragsignal.utils import Progress

QUERIES = 200
_AT_ONCE = 512  # prompts between two words on the progress
_YEARS = 4  # that dates are moved into the past: 28 February stands for 29 February
_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")


def audit_memory(
    study: Study, frames: dict[str, pd.DataFrame], progress: Progress, queries: int = QUERIES
) -> list[Finding]:
    """Probe every distinct reader of the variants that read with a language model: four findings each.

    Parameters
    ----------
    study, frames, progress
        As of :func:`~ragsignal.audit.signals.signals.audit_signals`; told before the first model call of each probe.
    queries : int
        Queries of each probe; a reader costs about four short model calls for each, once.
    """
    audited, refused = audited_variants(study, "memory")
    readers: dict[LLMSpec, AuditedVariant] = {}
    for variant in audited:
        if variant.variant.reads_text:
            llm = variant.variant.llm
            if llm not in readers or not readers[llm].variant.reads_corpus:
                readers[llm] = variant
    if not readers:
        names = {variant.name for variant in study.spec.variants if variant.reads_text}
        refused = [finding for finding in refused if finding.subject in names]
        return refused or [
            Finding("memory", study.spec.name, "unknown", "No variant reads text with a language model.")
        ]
    findings: list[Finding] = []
    for llm, variant in readers.items():
        findings += _MemoryProbe(study, frames, progress, llm, variant).run(queries)
    return findings


@dataclass(frozen=True)
class ProbeQueries:
    """The queries of a probe, by day, then by symbol.

    Parameters
    ----------
    queries, hits : lists of n
    table : DataFrame of n rows
        ``date`` (the query's day), ``symbol``, ``target`` (the outcome that the run forecasts, a fraction), ``next``
        (the next bar's day), ``rose`` (whether its close was higher), ``probability`` (the run's own forecast).
    """

    queries: list[Query]
    hits: list[Sequence[Hit]]
    table: pd.DataFrame

    def answered(self, probability: FloatArray) -> pd.DataFrame:
        """The table of the answers to one kind of prompt, as the statistics take it."""
        return self.table[["date", "symbol", "target"]].assign(probability=probability, value=2.0 * probability - 1.0)

    def prompts(self, write: Callable[[str, date], Prompt]) -> list[Prompt]:
        """A prompt for each symbol and its next day."""
        return [write(symbol, day) for symbol, day in zip(self.table["symbol"], self.table["next"], strict=True)]


@dataclass
class _MemoryProbe:
    """One reader, prompted in all ways."""

    study: Study
    frames: dict[str, pd.DataFrame]
    progress: Progress
    llm: LLMSpec
    audited: AuditedVariant

    def run(self, wanted: int) -> list[Finding]:
        """All four findings, from ``wanted`` queries."""
        if self.study.prices.clock.intraday:
            words = "These tests ask a language model about whole days, and the bars are shorter."
            return [Finding(test, self.llm.model, "unknown", words) for test in TESTS]
        queries, about = self._queries(wanted), knowledge(self.llm.model, self.study.spec.data.end)
        subject = f"{self.llm.model} + {self.llm.adapter}" if self.llm.adapter else self.llm.model
        days = queries.table["date"].nunique()
        if days < LEAST_DAYS:
            words = f"{days} days with an answer and an outcome; fewer than {LEAST_DAYS} say nothing about memory."
            return [Finding(test, subject, "unknown", words) for test in TESTS]
        unmasked = replace(self._template, mask=False)
        clear = queries.answered(self._read("clear", queries, unmasked))
        masked = queries.answered(self._read("masked", queries, replace(self._template, mask=True)))
        earlier = queries.answered(self._read("dates moved", queries, unmasked, years=_YEARS))
        recalled, familiar = self._recall(queries), self._familiarity(queries)
        tests = MemoryTests(subject, masks=self.llm.mask, about=about)
        propensities = {"min_k": familiar, "recall_confidence": np.abs(2.0 * recalled - 1.0)}
        return [
            tests.compare_prompts("memory-masked", clear, masked),
            tests.compare_prompts("memory-dates", clear, earlier),
            tests.test_recall(queries.table, recalled),
            tests.test_interaction(queries.table, propensities),
        ]

    @property
    def _template(self) -> Template:
        return self.study.materials.template(self.llm)

    def _queries(self, wanted: int) -> ProbeQueries:
        """Queries with a full window, an answer of the run, and a known outcome."""
        outcomes = _outcomes(self.study)
        whole = [query for query in self.audited.whole_queries(self.frames) if (query.symbol, query.as_of) in outcomes]
        chosen = spread_from_last(sorted(whole, key=lambda query: (query.as_of, query.symbol)), wanted)
        signals = self.audited.source.signals(chosen)
        answered = [pair for pair in zip(chosen, signals, strict=True) if not pair[1].abstained]
        rows = [
            (query.as_of, query.symbol, *outcomes[query.symbol, query.as_of], signal.probability)
            for query, signal in answered
        ]
        table = pd.DataFrame(rows, columns=["date", "symbol", "target", "next", "rose", "probability"])
        return ProbeQueries([query for query, _ in answered], [signal.hits for _, signal in answered], table)

    def _read(self, what: str, queries: ProbeQueries, template: Template, years: int = 0) -> FloatArray:
        """P(rise) of each query by the reader itself, prompted with ``template`` and its dates moved by ``years``."""
        answers: dict[Query, float] = {}
        hits = dict(zip(queries.queries, queries.hits, strict=True))
        for pipeline, part in self.audited.source.parts(queries.queries):
            prompts = [shift_dates(template.render(query, tuple(hits[query])), years) for query in part]
            answers |= dict(zip(part, self._scores(what, pipeline.scorer, prompts), strict=True))
        return np.array([answers[query] for query in queries.queries])

    def _recall(self, queries: ProbeQueries) -> FloatArray:
        """The base model alone: memory lies there, and an adapter has taught it one kind of text."""
        base = self.llm.model_copy(update={"adapter": None})
        scorer = ReadOnce(load_stockllm(base, self._template, None), self.study.store)
        chat = self._template.chat
        return self._scores("recall", scorer, queries.prompts(lambda symbol, day: question(symbol, day, chat)))

    def _familiarity(self, queries: ProbeQueries) -> FloatArray:
        weights = resolve(self.llm.model, self.llm.revision, self.llm.sha256)
        scorer = ReadOnce(FamiliarText(weights), self.study.store)
        return np.log(self._scores("familiarity", scorer, queries.prompts(firm_date_text)))

    def _scores(self, what: str, scorer: Scorer, prompts: Sequence[Prompt]) -> FloatArray:
        progress = partial(self.progress, f"memory of {self.llm.model}: {what}")
        scores: list[float] = []
        size = min(scorer.batch_size, _AT_ONCE)
        for start in range(0, len(prompts), size):
            progress(start, len(prompts))
            scores += [score.probability for score in scorer.score(prompts[start : start + size])]
        progress(len(prompts), len(prompts))
        return np.array(scores, dtype=np.float64)


TESTS = ("memory-masked", "memory-dates", "memory-recall", "memory-lap")
_Outcome = tuple[float, date, bool]
"""The outcome of the spec's target, the next bar's day, and whether its close was higher."""


def _outcomes(study: Study) -> dict[tuple[str, date], _Outcome]:
    """By symbol and day."""
    frames, corpus = study.prices.frames, study.spec.corpus
    target = forward_returns(frames, corpus.target, corpus.horizon)
    following = forward_returns(frames, "movement")
    outcomes: dict[tuple[str, date], _Outcome] = {}
    for symbol in study.spec.data.symbols:
        both = pd.DataFrame({"target": target[symbol]["outcome"], "next": following[symbol]["available_at"]})
        both["rose"] = following[symbol]["outcome"] > 0.0
        known = both[both["target"].notna() & both["target"].ne(0.0) & both["next"].notna()]
        for day, outcome, following_day, rose in known.itertuples():
            outcomes[symbol, day.date()] = float(outcome), following_day.date(), bool(rose)
    return outcomes


def shift_dates(prompt: Prompt, years: int) -> Prompt:
    """The prompt with every calendar date of its text ``years`` earlier, and nothing else changed."""
    if not years:
        return prompt
    return replace(prompt, text=_DATE.sub(lambda match: _earlier(match, years), prompt.text))


def _earlier(match: re.Match[str], years: int) -> str:
    year, month, day = (int(part) for part in match.groups())
    return date(year - years, month, min(day, 28) if month == 2 else day).isoformat()
