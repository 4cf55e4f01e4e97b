"""A spec to a result: every variant in Backtrader on identical bars, fills and costs."""

from __future__ import annotations

from ragsignal.trading.engine import prepare, run_spec, set_costs, signals_of
from ragsignal.trading.feed import EPOCH, PreloadedFeed
from ragsignal.trading.findings import RunFindings
from ragsignal.trading.findings.answers import Certainty, Power, Verdict
from ragsignal.trading.findings.calibration import ReliabilityBin, StrongSignals
from ragsignal.trading.findings.family import PairedDifference
from ragsignal.trading.findings.null import AmongSeeds, ShiftedSignals
from ragsignal.trading.findings.retrieved import SHOWN_DAYS, RetrievedDays, retrieved_of
from ragsignal.trading.findings.symbols import SymbolFigures
from ragsignal.trading.indicator import RagEvidence, RagMomentum
from ragsignal.trading.lines import lines_of, named_lines
from ragsignal.trading.live import LiveJournal, LiveMarket, LiveOptions, live_cerebro, run_live, run_market
from ragsignal.trading.results import RunResult
from ragsignal.trading.round_trips import round_trips
from ragsignal.trading.strategy import import_here, load_strategy
from ragsignal.trading.sweep.grid import parse_grid
from ragsignal.trading.sweep.record import Journal, write_sweep
from ragsignal.trading.sweep.run import run_sweep
from ragsignal.trading.variant import VariantResult
from ragsignal.trading.wrap import Wrap, Wrapped, wrap_strategy

__all__ = [
    "EPOCH",
    "SHOWN_DAYS",
    "AmongSeeds",
    "Certainty",
    "Journal",
    "LiveJournal",
    "LiveMarket",
    "LiveOptions",
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
    "SymbolFigures",
    "VariantResult",
    "Verdict",
    "Wrap",
    "Wrapped",
    "import_here",
    "lines_of",
    "live_cerebro",
    "load_strategy",
    "named_lines",
    "parse_grid",
    "prepare",
    "retrieved_of",
    "round_trips",
    "run_live",
    "run_market",
    "run_spec",
    "run_sweep",
    "set_costs",
    "signals_of",
    "wrap_strategy",
    "write_sweep",
]
