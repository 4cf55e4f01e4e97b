"""Whether P(rise) means what it says, and whether a signal is right where it is sure.

Reliability: the signals in bins of equal mass by P(rise), what they said beside how often a rise came. The dead band:
only the signals beyond a threshold, how often they are right and what they earn after costs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragsignal import statistics
from ragsignal.statistics import Interval
from ragsignal.trading.findings.days import Grid, Share, earned_a_bar, earnings
from ragsignal.types import FloatArray

MOST_BINS = 10
SIGNALS_A_BIN = 150
"""So that a bin stands on about 100 days, below which it has no interval."""

QUANTILES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of the signals' strength: the weaker share that a dead band leaves out."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Signals with about the same P(rise): its mean as ``said``, the share of rises ``seen``, with an interval."""

    signals: int
    said: float
    seen: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class CalibrationError(Share):
    """Expected calibration error with its interval, beside what a perfect forecast of as many signals would show.

    An absolute gap is never negative, so noise alone makes a calibration error. ``noise`` is its size: the mean over
    bins of ``E|N(0, s)| = s sqrt(2 / pi)``, with ``s`` the standard error of the bin's share of rises, days resampled.
    """

    noise: float | None


@dataclass(frozen=True)
class StrongSignals:
    """Signals at least ``threshold`` strong: their ``share`` of all, their hit rate, and what they earn."""

    threshold: float
    share: float
    hit_rate: float
    low: float | None
    high: float | None
    earned: float | None  # mean return a held bar after costs, a fraction


@dataclass(frozen=True)
class VariantCalibration:
    """Bins by P(rise), their calibration error, and the dead band, a row a threshold."""

    reliability: list[ReliabilityBin]
    ece: CalibrationError
    dead_band: list[StrongSignals]


def calibration_of(grids: Mapping[str, Grid], cost: float) -> dict[str, VariantCalibration]:
    """By variant that has signals; ``cost`` is a fraction a side."""
    rows = {name: bins_of(grid) for name, grid in grids.items()}
    return {
        name: VariantCalibration(rows[name], calibration_error(grid, rows[name]), dead_band(grid, cost))
        for name, grid in grids.items()
    }


def bins_of(grid: Grid) -> list[ReliabilityBin]:
    """At most ten bins of equal mass."""
    table = grid.table
    said, rose = table["probability"].to_numpy(dtype=np.float64), table["target"].to_numpy(dtype=np.float64) > 0
    rows = []
    for part in statistics.reliability(said, rose, table["day"].to_numpy(), _n_bins(grid)):
        low, high = (part.low, part.high) if part.high - part.low < 1.0 else (None, None)  # [0, 1]: below 100 days
        rows.append(ReliabilityBin(part.n, part.said, part.seen, low, high))
    return rows


def calibration_error(grid: Grid, rows: Sequence[ReliabilityBin]) -> CalibrationError:
    """The error of :func:`bins_of`, and the error that noise alone would make."""
    errors = [
        Interval(row.seen, row.low, row.high).error for row in rows if row.low is not None and row.high is not None
    ]
    noise = None
    if len(errors) == len(rows):
        noise = math.sqrt(2 / math.pi) * float(np.average(errors, weights=[row.signals for row in rows]))
    return CalibrationError(**vars(_gap_of_bins(grid)), noise=noise)


def _n_bins(grid: Grid) -> int:
    return max(2, min(MOST_BINS, len(grid.table) // SIGNALS_A_BIN))


def _gap_of_bins(grid: Grid) -> Share:
    """Mean absolute gap of mean P(rise) and share of rises over the bins, by their size, with its 95 % interval."""
    said = grid.table["probability"].to_numpy(dtype=np.float64)
    bins = statistics.equal_mass_bins(said, _n_bins(grid))
    rose = (grid.table["target"].to_numpy(dtype=np.float64) > 0).astype(np.float64)
    gaps = grid.sums(said - rose, bins, int(bins.max()) + 1)
    counts = np.bincount(grid.table["day"].to_numpy(), minlength=grid.n_days).astype(np.float64)
    value = float(np.abs(gaps.sum(axis=0)).sum() / counts.sum())
    drawn = grid.weights @ counts
    draws = np.abs(grid.weights @ gaps).sum(axis=1) / np.where(drawn > 0, drawn, np.nan)
    return grid.share(value, draws, int(np.count_nonzero(counts)))


def dead_band(grid: Grid, cost: float) -> list[StrongSignals]:
    """A row a threshold on the strength of a signal, ascending; none where every signal is 0."""
    strength = grid.table["value"].abs().to_numpy(dtype=np.float64)
    spoken = strength > 0
    if not spoken.any():
        return []
    thresholds = np.unique(np.r_[0.0, np.quantile(strength[spoken], QUANTILES[1:])])
    strong = (strength[:, None] >= thresholds) & spoken[:, None]
    hits = np.nan_to_num(grid.hits)[:, None] * strong
    rates = grid.shares(_by_day(grid, hits), _by_day(grid, strong.astype(np.float64)))
    return [
        StrongSignals(
            threshold=float(threshold),
            share=float(kept.sum() / len(strength)),
            hit_rate=rate.value,
            low=rate.low,
            high=rate.high,
            earned=earned_a_bar(earnings(grid.variant, cost, float(threshold)).sum()),
        )
        for threshold, kept, rate in zip(thresholds, strong.T, rates, strict=True)
    ]


def _by_day(grid: Grid, columns: FloatArray) -> FloatArray:
    """(n_days, m) sums of columns (n, m)."""
    out = np.zeros((grid.n_days, columns.shape[1]))
    np.add.at(out, grid.table["day"].to_numpy(), columns)
    return out
