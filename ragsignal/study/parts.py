"""The working parts of one plain spec: retrievers, models, artifacts, and the pipelines that are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from ragsignal.artifacts import Artifact, Kind, Weights, load_artifact, resolve
from ragsignal.config import ExternalSpec, LLMSpec, RetrievalSpec, RunSpec, TrainSpec, Variant
from ragsignal.data import Decisions, MarketDays
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.llm import (
    NO_HITS,
    ClassifierScorer,
    DayReader,
    DayVote,
    RankScorer,
    StockLLM,
    TextlessPrompter,
    VoteScorer,
    adapter_of,
    day_scorer,
    load_stockllm,
    reads_alphas,
    reads_hits,
    reads_news,
)
from ragsignal.protocols import Prompter, Retriever, Scorer
from ragsignal.retrieval import (
    CorpusEncoder,
    DayRetriever,
    EmbeddingCache,
    FinseerDays,
    NoRetriever,
    NumericEncoder,
    RecallReader,
    ShapeEncoder,
    StateMetric,
    TextEncoder,
    make_day_retriever,
    make_retriever,
)
from ragsignal.signals import ExternalSignals, RagPipeline, ReadOnce, SignalStore, store_place
from ragsignal.study.alphas_use import check_alphas, fitted_alphas, uses_alphas
from ragsignal.study.external import decisions_of
from ragsignal.study.materials import Materials
from ragsignal.study.news_use import COUNTED_BY_DATE, check_news, uses_news
from ragsignal.study.spacing import check_clock, gap_of_evidence
from ragsignal.utils import DAILY, Progress, cache_folder, silent

Distribute = Callable[[LLMSpec, StockLLM], Scorer]
"""Given each language model before its weights are read; what it returns does the scoring instead."""
Reading = tuple[Prompter, Scorer]
"""What writes the prompts of a variant, and what scores them."""


def open_store() -> SignalStore:
    """The signals of this user, all specs together; raises ``StoreError`` where they cannot be read."""
    return SignalStore(store_place())


@dataclass
class Shared:
    """What all steps of a study share: the store, and artifacts and base weights, each read and verified once.

    What was checked is what runs, and what the notes tell of.
    """

    _artifacts: dict[tuple[str, tuple[Kind, ...]], Artifact] = field(default_factory=dict)
    _weights: dict[tuple[str, str | None, str | None], Weights] = field(default_factory=dict)

    @cached_property
    def store(self) -> SignalStore:
        """The signals of this user, all specs together."""
        return open_store()

    def weights(self, ref: str, revision: str | None = None, sha256: str | None = None) -> Weights:
        """Base weights."""
        key = (ref, revision, sha256)
        if key not in self._weights:
            self._weights[key] = resolve(*key)
        return self._weights[key]

    def artifact(self, ref: str, *kinds: Kind) -> Artifact:
        """An artifact of one of ``kinds``."""
        if (ref, kinds) not in self._artifacts:
            self._artifacts[ref, kinds] = load_artifact(ref, *kinds)
        return self._artifacts[ref, kinds]


@dataclass
class Parts:
    """The parts of one spec without steps, each made on first need and shared by its variants.

    Parameters
    ----------
    spec : RunSpec
    materials : Materials
    shared : Shared
    progress : callable
        Told of long work.
    distribute : callable, optional
        Puts copies of a language model elsewhere (:mod:`ragsignal.parallel`).
    """

    spec: RunSpec
    materials: Materials
    shared: Shared
    progress: Progress = silent
    distribute: Distribute | None = None
    _readings: dict[tuple[str, LLMSpec] | tuple[LLMSpec, bool], Reading] = field(default_factory=dict)
    _retrievers: dict[RetrievalSpec, Retriever] = field(default_factory=dict)
    _joined: dict[tuple[str, bool], MarketDays] = field(default_factory=dict)
    _decisions: dict[ExternalSpec, Decisions] = field(default_factory=dict)

    def pipeline(self, variant: Variant) -> RagPipeline:
        """The signal source of a variant; raises as :meth:`ragsignal.study.Study.pipeline`."""
        trained_through = self.check(variant)  # before any model is loaded
        retriever = self._retriever(variant)
        prompter, scorer = self._reading(variant)
        return RagPipeline(
            retriever=retriever,
            prompter=prompter,
            scorer=scorer,
            store=self.shared.store,
            lookback=self.spec.corpus.lookback,
            trained_through=None if self.spec.allow_in_sample else trained_through,
            bar_days=gap_of_evidence(variant, self.artifacts(variant), self.materials),
            clock=self.materials.clock,
            minutes=self.materials.minutes,
            progress=partial(self.progress, f"signals of {variant.name}"),
        )

    def external(self, variant: Variant) -> ExternalSignals:
        """The decisions of a variant that reads some, as a signal source; raises as :func:`decisions_of`."""
        return ExternalSignals(self.decisions(variant.external), self.materials.clock, self.materials.minutes)

    def decisions(self, external: ExternalSpec) -> Decisions:
        """The decisions of a file, read once."""
        if external not in self._decisions:
            self._decisions[external] = decisions_of(external, self.spec.data, self.materials.prices)
        return self._decisions[external]

    def artifacts(self, variant: Variant) -> dict[str, Artifact]:
        """The trained parts of a variant by role: ``reader``, ``retriever``, ``classifier``."""
        if variant.is_classifier:
            return {"classifier": self.shared.artifact(variant.classifier, "classifier")}
        artifacts: dict[str, Artifact] = {}
        reader = self._reader(variant.llm) if variant.is_llm else None
        if isinstance(reader, Artifact):
            artifacts["reader"] = reader
        if variant.is_llm and variant.reads_days and variant.llm.adapter is not None:
            artifacts["reader of days"] = self.shared.artifact(variant.llm.adapter, "stockllm-days")
        if variant.reads_finseer:
            artifacts["retriever"] = self._finseer(variant.retrieval)
        return artifacts

    def fitted(self, variant: Variant) -> list[tuple[str, date]]:
        """Everything fitted in a variant, and the last day that it has seen."""
        artifacts = self.artifacts(variant)
        fitted = [(f"{role} {part.ref}", part.card.trained_through) for role, part in artifacts.items()]
        written = any(_reads_letters(artifact) for artifact in artifacts.values())
        if variant.reads_letters or variant.embeds_text or written:
            fitted.append(("letter bins", self.materials.bins.fitted_through))
        if uses_alphas(self.spec, variant, artifacts.values()):
            fitted += fitted_alphas(self.spec.corpus)
        return fitted

    def in_sample(self, variant: Variant) -> list[str]:
        """What in a variant was fitted on days that it is traded on; empty for an honest one."""
        start = self.spec.data.start
        seen = [f"{what} (fitted through {day})" for what, day in self.fitted(variant) if day >= start]
        by_date = self.spec.news is not None and self.spec.news.counts_for == "date"
        return (
            [*seen, COUNTED_BY_DATE]
            if by_date and uses_news(self.spec, variant, self.artifacts(variant).values())
            else seen
        )

    def check(self, variant: Variant) -> date | None:
        """The last day that anything in a variant has seen, if it can be used at all; raises if it cannot."""
        if not variant.has_signal:
            raise ConfigError(f'variant {variant.name!r} has signal = "none": it trades prices alone')
        self._check_hits(variant)  # before any price is read
        if self.materials.clock != DAILY:
            check_clock(variant, self.materials)
        seen = self.in_sample(variant)
        if seen and not self.spec.allow_in_sample:
            raise LookAheadError(
                f"variant {variant.name!r}: {'; '.join(seen)}, but the backtest starts on {self.spec.data.start}. "
                "Start it later, train on earlier days (`ragsignal train`), set corpus.bins_through to a date before "
                "the start for the letters, or write allow_in_sample = true to see a result that proves nothing"
            )
        check_news(self, variant)
        check_alphas(self, variant)
        corpus = self.spec.corpus
        for artifact in self.artifacts(variant).values():
            artifact.check_study(corpus.target, corpus.lookback, corpus.horizon)
        gap_of_evidence(variant, self.artifacts(variant), self.materials)
        return max((day for _, day in self.fitted(variant)), default=None)

    def some_variant(
        self, uses: Callable[[RunSpec, Variant, Iterable[Artifact]], bool], teaches: Callable[[TrainSpec], bool]
    ) -> bool:
        """Whether any variant ``uses`` something; of those that are retrained, whether their spec ``teaches`` it."""
        walk = self.spec.walk_forward
        return any(
            (walk is not None and teaches(walk.train))
            if it.retrained
            else uses(self.spec, it, self.artifacts(it).values())
            for it in self.spec.variants
        )

    def _check_hits(self, variant: Variant) -> None:
        """Refuse a retriever before a reader that never saw such hits: what it would make of one is noise."""
        reader = self.artifacts(variant).get("reader")
        if variant.is_llm and variant.reads_days:
            self._check_days(variant, reader)
            return
        if variant.reads_corpus and reader and reader.card.reads_ranks and not reads_hits(reader):
            raise ConfigError(
                f"variant {variant.name!r}: retrieval.retriever is {variant.retrieval.retriever!r}, but {reader.ref} "
                f"{NO_HITS}"
            )

    def _check_days(self, variant: Variant, reader: Artifact | None) -> None:
        """Refuse to retrieve days for a reader that cannot read them."""
        days = self.artifacts(variant).get("reader of days")
        if reader is None or not reader.card.reads_ranks or days is None:
            raise ConfigError(
                f"variant {variant.name!r}: days are read by a model on rank letters with an adapter for them; write "
                'llm = { model = "shipped:stockllm", adapter = "shipped:stockllm-days" }, or signal = "vote"'
            )
        if reads_news(reader) or reads_alphas(reader):
            what, key = ("news", "[news]") if reads_news(reader) else ("formulas", "corpus.alphas")
            raise ConfigError(
                f"variant {variant.name!r}: {reader.ref} reads {what}, and days tell nothing of them; write "
                f'retriever = "none" for it, or name a reader that was trained without {key}'
            )
        if days.card.recipe.get("trunk") != reader.digest:
            raise ConfigError(
                f"variant {variant.name!r}: {days.ref} was trained upon another model than {reader.ref}; name the two "
                "that belong together, or train it again: ragsignal train days SPEC"
            )

    def _finseer(self, spec: RetrievalSpec) -> Artifact:
        if spec.candidates == "days":
            return self.shared.artifact(spec.encoder_ref, "finseer-days")
        if spec.retriever == "recall":
            return self.shared.artifact(spec.encoder_ref, "recall")
        return self.shared.artifact(spec.encoder_ref, "finseer-text", "finseer-numeric")

    def _reader(self, llm: LLMSpec) -> Artifact | Path | None:
        if llm.is_artifact:
            return self.shared.artifact(llm.model, "stockllm")
        return adapter_of(llm, self.shared.artifact)

    def reads_universe(self, variant: Variant) -> bool:
        """Whether a variant reads rank letters, so that it depends on every stock of the day."""
        if variant.reads_days:
            return True
        reading = (self.artifacts(variant).get(role) for role in ("reader", "classifier"))
        return any(artifact.card.reads_ranks for artifact in reading if artifact)

    def _reading(self, variant: Variant) -> Reading:
        if variant.is_vote and variant.reads_days:
            return self._day_vote
        if variant.is_vote:
            return TextlessPrompter(), VoteScorer()
        key = (variant.classifier, variant.llm) if variant.is_classifier else (variant.llm, variant.reads_days)
        if key not in self._readings:
            self._readings[key] = self._ranks(variant) if self.reads_universe(variant) else self._words(variant)
        return self._readings[key]

    def _ranks(self, variant: Variant) -> Reading:
        artifacts = self.artifacts(variant)
        artifact = artifacts["classifier" if variant.is_classifier else "reader"]
        universe = self.materials.letters(reads_alphas(artifact), reads_news(artifact))
        days = artifacts.get("reader of days")
        if days is not None:
            reader = DayReader(artifact, days, universe, variant.llm.device, variant.llm.threads)
            return reader.prompter, reader
        scorer = RankScorer(artifact, day_scorer(artifact, variant.llm.device, variant.llm.threads), universe)
        return scorer.prompter, scorer

    @cached_property
    def _day_vote(self) -> Reading:
        vote = DayVote(self.materials.rank_letters)
        return vote.prompter, vote

    def _words(self, variant: Variant) -> Reading:
        prompter, scorer = self._classifier(variant) if variant.is_classifier else self._language_model(variant.llm)
        return prompter, ReadOnce(scorer, self.shared.store)

    def _language_model(self, llm: LLMSpec) -> Reading:
        weights = self.shared.weights(llm.model, llm.revision, llm.sha256)
        model = load_stockllm(llm, self.materials.template(llm), adapter_of(llm, self.shared.artifact), weights)
        return model, (self.distribute(llm, model) if self.distribute else model)

    def _classifier(self, variant: Variant) -> Reading:
        artifact = self.shared.artifact(variant.classifier, "classifier")
        scorer = ClassifierScorer(
            artifact, self.materials.template(variant.llm), None, variant.llm.device, variant.llm.threads
        )
        return scorer.prompter, scorer

    def _retriever(self, variant: Variant) -> Retriever:
        if variant.is_vote and not variant.reads_corpus:
            raise ConfigError(f'variant {variant.name!r}: a vote needs hits, but its retriever is "none"')
        if not variant.reads_corpus:
            return NoRetriever()
        spec = variant.retrieval
        if spec.finds_days and spec not in self._retrievers:
            self._retrievers[spec] = self.day_retriever(spec)
        if spec not in self._retrievers:
            encoder = partial(self._reader_of_corpus, spec)
            vectors = self.materials.kept / "vectors"
            retriever = make_retriever(spec, self.materials.corpus, encoder, vectors)
            retriever.others = {*self.spec.data.symbols}.difference(self.materials.corpus.symbols)
            self._retrievers[spec] = retriever
        return self._retrievers[spec]

    def day_retriever(self, spec: RetrievalSpec) -> DayRetriever:
        """The retriever of days that a table names: over the days that its artifact brings, and the run's own."""
        own = self.materials.own_days
        if not spec.needs_finseer:
            before = own.states[own.days < np.datetime64(self.spec.data.start)]
            return make_day_retriever(spec, own, StateMetric.euclidean(before), "")
        finseer = FinseerDays(self._finseer(spec))
        return make_day_retriever(spec, self._days_of(spec), finseer.metric, finseer.artifact.digest)

    def _days_of(self, spec: RetrievalSpec) -> MarketDays:
        """All days that can be retrieved: one table for all retrievers of an artifact, with its states and digests."""
        key = (spec.encoder_ref, spec.own_days)
        if key not in self._joined:
            own, brought = self.materials.own_days, self.brought_days(spec)
            self._joined[key] = own if brought is None else brought.followed_by(own)
        return self._joined[key]

    def brought_days(self, spec: RetrievalSpec) -> MarketDays | None:
        """The days that the artifact of a table brings; None where the run's own are all there is."""
        if spec.own_days:
            return None
        return FinseerDays(self._finseer(spec)).days(self.spec.corpus.horizon)

    def _reader_of_corpus(self, spec: RetrievalSpec) -> CorpusEncoder | RecallReader:
        """What a retriever of sequences looks with."""
        if spec.retriever == "recall":
            return RecallReader(self._finseer(spec), self.materials.bins)
        return self.encoder(spec)

    def encoder(self, spec: RetrievalSpec) -> CorpusEncoder:
        """The encoder of a table whose retriever has one: ``finseer`` of sequences, ``embedding``, ``shape``."""
        if spec.retriever == "shape":
            return ShapeEncoder()
        if spec.retriever == "embedding":
            return self._text_encoder(self.shared.weights(spec.encoder_ref, spec.revision), None)
        artifact = self._finseer(spec)
        base = artifact.card.base
        if base is None:  # the numeric one begins from nothing
            return NumericEncoder(artifact)
        return self._text_encoder(self.shared.weights(base["ref"], base["revision"], base["sha256"]), artifact)

    def _text_encoder(self, weights: Weights, adapter: Artifact | None) -> TextEncoder:
        cache = EmbeddingCache(cache_folder() / "embeddings.sqlite")
        progress = partial(self.progress, "embeddings")
        return TextEncoder(weights.folder, weights.digest, self.materials.bins, cache, progress, adapter=adapter)


def _reads_letters(artifact: Artifact) -> bool:
    """Whether a model was trained on quantile letters, beside those that its spec has it read."""
    card = artifact.card
    return card.kind in ("finseer-text", "recall") or (card.kind == "classifier" and "bins" in card.template)
