"""Queries to signals: the pipeline, the store that keeps them, and those that were made before."""

from __future__ import annotations

from ragsignal.signals.external import NO_DECISION, ExternalSignals
from ragsignal.signals.memo import ReadOnce, SentimentOnce
from ragsignal.signals.opened import store_place
from ragsignal.signals.pipeline import Cost, Pipeline, RagPipeline
from ragsignal.signals.recorded import KnownSignals, RecordedSignals, queries_of
from ragsignal.signals.rows import StoredHits
from ragsignal.signals.store import SignalStore

__all__ = [
    "NO_DECISION",
    "Cost",
    "ExternalSignals",
    "KnownSignals",
    "Pipeline",
    "RagPipeline",
    "ReadOnce",
    "RecordedSignals",
    "SentimentOnce",
    "SignalStore",
    "StoredHits",
    "queries_of",
    "store_place",
]
