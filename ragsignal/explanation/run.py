"""Signals of one day explained: all that is said follows from bars up to the day, and comes from the reader itself.

spec, symbols, day ─► signals and hits (store) ─► Reading ─► factors, groups, hits, opposite, robustness
                                 earlier signals (store) ─► neighbours ─┴─► Explanation, one a symbol
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from ragsignal.config import Variant
from ragsignal.data import DayHits
from ragsignal.explanation.explanation import Explanation, HitEvidence, Opposite, Robustness, side_of
from ragsignal.explanation.factors import (
    changes_between,
    factors_of,
    groups_of,
    without_each_factor,
    without_each_group,
)
from ragsignal.explanation.hits import DayEvidenceOf, WithoutHits, sequence_evidence, shown_places
from ragsignal.explanation.method import meaning_of, method_of, opposite_words
from ragsignal.explanation.neighbours import Past, past_of
from ragsignal.explanation.opposite import MOST, Turned, nearest_opposites
from ragsignal.explanation.questions import bar_on, check_day, check_variant, named_symbols, queries_on
from ragsignal.explanation.readings import PromptedRanks, RankReading, Reading
from ragsignal.explanation.robustness import robustness_of
from ragsignal.explanation.window_reading import WindowReading
from ragsignal.llm import RankPrompt, RankScorer, UniverseReader
from ragsignal.retrieval import DayRetriever
from ragsignal.signals import RagPipeline
from ragsignal.study import Study
from ragsignal.types import FloatArray, Query, Score, Signal

DRAWS, DRAWS_OF_TEXT = 64, 16
"""Draws of the robustness; fewer where a text model reads each."""


def explain(study: Study, variant: Variant, symbols: Sequence[str], on: date) -> list[Explanation]:
    """Explain the signals of some symbols as of the close of a day.

    Parameters
    ----------
    study : Study
    variant : Variant
    symbols : sequence of str
        Names, or ``["all"]``: every symbol of the spec that has a bar on the day.
    on : date
        A day on which all of them have a bar, within the spec's window; of bars of hours the moment at which one
        ends, or a day, which means the last bar of any symbol on it.

    Returns
    -------
    list of Explanation
        In the order of ``symbols``. Signals, hits and earlier signals come from the store where they are there, and
        are kept in it else.

    Raises
    ------
    ConfigError
        If the variant has no signal, or one that is not made here; if ``on`` lies outside the spec's window; if a
        symbol is not the spec's.
    DataError
        If a symbol has no bar on the day.
    LookAheadError, ModelError
        As :meth:`ragsignal.study.Study.pipeline`.
    """
    check_variant(study.spec, variant)
    check_day(study.spec, on)
    on = bar_on(study, on)
    queries = queries_on(study, named_symbols(study, symbols, on), on)
    source = study.pipeline(variant)
    signals = source.signals(queries)
    ((pipeline, _),) = source.parts(queries)  # of a walk-forward, the pipeline of the day's step
    views = [(query, signal) for query, signal in zip(queries, signals, strict=True) if signal.abstained is None]
    explained: dict[str, Explanation] = {}
    if views:
        past = past_of(study, variant, source, on)
        day = _Day(study, variant, pipeline, *map(list, zip(*views, strict=True)))
        explained = {it.symbol: it for it in day.explanations(past)}
    return [explained.get(signal.symbol) or _abstention(study, variant, signal) for signal in signals]


def open_reading(
    study: Study, variant: Variant, pipeline: RagPipeline, queries: Sequence[Query], signals: Sequence[Signal]
) -> Reading:
    """The reader of a pipeline, to be asked again about signals of one day on which it has a view."""
    of_day = pipeline.retriever.of_day(queries[0].as_of) if isinstance(pipeline.retriever, DayRetriever) else None
    prompts = [
        pipeline.prompter.render(query, tuple(signal.hits) if of_day is None else of_day)
        for query, signal in zip(queries, signals, strict=True)
    ]
    ranked, scorer = [prompt for prompt in prompts if isinstance(prompt, RankPrompt)], pipeline.scorer
    if isinstance(scorer, UniverseReader) or (isinstance(scorer, RankScorer) and not ranked[0].hits):
        return RankReading(scorer, ranked)
    if isinstance(scorer, RankScorer):
        return PromptedRanks(pipeline, scorer, ranked)
    return WindowReading(pipeline, prompts, study.materials.bins, variant.is_vote)


@dataclass
class _Day:
    """The signals of one day on which a variant has a view."""

    study: Study
    variant: Variant
    pipeline: RagPipeline
    queries: list[Query]
    signals: list[Signal]

    @cached_property
    def reading(self) -> Reading:
        return open_reading(self.study, self.variant, self.pipeline, self.queries, self.signals)

    @cached_property
    def probability(self) -> FloatArray:
        return np.array([signal.probability for signal in self.signals])

    def explanations(self, past: Past) -> list[Explanation]:
        """All of them: each kind of figure is worked out for all signals together."""
        reading, signals = self.reading, self.signals
        everyone, values = np.arange(len(signals)), reading.values
        factors, groups = without_each_factor(reading, everyone), without_each_group(reading, everyone)
        opposites = self._opposites()
        hits, robustness = self._hits(), self._robustness()
        method, meaning = self._method(), meaning_of(self.study.spec.corpus)
        return [
            Explanation(
                variant=self.variant.name,
                symbol=signal.symbol,
                as_of=signal.as_of,
                key=signal.key,
                meaning=meaning,
                reads=reading.reads,
                abstained=None,
                probability=signal.probability,
                value=signal.value,
                rank=signal.rank if reading.stocks is not None else None,
                side=side_of(signal.probability),
                stocks=reading.stocks,
                factors=factors_of(reading, number, values[number], signal.probability, factors[number]),
                groups=groups_of(reading, signal.probability, groups[number]),
                hits=hits[number],
                hits_read=len(signal.hits),
                opposite=opposites[number],
                neighbours=past.like(signal.probability),
                robustness=robustness[number],
                method=method,
            )
            for number, signal in enumerate(signals)
        ]

    def _hits(self) -> list[tuple[HitEvidence, ...]]:
        """The hits of each signal that are shown."""
        everyone = np.arange(len(self.signals))
        if not self.reading.most_hits:
            return [()] * len(everyone)
        places = shown_places(self.reading.most_hits, len(everyone))
        without = self.reading.without_hits(places, everyone)
        left_out = [
            WithoutHits(signal.probability, places[places < len(signal.hits)], answers)
            for signal, answers in zip(self.signals, without, strict=True)
        ]
        if isinstance(self.pipeline.retriever, DayRetriever):
            return self._days(self.pipeline.retriever, left_out)
        pairs = zip(self.queries, self.signals, left_out, strict=True)
        return [sequence_evidence(query, signal.hits, out, self.variant.is_vote) for query, signal, out in pairs]

    def _days(self, retriever: DayRetriever, left_out: list[WithoutHits]) -> list[tuple[HitEvidence, ...]]:
        as_of = self.queries[0].as_of
        hits: DayHits = retriever.of_day(as_of)
        evidence = DayEvidenceOf(retriever, hits, as_of)
        return [evidence.of_stock(own, out) for own, out in zip(self.reading.letters, left_out, strict=True)]

    def _robustness(self) -> list[Robustness]:
        names = [f"{query.symbol} {query.as_of}" for query in self.queries]
        draws = DRAWS_OF_TEXT if self.variant.reads_text else DRAWS
        return robustness_of(self.reading, names, self.probability, draws)

    def _opposites(self) -> list[Opposite]:
        """The nearest opposite cases as the scorer itself sees them: all are asked at once."""
        turned = nearest_opposites(self.reading.changed, self.reading.letters, self.probability)
        found = {number: it for number, it in enumerate(turned) if it is not None}
        letters = np.array([it.letters for it in found.values()])
        scores = self.reading.asked(np.array(list(found)), letters) if found else []
        of_number = dict(zip(found, scores, strict=True))
        return [self._opposite(number, it, of_number.get(number)) for number, it in enumerate(turned)]

    def _opposite(self, number: int, turned: Turned | None, score: Score | None) -> Opposite:
        """A nearest opposite case, by what the scorer itself says of it."""
        before = self.signals[number].probability
        if turned is None or score is None or side_of(score.probability) == side_of(before):
            return Opposite((), 0, None, None, False, MOST, opposite_words((), before, None))
        changes = changes_between(self.reading, number, turned.letters.tolist())
        return Opposite(
            changes=changes,
            steps=sum(abs(change.steps) for change in changes),
            probability=score.probability,
            rank=score.rank if self.reading.stocks is not None else None,
            fewest=len(changes) <= 2,
            most=MOST,
            words=opposite_words(changes, before, score.probability),
        )

    def _method(self) -> tuple[str, ...]:
        coarse = self.variant.reads_text and "bfloat16" in str(self.pipeline.scorer.recipe)
        return method_of(self.reading.reads, self.reading.reads != "votes of sequences", coarse)


def _abstention(study: Study, variant: Variant, signal: Signal) -> Explanation:
    return Explanation(
        variant=variant.name,
        symbol=signal.symbol,
        as_of=signal.as_of,
        key=signal.key,
        meaning=meaning_of(study.spec.corpus),
        reads=None,
        abstained=signal.abstained,
    )
