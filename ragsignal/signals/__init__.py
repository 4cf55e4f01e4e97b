"""Queries to signals: the pipeline, the store that keeps them, and those that were made before."""

from __future__ import annotations

from ragsignal.signals.memo import ReadOnce
from ragsignal.signals.opened import store_place
from ragsignal.signals.pipeline import Cost, Pipeline, RagPipeline
from ragsignal.signals.recorded import KnownSignals, RecordedSignals, queries_of
from ragsignal.signals.rows import StoredHits
from ragsignal.signals.store import SignalStore

__all__ = [
    "Cost",
    "KnownSignals",
    "Pipeline",
    "RagPipeline",
    "ReadOnce",
    "RecordedSignals",
    "SignalStore",
    "StoredHits",
    "queries_of",
    "store_place",
]
