"""Weights, prompts, and P(rise) from label-token logits."""

from __future__ import annotations

from ragsignal.llm.base_model import load_causal, load_tokenizer
from ragsignal.llm.boosting import Boosting, as_numbers
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.changed_letters import Changed, ChangedDays, ChangedLetters
from ragsignal.llm.classifier import ClassifierScorer
from ragsignal.llm.classifier_models import (
    BertClassifier,
    ClassifierModel,
    LogisticClassifier,
    encode,
    load_encoder,
)
from ragsignal.llm.day_hits import DAY_HITS_RECIPE, DayFeatures, DayScales, day_features
from ragsignal.llm.day_reader import DayEnsemble, DayReader, save_reader
from ragsignal.llm.day_scores import UniverseReader
from ragsignal.llm.day_vote import DayVote, factor_product, pooled_payoffs, pooling_weights
from ragsignal.llm.device import checked_device, chosen_dtype, computing, machine
from ragsignal.llm.headlines import Headlines
from ragsignal.llm.letters import last_days, letters_of, spelled
from ragsignal.llm.load import adapter_of, load_stockllm, load_text_scorer
from ragsignal.llm.prompt import Template, TextlessPrompter
from ragsignal.llm.rank_ensemble import RankEnsemble, memory_of, seed_folders
from ragsignal.llm.rank_hits import HITS_RECIPE, HitFeatures, hit_features, hit_width, hits_by_count, reads_hits
from ragsignal.llm.rank_recipe import (
    RANKS_RECIPE,
    STATES_RECIPE,
    alphas_recipe,
    beside_bars,
    news_recipe,
    reads_alphas,
    reads_news,
    reads_states,
)
from ragsignal.llm.ranks import NO_HITS, DayScorer, RankPrompt, RankScorer, day_scorer
from ragsignal.llm.stockllm import StockLLM, token_ids
from ragsignal.llm.vote import VoteScorer

__all__ = [
    "DAY_HITS_RECIPE",
    "HITS_RECIPE",
    "NO_HITS",
    "RANKS_RECIPE",
    "STATES_RECIPE",
    "BertClassifier",
    "Boosting",
    "Changed",
    "ChangedDays",
    "ChangedLetters",
    "ClassifierModel",
    "ClassifierScorer",
    "DayEnsemble",
    "DayFeatures",
    "DayReader",
    "DayScales",
    "DayScorer",
    "DayVote",
    "Headlines",
    "HitFeatures",
    "LogisticClassifier",
    "RankEnsemble",
    "RankPrompt",
    "RankScorer",
    "StockLLM",
    "Template",
    "TextlessPrompter",
    "UniverseReader",
    "VoteScorer",
    "adapter_of",
    "alphas_recipe",
    "as_numbers",
    "beside_bars",
    "calibrated",
    "checked_device",
    "chosen_dtype",
    "computing",
    "day_features",
    "day_scorer",
    "encode",
    "factor_product",
    "hit_features",
    "hit_width",
    "hits_by_count",
    "last_days",
    "letters_of",
    "load_causal",
    "load_encoder",
    "load_stockllm",
    "load_text_scorer",
    "load_tokenizer",
    "machine",
    "memory_of",
    "news_recipe",
    "pooled_payoffs",
    "pooling_weights",
    "probability_of",
    "reads_alphas",
    "reads_hits",
    "reads_news",
    "reads_states",
    "save_reader",
    "seed_folders",
    "spelled",
    "token_ids",
]
