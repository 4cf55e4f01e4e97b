"""What is learned, on which days, and the card that travels with it.

Not behind this door, because they import torch: :mod:`ragsignal.training.stockllm.train`, which trains StockLLM.
"""

from __future__ import annotations

from ragsignal.training.classifier import train_classifier
from ragsignal.training.finseer.feedback import load_feedback, run_feedback
from ragsignal.training.finseer.train import train_finseer
from ragsignal.training.run import Bench
from ragsignal.training.walk_forward import Course

__all__ = [
    "Bench",
    "Course",
    "load_feedback",
    "run_feedback",
    "train_classifier",
    "train_finseer",
]
