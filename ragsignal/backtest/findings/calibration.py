"""Whether P(rise) means what it says, and whether a signal is right where it is sure.

Reliability: the signals in bins of equal mass by P(rise), what they said beside how often a rise came. The dead band:
only the signals beyond a threshold, how often they are right and what they earn after costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragsignal import statistics
from ragsignal.backtest.findings.days import Grid, earnings, grid_of
from ragsignal.backtest.results import VariantResult
from ragsignal.config import RunSpec
from ragsignal.statistics import Interval, block_length, bounds

MOST_BINS = 10
SIGNALS_A_BIN = 150
"""So that a bin stands on 100 days, fewer of which have no interval, or close to it."""

QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of the signals' strength: the weaker share that a dead band leaves out."""

Floats = NDArray[np.float64]


def calibration_of(spec: RunSpec, variants: Sequence[VariantResult]) -> dict[str, Any]:
    """By variant that has signals: ``reliability``, ``ece`` and ``dead_band``."""
    cost = (spec.costs.commission_bps + spec.costs.slippage_bps) / 1e4
    grids = {variant.name: (variant, grid_of(variant)) for variant in variants}
    told = {}
    for name, (variant, grid) in grids.items():
        if grid is not None:
            rows = bins_of(grid)
            told[name] = {"reliability": rows, "ece": ece(grid, rows), "dead_band": dead_band(variant, grid, cost)}
    return told


def bins_of(grid: Grid) -> list[dict[str, Any]]:
    """A row a bin, at most ten: ``signals``, ``said`` (mean P(rise)), ``seen`` (share of rises), ``low``, ``high``."""
    table = grid.table
    said, rose = table["probability"].to_numpy(dtype=np.float64), table["target"].to_numpy(dtype=np.float64) > 0
    rows = []
    for it in statistics.reliability(said, rose, table["day"].to_numpy(), _n_bins(grid)):
        known = it.high - it.low < 1.0  # [0, 1] is how fewer than 100 days are told
        ends = {"low": it.low if known else None, "high": it.high if known else None}
        rows.append({"signals": it.n, "said": it.said, "seen": it.seen, **ends})
    return rows


def ece(grid: Grid, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Expected calibration error with its interval, beside what a perfect forecast of as many signals would show.

    An absolute gap is never negative, so noise alone makes a calibration error. ``noise`` is its size: the mean over
    bins of ``E|N(0, s)| = s sqrt(2 / pi)``, with ``s`` the standard error of the bin's share of rises, days resampled.
    """
    value, low, high = _gap_of_bins(grid)
    errors = [None if row["low"] is None else Interval(row["seen"], row["low"], row["high"]).error for row in rows]
    noise = None
    if None not in errors:
        sizes = [row["signals"] for row in rows]
        noise = math.sqrt(2 / math.pi) * float(np.average([it or 0.0 for it in errors], weights=sizes))
    return {"value": value, "low": low, "high": high, "noise": noise}


def _n_bins(grid: Grid) -> int:
    return max(2, min(MOST_BINS, len(grid.table) // SIGNALS_A_BIN))


def _gap_of_bins(grid: Grid) -> tuple[float, float, float]:
    """Mean absolute gap of mean P(rise) and share of rises over the bins, by their size, with its 95 % interval."""
    said = grid.table["probability"].to_numpy(dtype=np.float64)
    bins = statistics.equal_mass_bins(said, _n_bins(grid))
    rose = (grid.table["target"].to_numpy(dtype=np.float64) > 0).astype(np.float64)
    gaps = grid.sums(said - rose, bins, int(bins.max()) + 1)
    counts = np.bincount(grid.table["day"].to_numpy(), minlength=grid.n_days).astype(np.float64)
    value = float(np.abs(gaps.sum(axis=0)).sum() / counts.sum())
    drawn = grid.weights @ counts
    draws = np.abs(grid.weights @ gaps).sum(axis=1) / np.where(drawn > 0, drawn, np.nan)
    low, high = bounds(value, draws, int(np.count_nonzero(counts)), block_length(grid.n_days))
    return value, max(low, 0.0) if math.isfinite(low) else low, min(high, 1.0) if math.isfinite(high) else high


def dead_band(variant: VariantResult, grid: Grid, cost: float) -> list[dict[str, Any]]:
    """A row a threshold on the strength of a signal, value.

    Returns
    -------
    list of dict
        ``threshold``; ``share`` of signals at least that strong; ``hit_rate`` with ``low`` and ``high``; ``earned``:
        mean return a held bar after costs, a fraction (see :func:`ragsignal.backtest.findings.days.earnings`).
    """
    strength = grid.table["value"].abs().to_numpy(dtype=np.float64)
    spoken = strength > 0
    if not spoken.any():
        return []
    thresholds = np.unique(np.r_[0.0, np.quantile(strength[spoken], QUANTILES[1:])])
    strong = (strength[:, None] >= thresholds) & spoken[:, None]
    hits = np.nan_to_num(grid.hits)[:, None] * strong
    found = grid.shares(_by_day(grid, hits), _by_day(grid, strong.astype(np.float64)))
    rows = []
    for column, threshold in enumerate(thresholds):
        book = earnings(variant, cost, float(threshold)).sum()
        rows.append(
            {
                "threshold": float(threshold),
                "share": float(strong[:, column].sum() / len(strength)),
                "hit_rate": found[column]["value"],
                "low": found[column]["low"],
                "high": found[column]["high"],
                "earned": float(book["earned"] / book["held"]) if book["held"] else None,
            }
        )
    return rows


def _by_day(grid: Grid, columns: Floats) -> Floats:
    """(n_days, m) sums of columns (n, m)."""
    out = np.zeros((grid.n_days, columns.shape[1]))
    np.add.at(out, grid.table["day"].to_numpy(), columns)
    return out
