"""What followed a bar, and when it was known: the only place that looks forward.

Row t of a label frame belongs to a window that ends at bar t. ``outcome`` is a forward return (a fraction), and
``available_at`` the day at whose close it was known; whoever learns or retrieves as of day d takes rows with
``available_at <= d``. At the end of the data both are unknown (NaN, NaT).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragsignal.config import Target
from ragsignal.errors import ConfigError

RISE_ABOVE = 0.0055
FALL_BELOW = -0.005


def movement_of(returns: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Sort returns into rise (1), fall (-1) and freeze (0).

    Parameters
    ----------
    returns : array-like of float
        Fractions, not percent.

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
    return (values > RISE_ABOVE).astype(np.int8) - (values < FALL_BELOW).astype(np.int8)


def forward_returns(frames: Mapping[str, pd.DataFrame], target: Target) -> dict[str, pd.DataFrame]:
    """Label every bar of every symbol.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Back-adjusted bars with ``open`` and ``close``, on strictly ascending days.
    target : {"movement", "open_to_open", "relative"}
        ``movement``: close[t+1] / close[t] - 1, known on the day of bar t+1. ``open_to_open``: open[t+2] / open[t+1]
        - 1, what an order filled at the next open earns in a day, known on the day of bar t+2. ``relative``:
        ``movement`` less its median over all symbols whose return became known on the same day.

    Returns
    -------
    dict of symbol to DataFrame, on the symbol's own index
        ``outcome`` float64 and ``available_at`` datetime64; NaN and NaT where not known yet.

    Raises
    ------
    ConfigError
        If ``relative`` is asked of fewer than two symbols: every outcome would be 0.
    """
    if target == "open_to_open":
        return {symbol: _forward(frame, "open", start=1) for symbol, frame in frames.items()}
    plain = {symbol: _forward(frame, "close", start=0) for symbol, frame in frames.items()}
    return _less_median(plain) if target == "relative" else plain


def _forward(frame: pd.DataFrame, column: str, start: int) -> pd.DataFrame:
    """Return from bar t + start to the bar after it."""
    price, days = frame[column].to_numpy(dtype=np.float64), frame.index.to_numpy()
    count = max(len(frame) - start - 1, 0)
    outcome, available_at = np.full(len(frame), np.nan), np.full(len(frame), np.datetime64("NaT"), dtype=days.dtype)
    outcome[:count] = price[start + 1 :] / price[start : start + count] - 1
    available_at[:count] = days[start + 1 :]
    return pd.DataFrame({"outcome": outcome, "available_at": available_at}, index=frame.index)


def _less_median(labels: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    if len(labels) < 2:
        raise ConfigError(
            f'target = "relative" needs at least two symbols, not {list(labels)}: '
            'add symbols, or take target = "movement"'
        )
    # groupby drops NaT: the unknown last row of a symbol votes nowhere.
    median = pd.concat(labels.values()).groupby("available_at")["outcome"].median()
    return {
        symbol: frame.assign(outcome=frame["outcome"] - frame["available_at"].map(median))
        for symbol, frame in labels.items()
    }
