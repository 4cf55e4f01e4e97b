"""Each symbol alone: a mean over all may be the luck of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ragsignal.backtest.findings.days import Grid, earnings, grid_of
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec


def symbols_of(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, list[dict[str, Any]]]:
    """By variant that has signals, a row a symbol.

    Returns
    -------
    dict of list of dict
        ``symbol``, ``signals`` (with a side and a known outcome), ``hit_rate`` with ``low`` and ``high``,
        ``base_rate`` (the better constant answer on them), ``earned``: mean return a held bar after costs.
    """
    cost = (spec.costs.commission_bps + spec.costs.slippage_bps) / 1e4
    grids = {variant.name: (variant, grid_of(variant)) for variant in variants}
    return {name: _rows(variant, grid, cost) for name, (variant, grid) in grids.items() if grid is not None}


def _rows(variant: VariantResult, grid: Grid, cost: float) -> list[dict[str, Any]]:
    names, group = np.unique(grid.table["symbol"].to_numpy(dtype=str), return_inverse=True)
    hits = grid.hits
    counted = np.isfinite(hits).astype(np.float64)
    rose = counted * (grid.table["target"] > 0).to_numpy(dtype=np.float64)
    by_day = [grid.sums(it, group, len(names)) for it in (np.nan_to_num(hits), counted)]
    rises = grid.sums(rose, group, len(names)).sum(axis=0)
    totals = by_day[1].sum(axis=0)
    books = earnings(variant, cost)
    return [
        {
            "symbol": str(name),
            "signals": int(total),
            "hit_rate": share["value"],
            "low": share["low"],
            "high": share["high"],
            "base_rate": float(max(risen, total - risen) / total) if total else None,
            "earned": float(books["earned"][name] / books["held"][name]) if books["held"][name] else None,
        }
        for name, total, risen, share in zip(names, totals, rises, grid.shares(*by_day), strict=True)
    ]
