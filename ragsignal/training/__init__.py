"""What is learned, on which days, and the card that travels with it.

Not behind this door, because they import torch: :mod:`ragsignal.training.stockllm.train`, which trains StockLLM.
"""

from __future__ import annotations

from ragsignal.training.advise.plan import LadderCost
from ragsignal.training.advise.run import SizeAdvice
from ragsignal.training.calibration import fit_calibration
from ragsignal.training.examples import Example
from ragsignal.training.finseer.feedback import load_feedback, run_feedback
from ragsignal.training.methods import TrainedMethod, method_examples, methods_of, train_methods
from ragsignal.training.run import TrainingRun
from ragsignal.training.trainers import TRAINERS
from ragsignal.training.walk_forward import Task, WalkForwardTraining

__all__ = [
    "TRAINERS",
    "Example",
    "LadderCost",
    "SizeAdvice",
    "Task",
    "TrainedMethod",
    "TrainingRun",
    "WalkForwardTraining",
    "fit_calibration",
    "load_feedback",
    "method_examples",
    "methods_of",
    "run_feedback",
    "train_methods",
]
