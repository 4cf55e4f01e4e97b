"""From ``[retrieval]`` of a spec to the retriever that it names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from ragsignal.config import RetrievalSpec
from ragsignal.data import MarketDays
from ragsignal.retrieval.corpus import Corpus
from ragsignal.retrieval.days import DayRetriever, NearestDays, RandomDays, RecentDays
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.retriever import Naming, RecallRetriever
from ragsignal.retrieval.regimes import RegimeDays, read_macro
from ragsignal.retrieval.retrievers import (
    CorpusEncoder,
    CorpusRetriever,
    DenseRetriever,
    DTWRetriever,
    RandomRetriever,
)
from ragsignal.retrieval.state_metric import StateMetric


def make_retriever(
    spec: RetrievalSpec, corpus: Corpus, encoder: Callable[[], CorpusEncoder | RecallReader], cache: Path | None = None
) -> CorpusRetriever:
    """A retriever over ``corpus``; a spec that retrieves nothing needs none, see ``Variant.reads_corpus``.

    Parameters
    ----------
    spec : RetrievalSpec
    corpus : Corpus
    encoder : callable
        Makes the encoder, where the retriever has one; of a recall its reader.
    cache : Path, optional
        Folder where vectors stay; without one they are kept in memory alone.
    """
    options = (spec.k, spec.exclude_own_symbol, spec.embargo)
    if spec.retriever == "random":
        return RandomRetriever(corpus, *options, seed=spec.seed)
    if spec.retriever == "dtw":
        return DTWRetriever(corpus, *options)
    if spec.retriever == "recall":
        naming = Naming(spec.titles, spec.beam, spec.title_weight)
        return RecallRetriever(corpus, cast(RecallReader, encoder()), *options, naming=naming)
    return DenseRetriever(
        corpus, cast(CorpusEncoder, encoder()), *options, storage=spec.storage, index=spec.index, cache=cache
    )


def make_day_retriever(spec: RetrievalSpec, days: MarketDays, metric: StateMetric, artifact: str) -> DayRetriever:
    """A retriever over days, for a spec with ``candidates = "days"``.

    Parameters
    ----------
    spec : RetrievalSpec
    days : MarketDays
        Shipped ones and the run's own, as ``spec`` asks.
    metric : StateMetric
        Of FinSeer; retrievers of other names take the Euclidean one that it began as.
    artifact : str
        Digest of where the metric comes from, empty for nowhere else.
    """
    metric = metric if spec.retriever == "finseer" else metric.plain
    if spec.macro is not None and spec.retriever == "regimes":
        return RegimeDays(days, metric, read_macro(spec.macro, spec.macro_lag), artifact, spec.embargo, spec.max_age)
    options = (artifact, spec.k, spec.opposite, spec.embargo, spec.max_age)
    if spec.retriever == "random":
        return RandomDays(days, metric, *options, seed=spec.seed)
    kinds: dict[str, type[DayRetriever]] = {"recent": RecentDays}
    return kinds.get(spec.retriever, NearestDays)(days, metric, *options)
