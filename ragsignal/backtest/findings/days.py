"""Signals as grids of days and symbols, and shares whose intervals resample whole days.

The intervals are those of :mod:`ragsignal.statistics.intervals`: signals of one day share that day's move, so days are
drawn, in blocks; one matrix of draws serves all figures of a run, which makes hundreds of intervals cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.backtest.results import VariantResult
from ragsignal.statistics import block_length, bounds, day_weights

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Grid:
    """Signals of one variant that say something and whose outcome is known, day by day.

    Parameters
    ----------
    table : DataFrame
        ``symbol``, ``value``, ``probability``, ``target`` (open-to-open return, a fraction, never NaN nor 0) and
        ``day`` (number of the day, from 0); in the order of days.
    n_days : int
        Days on which any signal was asked for; some may hold none of the table's rows.
    """

    table: pd.DataFrame
    n_days: int

    @cached_property
    def weights(self) -> Floats:
        """(repetitions, n_days): how often each day is drawn."""
        return day_weights(self.n_days)

    def shares(self, numerators: Floats, denominators: Floats) -> list[dict[str, Any]]:
        """Ratios of sums with 95 % intervals.

        Parameters
        ----------
        numerators, denominators : (n_days, m) float64

        Returns
        -------
        list of m dicts
            ``value``, ``low``, ``high`` (within [0, 1]; None for fewer than 100 days).
        """
        draws = _ratio(self.weights @ numerators, self.weights @ denominators)
        values = _ratio(numerators.sum(axis=0), denominators.sum(axis=0))
        block = block_length(self.n_days)
        told = []
        for column, value in enumerate(values):
            days = int((denominators[:, column] > 0).sum())
            low, high = bounds(float(value), draws[:, column], days, block)
            known = bool(np.isfinite(low))
            told.append(
                {
                    "value": float(value),
                    "low": max(low, 0.0) if known else None,
                    "high": min(high, 1.0) if known else None,
                }
            )
        return told

    def sums(self, values: Floats, group: NDArray[np.int64], n_groups: int) -> Floats:
        """(n_days, n_groups) sums of ``values`` (n,) by day and group of each row of the table."""
        cells = self.table["day"].to_numpy() * n_groups + group
        flat = np.bincount(cells, weights=values, minlength=self.n_days * n_groups)
        return flat.astype(np.float64).reshape(self.n_days, n_groups)

    @property
    def hits(self) -> Floats:
        """(n,) 1.0 where the signal has the sign of its target, NaN for a signal of 0, which does not count."""
        value = self.table["value"].to_numpy(dtype=np.float64)
        right = (np.sign(value) == np.sign(self.table["target"])).to_numpy(dtype=np.float64)
        return np.where(value != 0.0, right, np.nan)


def grid_of(variant: VariantResult) -> Grid | None:
    """The variant's signals; None without any that could be judged."""
    signals = variant.signals
    if not len(signals):
        return None
    days, number = np.unique(signals["date"].to_numpy(), return_inverse=True)
    target = signals["target"].to_numpy(dtype=np.float64)
    judged = signals["abstained"].isna().to_numpy() & np.isfinite(target) & (target != 0.0)
    if not judged.any():
        return None
    table = signals.loc[judged, ["symbol", "value", "probability", "target"]].assign(day=number.ravel()[judged])
    return Grid(table.sort_values("day", kind="stable", ignore_index=True), len(days))


def earnings(variant: VariantResult, cost: float, threshold: float = 0.0) -> pd.DataFrame:
    """What taking the side of each signal at least ``threshold`` strong earns, symbol by symbol.

    A position lasts from open to open, and costs ``cost`` (a fraction a side) only where its side changes.

    Returns
    -------
    DataFrame, a row a symbol
        ``earned``: sum of returns less costs; ``held``: bars with a position.
    """
    held, target = positions(variant, threshold)
    held, target = held.where(target.notna(), 0.0), target.fillna(0.0)
    paid = cost * held.diff().fillna(held).abs()
    return pd.DataFrame({"earned": (held * target - paid).sum(), "held": held.abs().sum()})


def positions(variant: VariantResult, threshold: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sides in {-1, 0, 1} of the signals at least ``threshold`` strong, and targets (NaN unknown): (days, symbols)."""
    signals = variant.signals
    value = signals.pivot(index="date", columns="symbol", values="value").astype(np.float64).fillna(0.0)
    target = signals.pivot(index="date", columns="symbol", values="target").astype(np.float64)
    side = np.sign(value.to_numpy()) * (value.abs().to_numpy() >= threshold)
    return pd.DataFrame(side, value.index, value.columns), target


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0))
