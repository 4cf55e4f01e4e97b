"""A TOML spec, typed and checked before anything is computed.

Every table forbids unknown keys and answers a typo with the nearest known one. Relative paths in a spec are
relative to the spec's own folder. ``${NAME}`` in ``data.path`` and ``llm.adapter`` is read from the environment; in
``data.url`` it is kept as it is written, and read when the database is opened.

Three kinds of spec share their tables: :class:`RunSpec` (what is run and compared), :class:`TrainSpec` (what is
trained on which days) and :class:`SearchSpec` (which formulas are looked for). An artifact that training wrote is named
``shipped:NAME`` or by its folder.
"""

from __future__ import annotations

from ragsignal.config.advise import AdviseTraining
from ragsignal.config.alpha import AlphaSpec, SearchSpec
from ragsignal.config.ideas import IdeasSpec
from ragsignal.config.load import checked, load_search_spec, load_spec, load_train_spec, with_settings
from ragsignal.config.messages import RawTable, did_you_mean
from ragsignal.config.methods import MethodName, MethodsSpec
from ragsignal.config.news import NewsSpec
from ragsignal.config.override import toml_value
from ragsignal.config.prices import EVERY, MADE_UP, DataSpec, UniverseSpec
from ragsignal.config.run import CostSpec, EvaluationSpec, ProbeSpec, RunSpec
from ragsignal.config.tables import (
    LETTERED,
    LONGEST_WINDOW,
    RANKED,
    WALK,
    CorpusSpec,
    ExternalSpec,
    Horizon,
    KeptAlpha,
    LLMSpec,
    Name,
    RetrievalSpec,
    StrategySpec,
    Table,
    Target,
    TemplateName,
    Walked,
)
from ragsignal.config.train import (
    BoostingTraining,
    ClassifierTraining,
    DaysTraining,
    FeedbackTraining,
    FinseerTraining,
    RanksTraining,
    RecallTraining,
    SplitSpec,
    StockLLMTraining,
    TrainSpec,
)
from ragsignal.config.variant import Variant
from ragsignal.config.walk_forward import WalkForwardSpec

__all__ = [
    "EVERY",
    "LETTERED",
    "LONGEST_WINDOW",
    "MADE_UP",
    "RANKED",
    "WALK",
    "AdviseTraining",
    "AlphaSpec",
    "BoostingTraining",
    "ClassifierTraining",
    "CorpusSpec",
    "CostSpec",
    "DataSpec",
    "DaysTraining",
    "EvaluationSpec",
    "ExternalSpec",
    "FeedbackTraining",
    "FinseerTraining",
    "Horizon",
    "IdeasSpec",
    "KeptAlpha",
    "LLMSpec",
    "MethodName",
    "MethodsSpec",
    "Name",
    "NewsSpec",
    "ProbeSpec",
    "RanksTraining",
    "RawTable",
    "RecallTraining",
    "RetrievalSpec",
    "RunSpec",
    "SearchSpec",
    "SplitSpec",
    "StockLLMTraining",
    "StrategySpec",
    "Table",
    "Target",
    "TemplateName",
    "TrainSpec",
    "UniverseSpec",
    "Variant",
    "WalkForwardSpec",
    "Walked",
    "checked",
    "did_you_mean",
    "load_search_spec",
    "load_spec",
    "load_train_spec",
    "toml_value",
    "with_settings",
]
