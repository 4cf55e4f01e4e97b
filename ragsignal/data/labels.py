"""What followed a bar, and when it was known: the only place that looks forward.

Row t of a label frame belongs to a window that ends at bar t. ``outcome`` is a forward return (a fraction), and
``available_at`` the day at whose close it was known; whoever learns or retrieves as of day d takes rows with
``available_at <= d``. At the end of the data both are unknown (NaN, NaT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ragsignal.config import Target
from ragsignal.data.prices import calendar_of, days_of
from ragsignal.errors import ConfigError
from ragsignal.types import FloatArray, IntArray

RISE_ABOVE = 0.0055
FALL_BELOW = -0.005


def movement_of(returns: ArrayLike, scale: float = 1.0) -> NDArray[np.int8]:
    """Sort returns into rise (1), fall (-1) and freeze (0).

    Parameters
    ----------
    returns : array-like of float
        Fractions, not percent.
    scale : float, optional
        Both thresholds are multiplied by it: :attr:`ragsignal.utils.Clock.scale` of the bars. The published ones are of
        days, and a price moves as the square root of time does.

    Returns
    -------
    ndarray of int8, of the same shape
        1 above +0.55 %, -1 below -0.5 %, else 0: arXiv 2502.05878, App. C (prices rise slowly and fall fast).

    Raises
    ------
    ValueError
        If a return is NaN: what is not known is not a freeze.
    """
    values = np.asarray(returns, dtype=np.float64)
    unknown = int(np.isnan(values).sum())
    if unknown:
        raise ValueError(f"{unknown} of {values.size} returns are NaN and have no movement; drop them first")
    return (values > RISE_ABOVE * scale).astype(np.int8) - (values < FALL_BELOW * scale).astype(np.int8)


def bars_until_known(target: Target, horizon: int = 1) -> int:
    """Bars after bar t until a label of bar t is known: ``horizon``, and one more for the order to be filled."""
    return horizon + (target == "open_to_open")


def forward_returns(frames: Mapping[str, pd.DataFrame], target: Target, horizon: int = 1) -> dict[str, pd.DataFrame]:
    """Label every bar of every symbol.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Back-adjusted bars with ``open`` and ``close``, on strictly ascending days.
    target : {"movement", "open_to_open", "relative"}
        With h = ``horizon``. ``movement``: close[t+h] / close[t] - 1, known on the day of bar t+h. ``open_to_open``:
        open[t+1+h] / open[t+1] - 1, what an order filled at the next open earns in h bars, known on the day of bar
        t+1+h. ``relative``: ``movement`` less its median over all symbols whose return became known on the same day:
        a median over those of the same day t would change when a symbol that did not trade for a while comes back.
    horizon : int
        Bars of the symbol itself.

    Returns
    -------
    dict of symbol to DataFrame, on the symbol's own index
        ``outcome`` float64 and ``available_at`` datetime64; NaN and NaT where not known yet.

    Raises
    ------
    ConfigError
        If ``relative`` is asked of fewer than two symbols: every outcome would be 0.
    """
    days, wait = calendar_of(frames.values()), bars_until_known(target, horizon)
    outcomes, _ = label_tables(frames, days, tuple(frames), target, horizon)
    labels = {}
    for column, (symbol, frame) in enumerate(frames.items()):
        bars = frame.index.to_numpy()
        known = np.full(len(bars), np.datetime64("NaT"), dtype=bars.dtype)
        known[: max(len(bars) - wait, 0)] = bars[wait:]
        outcome = outcomes[np.searchsorted(days, days_of(frame)), column]
        labels[symbol] = pd.DataFrame({"outcome": outcome, "available_at": known}, index=frame.index)
    return labels


def label_tables(
    frames: Mapping[str, pd.DataFrame],
    days: NDArray[np.datetime64],
    symbols: Sequence[str],
    target: Target,
    horizon: int = 1,
) -> tuple[FloatArray, NDArray[np.datetime64]]:
    """Label every bar of ``symbols`` as tables with a row a day and a column a symbol.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        As for :func:`forward_returns`.
    days : (n_days,) datetime64[D]
        Ascending and unique; every bar's day is one of them.
    symbols : sequence of str
        The columns; the median of ``relative`` is theirs.
    target, horizon
        As for :func:`forward_returns`, whose outcomes these are.

    Returns
    -------
    outcomes : (n_days, n_symbols) float64
    available_at : (n_days, n_symbols) datetime64[D]
        NaN and NaT where a symbol has no bar, or its label is not known yet.

    Raises
    ------
    ConfigError
        If ``relative`` is asked of fewer than two symbols.
    ValueError
        If a bar's day is none of ``days``.
    """
    if target == "relative" and len(symbols) < 2:
        raise ConfigError(
            f'target = "relative" needs at least two symbols, not {list(symbols)}: '
            'add symbols, or take target = "movement"'
        )
    outcomes = np.full((len(symbols), len(days)), np.nan)  # a symbol's days lie side by side: many times faster
    known_on = np.full((len(symbols), len(days)), -1, dtype=np.int32)
    wait, column = bars_until_known(target, horizon), "open" if target == "open_to_open" else "close"
    for number, symbol in enumerate(symbols):
        rows = _rows(days, symbol, frames[symbol])
        price, count = frames[symbol][column].to_numpy(dtype=np.float64), max(len(rows) - wait, 0)
        start = price[wait - horizon : wait - horizon + count]
        outcomes[number, rows[:count]] = price[wait:] / start - 1
        known_on[number, rows[:count]] = rows[wait:]
    if target == "relative":
        outcomes -= _medians_when_known(outcomes, known_on)
    available_at = np.append(days, np.datetime64("NaT", "D"))[known_on]  # row -1 is the one that is never known
    return np.ascontiguousarray(outcomes.T), np.ascontiguousarray(available_at.T)


def _rows(days: NDArray[np.datetime64], symbol: str, frame: pd.DataFrame) -> IntArray:
    """Row of ``days`` of every bar."""
    bars = days_of(frame)
    rows = np.searchsorted(days, bars)
    if len(bars) and not (rows[-1] < len(days) and np.array_equal(days[rows], bars)):
        raise ValueError(f"{symbol} has bars on days that are not among the {len(days)} of the calendar")
    return rows


def _medians_when_known(outcomes: FloatArray, known_on: NDArray[np.int32]) -> FloatArray:
    """For each label the median of all that became known on its day; tables (n_symbols, n_days), -1 is never known."""
    symbol, day = np.nonzero(known_on >= 0)
    by_known = np.full(outcomes.shape[::-1], np.nan)
    by_known[known_on[symbol, day], symbol] = outcomes[symbol, day]
    by_known.sort(axis=1)  # NaN last
    count = np.isfinite(by_known).sum(axis=1)
    row, middle = np.arange(len(count)), np.maximum(count - 1, 0)
    medians = (by_known[row, middle // 2] + by_known[row, (middle + 1) // 2]) / 2.0
    return np.append(medians, np.nan)[known_on]
