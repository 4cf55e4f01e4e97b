"""Corpus, encoders, as-of index, retrievers."""

from __future__ import annotations

from ragsignal.retrieval.corpus import Corpus, build_corpus, load_or_build
from ragsignal.retrieval.day_artifact import DAYS_RECIPE, FinseerDays, save_finseer_days
from ragsignal.retrieval.days import DayRetriever, NearestDays, RandomDays, RecentDays
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import ShapeEncoder, TextEncoder, line_recipe, load_sentence_model, query_line
from ragsignal.retrieval.factory import make_day_retriever, make_retriever
from ragsignal.retrieval.index import AsOfIndex, Ranked
from ragsignal.retrieval.numeric import EXTRA, READS, NumericEncoder, features, query_features
from ragsignal.retrieval.probes import KnownWindows, linear_probe, nearest_probe
from ragsignal.retrieval.regimes import Macro, RegimeDays, read_macro
from ragsignal.retrieval.retrievers import (
    CorpusEncoder,
    CorpusRetriever,
    DenseRetriever,
    DTWRetriever,
    NoRetriever,
    RandomRetriever,
)
from ragsignal.retrieval.segments import SEGMENT_ROWS, SegmentedIndex
from ragsignal.retrieval.sequences import Beside
from ragsignal.retrieval.state_metric import StateMetric, similarity

__all__ = [
    "DAYS_RECIPE",
    "EXTRA",
    "READS",
    "SEGMENT_ROWS",
    "AsOfIndex",
    "Beside",
    "Corpus",
    "CorpusEncoder",
    "CorpusRetriever",
    "DTWRetriever",
    "DayRetriever",
    "DenseRetriever",
    "EmbeddingCache",
    "FinseerDays",
    "KnownWindows",
    "Macro",
    "NearestDays",
    "NoRetriever",
    "NumericEncoder",
    "RandomDays",
    "RandomRetriever",
    "Ranked",
    "RecentDays",
    "RegimeDays",
    "SegmentedIndex",
    "ShapeEncoder",
    "StateMetric",
    "TextEncoder",
    "build_corpus",
    "features",
    "line_recipe",
    "linear_probe",
    "load_or_build",
    "load_sentence_model",
    "make_day_retriever",
    "make_retriever",
    "nearest_probe",
    "query_features",
    "query_line",
    "read_macro",
    "save_finseer_days",
    "similarity",
]
