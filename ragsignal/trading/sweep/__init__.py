"""Many runs of one spec, on signals that are made once.

    record = run_sweep(spec, {"strategy.enter": [0.0, 0.05, 0.1], "costs.commission_bps": [0.0, 5.0]})

``grid`` says which points there are, ``run`` trades them, ``record`` keeps what came out.
"""

from __future__ import annotations

from ragsignal.trading.sweep.grid import parse_grid
from ragsignal.trading.sweep.record import Journal, write_sweep
from ragsignal.trading.sweep.run import run_sweep

__all__ = ["Journal", "parse_grid", "run_sweep", "write_sweep"]
