"""Signals scored as forecasts, without a broker: what was said of the next move, against what came.

    spec ─► questions ─► forecasts of variants, free baselines ─► metrics ─► intervals ─► record, table, predictions

Everything is decided by days, not by queries: symbols of one day share that day's move, so whole days are resampled.
"""

from __future__ import annotations

from ragsignal.evaluation.forgetting import (
    Cell,
    Forgetting,
    Period,
    StepCost,
    StepScores,
    forgetting_of,
    forgetting_record,
    mean_of_periods,
    training_seconds,
)
from ragsignal.evaluation.forgetting_words import forgetting_sentences, forgetting_table
from ragsignal.evaluation.metrics import METRICS, Resampling, Sample, direction_of
from ragsignal.evaluation.record import console_table, faithfulness_words, write_evaluation
from ragsignal.evaluation.run import Evaluation, evaluate_spec, prepare, work_of

__all__ = [
    "METRICS",
    "Cell",
    "Evaluation",
    "Forgetting",
    "Period",
    "Resampling",
    "Sample",
    "StepCost",
    "StepScores",
    "console_table",
    "direction_of",
    "evaluate_spec",
    "faithfulness_words",
    "forgetting_of",
    "forgetting_record",
    "forgetting_sentences",
    "forgetting_table",
    "mean_of_periods",
    "prepare",
    "training_seconds",
    "work_of",
    "write_evaluation",
]
