"""A spec to a result: every variant in Backtrader on identical bars, fills and costs."""

from __future__ import annotations

from ragsignal.backtest.engine import prepare, run_spec, set_costs, signals_of
from ragsignal.backtest.indicator import RagEvidence, RagMomentum
from ragsignal.backtest.results import RunResult, VariantResult
from ragsignal.backtest.strategy import import_here, load_strategy
from ragsignal.backtest.sweep.grid import parse_grid
from ragsignal.backtest.sweep.record import Journal, write_sweep
from ragsignal.backtest.sweep.run import run_sweep

__all__ = [
    "Journal",
    "RagEvidence",
    "RagMomentum",
    "RunResult",
    "VariantResult",
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
