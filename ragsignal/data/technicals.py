"""The 6 price and 10 technical sequences of arXiv 2502.05878, App. C, as functions of one symbol's bars.

Each takes :class:`BarArrays` and returns float64 of their shape; the value at t uses bars <= t of its symbol only. The
first lines of a docstring are the formula; a branch that the published code gives as text is a code here (-1, 0, 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

import ragsignal.data.labels as labels
import ragsignal.data.rolling as rolling
from ragsignal.data.prices import clock_of
from ragsignal.data.readers import COLUMNS
from ragsignal.data.rolling import mask_missing, ratio, side
from ragsignal.errors import DataError
from ragsignal.types import BoolArray, FloatArray

_FAST, _SLOW, _SIGNAL = 12, 26, 9  # MACD spans, in bars
_BAND_BARS, _BAND_WIDTH = 20, 2.0  # Bollinger window and half-width in standard deviations
_KDJ_BARS, _KDJ_WEIGHT = 9, 1 / 3


@dataclass(frozen=True)
class BarArrays:
    """Back-adjusted bars as float64 arrays: (n_bars,) of one symbol, or (n_bars, n_symbols) of several.

    ``scale`` is that of the bars' clock: how much farther a price moves in one than in a day.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    scale: float = 1.0

    @classmethod
    def of(cls, frame: pd.DataFrame) -> BarArrays:
        """Take the five columns of a frame.

        Raises
        ------
        DataError
            If a column is missing.
        """
        missing = [name for name in COLUMNS if name not in frame.columns]
        if missing:
            raise DataError(f"the frame has no column {missing}; expected {list(COLUMNS)}, found {list(frame.columns)}")
        columns = {name: np.ascontiguousarray(frame[name], dtype=np.float64) for name in COLUMNS}
        return cls(**columns, scale=clock_of(frame).scale)

    @classmethod
    def together(cls, frames: Sequence[pd.DataFrame]) -> BarArrays:
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
        return cls(**padded, scale=clock_of(frames[0]).scale)

    @property
    def top(self) -> FloatArray:
        """Highest of the four prices; vendors round each on its own, and a close may stand above its high by that."""
        return np.maximum(self.high, np.maximum(self.open, self.close))

    @property
    def bottom(self) -> FloatArray:
        """Lowest of the four prices."""
        return np.minimum(self.low, np.minimum(self.open, self.close))

    @property
    def flat(self) -> BoolArray:
        """Bars without a range: nothing can be said about where in it they closed."""
        return self.top - self.bottom <= rolling.TIE * self.close

    # What several sequences are made of, computed once.

    @cached_property
    def macd(self) -> FloatArray:
        """EMA12(close) - EMA26(close)."""
        return rolling.ema(self.close, 2 / (_FAST + 1)) - rolling.ema(self.close, 2 / (_SLOW + 1))

    @cached_property
    def outside_bands(self) -> tuple[FloatArray, FloatArray]:
        """How far the close stands above the upper Bollinger band and below the lower one, in price units."""
        center = rolling.mean(self.close, _BAND_BARS)
        width = _BAND_WIDTH * rolling.std(self.close, _BAND_BARS)
        return np.maximum(self.close - (center + width), 0.0), np.maximum((center - width) - self.close, 0.0)

    @cached_property
    def kd(self) -> tuple[FloatArray, FloatArray]:
        """K and D in percent; K starts at the first RSV, D at the first K. RSV is 50 where nine bars have no range."""
        bottom = rolling.lowest(self.bottom, _KDJ_BARS)
        span = rolling.highest(self.top, _KDJ_BARS) - bottom
        rsv = ratio(100 * (self.close - bottom), span, flat=span <= rolling.TIE * self.close, at_flat=50.0)
        k = rolling.ema(rsv, _KDJ_WEIGHT)
        return k, rolling.ema(k, _KDJ_WEIGHT)


def open_(bars: BarArrays) -> FloatArray:
    """First price of the bar."""
    return bars.open


def high(bars: BarArrays) -> FloatArray:
    """Highest price of the bar."""
    return bars.high


