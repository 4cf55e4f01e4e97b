"""Classes of the market's state: a few buckets of one of its numbers, whose edges earlier days alone decide.

    bars of all symbols ─► states by day ─► edges: quantiles of the training days ─► bucket of any day

The formulas are those of :mod:`ragsignal.data.market_state`. The universe here is every symbol with a bar on the day,
and not those alone that have the history to be ranked: a state is needed from the sixtieth day of prices on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.market_state import STATE_FORMULAS, STATE_WORDS, dispersion_of, market_states
from ragsignal.data.rank_factors import bar_table, market_return
from ragsignal.errors import DataError
from ragsignal.types import FloatArray, IntArray

UNKNOWN_STATE = -1
"""Bucket of a day whose state is not known."""


@dataclass(frozen=True, eq=False)
class DailyStates:
    """The market's state of every day of a calendar.

    Parameters
    ----------
    days : (n,) datetime64[D], ascending
    values : (n, 8) float64
        In the order of :data:`~ragsignal.data.market_state.STATE_FORMULAS`; rows of NaN where it is unknown.
    """

    days: NDArray[np.datetime64]
    values: FloatArray

    def of(self, variable: str, days: NDArray[np.datetime64]) -> FloatArray:
        """Return one number of the state on some days, (n,) float64; NaN where it is unknown, or there is no such day.

        Parameters
        ----------
        variable : str
            One of ``STATE_FORMULAS``.
        days : (n,) datetime64[D], in any order
        """
        column = self.values[:, self._column[variable]]
        if not len(self.days):
            return np.full(len(days), np.nan)
        rows = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.where(self.days[rows] == days, column[rows], np.nan)

    @cached_property
    def _column(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(STATE_FORMULAS)}


def daily_states(frames: Mapping[str, pd.DataFrame]) -> DailyStates:
    """Compute the market's state of every day from the bars of all symbols; a day's needs bars up to that day only.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Back-adjusted daily bars. Of a single symbol no state is known: nothing is dispersed.
    """
    bars = bar_table(frames)
    market = market_return(bars)
    return DailyStates(bars.days, market_states(market, dispersion_of(bars.close, np.isfinite(bars.close), market)))


@dataclass(frozen=True)
class StateBuckets:
    """Buckets of one number of the market's state.

    Parameters
    ----------
    variable : str
    edges : tuple of float
        Ascending; one fewer than there are buckets.
    """

    variable: str
    edges: tuple[float, ...]

    @classmethod
    def fit(cls, states: DailyStates, variable: str, buckets: int, days: NDArray[np.datetime64]) -> StateBuckets:
        """Cut the states of some days into buckets of equal mass; each day counts once, however often it is named.

        Parameters
        ----------
        states : DailyStates
        variable : str
        buckets : int
            2 at least.
        days : (n,) datetime64[D]
            Those that may decide: training days.

        Raises
        ------
        DataError
            If too few of the days have a state, or it takes too few values.
        """
        values = states.of(variable, np.unique(days))
        known = values[np.isfinite(values)]
        edges = np.quantile(known, np.arange(1, buckets) / buckets) if len(known) >= buckets else np.empty(0)
        if not len(edges) or len(np.unique(np.searchsorted(edges, known, side="right"))) < buckets:
            raise DataError(
                f"{variable} ({STATE_WORDS[variable]}) cannot be cut into {buckets} buckets: {len(known)} of "
                f"{len(values)} training days have a state, and {len(np.unique(known))} values of it differ. A state "
                "needs two symbols at least and 45 of the last 60 days: give more symbols or earlier prices, or fewer "
                "buckets"
            )
        return cls(variable, tuple(edges.tolist()))

    @property
    def count(self) -> int:
        """How many buckets there are."""
        return len(self.edges) + 1

    def of(self, values: FloatArray) -> IntArray:
        """Return the bucket of each value, (n,) int64 from 0 (lowest); ``UNKNOWN_STATE`` of NaN."""
        found = np.searchsorted(np.array(self.edges), values, side="right").astype(np.int64)
        return np.where(np.isnan(values), UNKNOWN_STATE, found)
