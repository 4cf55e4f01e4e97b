"""Weights, prompts, and P(rise) from label-token logits."""

from __future__ import annotations

from ragsignal.llm.boosting import Boosting, as_numbers
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.classifier import ClassifierScorer
from ragsignal.llm.classifier_models import (
    BertClassifier,
    ClassifierModel,
    LogisticClassifier,
    encode,
    load_encoder,
)
from ragsignal.llm.device import checked_device, chosen_dtype
from ragsignal.llm.load import adapter_of, load_stockllm
from ragsignal.llm.prompt import Template, TextlessPrompter
from ragsignal.llm.rank_ensemble import RankEnsemble
from ragsignal.llm.ranks import RANKS_RECIPE, RankScorer, rank_model, reads_rank_letters
from ragsignal.llm.stockllm import StockLLM, token_ids
from ragsignal.llm.vote import VoteScorer

__all__ = [
    "RANKS_RECIPE",
    "BertClassifier",
    "Boosting",
    "ClassifierModel",
    "ClassifierScorer",
    "LogisticClassifier",
    "RankEnsemble",
    "RankScorer",
    "StockLLM",
    "Template",
    "TextlessPrompter",
    "VoteScorer",
    "adapter_of",
    "as_numbers",
    "calibrated",
    "checked_device",
    "chosen_dtype",
    "encode",
    "load_encoder",
    "load_stockllm",
    "probability_of",
    "rank_model",
    "reads_rank_letters",
    "token_ids",
]