def low(bars: BarArrays) -> FloatArray:
    """Lowest price of the bar."""
    return bars.low


def close(bars: BarArrays) -> FloatArray:
    """Last price of the bar."""
    return bars.close


def adj_close(bars: BarArrays) -> FloatArray:
    """adj_close = close.

    Frames are back-adjusted as a whole, so the two are one series; both stay because the paper's pool counts 34. Its
    own alphas mixed raw open, high, low with adj_close, and so encoded dividends paid later.
    """
    return bars.close


def volume(bars: BarArrays) -> FloatArray:
    """Shares traded."""
    return bars.volume


def movement(bars: BarArrays) -> FloatArray:
    """1 if close / close[1] - 1 > 0.0055, -1 if < -0.005, else 0; both times the scale of the bars.

    The realised movement of bar t itself, known at its close; not the label of a window that ends at t.
    """
    change = returns(bars)
    return mask_missing(labels.movement_of(np.nan_to_num(change), bars.scale).astype(np.float64), change)


def returns(bars: BarArrays) -> FloatArray:
    """Return = close / close[1] - 1."""
    return bars.close / rolling.delay(bars.close, 1) - 1


def vwap(bars: BarArrays) -> FloatArray:
    """(high + low + close) / 3.

    The paper multiplies and divides by the same bar's volume: on daily bars its VWAP is the typical price, and no
    volume weighs in it.
    """
    return (bars.high + bars.low + bars.close) / 3


def macd_histogram(bars: BarArrays) -> FloatArray:
    """MACD - EMA9(MACD), MACD = EMA12(close) - EMA26(close); EMAs start at the first bar.

    Known from bar 34 on (26 for the slow mean, 9 for the signal line), when the start weighs little.
    """
    macd = bars.macd
    histogram = macd - rolling.ema(macd, 2 / (_SIGNAL + 1))
    histogram[: _SLOW + _SIGNAL - 2] = np.nan
    return histogram


def macd_crossover(bars: BarArrays) -> FloatArray:
    """1 on the bar where EMA12 rises above EMA26, -1 where it falls below, else 0.

    As published: MACD against zero, not against its signal line.
    """
    now = side(bars.macd, bars.close)
    now[: _SLOW - 1] = np.nan
    before = rolling.delay(now, 1)
    crossed = np.where((now > 0) & (before <= 0), 1.0, np.where((now < 0) & (before >= 0), -1.0, 0.0))
    return mask_missing(crossed, before)


def bollinger_bands(bars: BarArrays) -> FloatArray:
    """1 above the upper band, -1 below the lower one, else 0; bands SMA20(close) +- 2 STD20(close)."""
    above, below = bars.outside_bands
    return side(above, bars.close) - side(below, bars.close)


def exceeding_upper(bars: BarArrays) -> FloatArray:
    """max(close - (SMA20 + 2 STD20), 0): how far the close stands above the upper Bollinger band."""
    return bars.outside_bands[0]


def exceeding_lower(bars: BarArrays) -> FloatArray:
    """max((SMA20 - 2 STD20) - close, 0): how far the close stands below the lower Bollinger band."""
    return bars.outside_bands[1]


def overbought_and_oversold_conditions(bars: BarArrays) -> FloatArray:
    """1 (overbought) if K > 80, D > 70 and J > 90; -1 (oversold) if K < 20 and D < 30; else 0."""
    k, d = bars.kd
    j = 3 * k - 2 * d
    overbought = (side(k - 80, 100.0) > 0) & (side(d - 70, 100.0) > 0) & (side(j - 90, 100.0) > 0)
    oversold = (side(k - 20, 100.0) < 0) & (side(d - 30, 100.0) < 0)
    return mask_missing(overbought.astype(np.float64) - oversold, k)


def kdj_crossover(bars: BarArrays) -> FloatArray:
    """1 while K > D, -1 while K < D, 0 where equal: a state, in spite of its published name."""
    k, d = bars.kd
    return side(k - d, 100.0)
