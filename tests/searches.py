"""Search specs by a call: a small search on a made-up market, of which a test names what it changes."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from ragsignal.config import SearchSpec
from ragsignal.data import Prices, load_prices
from tests.specs import Tables, changed

SMALL_SEARCH: Tables = {
    "name": "hunt",
    "out": "runs",
    "data": {
        "source": "noise",
        "symbols": [f"S{number:02d}" for number in range(12)],
        "start": date(2012, 1, 2),
        "end": date(2013, 6, 28),
    },
    "alpha": {
        "search_end": date(2012, 6, 29),
        "selection_end": date(2012, 12, 28),
        "population": 12,
        "generations": 3,
        "candidates": 6,
        "keep": 2,
        "depth": 3,
        "windows": [2, 5, 10],
    },
}


FADE = "-ts_delta(close, 2) / close"
"""The formula that pays in :func:`foreseen_market`."""


def search_spec(**changes: Any) -> SearchSpec:
    """``SMALL_SEARCH`` with changes."""
    return SearchSpec.model_validate(changed(SMALL_SEARCH, **changes))


def foreseen_market(spec: SearchSpec) -> Prices:
    """Prices in which the open after next is decided by what a formula says: all ranks are right."""
    prices = load_prices(spec.data)
    frames = {name: frame.copy() for name, frame in prices.frames.items()}
    closes = pd.DataFrame({name: frame["close"] for name, frame in frames.items()})
    said = -(closes - closes.shift(2)) / closes
    moves = np.log1p(0.02 * said.rank(axis=1, pct=True).fillna(0.5))
    for name, frame in frames.items():
        frame["open"] = frame["open"].iloc[0] * np.exp(moves[name].shift(2).fillna(0.0).cumsum())
        frame["high"] = frame[["open", "high", "close"]].max(axis=1)
        frame["low"] = frame[["open", "low", "close"]].min(axis=1)
    return Prices(frames=frames)
