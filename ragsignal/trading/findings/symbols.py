"""Each symbol alone: a mean over all may be the luck of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ragsignal.trading.findings.days import Grid, earned_a_bar, earnings


@dataclass(frozen=True)
class SymbolFigures:
    """One variant on one symbol."""

    symbol: str
    signals: int  # with a side and a known outcome
    hit_rate: float | None
    low: float | None  # of the hit rate's 95 % interval
    high: float | None
    base_rate: float | None  # hit rate of the better constant answer on the same signals
    earned: float | None  # mean return a held bar after costs, a fraction


def symbols_of(grids: Mapping[str, Grid], cost: float) -> dict[str, list[SymbolFigures]]:
    """By variant that has signals, a row a symbol; ``cost`` is a fraction a side."""
    return {name: _rows(grid, cost) for name, grid in grids.items()}


def _rows(grid: Grid, cost: float) -> list[SymbolFigures]:
    names, group = np.unique(grid.table["symbol"].to_numpy(dtype=str), return_inverse=True)
    hits = grid.hits
    counts = np.isfinite(hits).astype(np.float64)  # a signal of 0 counts as none
    rose = counts * (grid.table["target"] > 0).to_numpy(dtype=np.float64)
    right, signals, rises = (grid.sums(it, group, len(names)) for it in (np.nan_to_num(hits), counts, rose))
    books = earnings(grid.variant, cost)
    return [
        SymbolFigures(
            symbol=str(name),
            signals=int(total),
            hit_rate=share.value,
            low=share.low,
            high=share.high,
            base_rate=float(max(risen, total - risen) / total) if total else None,
            earned=earned_a_bar(books.loc[name]),
        )
        for name, total, risen, share in zip(
            names, signals.sum(axis=0), rises.sum(axis=0), grid.shares(right, signals), strict=True
        )
    ]
