"""Weights, prompts, and P(rise) from label-token logits."""

from __future__ import annotations

from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.llm.classifier import ClassifierScorer
from ragsignal.llm.classifier_models import BertReader, LogisticReader, Reader, encode, load_encoder
from ragsignal.llm.device import checked_device, chosen_dtype
from ragsignal.llm.load import adapter_of, load_reader
from ragsignal.llm.prompt import Template
from ragsignal.llm.stockllm import StockLLM, token_ids
from ragsignal.llm.vote import VoteScorer

__all__ = [
    "BertReader",
    "ClassifierScorer",
    "LogisticReader",
    "Reader",
    "StockLLM",
    "Template",
    "VoteScorer",
    "adapter_of",
    "calibrated",
    "checked_device",
    "chosen_dtype",
    "encode",
    "load_encoder",
    "load_reader",
    "probability_of",
    "token_ids",
]
