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
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.retriever import Naming, RecallRetriever
from ragsignal.retrieval.recall.titles import (
    TITLE_TOKENS,
    CorpusTokens,
    TitleVocabulary,
    fit_vocabulary,
    letters_recipe,
)
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
    "TITLE_TOKENS",
    "AsOfIndex",
    "Beside",
    "Corpus",
    "CorpusEncoder",
    "CorpusRetriever",
    "CorpusTokens",
    "DTWRetriever",
    "DayRetriever",
    "DenseRetriever",
    "EmbeddingCache",
    "FinseerDays",
    "KnownWindows",
    "Macro",
    "Naming",
    "NearestDays",
    "NoRetriever",
    "NumericEncoder",
    "RandomDays",
    "RandomRetriever",
    "Ranked",
    "RecallReader",
    "RecallRetriever",
    "RecentDays",
    "RegimeDays",
    "SegmentedIndex",
    "ShapeEncoder",
    "StateMetric",
    "TextEncoder",
    "TitleVocabulary",
    "build_corpus",
    "features",
    "fit_vocabulary",
    "letters_recipe",
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
