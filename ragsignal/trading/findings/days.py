"""Signals as grids of days and symbols, and shares whose intervals resample whole days.

The intervals are those of :mod:`ragsignal.statistics.intervals`: signals of one day share that day's move, so days are
drawn, in blocks; one matrix of draws serves all figures of a run, which makes hundreds of intervals cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.statistics import block_length, bounds, day_weights
from ragsignal.trading.variant import VariantResult
from ragsignal.types import FloatArray


@dataclass(frozen=True)
class Share:
    """A figure within [0, 1] and its 95 % interval; ``low`` and ``high`` are None for fewer than 100 days."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, eq=False)
class Grid:
    """Signals of one variant that say something and that have an outcome, day by day.

    Parameters
    ----------
    variant : VariantResult
    table : DataFrame
        ``symbol``, ``value``, ``probability``, ``target`` (open-to-open return, a fraction, never NaN nor 0) and
        ``day`` (number of the day, from 0); in the order of days.
    n_days : int
        Days with any signal or abstention; some may hold none of the table's rows.
    """

    variant: VariantResult
    table: pd.DataFrame
    n_days: int

    @cached_property
    def weights(self) -> FloatArray:
        """(repetitions, n_days): how often each day is drawn."""
        return day_weights(self.n_days)

    def shares(self, numerators: FloatArray, denominators: FloatArray) -> list[Share]:
        """Ratios of sums with 95 % intervals.

        Parameters
        ----------
        numerators, denominators : (n_days, m) float64

        Returns
        -------
        list of m Share
        """
        draws = _ratio(self.weights @ numerators, self.weights @ denominators)
        values = _ratio(numerators.sum(axis=0), denominators.sum(axis=0))
        days = np.count_nonzero(denominators > 0, axis=0)
        return [self.share(float(value), draws[:, m], int(days[m])) for m, value in enumerate(values)]

    def share(self, value: float, draws: FloatArray, days: int) -> Share:
        """``value`` with the interval of its ``draws`` (repetitions,); ``days`` are those that it rests on."""
        low, high = bounds(value, draws, days, block_length(self.n_days))
        return Share(value, max(low, 0.0), min(high, 1.0)) if np.isfinite(low) else Share(value, None, None)

    def sums(self, values: FloatArray, group: NDArray[np.int64], n_groups: int) -> FloatArray:
        """(n_days, n_groups) sums of ``values`` (n,) by day and group of each row of the table."""
        cells = self.table["day"].to_numpy() * n_groups + group
        flat = np.bincount(cells, weights=values, minlength=self.n_days * n_groups)
        return flat.astype(np.float64).reshape(self.n_days, n_groups)

    @property
    def hits(self) -> FloatArray:
        """(n,) 1.0 where the signal has the sign of its target, NaN for a signal of 0, which does not count."""
        value = self.table["value"].to_numpy(dtype=np.float64)
        right = (np.sign(value) == np.sign(self.table["target"])).to_numpy(dtype=np.float64)
        return np.where(value != 0.0, right, np.nan)


def grids_of(variants: Sequence[VariantResult]) -> dict[str, Grid]:
    """By name the signals of each variant that has any that can be judged."""
    grids = {variant.name: grid_of(variant) for variant in variants}
    return {name: grid for name, grid in grids.items() if grid is not None}


def grid_of(variant: VariantResult) -> Grid | None:
    """The variant's signals; None without any that can be judged."""
    signals = variant.signals
    if not len(signals):
        return None
    days, number = np.unique(signals["date"].to_numpy(), return_inverse=True)
    target = signals["target"].to_numpy(dtype=np.float64)
    judged = signals["abstained"].isna().to_numpy() & np.isfinite(target) & (target != 0.0)
    if not judged.any():
        return None
    table = signals.loc[judged, ["symbol", "value", "probability", "target"]].assign(day=number.ravel()[judged])
    return Grid(variant, table.sort_values("day", kind="stable", ignore_index=True), len(days))


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


def earned_a_bar(book: pd.Series) -> float | None:
    """Mean return of the held bars in ``book`` (``earned``, ``held``), a fraction; None where none was held."""
    return float(book["earned"] / book["held"]) if book["held"] else None


def positions(variant: VariantResult, threshold: float = 0.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sides in {-1, 0, 1} of the signals at least ``threshold`` strong, and targets (NaN unknown): (days, symbols)."""
    signals = variant.signals
    value = signals.pivot(index="date", columns="symbol", values="value").astype(np.float64).fillna(0.0)
    target = signals.pivot(index="date", columns="symbol", values="target").astype(np.float64)
    side = np.sign(value.to_numpy()) * (value.abs().to_numpy() >= threshold)
    return pd.DataFrame(side, value.index, value.columns), target


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0))
