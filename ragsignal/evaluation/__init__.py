"""Signals scored as forecasts, without a broker: what was said of the next move, against what came.

    spec ─► questions ─► forecasts of variants, free baselines ─► metrics ─► intervals ─► record, table, predictions

Everything is decided by days, not by queries: symbols of one day share that day's move, so whole days are resampled.
"""

from __future__ import annotations

from ragsignal.evaluation.methods import MethodsComparison, WayDifference, compare_methods
from ragsignal.evaluation.methods_record import methods_table, write_methods
from ragsignal.evaluation.metrics import METRICS, Resampling, Sample, direction_of
from ragsignal.evaluation.record import console_table, faithfulness_words, write_evaluation
from ragsignal.evaluation.run import Evaluation, evaluate_spec, prepare, work_of

__all__ = [
    "METRICS",
    "Evaluation",
    "MethodsComparison",
    "Resampling",
    "Sample",
    "WayDifference",
    "compare_methods",
    "console_table",
    "direction_of",
    "evaluate_spec",
    "faithfulness_words",
    "methods_table",
    "prepare",
    "work_of",
    "write_evaluation",
    "write_methods",
]
