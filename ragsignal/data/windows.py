"""The one place that cuts windows: a :class:`Query` out of the past, candidates out of labelled history.

Both functions are handed only what they may see. A query is cut from bars up to and including ``as_of``; a candidate
is cut where its outcome is known, and carries the day on which it became known (``available_at``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.errors import DataError
from ragsignal.types import Query

QUERY_SEQUENCE = "adj_close"
"""The sequence that a query's closes are an instance of."""


def cut_query(symbol: str, dates: Sequence[date], closes: Sequence[float], lookback: int) -> Query:
    """Cut the query as of the last of ``dates``.

    Parameters
    ----------
    symbol : str
    dates, closes : sequences of equal length
        The past, oldest first, the present bar last. A shorter past than ``lookback + 1`` gives a shorter window,
        for which a pipeline abstains.
    lookback : int
        Returns in the window; ``lookback + 1`` closes are kept.

    Raises
    ------
    DataError
        If a close is not a positive number, or the dates do not ascend day by day.
    """
    window = tuple(float(close) for close in closes[-lookback - 1 :])
    days = tuple(dates[-lookback - 1 :])
    for day, close in zip(days, window, strict=True):
        if not (np.isfinite(close) and close > 0):
            raise DataError(f"{symbol}: close of {day} is {close}; a positive number was expected. Repair the feed.")
    for earlier, later in itertools.pairwise(days):
        if later <= earlier:
            raise DataError(
                f"{symbol}: the bar of {later} follows the bar of {earlier}; one bar a day, in order, was expected. "
                "For intraday feeds use cerebro.resampledata(data, timeframe=bt.TimeFrame.Days)."
            )
    return Query(symbol=symbol, dates=days, closes=window)


def log_returns(query: Query) -> NDArray[np.float64]:
    """Return (lookback,) log returns of a query: its scale-free values."""
    return np.diff(np.log(query.closes))


@dataclass(frozen=True)
class CandidateColumns:
    """Candidates of one symbol as columns, one row a window and sequence.

    ``sequence_id`` (n,) int64 indexes the columns of the factor frame; ``dates`` (n, lookback) datetime64[D];
    ``values``, ``scaled`` (n, lookback) float64; ``outcome`` (n,) float64; ``available_at`` (n,) datetime64[D].
    """

    sequence_id: NDArray[np.int64]
    dates: NDArray[np.datetime64]
    values: NDArray[np.float64]
    scaled: NDArray[np.float64]
    outcome: NDArray[np.float64]
    available_at: NDArray[np.datetime64]


def cut_candidates(
    values: pd.DataFrame, scaled: pd.DataFrame, labels: pd.DataFrame, lookback: int, stride: int
) -> CandidateColumns:
    """Cut every candidate of one symbol.

    Parameters
    ----------
    values, scaled : DataFrame of shape (n_bars, n_sequences)
        The sequences and their scale-free form, on the same index.
    labels : DataFrame
        ``outcome`` and ``available_at`` of a window that ends at each bar; unknown at the end.
    lookback, stride : int
        Bars in a window, and bars between the ends of two windows (counted from the first bar, so that a longer
        future adds rows and moves none).

    Returns
    -------
    CandidateColumns
        Only windows without a gap: a sequence that needs 60 bars has no candidate before its first value.
    """
    n_bars = len(values)
    outcome = labels["outcome"].to_numpy(dtype=np.float64)
    ends = np.arange(lookback - 1, n_bars, stride)
    ends = ends[np.isfinite(outcome[ends])]
    # (n_ends, lookback) positions -> (n_ends, lookback, n_sequences) -> one row a (window, sequence)
    positions = ends[:, None] + np.arange(-lookback + 1, 1)
    raw = values.to_numpy()[positions].transpose(0, 2, 1)
    free = scaled.to_numpy()[positions].transpose(0, 2, 1)
    row, sequence = np.nonzero(np.isfinite(raw).all(axis=2) & np.isfinite(free).all(axis=2))
    days = values.index.to_numpy().astype("datetime64[D]")
    known = labels["available_at"].to_numpy().astype("datetime64[D]")
    return CandidateColumns(
        sequence_id=sequence,
        dates=days[positions][row],
        values=raw[row, sequence],
        scaled=free[row, sequence],
        outcome=outcome[ends][row],
        available_at=known[ends][row],
    )
