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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.artifacts import resolve
from ragsignal.audit.models.recall import FamiliarText, Floats, firm_date_text, question
from ragsignal.audit.models.traces import Case, knowledge
from ragsignal.audit.signals.retrieval import Audited, audited, spread
from ragsignal.audit.verdict import Finding
from ragsignal.config import LLMSpec
from ragsignal.data import forward_returns
from ragsignal.llm import Template, load_stockllm
from ragsignal.protocols import Scorer
from ragsignal.signals import ReadOnce, queries_of
from ragsignal.statistics import LEAST_DAYS
from ragsignal.study import Study
from ragsignal.types import Hit, Prompt, Query
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
    study : Study
    frames : dict of symbol to DataFrame
        The traded bars.
    progress : callable, optional
        Told how far the work is: ``progress(what, done, total)``; told before the first model call of each probe.
    queries : int
        Queries of each probe; a reader costs about four short model calls for each, once.
    """
    subjects, refused = audited(study, "memory")
    readers: dict[LLMSpec, Audited] = {}
    for it in subjects:
        if it.variant.is_llm:
            llm = it.variant.llm
            if llm not in readers or not readers[llm].variant.reads_corpus:
                readers[llm] = it
    if not readers:
        named = {variant.name for variant in study.spec.variants if variant.is_llm}
        refused = [it for it in refused if it.subject in named]
        return refused or [Finding("memory", study.spec.name, "unknown", "No variant reads with a language model.")]
    return [finding for llm, it in readers.items() for finding in _Probe(study, frames, progress, llm, it).run(queries)]


@dataclass(frozen=True)
class Asked:
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

    def said(self, probability: Floats) -> pd.DataFrame:
        """The table of one way to ask, as the statistics take it."""
        return self.table[["date", "symbol", "target"]].assign(probability=probability, value=2.0 * probability - 1.0)


@dataclass
class _Probe:
    """One reader, asked in all ways."""

    study: Study
    frames: dict[str, pd.DataFrame]
    progress: Progress
    llm: LLMSpec
    it: Audited

    def run(self, queries: int) -> list[Finding]:
        """All four findings."""
        asked, about = self._asked(queries), knowledge(self.llm.model, self.study.spec.data.end)
        subject = f"{self.llm.model} + {self.llm.adapter}" if self.llm.adapter else self.llm.model
        days = asked.table["date"].nunique()
        if days < LEAST_DAYS:
            words = f"{days} days with an answer and an outcome; fewer than {LEAST_DAYS} say nothing about memory."
            return [Finding(test, subject, "unknown", words) for test in TESTS]
        clear, masked = self._clear(asked), self._read("masked", asked, replace(self._template, mask=True))
        moved = self._read("dates moved", asked, replace(self._template, mask=False), years=_YEARS)
        recalled, familiar = self._recalled(asked), self._familiar(asked)
        case = Case(subject, masks=self.llm.mask, about=about)
        return [
            case.compared("memory-masked", asked.said(clear), asked.said(masked)),
            case.compared("memory-dates", asked.said(clear), asked.said(moved)),
            case.recalled(asked.table, recalled),
            case.interacting(asked.table, {"min_k": familiar, "recall_confidence": np.abs(2.0 * recalled - 1.0)}),
        ]

    @property
    def _template(self) -> Template:
        return self.study.materials.template(self.llm)

    def _asked(self, wanted: int) -> Asked:
        """Queries with a full window, an answer of the run, and a known outcome."""
        known = _outcomes(self.study)
        whole = [
            query for query in queries_of(self.frames, self.it.source.lookback) if (query.symbol, query.as_of) in known
        ]
        whole = sorted(
            (it for it in whole if len(it.closes) > self.it.source.lookback), key=lambda it: (it.as_of, it.symbol)
        )
        chosen = spread(whole, wanted)
        answered = [pair for pair in zip(chosen, self.it.source.signals(chosen), strict=True) if not pair[1].abstained]
        rows = [
            (query.as_of, query.symbol, *known[query.symbol, query.as_of], signal.probability)
            for query, signal in answered
        ]
        table = pd.DataFrame(rows, columns=["date", "symbol", "target", "next", "rose", "probability"])
        return Asked([query for query, _ in answered], [signal.hits for _, signal in answered], table)

    def _clear(self, asked: Asked) -> Floats:
        return self._read("clear", asked, replace(self._template, mask=False))

    def _read(self, what: str, asked: Asked, template: Template, years: int = 0) -> Floats:
        """P(rise) of each query by the reader itself, prompted with ``template`` and its dates moved by ``years``."""
        answers: dict[Query, float] = {}
        hits = dict(zip(asked.queries, asked.hits, strict=True))
        for pipeline, part in self.it.source.parts(asked.queries):
            prompts = [moved(template.render(query, tuple(hits[query])), years) for query in part]
            answers |= dict(zip(part, self._scores(what, pipeline.scorer, prompts), strict=True))
        return np.array([answers[query] for query in asked.queries])

    def _recalled(self, asked: Asked) -> Floats:
        """The base model alone: memory lies there, and an adapter has taught it one kind of text."""
        base = self.llm.model_copy(update={"adapter": None})
        scorer = ReadOnce(load_stockllm(base, self._template, None), self.study.store)
        asking = zip(asked.table["symbol"], asked.table["next"], strict=True)
        return self._scores("recall", scorer, [question(symbol, day, self._template.chat) for symbol, day in asking])

    def _familiar(self, asked: Asked) -> Floats:
        weights = resolve(self.llm.model, self.llm.revision, self.llm.sha256)
        scorer = ReadOnce(FamiliarText(weights), self.study.store)
        asking = zip(asked.table["symbol"], asked.table["next"], strict=True)
        return np.log(self._scores("familiarity", scorer, [firm_date_text(symbol, day) for symbol, day in asking]))

    def _scores(self, what: str, scorer: Scorer, prompts: Sequence[Prompt]) -> Floats:
        told, found = f"memory of {self.llm.model}: {what}", []
        size = min(scorer.batch_size, _AT_ONCE)
        for start in range(0, len(prompts), size):
            self.progress(told, start, len(prompts))
            found += [it.probability for it in scorer.score(prompts[start : start + size])]
        self.progress(told, len(prompts), len(prompts))
        return np.array(found, dtype=np.float64)


TESTS = ("memory-masked", "memory-dates", "memory-recall", "memory-lap")


def _outcomes(study: Study) -> dict[tuple[str, date], tuple[float, date, bool]]:
    """By symbol and day: the outcome of the spec's target, the next bar's day, and whether its close was higher."""
    frames = study.prices.frames
    target, following = forward_returns(frames, study.spec.corpus.target), forward_returns(frames, "movement")
    known: dict[tuple[str, date], tuple[float, date, bool]] = {}
    for symbol in study.spec.data.symbols:
        both = pd.DataFrame({"target": target[symbol]["outcome"], "next": following[symbol]["available_at"]})
        both["rose"] = following[symbol]["outcome"] > 0.0
        sure = both[both["target"].notna() & both["target"].ne(0.0) & both["next"].notna()]
        rows = zip(sure.index, sure["target"], sure["next"], sure["rose"], strict=True)
        known |= {(symbol, day.date()): (float(out), nxt.date(), bool(rose)) for day, out, nxt, rose in rows}
    return known


def moved(prompt: Prompt, years: int) -> Prompt:
    """The prompt with every calendar date of its text ``years`` earlier, and nothing else changed."""
    if not years:
        return prompt
    return replace(prompt, text=_DATE.sub(lambda found: _earlier(found, years), prompt.text))


def _earlier(found: re.Match[str], years: int) -> str:
    year, month, day = (int(part) for part in found.groups())
    return date(year - years, month, min(day, 28) if month == 2 else day).isoformat()
