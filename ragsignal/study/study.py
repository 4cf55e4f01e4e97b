"""From a spec to working parts: prices, corpus, retriever, scorer, pipeline. The only place that knows all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from ragsignal.artifacts import Artifact, Kind, Weights, load_artifact, resolve
from ragsignal.config import LLMSpec, RetrievalSpec, RunSpec, VariantSpec, load_spec
from ragsignal.data import Prices
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.llm import LETTERED, ClassifierScorer, StockLLM, VoteScorer, adapter_of, load_reader
from ragsignal.protocols import Retriever, Scorer
from ragsignal.retrieval import (
    Corpus,
    CorpusEncoder,
    DenseRetriever,
    DTWRetriever,
    EmbeddingCache,
    NoRetriever,
    NumericEncoder,
    RandomRetriever,
    ShapeEncoder,
    TextEncoder,
)
from ragsignal.signals import Pipeline, RagPipeline, ReadOnce, SignalStore
from ragsignal.study.materials import Materials
from ragsignal.study.walk_forward.plan import Plan
from ragsignal.study.walk_forward.source import WalkForward
from ragsignal.study.walk_forward.steps import Step
from ragsignal.utils import cache_folder

_IMPORTED_BY = os.getpid()

Report = Callable[[str, int, int], None]
"""Told (what, done, total) while long work goes on."""


@dataclass
class Workshop:
    """The parts of one spec, each made on first need and shared by its variants.

    Parameters
    ----------
    spec : RunSpec
    report : callable, optional
        Progress of long work: ``report(what, done, total)``.
    lend : callable, optional
        Given each language model before its weights are read; what it returns does the scoring instead (a cluster's
        copies of it, :mod:`ragsignal.parallel`).
    """

    spec: RunSpec
    report: Report | None = None
    lend: Callable[[LLMSpec, StockLLM], Scorer] | None = None
    _scorers: dict[Any, Scorer] = field(default_factory=dict)
    _retrievers: dict[RetrievalSpec, Retriever] = field(default_factory=dict)
    _artifacts: dict[tuple[str, tuple[Kind, ...]], Artifact] = field(default_factory=dict)
    _weights: dict[tuple[str, str | None, str | None], Weights] = field(default_factory=dict)
    # of a walk-forward; a step's models live as long as somebody uses them, all steps' would not fit into memory
    _shops: WeakValueDictionary[Step, Workshop] = field(default_factory=WeakValueDictionary)

    @cached_property
    def materials(self) -> Materials:
        """Prices, corpus, letters and ranks of the spec."""
        return Materials(self.spec.data, self.spec.corpus)

    @property
    def prices(self) -> Prices:
        """Adjusted prices of all traded and corpus symbols, through ``data.end``."""
        return self.materials.prices

    @property
    def corpus(self) -> Corpus:
        """The candidates of the spec."""
        return self.materials.corpus

    @cached_property
    def store(self) -> SignalStore:
        """The signals of this user, all specs together."""
        return SignalStore(cache_folder() / "signals.sqlite")

    @cached_property
    def plan(self) -> Plan:
        """The steps of a walk-forward, and where their artifacts lie; raises ``ConfigError`` where there is none."""
        return Plan(self.spec, self.prices, self._resolve)

    def pipeline(self, variant: VariantSpec) -> Pipeline:
        """The signal source of a variant.

        Raises
        ------
        ConfigError
            If the variant has no signal.
        LookAheadError
            If something in it was fitted on the window that is traded, or on that of its step.
        ModelError
            If an artifact is missing or altered, or was trained for another study.
        """
        if self.spec.walked(variant):
            return self._walk_forward(variant)
        return self._one_pipeline(variant)

    def eras(self, variant: VariantSpec) -> list[tuple[Workshop, VariantSpec]]:
        """The workshops that ``variant``'s signals come from, in the order of time, with the variant as it is there.

        Of a walk-forward one a step, each with a plain spec whose ``data`` bounds the step; else this one alone.
        """
        if not self.spec.walked(variant):
            return [(self, variant)]
        self.plan.check_trained(variant)
        return [(self._shop(step), self.plan.variant_at(step, variant)) for step in self.plan.steps]

    def in_sample(self, variant: VariantSpec) -> list[str]:
        """What in a variant was fitted on days that it is traded on; empty for an honest one."""
        return [
            f"{what} (fitted through {day})"
            for shop, it in self.eras(variant)
            for what, day in shop.fitted(it)
            if day >= shop.spec.data.start
        ]

    def artifacts(self, variant: VariantSpec) -> dict[str, Artifact]:
        """The trained parts of a variant by role: ``reader``, ``retriever``, ``classifier``.

        Of a walk-forward those of every step: ``reader from 2011-01-03``.
        """
        if self.spec.walked(variant):
            return {
                f"{role} from {shop.spec.data.start}": artifact
                for shop, it in self.eras(variant)
                for role, artifact in shop.artifacts(it).items()
            }
        if variant.signal == "classifier":
            return {"classifier": self._artifact(variant.classifier, "classifier")}
        found: dict[str, Artifact] = {}
        adapter = self._adapter(self.spec.llm_of(variant)) if variant.signal == "llm" else None
        if isinstance(adapter, Artifact):
            found["reader"] = adapter
        if variant.signal != "none" and self.spec.retrieval_of(variant).retriever == "finseer":
            found["retriever"] = self._finseer(self.spec.retrieval_of(variant))
        return found

    def fitted(self, variant: VariantSpec) -> list[tuple[str, date]]:
        """Everything fitted in a variant, and the last day that it has seen; see :meth:`eras` for when it is used."""
        if self.spec.walked(variant):
            return [seen for shop, it in self.eras(variant) for seen in shop.fitted(it)]
        artifacts = self.artifacts(variant)
        fitted = [(f"{role} {it.ref}", it.card.trained_through) for role, it in artifacts.items()]
        reads_letters = variant.signal == "llm" and self.spec.llm_of(variant).template in LETTERED
        encoder = artifacts["retriever"].card.kind if "retriever" in artifacts else None
        embedded = variant.signal != "classifier" and self.spec.retrieval_of(variant).retriever == "embedding"
        classifier = artifacts.get("classifier")
        lettered = classifier is not None and "bins" in classifier.card.template
        if reads_letters or embedded or encoder == "finseer-text" or lettered:
            fitted.append(("letter bins", self.materials.bins.fitted_through))
        return fitted

    def _walk_forward(self, variant: VariantSpec) -> WalkForward:
        for shop, it in self.eras(variant):  # every step's parts are judged before the first model call
            shop._checked(it)

        def open_step(step: Step) -> tuple[RagPipeline, Workshop]:
            shop = self._shop(step)
            return shop._one_pipeline(self.plan.variant_at(step, variant)), shop

        told = self._told(f"signals of {variant.name}")
        return WalkForward(self.plan.steps, open_step, self.spec.corpus.lookback, told)

    def _shop(self, step: Step) -> Workshop:
        """The workshop of one step: a plain spec, with prices, candidates, store and base weights of this one."""
        shop = self._shops.get(step)
        if shop is None:
            spec = self.plan.spec_at(step)
            shop = Workshop(spec, self.report, self.lend, _artifacts=self._artifacts, _weights=self._weights)
            shop.materials, shop.store = self.materials, self.store
            self._shops[step] = shop
        return shop

    def _one_pipeline(self, variant: VariantSpec) -> RagPipeline:
        trained_through = self._checked(variant)  # before any model is loaded
        retriever = NoRetriever() if variant.signal == "classifier" else self._retriever(self._retrieval(variant))
        return RagPipeline(
            retriever=retriever,
            scorer=self._scorer(variant),
            store=self.store,
            lookback=self.spec.corpus.lookback,
            trained_through=None if self.spec.allow_in_sample else trained_through,
            progress=self._told(f"signals of {variant.name}"),
        )

    def _checked(self, variant: VariantSpec) -> date | None:
        """The last day that anything in a variant has seen, if it can be used at all."""
        if variant.signal == "none":
            raise ConfigError(f'variant {variant.name!r} has signal = "none": it trades prices alone')
        trained_through = self._trained_through(variant)
        for artifact in self.artifacts(variant).values():
            artifact.check_study(self.spec.corpus.target, self.spec.corpus.lookback)
        return trained_through

    def _resolve(self, ref: str, revision: str | None = None, sha256: str | None = None) -> Weights:
        """Base weights, verified once."""
        if (ref, revision, sha256) not in self._weights:
            self._weights[ref, revision, sha256] = resolve(ref, revision, sha256)
        return self._weights[ref, revision, sha256]

    def _artifact(self, ref: str, *kinds: Kind) -> Artifact:
        """Read and verified once: what was checked is what runs, and what the notes tell of."""
        if (ref, kinds) not in self._artifacts:
            self._artifacts[ref, kinds] = load_artifact(ref, *kinds)
        return self._artifacts[ref, kinds]

    def _finseer(self, spec: RetrievalSpec) -> Artifact:
        return self._artifact(spec.encoder_ref, "finseer-text", "finseer-numeric")

    def _adapter(self, llm: LLMSpec) -> Artifact | Path | None:
        return adapter_of(llm, self._artifact)

    def _retrieval(self, variant: VariantSpec) -> RetrievalSpec:
        retrieval = self.spec.retrieval_of(variant)
        if variant.signal == "vote" and retrieval.retriever == "none":
            raise ConfigError(f'variant {variant.name!r}: a vote needs hits, but its retriever is "none"')
        return retrieval

    def _trained_through(self, variant: VariantSpec) -> date | None:
        """The last day that anything fitted in this variant has seen; None where nothing is fitted."""
        seen = self.in_sample(variant)
        if seen and not self.spec.allow_in_sample:
            raise LookAheadError(
                f"variant {variant.name!r}: {'; '.join(seen)}, but the backtest starts on {self.spec.data.start}. "
                "Start it later, train on earlier days (`ragsignal train`), set corpus.bins_through to a date before "
                "the start for the letters, or write allow_in_sample = true to see a result that proves nothing"
            )
        return max((day for _, day in self.fitted(variant)), default=None)

    def _scorer(self, variant: VariantSpec) -> Scorer:
        if variant.signal == "vote":
            return VoteScorer()
        llm = self.spec.llm_of(variant)
        key = (variant.classifier, llm) if variant.signal == "classifier" else llm
        if key not in self._scorers:
            make = self._classifier if variant.signal == "classifier" else self._reader
            self._scorers[key] = ReadOnce(make(variant), self.store)
        return self._scorers[key]

    def _reader(self, variant: VariantSpec) -> Scorer:
        llm = self.spec.llm_of(variant)
        weights = self._resolve(llm.model, llm.revision, llm.sha256)
        reader = load_reader(llm, self.materials.template(llm), self._adapter(llm), weights)
        return self.lend(llm, reader) if self.lend else reader

    def _classifier(self, variant: VariantSpec) -> Scorer:
        llm = self.spec.llm_of(variant)
        artifact = self._artifact(variant.classifier, "classifier")
        return ClassifierScorer(artifact, self.materials.template(llm), device=llm.device)

    def _retriever(self, spec: RetrievalSpec) -> Retriever:
        if spec not in self._retrievers:
            self._retrievers[spec] = self._make_retriever(spec)
        return self._retrievers[spec]

    def _make_retriever(self, spec: RetrievalSpec) -> Retriever:
        if spec.retriever == "none":
            return NoRetriever()
        options: dict[str, Any] = {"k": spec.k, "exclude_own_symbol": spec.exclude_own_symbol, "embargo": spec.embargo}
        if spec.retriever == "random":
            return RandomRetriever(self.corpus, seed=spec.seed, **options)
        if spec.retriever == "dtw":
            return DTWRetriever(self.corpus, **options)
        options |= {"storage": spec.storage, "index": spec.index, "cache": cache_folder() / "vectors"}
        return DenseRetriever(self.corpus, self._encoder(spec), **options)

    def _encoder(self, spec: RetrievalSpec) -> CorpusEncoder:
        if spec.retriever == "shape":
            return ShapeEncoder()
        if spec.retriever == "embedding":
            return self._text_encoder(self._resolve(spec.encoder_ref, spec.revision), None)
        artifact = self._finseer(spec)
        if artifact.card.kind == "finseer-numeric":
            return NumericEncoder(artifact)
        base: dict[str, Any] = dict(artifact.card.base or {})
        return self._text_encoder(self._resolve(base["ref"], base["revision"], base["sha256"]), artifact)

    def _text_encoder(self, weights: Weights, adapter: Artifact | None) -> TextEncoder:
        cache = EmbeddingCache(cache_folder() / "embeddings.sqlite")
        told = self._told("embeddings")
        return TextEncoder(weights.folder, weights.digest, self.materials.bins, cache, told, adapter=adapter)

    def _told(self, what: str) -> Callable[[int, int], None] | None:
        report = self.report
        return None if report is None else lambda done, total: report(what, done, total)


def load_pipeline(path: str | Path, variant: str | None = None) -> Pipeline:
    """The signal source of a spec, ready to be an indicator's ``source``.

    Parameters
    ----------
    path : str or Path
        A TOML spec. Its prices fill the corpus; the indicator's own feed supplies the queries.
    variant : str, optional
        Name of a variant; without one, the first that has a signal.

    Raises
    ------
    ConfigError, DataError, ModelError
        If the spec, its prices or its weights cannot be used.
    LookAheadError
        If something in it was fitted on the window that is traded.
    """
    if os.getpid() != _IMPORTED_BY:
        _use_one_thread()
    # By content, not by path: a spec that was edited in between is another one.
    return _pipeline_of(load_spec(path).model_dump_json(by_alias=True), variant, cache_folder(), os.getpid())


@lru_cache(maxsize=8)
def _pipeline_of(spec_json: str, variant: str | None, cache: Path, process: int) -> Pipeline:  # noqa: ARG001
    """Once a process: several feeds, and every run of an optstrategy worker, share one model; a fork makes its own."""
    spec = RunSpec.model_validate_json(spec_json)
    return Workshop(spec).pipeline(spec.find_variant(variant))


def _use_one_thread() -> None:
    """Keep a forked worker (``optstrategy``) from hanging: it would wait for OpenMP's threads, which a fork loses."""
    for library, limit in (("faiss", "omp_set_num_threads"), ("torch", "set_num_threads")):
        if library in sys.modules:
            getattr(sys.modules[library], limit)(1)
