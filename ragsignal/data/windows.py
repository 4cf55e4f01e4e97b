"""The one place that cuts windows: a :class:`Query` out of the past, candidates out of labelled history.

All are handed only what they may see. A query is cut from bars up to and including ``as_of``; a candidate
is cut where its outcome is known, and carries the day on which it became known (``available_at``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.prices import days_of
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, FeedBars, FloatArray, IntArray, Query
from ragsignal.utils import lower, upper

_BLOCK_ENDS = 512  # window ends a block: with 34 sequences 17,000 candidates, 2.5 MB, which stay in the cache

QUERY_SEQUENCE = "adj_close"
"""The sequence that a query's closes are an instance of."""


def cut_query(
    symbol: str, dates: Sequence[date], closes: Sequence[float], lookback: int, bars: FeedBars | None = None
) -> Query:
    """Cut the query as of the last of ``dates``.

    Parameters
    ----------
    symbol : str
    dates, closes : sequences of equal length
        The past, oldest first, the present bar last. A shorter past than ``lookback + 1`` gives a shorter window,
        for which a pipeline abstains.
    lookback : int
        Returns in the window; ``lookback + 1`` closes are kept.
    bars : FeedBars, optional
        All bars of the same past, for readers that need more than the window.

    Raises
    ------
    DataError
        If a close is not a positive number, or the dates do not ascend day by day.
    """
    days, window = list(dates[-lookback - 1 :]), [float(close) for close in closes[-lookback - 1 :]]
    _check(symbol, days, window)
    return Query(symbol=symbol, dates=tuple(days), closes=tuple(window), bars=bars)


def cut_queries(
    symbol: str,
    dates: Sequence[date],
    closes: Sequence[float],
    lookback: int,
    columns: tuple[Sequence[float], ...] | None = None,
) -> list[Query]:
    """Cut the query as of every one of ``dates``: each from bars up to its own, as :func:`cut_query` would.

    Parameters
    ----------
    symbol : str
    dates, closes : sequences of equal length
        A whole history, oldest first.
    lookback : int
    columns : tuple of five sequences, optional
        ``open``, ``high``, ``low``, ``close``, ``volume`` on ``dates``: then each query has its :class:`FeedBars`.

    Raises
    ------
    DataError
        As :func:`cut_query`, whichever query would be the first to see the fault.
    """
    days, prices = list(dates), [float(close) for close in closes]
    _check(symbol, days, prices)
    # The slice is where the future is cut off: it ends with the bar that the query is of.
    spans = ((max(0, end - lookback - 1), end) for end in range(1, len(days) + 1))
    if columns is None:
        return [Query(symbol, tuple(days[first:end]), tuple(prices[first:end])) for first, end in spans]
    return [
        Query(symbol, tuple(days[first:end]), tuple(prices[first:end]), FeedBars(days, columns, end))
        for first, end in spans
    ]


class QueryCutter:
    """Cuts single queries out of long histories, which are checked once.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Bars with ``close``, oldest first.
    lookback : int

    Raises
    ------
    DataError
        As :func:`cut_query`, for any bar of any symbol.
    """

    def __init__(self, frames: Mapping[str, pd.DataFrame], lookback: int) -> None:
        self._lookback = lookback
        self._bars = {symbol: (days_of(bars).tolist(), bars["close"].tolist()) for symbol, bars in frames.items()}
        for symbol, (days, closes) in self._bars.items():
            _check(symbol, days, closes)

    def cut(self, symbol: str, bar: int) -> Query:
        """The query of ``symbol`` as of its bar number ``bar``, as :func:`cut_query` would cut it."""
        days, closes = self._bars[symbol]
        # The slice is where the future is cut off: it ends with the bar that the query is of.
        window = slice(max(0, bar - self._lookback), bar + 1)
        return Query(symbol, tuple(days[window]), tuple(closes[window]))


def _check(symbol: str, days: Sequence[date], closes: Sequence[float]) -> None:
    for day, close in zip(days, closes, strict=True):
        if not (math.isfinite(close) and close > 0):
            raise DataError(f"{symbol}: close of {day} is {close}; a positive number was expected. Repair the feed.")
    for earlier, later in itertools.pairwise(days):
        if later <= earlier:
            raise DataError(
                f"{symbol}: the bar of {later} follows the bar of {earlier}; one bar a day, in order, was expected. "
                "For intraday feeds use cerebro.resampledata(data, timeframe=bt.TimeFrame.Days)."
            )


def log_returns(query: Query) -> FloatArray:
    """Return (lookback,) log returns of a query: its scale-free values."""
    return np.diff(np.log(query.closes))


@dataclass(frozen=True)
class History:
    """Labelled bars of all symbols, end to end: what candidates are cut from.

    ``values``, ``scaled`` (n_sequences, n_bars) float64, the sequences and their scale-free form, NaN where unknown;
    ``symbol_id`` (n_bars,) int32, ascending; ``days`` (n_bars,) datetime64[D], ascending within a symbol, or [m] of
    bars of a few hours; ``outcome`` (n_bars,) float64 and ``available_at`` (n_bars,), in the unit of ``days``: the
    label of a window that ends at the bar, unknown at a symbol's end.
    """

    values: FloatArray
    scaled: FloatArray
    symbol_id: NDArray[np.int32]
    days: NDArray[np.datetime64]
    outcome: FloatArray
    available_at: NDArray[np.datetime64]


