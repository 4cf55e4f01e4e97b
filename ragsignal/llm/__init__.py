"""Weights, prompts, and P(rise) from label-token logits."""

from __future__ import annotations

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
from ragsignal.llm.stockllm import StockLLM, token_ids
from ragsignal.llm.vote import VoteScorer

__all__ = [
    "BertClassifier",
    "ClassifierModel",
    "ClassifierScorer",
    "LogisticClassifier",
    "StockLLM",
    "Template",
    "TextlessPrompter",
    "VoteScorer",
    "adapter_of",
    "calibrated",
    "checked_device",
    "chosen_dtype",
    "encode",
    "load_encoder",
    "load_stockllm",
    "probability_of",
    "token_ids",
]
