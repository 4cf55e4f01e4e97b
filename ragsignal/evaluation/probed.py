"""Which retrievers of a spec have a metric, and the vectors by which it compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragsignal.config import Variant
from ragsignal.errors import ConfigError
from ragsignal.retrieval import CorpusEncoder, DayRetriever
from ragsignal.study import Study
from ragsignal.types import Query, Recipe
from ragsignal.utils import json_digest

_WITH_ENCODER = ("finseer", "embedding", "shape")
_BY_STATE = ("finseer", "state")


class RetrievalMetric(Protocol):
    """What compares queries with candidates."""

    @property
    def recipe(self) -> Recipe:
        """Identity."""
        ...

    @property
    def cosine(self) -> bool:
        """Whether near is a high inner product of unit vectors; else it is a small Euclidean distance."""
        ...

    def vectors(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return (n_queries, dim) float32; a row of NaN where nothing is known."""
        ...


@dataclass(frozen=True)
class SequenceMetric:
    """The encoder of a retriever of sequences."""

    encoder: CorpusEncoder
    cosine: bool = True

    @property
    def recipe(self) -> Recipe:
        """That of the encoder."""
        return self.encoder.recipe

    def vectors(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return unit vectors."""
        return self.encoder.encode_queries(queries)


@dataclass(frozen=True)
class DayMetric:
    """The metric of a retriever of days: all stocks of a day have one vector, its state as the metric weighs it."""

    retriever: DayRetriever
    cosine: bool = False

    @property
    def recipe(self) -> Recipe:
        """That of the metric; how old a day is takes no part here."""
        return {"candidates": "days", "metric": self.retriever.metric.digest}

    def vectors(self, queries: Sequence[Query]) -> NDArray[np.float32]:
        """Return weighed z-scores of the state."""
        days, metric = self.retriever.days, self.retriever.metric
        rows = np.array([-1 if (row := days.row(query.as_of)) is None else row for query in queries], dtype=np.int64)
        states = np.where(rows[:, None] >= 0, days.states[rows], np.nan)
        return (metric.standardized(states) @ metric.matrix.T).astype(np.float32)


@dataclass(eq=False)
class ProbedMetric:
    """A metric, and the variants that retrieve by it; it is named as the first of them."""

    metric: RetrievalMetric
    variants: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the first variant."""
        return self.variants[0]


def metrics_of(study: Study) -> tuple[list[ProbedMetric], dict[str, str]]:
    """Return the metrics of a spec's variants, each once, and why the other variants have none.

    Raises
    ------
    ConfigError
        If no variant has one.
    LookAheadError
        If one was fitted on the window.
    ModelError
        If an artifact or base weights cannot be used.
    """
    found: dict[str, ProbedMetric] = {}
    left_out: dict[str, str] = {}
    for variant in study.spec.variants:
        reason = _without_metric(variant)
        if reason is not None:
            left_out[variant.name] = reason
            continue
        metric = _metric_of(study, variant)
        key = json_digest(metric.recipe)
        found.setdefault(key, ProbedMetric(metric)).variants.append(variant.name)
    if not found:
        said = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ConfigError(
            f"spec {study.spec.name!r} has no retriever with a metric to probe ({said}); add a variant, such as "
            'signal = "vote" with retrieval = { retriever = "shape" }'
        )
    return list(found.values()), left_out


def _without_metric(variant: Variant) -> str | None:
    if not variant.reads_corpus:
        return "it retrieves nothing"
    if _voting(variant).retrained:
        return "its retriever is trained anew at every step; probe one step's artifact by its folder"
    name = variant.retrieval.retriever
    if name not in (_BY_STATE if variant.retrieval.finds_days else _WITH_ENCODER):
        return f"{name} compares no vectors"
    return None


def _metric_of(study: Study, variant: Variant) -> RetrievalMetric:
    study.parts.check(_voting(variant))
    if variant.retrieval.finds_days:
        return DayMetric(study.parts.day_retriever(variant.retrieval))
    return SequenceMetric(study.parts.encoder(variant.retrieval))


def _voting(variant: Variant) -> Variant:
    """The variant without its language model: a probe reads the retriever alone."""
    return replace(variant, signal="vote")
