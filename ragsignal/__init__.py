"""A retrieval-augmented LLM signal for Backtrader.

    import backtrader as bt, ragsignal

    pipeline = ragsignal.load_pipeline("shipped:sample")
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, ragsignal.RagMomentum, source=pipeline)

Importing this package imports neither torch nor Backtrader; each name is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ragsignal.errors import ConfigError, DataError, LookAheadError, ModelError, RagSignalError, StoreError
from ragsignal.version import VERSION

if TYPE_CHECKING:
    from ragsignal.config import RunSpec, load_spec
    from ragsignal.data import load_sample
    from ragsignal.report import Explained, Run, backtest, compare, explain
    from ragsignal.signals import RagPipeline
    from ragsignal.study import load_pipeline
    from ragsignal.trading import RagEvidence, RagMomentum, run_spec
    from ragsignal.types import Candidate, Hit, Movement, Query, Signal

__version__ = VERSION

_HOME = {
    "Candidate": "types",
    "Explained": "report",
    "Hit": "types",
    "Movement": "types",
    "Query": "types",
    "RagEvidence": "trading",
    "RagMomentum": "trading",
    "RagPipeline": "signals",
    "Run": "report",
    "RunSpec": "config",
    "Signal": "types",
    "backtest": "report",
    "compare": "report",
    "explain": "report",
    "load_pipeline": "study",
    "load_sample": "data",
    "load_spec": "config",
    "run_spec": "trading",
}

__all__ = [
    "Candidate",
    "ConfigError",
    "DataError",
    "Explained",
    "Hit",
    "LookAheadError",
    "ModelError",
    "Movement",
    "Query",
    "RagEvidence",
    "RagMomentum",
    "RagPipeline",
    "RagSignalError",
    "Run",
    "RunSpec",
    "Signal",
    "StoreError",
    "backtest",
    "compare",
    "explain",
    "load_pipeline",
    "load_sample",
    "load_spec",
    "run_spec",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ragsignal' has no attribute {name!r}")
    return getattr(import_module(f"ragsignal.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
