"""Ranks among the stocks of a day."""

from __future__ import annotations

import pandas as pd

from ragsignal.types import FloatArray


def daily_ranks(values: FloatArray) -> FloatArray:
    """Rank within each row, brought to (0, 1): ``(r - 0.5) / n`` among n values, ties sharing the mean rank.

    Parameters
    ----------
    values : (n_days, n_symbols) float64
        NaN is not ranked.
    """
    table = pd.DataFrame(values)
    counts = table.notna().sum(axis=1)
    ranks: FloatArray = (table.rank(axis=1) - 0.5).div(counts.where(counts > 0), axis=0).to_numpy()
    return ranks
