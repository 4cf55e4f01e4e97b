"""The 6 price and 10 technical sequences of arXiv 2502.05878, App. C, as functions of one symbol's bars.

Each takes :class:`Bars` and returns float64 of their shape; the value at t uses bars <= t of its symbol only. The first
lines of a docstring are the formula; a branch that the published code gives as text is a code here (-1, 0, 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data import labels, rolling
from ragsignal.data.readers import COLUMNS
from ragsignal.data.rolling import FloatArray, known, ratio, side
from ragsignal.errors import DataError

T = TypeVar("T")

_FAST, _SLOW, _SIGNAL = 12, 26, 9  # MACD spans, in bars
_BAND_BARS, _BAND_WIDTH = 20, 2.0  # Bollinger window and half-width in standard deviations
_KDJ_BARS, _KDJ_WEIGHT = 9, 1 / 3


@dataclass(frozen=True)
class Bars:
    """Back-adjusted bars as float64 arrays: (n_bars,) of one symbol, or (n_bars, n_symbols) of several."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    _shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Bars:
        """Take the five columns of a frame.

        Raises
        ------
        DataError
            If a column is missing.
        """
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise DataError(f"the frame has no column {missing}; expected {list(COLUMNS)}, found {list(frame.columns)}")
        return cls(**{name: np.ascontiguousarray(frame[name], dtype=np.float64) for name in COLUMNS})

    @classmethod
    def together(cls, frames: Sequence[pd.DataFrame]) -> Bars:
        """Take several symbols side by side, each from its first bar on; a shorter one ends in NaN.

        What is unknown later moves no bit before it, so a column has the values of its symbol alone.

        Raises
        ------
        DataError
            If a column is missing.
        """
        longest = max(len(frame) for frame in frames)
        padded = {name: np.full((longest, len(frames)), np.nan) for name in COLUMNS}
        for place, alone in enumerate(map(cls.of, frames)):
            for name, column in padded.items():
                column[: len(frames[place]), place] = getattr(alone, name)
        return cls(**padded)

    @property
    def top(self) -> FloatArray:
        """Highest of the four prices; vendors round each on its own, and a close may stand above its high by that."""
        return np.maximum(self.high, np.maximum(self.open, self.close))

    @property
    def bottom(self) -> FloatArray:
        """Lowest of the four prices."""
        return np.minimum(self.low, np.minimum(self.open, self.close))

    @property
    def flat(self) -> NDArray[np.bool_]:
        """Bars without a range: nothing can be said about where in it they closed."""
        return self.top - self.bottom <= rolling.TIE * self.close


def _once(part: Callable[[Bars], T]) -> Callable[[Bars], T]:
    """Compute ``part`` of some bars once, however many sequences are made of it."""

    @wraps(part)
    def shared(bars: Bars) -> T:
        if part.__name__ not in bars._shared:
            bars._shared[part.__name__] = part(bars)
        result: T = bars._shared[part.__name__]
        return result

    return shared


def open_(bars: Bars) -> FloatArray:
    """First price of the bar."""
    return bars.open


def high(bars: Bars) -> FloatArray:
    """Highest price of the bar."""
    return bars.high


def low(bars: Bars) -> FloatArray:
    """Lowest price of the bar."""
    return bars.low


def close(bars: Bars) -> FloatArray:
    """Last price of the bar."""
    return bars.close


def adj_close(bars: Bars) -> FloatArray:
    """adj_close = close.

    Frames are back-adjusted as a whole, so the two are one series; both stay because the paper's pool counts 34. Its
    own alphas mixed raw open, high, low with adj_close, and so encoded dividends paid later.
    """
    return bars.close


def volume(bars: Bars) -> FloatArray:
    """Shares traded."""
    return bars.volume


def movement(bars: Bars) -> FloatArray:
    """1 if close / close[1] - 1 > 0.0055, -1 if < -0.005, else 0.

    The realised movement of bar t itself, known at its close; not the label of a window that ends at t.
    """
    change = returns(bars)
    return known(labels.movement_of(np.nan_to_num(change)).astype(np.float64), change)


