"""A small study for explanations: 26 made-up stocks, an untrained reader of ranks, votes of days and of windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from ragsignal.data import Prices
from ragsignal.study import Study
from tests.markets import Frames
from tests.specs import HOLD, spec
from tests.tiny import tiny_rank_llm
from tests.universe import universe

N_DAYS = 380
CALENDAR = pd.bdate_range("2020-01-01", periods=N_DAYS)
START, DAY, END = (CALENDAR[row].date() for row in (335, 360, 378))
DAYS = {"candidates": "days", "own_days": True, "retriever": "state", "k": 8, "opposite": 4}


def market() -> Frames:
    """Bars of the study."""
    return universe(n_days=N_DAYS)


def study(folder: Path, frames: Frames | None = None, **changes: Any) -> Study:
    """The study over ``frames``, whose reader lies in ``folder`` (made there on first need)."""
    if not (folder / "card.json").exists():
        tiny_rank_llm(folder)
    frames = market() if frames is None else frames
    tables: dict[str, Any] = {
        "data": {"symbols": list(market()), "start": START, "end": END},
        "corpus": {"target": "relative"},
        "retrieval": {"retriever": "none", "k": 5},
        "llm": {"model": str(folder)},
        "variant": [
            {"name": "reader", "signal": "llm"},
            {"name": "days", "signal": "vote", "retrieval": DAYS},
            {"name": "shape", "signal": "vote", "retrieval": {"retriever": "shape", "k": 9}},
            HOLD,
        ],
    }
    return Study(spec(**(tables | changes)), history=Prices(frames))
