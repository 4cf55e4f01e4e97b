"""Signals scored as forecasts, without a broker: what was said of the next move, against what came.

    spec ─► questions ─► forecasts of variants, free baselines ─► metrics ─► intervals ─► record, table, predictions

Everything is decided by days, not by queries: symbols of one day share that day's move, so whole days are resampled.
"""

from ragsignal.evaluation.record import console_table, write_evaluation
from ragsignal.evaluation.run import Evaluation, evaluate_spec

__all__ = ["Evaluation", "console_table", "evaluate_spec", "write_evaluation"]
