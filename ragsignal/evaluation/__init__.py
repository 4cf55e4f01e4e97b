"""Signals scored as forecasts, without a broker: what was said of the next move, against what came.

    spec ─► questions ─► forecasts of variants, free baselines ─► metrics ─► intervals ─► record, table, predictions

Everything is decided by days, not by queries: symbols of one day share that day's move, so whole days are resampled.
"""

from __future__ import annotations

from ragsignal.evaluation.metrics import METRICS, Resampling, Sample, direction_of
from ragsignal.evaluation.probe_record import console_probes, difference_words, probe_words, write_probes
from ragsignal.evaluation.probes import Probes, probe_spec
from ragsignal.evaluation.record import console_table, faithfulness_words, write_evaluation
from ragsignal.evaluation.run import Evaluation, evaluate_spec, prepare, work_of

__all__ = [
    "METRICS",
    "Evaluation",
    "Probes",
    "Resampling",
    "Sample",
    "console_probes",
    "console_table",
    "difference_words",
    "direction_of",
    "evaluate_spec",
    "faithfulness_words",
    "prepare",
    "probe_spec",
    "probe_words",
    "work_of",
    "write_evaluation",
    "write_probes",
]