@dataclass(frozen=True)
class CandidateColumns:
    """Candidates as columns of n rows, one row a window and sequence.

    ``available_at`` (n,) datetime64[D]; ``symbol_id``, ``sequence_id`` (n,) int32; ``dates`` (n, lookback)
    datetime64[D]; ``values``, ``scaled`` (n, lookback) float64; ``outcome`` (n,) float64.
    """

    available_at: NDArray[np.datetime64]
    symbol_id: NDArray[np.int32]
    sequence_id: NDArray[np.int32]
    dates: NDArray[np.datetime64]
    values: FloatArray
    scaled: FloatArray
    outcome: FloatArray


class CandidateCutter:
    """Cuts every candidate of a history, in the order ``(available_at, symbol_id, sequence_id)``, a few days at a time.

    Only bars are sorted, and a window exists while its block does: five closes of 34 sequences and their dates are many
    times larger than the bars that they are cut from.

    Parameters
    ----------
    history : History
    lookback, stride : int
        Bars in a window, and bars between the ends of two windows (counted from the symbol's first bar, so that a
        longer future adds rows and moves none).
    start, end : date, optional
        Least day of a window's first bar, and greatest ``available_at``; both inclusive.
    """

    def __init__(
        self, history: History, lookback: int, stride: int, start: date | None = None, end: date | None = None
    ) -> None:
        self._history = history
        self._lookback = lookback
        ends = _labelled_ends(history, lookback, stride, start, end)
        # Stable: symbols stay in order within a day, and no symbol has two windows that become known on one day.
        self._ends = ends[np.argsort(history.available_at[ends], kind="stable")]
        self._whole = np.ascontiguousarray(_whole_windows(history, lookback)[:, self._ends].T)

    def __len__(self) -> int:
        """How many candidates there are; a sequence that needs 60 bars has none before its first value."""
        return int(np.count_nonzero(self._whole))

    def blocks(self) -> Iterator[CandidateColumns]:
        """The candidates, day by day: a block holds all of one or more days, ascending."""
        available_at = self._history.available_at[self._ends]
        start = 0
        while start < len(available_at):
            last = min(start + _BLOCK_ENDS, len(available_at)) - 1
            stop = int(np.searchsorted(available_at, available_at[last], side="right"))
            yield self._block(slice(start, stop))
            start = stop

    def _block(self, span: slice) -> CandidateColumns:
        history, ends = self._history, self._ends[span]
        row, sequence = np.nonzero(self._whole[span])
        first = (ends - self._lookback + 1)[row]
        place = sequence * len(history.days) + first
        return CandidateColumns(
            available_at=history.available_at[ends][row],
            symbol_id=history.symbol_id[ends][row],
            sequence_id=sequence.astype(np.int32),
            dates=_windows(history.days, first, self._lookback),
            values=_windows(history.values.reshape(-1), place, self._lookback),
            scaled=_windows(history.scaled.reshape(-1), place, self._lookback),
            outcome=history.outcome[ends][row],
        )


def _windows(numbers: NDArray[Any], first: IntArray, lookback: int) -> NDArray[Any]:
    """(n, lookback): the numbers from each of ``first`` on, for contiguous (n_bars,) numbers."""
    # A window as one item of lookback x 8 bytes: twice as fast to gather as a row of numbers.
    whole = np.ndarray(
        (len(numbers) - lookback + 1,),
        dtype=f"V{lookback * numbers.itemsize}",
        buffer=numbers.view(np.uint8).data,
        strides=(numbers.itemsize,),
    )
    return whole[first].view(numbers.dtype).reshape(-1, lookback)


def _labelled_ends(history: History, lookback: int, stride: int, start: date | None, end: date | None) -> IntArray:
    """Bars at which a window may end: enough bars of the symbol before them, and an outcome that is known."""
    bars = np.arange(len(history.days))
    bar_of_symbol = bars - np.searchsorted(history.symbol_id, history.symbol_id)
    since_first_end = bar_of_symbol - (lookback - 1)
    chosen = (since_first_end >= 0) & (since_first_end % stride == 0) & np.isfinite(history.outcome)
    if start is not None:
        chosen &= history.days[bars - np.minimum(bars, lookback - 1)] >= lower(start, history.days)
    if end is not None:
        chosen &= history.available_at <= upper(end, history.available_at)
    return np.flatnonzero(chosen)


def _whole_windows(history: History, lookback: int) -> BoolArray:
    """(n_sequences, n_bars): no gap in the ``lookback`` bars up to each, whichever symbol they are of."""
    finite = np.isfinite(history.values) & np.isfinite(history.scaled)
    whole = finite.copy()
    for lag in range(1, lookback):
        whole[:, lag:] &= finite[:, :-lag]
    return whole