def returns(bars: Bars) -> FloatArray:
    """Return = close / close[1] - 1."""
    return bars.close / rolling.delay(bars.close, 1) - 1


def vwap(bars: Bars) -> FloatArray:
    """(high + low + close) / 3.

    The paper multiplies and divides by the same bar's volume: on daily bars its VWAP is the typical price, and no
    volume weighs in it.
    """
    return (bars.high + bars.low + bars.close) / 3


def macd_histogram(bars: Bars) -> FloatArray:
    """MACD - EMA9(MACD), MACD = EMA12(close) - EMA26(close); EMAs start at the first bar.

    Known from bar 34 on (26 for the slow mean, 9 for the signal line), when the start weighs little.
    """
    macd = _macd(bars)
    histogram = macd - rolling.ema(macd, 2 / (_SIGNAL + 1))
    histogram[: _SLOW + _SIGNAL - 2] = np.nan
    return histogram


def macd_crossover(bars: Bars) -> FloatArray:
    """1 on the bar where EMA12 rises above EMA26, -1 where it falls below, else 0.

    As published: MACD against zero, not against its signal line.
    """
    now = side(_macd(bars), bars.close)
    now[: _SLOW - 1] = np.nan
    before = rolling.delay(now, 1)
    crossed = np.where((now > 0) & (before <= 0), 1.0, np.where((now < 0) & (before >= 0), -1.0, 0.0))
    return known(crossed, before)


def bollinger_bands(bars: Bars) -> FloatArray:
    """1 above the upper band, -1 below the lower one, else 0; bands SMA20(close) +- 2 STD20(close)."""
    above, below = _outside(bars)
    return side(above, bars.close) - side(below, bars.close)


def exceeding_upper(bars: Bars) -> FloatArray:
    """max(close - (SMA20 + 2 STD20), 0): how far the close stands above the upper Bollinger band."""
    return _outside(bars)[0]


def exceeding_lower(bars: Bars) -> FloatArray:
    """max((SMA20 - 2 STD20) - close, 0): how far the close stands below the lower Bollinger band."""
    return _outside(bars)[1]


def overbought_and_oversold_conditions(bars: Bars) -> FloatArray:
    """1 (overbought) if K > 80, D > 70 and J > 90; -1 (oversold) if K < 20 and D < 30; else 0."""
    k, d = _kd(bars)
    j = 3 * k - 2 * d
    overbought = (side(k - 80, 100.0) > 0) & (side(d - 70, 100.0) > 0) & (side(j - 90, 100.0) > 0)
    oversold = (side(k - 20, 100.0) < 0) & (side(d - 30, 100.0) < 0)
    return known(overbought.astype(np.float64) - oversold, k)


def kdj_crossover(bars: Bars) -> FloatArray:
    """1 while K > D, -1 while K < D, 0 where equal: a state, in spite of its published name."""
    k, d = _kd(bars)
    return side(k - d, 100.0)


@_once
def _macd(bars: Bars) -> FloatArray:
    return rolling.ema(bars.close, 2 / (_FAST + 1)) - rolling.ema(bars.close, 2 / (_SLOW + 1))


@_once
def _outside(bars: Bars) -> tuple[FloatArray, FloatArray]:
    center = rolling.mean(bars.close, _BAND_BARS)
    width = _BAND_WIDTH * rolling.std(bars.close, _BAND_BARS)
    return np.maximum(bars.close - (center + width), 0.0), np.maximum((center - width) - bars.close, 0.0)


@_once
def _kd(bars: Bars) -> tuple[FloatArray, FloatArray]:
    """K and D in percent; K starts at the first RSV, D at the first K. RSV is 50 where nine bars have no range."""
    bottom = rolling.lowest(bars.bottom, _KDJ_BARS)
    span = rolling.highest(bars.top, _KDJ_BARS) - bottom
    rsv = ratio(100 * (bars.close - bottom), span, flat=span <= rolling.TIE * bars.close, at_flat=50.0)
    k = rolling.ema(rsv, _KDJ_WEIGHT)
    return k, rolling.ema(k, _KDJ_WEIGHT)
