"""A small made-up universe such as real ones are: late starts, missing days, ties, a stock that never moves."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from tests.markets import Frames, bars

N_DAYS = 330
CALENDAR = pd.bdate_range("2020-01-01", periods=N_DAYS).as_unit("us")


@cache
def _universe(n_symbols: int, n_days: int) -> Frames:
    calendar = CALENDAR[:n_days] if n_days <= N_DAYS else pd.bdate_range("2020-01-01", periods=n_days).as_unit("us")
    frames = {f"S{number:02d}": bars(n_days, number, days=calendar) for number in range(n_symbols)}
    frames["S01"] = bars(n_days, 1, tick=1.0, days=calendar)  # equal closes, and days with high == low
    frames["S02"] = frames["S02"].drop(calendar[[day for day in (40, 290) if day < n_days]])
    frames["S03"] = frames["S03"].iloc[30:]  # ranked later than the others
    frames["S04"] = frames["S04"].assign(open=50.0, high=50.0, low=50.0, close=50.0)  # never ranked
    frames["S05"] = frames["S05"].assign(volume=0.0)  # nor is this
    frames["S06"].loc[frames["S06"].index[-3], "volume"] = 0.0
    return frames


def universe(n_symbols: int = 26, n_days: int = N_DAYS) -> Frames:
    """Frames of a universe: S02 lacks two days, S03 begins later, S04 is flat, S05 is not traded."""
    return {symbol: frame.copy() for symbol, frame in _universe(n_symbols, n_days).items()}


@cache
def universe_letters(n_symbols: int = 26, n_days: int = N_DAYS) -> RankLetters:
    """The letters of :func:`universe`; do not write into them."""
    return build_rank_letters(_universe(n_symbols, n_days))


def rescaled_with_dividend(frame: pd.DataFrame, factor: float) -> pd.DataFrame:
    """The bars after a later dividend: all prices times a factor, the volume divided by it."""
    columns = np.array([factor, factor, factor, factor, 1.0 / factor])
    return frame[["open", "high", "low", "close", "volume"]] * columns
