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

from ragsignal.cache import cache_folder
from ragsignal.config import LLMSpec, RetrievalSpec, RunSpec, VariantSpec, load_spec
from ragsignal.data.bins import Bins, fit_bins, shipped_bins
from ragsignal.data.prices import Prices
from ragsignal.data.sources import load_prices
from ragsignal.errors import ConfigError, LookAheadError
from ragsignal.llm.prompt import Template
from ragsignal.llm.rules import VoteScorer
from ragsignal.llm.stockllm import StockLLM
from ragsignal.llm.weights import resolve
from ragsignal.pipeline import RagPipeline
from ragsignal.protocols import Retriever, Scorer
from ragsignal.retrieval.corpus import Corpus, load_or_build
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import ShapeEncoder, TextEncoder
from ragsignal.retrieval.retrievers import DenseRetriever, DTWRetriever, NoRetriever, RandomRetriever
from ragsignal.store import SignalStore

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
    """

    spec: RunSpec
    report: Report | None = None
    _scorers: dict[LLMSpec, Scorer] = field(default_factory=dict)
    _retrievers: dict[RetrievalSpec, Retriever] = field(default_factory=dict)

    @cached_property
    def prices(self) -> Prices:
        """Adjusted prices of all traded and corpus symbols, through ``data.end``."""
        return load_prices(self.spec.data, self.spec.corpus.symbols).between(None, self.spec.data.end)

    @cached_property
    def corpus(self) -> Corpus:
        """The candidates of the spec."""
        chosen = self.prices.select(self.spec.corpus.symbols or self.spec.data.symbols)
        return load_or_build(chosen.frames, chosen.fingerprint, self.spec.corpus, cache_folder())

    @cached_property
    def bins(self) -> Bins:
        """Letters: the shipped ones, or those refitted through ``corpus.bins_through``."""
        through = self.spec.corpus.bins_through
        if through is None:
            return shipped_bins()
        return fit_bins(self.prices.select(self.spec.corpus.symbols or self.spec.data.symbols).frames, through)

    @cached_property
    def store(self) -> SignalStore:
        """The signals of this user, all specs together."""
        return SignalStore(cache_folder() / "signals.sqlite")

    def pipeline(self, variant: VariantSpec) -> RagPipeline:
        """The signal source of a variant.

        Raises
        ------
        ConfigError
            If the variant has no signal.
        LookAheadError
            If something in it was fitted on the window that is traded.
        """
        if variant.signal == "none":
            raise ConfigError(f'variant {variant.name!r} has signal = "none": it trades prices alone')
        retrieval = self.spec.retrieval_of(variant)
        trained_through = self._trained_through(variant, retrieval)  # before anything is loaded
        if variant.signal == "vote":
            if retrieval.retriever == "none":
                raise ConfigError(f'variant {variant.name!r}: a vote needs hits, but its retriever is "none"')
            scorer: Scorer = VoteScorer()
        else:
            scorer = self._scorer(self.spec.llm_of(variant))
        return RagPipeline(
            retriever=self._retriever(retrieval),
            scorer=scorer,
            store=self.store,
            lookback=self.spec.corpus.lookback,
            trained_through=trained_through,
            progress=self._told(f"signals of {variant.name}"),
        )

    def _trained_through(self, variant: VariantSpec, retrieval: RetrievalSpec) -> date | None:
        """The last day that anything fitted in this variant has seen; None where nothing is fitted."""
        reads_letters = variant.signal == "llm" and self.spec.llm_of(variant).template == "compact"
        if not reads_letters and retrieval.retriever != "embedding":
            return None
        if self.bins.fitted_through >= self.spec.data.start:
            raise LookAheadError(
                f"variant {variant.name!r}: the letter bins were fitted through {self.bins.fitted_through}, but the "
                f"backtest starts on {self.spec.data.start}; set corpus.bins_through to a date before it"
            )
        return self.bins.fitted_through

    def _scorer(self, llm: LLMSpec) -> Scorer:
        if llm not in self._scorers:
            self._scorers[llm] = StockLLM(
                weights=resolve(llm.model, llm.revision, llm.sha256),
                template=Template(llm.template, llm.mask, self.bins),
                adapter=llm.adapter,
                dtype=llm.dtype,
                device=llm.device,
                batch_size=llm.batch_size,
            )
        return self._scorers[llm]

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
        encoder = ShapeEncoder() if spec.retriever == "shape" else self._text_encoder(spec)
        return DenseRetriever(self.corpus, encoder, **options)

    def _text_encoder(self, spec: RetrievalSpec) -> TextEncoder:
        weights = resolve(spec.encoder, spec.revision)
        cache = EmbeddingCache(cache_folder() / "embeddings.sqlite")
        return TextEncoder(weights.folder, weights.digest, self.bins, cache, self._told("embeddings"))

    def _told(self, what: str) -> Callable[[int, int], None] | None:
        report = self.report
        return None if report is None else lambda done, total: report(what, done, total)


def load_pipeline(path: str | Path, variant: str | None = None) -> RagPipeline:
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
def _pipeline_of(spec_json: str, variant: str | None, cache: Path, process: int) -> RagPipeline:  # noqa: ARG001
    """Once a process: several feeds, and every run of an optstrategy worker, share one model; a fork makes its own."""
    spec = RunSpec.model_validate_json(spec_json)
    return Workshop(spec).pipeline(spec.find_variant(variant))


def _use_one_thread() -> None:
    """Keep a forked worker (``optstrategy``) from hanging: it would wait for OpenMP's threads, which a fork loses."""
    for library, limit in (("faiss", "omp_set_num_threads"), ("torch", "set_num_threads")):
        if library in sys.modules:
            getattr(sys.modules[library], limit)(1)
