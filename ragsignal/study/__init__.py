"""From a spec to working parts, what they will cost, what they have seen, and how often they were tried."""

from __future__ import annotations

from ragsignal.study.cost import Before, Estimate, Work, duration, estimate, spread, work_of
from ragsignal.study.materials import Materials
from ragsignal.study.parts import Parts
from ragsignal.study.provenance import notes_on_training, weights_without_card
from ragsignal.study.study import Study, load_pipeline
from ragsignal.study.trials import Trial, check_ledger, configuration_of, count, count_run, deflated, sharpe_of
from ragsignal.study.walk_forward.address import ORDER, Trained, needs
from ragsignal.study.walk_forward.plan import Plan
from ragsignal.study.walk_forward.steps import Step

__all__ = [
    "ORDER",
    "Before",
    "Estimate",
    "Materials",
    "Parts",
    "Plan",
    "Step",
    "Study",
    "Trained",
    "Trial",
    "Work",
    "check_ledger",
    "configuration_of",
    "count",
    "count_run",
    "deflated",
    "duration",
    "estimate",
    "load_pipeline",
    "needs",
    "notes_on_training",
    "sharpe_of",
    "spread",
    "weights_without_card",
    "work_of",
]
