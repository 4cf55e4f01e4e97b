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
from ragsignal.evaluation.formulas import (
    FormulaFindings,
    IcOfPeriod,
    check_values_file,
    formula_findings,
    write_values,
)
from ragsignal.evaluation.methods import MethodsComparison, WayDifference, compare_methods
from ragsignal.evaluation.methods_record import methods_table, write_methods
from ragsignal.evaluation.metrics import METRICS, Resampling, Sample, direction_of
from ragsignal.evaluation.probe_record import console_probes, difference_words, probe_words, write_probes
from ragsignal.evaluation.probes import Probes, probe_spec
from ragsignal.evaluation.record import console_table, faithfulness_words, write_evaluation
from ragsignal.evaluation.run import Evaluation, evaluate_spec, prepare, work_of

__all__ = [
    "METRICS",
    "Cell",
    "Evaluation",
    "Forgetting",
    "FormulaFindings",
    "IcOfPeriod",
    "MethodsComparison",
    "Period",
    "Probes",
    "Resampling",
    "Sample",
    "StepCost",
    "StepScores",
    "WayDifference",
    "check_values_file",
    "compare_methods",
    "console_probes",
    "console_table",
    "difference_words",
    "direction_of",
    "evaluate_spec",
    "faithfulness_words",
    "forgetting_of",
    "forgetting_record",
    "forgetting_sentences",
    "forgetting_table",
    "formula_findings",
    "mean_of_periods",
    "methods_table",
    "prepare",
    "probe_spec",
    "probe_words",
    "training_seconds",
    "work_of",
    "write_evaluation",
    "write_methods",
    "write_probes",
    "write_values",
]
