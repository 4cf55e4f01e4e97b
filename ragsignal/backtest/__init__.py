"""A spec to a result: every variant in Backtrader on identical bars, fills and costs."""

from __future__ import annotations

from ragsignal.backtest.engine import prepare, run_spec, set_costs, signals_of
from ragsignal.backtest.feed import EPOCH, PreloadedFeed
from ragsignal.backtest.findings import RunFindings
from ragsignal.backtest.findings.answers import Certainty, Power, Verdict
from ragsignal.backtest.findings.calibration import ReliabilityBin, StrongSignals
from ragsignal.backtest.findings.family import PairedDifference
from ragsignal.backtest.findings.null import AmongSeeds, ShiftedSignals
from ragsignal.backtest.findings.retrieved import RetrievedDays
from ragsignal.backtest.indicator import RagEvidence, RagMomentum
from ragsignal.backtest.results import RunResult
from ragsignal.backtest.strategy import import_here, load_strategy
from ragsignal.backtest.sweep.grid import parse_grid
from ragsignal.backtest.sweep.record import Journal, write_sweep
from ragsignal.backtest.sweep.run import run_sweep
from ragsignal.backtest.variant import VariantResult

__all__ = [
    "EPOCH",
    "AmongSeeds",
    "Certainty",
    "Journal",
    "PairedDifference",
    "Power",
    "PreloadedFeed",
    "RagEvidence",
    "RagMomentum",
    "ReliabilityBin",
    "RetrievedDays",
    "RunFindings",
    "RunResult",
    "ShiftedSignals",
    "StrongSignals",
    "VariantResult",
    "Verdict",
    "import_here",
    "load_strategy",
    "parse_grid",
    "prepare",
    "run_spec",
    "run_sweep",
    "set_costs",
    "signals_of",
    "write_sweep",
]
