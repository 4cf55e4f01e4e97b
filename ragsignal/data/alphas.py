"""The 18 alphas of arXiv 2502.05878 (its Fig. 4), from Kakushadze's 101 Formulaic Alphas, arXiv 1601.00991, App. A.

Each takes :class:`~ragsignal.data.technicals.BarArrays` and returns float64 of their shape; the docstring opens with
the source's formula. Where these differ from the source, and why:

- ``rank`` and ``scale`` compare symbols of one day there. Here they compare the symbol with its own last ``TRAILING``
  bars (rank in (0, 1], z-score), so that a value needs no other symbol. The published FinSeer code took them over the
  whole sample, which looks ahead.
- A price stands only in ratios: #28, #46, #49, #51 add dollars to pure numbers or compare them with a constant. They
  are read for a price of 100, that is, with price differences in percent of today's close.
- ``adv20`` is the mean of 20 days' volume in shares, not in dollars: #21 divides today's shares by it.
- ``vwap`` is the typical price, as in the paper.
- 0/0 on a bar without range is 0; the source's + .001 in #101 is left out, as it is in dollars. In #53, #54, #101 the
  range takes in open and close, which vendors' rounding may put a little outside [low, high].
"""

from __future__ import annotations

import numpy as np

import ragsignal.data.rolling as rolling
from ragsignal.data.rolling import correlation, delay, delta, mask_missing, mean, ratio, side
from ragsignal.data.technicals import BarArrays, vwap
from ragsignal.types import FloatArray

TRAILING = 60
"""Bars over which ``rank`` and ``scale`` compare a symbol with its own past."""

LEAST_CLOSE_IN_RANGE = 0.01
"""#53 divides by close - low: taken as at least this share of the bar's range, as the formula has no limit there."""


def alpha_smr(bars: BarArrays) -> FloatArray:
    """-ln(open / close[1]): one-day mean reversion of the overnight gap (arXiv 1601.00991, sec. 2)."""
    return -np.log(bars.open / delay(bars.close, 1))


def alpha_mom(bars: BarArrays) -> FloatArray:
    """ln(close[1] / open[1]): momentum of yesterday's session (arXiv 1601.00991, sec. 2)."""
    return np.log(delay(bars.close, 1) / delay(bars.open, 1))


def alpha002(bars: BarArrays) -> FloatArray:
    """-correlation(rank(delta(log(volume), 2)), rank((close - open) / open), 6).

    log(1 + volume), so that a day without trade has a value.
    """
    volume_rank = rolling.rank(delta(np.log1p(bars.volume), 2), TRAILING)
    session_rank = rolling.rank((bars.close - bars.open) / bars.open, TRAILING)
    return -correlation(volume_rank, session_rank, 6)


def alpha006(bars: BarArrays) -> FloatArray:
    """-correlation(open, volume, 10)."""
    return -correlation(bars.open, bars.volume, 10)


def alpha009(bars: BarArrays) -> FloatArray:
    """delta(close, 1) if its last 5 values are all above 0 or all below 0, else -delta(close, 1)."""
    change = delta(bars.close, 1)
    one_way = (side(rolling.lowest(change, 5), bars.close) > 0) | (side(rolling.highest(change, 5), bars.close) < 0)
    return mask_missing(np.where(one_way, change, -change), delay(change, 4))


def alpha012(bars: BarArrays) -> FloatArray:
    """sign(delta(volume, 1)) * -delta(close, 1)."""
    return np.sign(delta(bars.volume, 1)) * -delta(bars.close, 1)


def alpha021(bars: BarArrays) -> FloatArray:
    """-1 if SMA8 + STD8 < SMA2, else 1 if SMA2 < SMA8 - STD8, else 1 if volume >= adv20, else -1 (SMA, STD of close).

    The published code's second test is the complement of the first, so that volume never decides.
    """
    center, width, last = mean(bars.close, 8), rolling.std(bars.close, 8), mean(bars.close, 2)
    usual_volume = mean(bars.volume, 20)
    high = side(last - (center + width), bars.close) > 0
    low = side((center - width) - last, bars.close) > 0
    busy = bars.volume >= usual_volume * (1 - rolling.TIE)
    return mask_missing(np.where(high, -1.0, np.where(low | busy, 1.0, -1.0)), usual_volume)


def alpha023(bars: BarArrays) -> FloatArray:
    """-delta(high, 2) if SMA20(high) < high, else 0."""
    usual = mean(bars.high, 20)
    return mask_missing(np.where(side(bars.high - usual, bars.close) > 0, -delta(bars.high, 2), 0.0), usual)


def alpha024(bars: BarArrays) -> FloatArray:
    """-(close - ts_min(close, 100)) if delta(SMA100, 100) / delay(close, 100) <= 0.05, else -delta(close, 3)."""
    trend = delta(mean(bars.close, 100), 100) / delay(bars.close, 100)
    above_low = bars.close - rolling.lowest(bars.close, 100)
    return mask_missing(np.where(trend <= 0.05, -above_low, -delta(bars.close, 3)), trend)


def alpha028(bars: BarArrays) -> FloatArray:
    """scale(correlation(adv20, low, 5) + (high + low) / 2 - close), for a price of 100."""
    middle = 100 * ((bars.high + bars.low) / 2 - bars.close) / bars.close
    return rolling.zscore(correlation(mean(bars.volume, 20), bars.low, 5) + middle, TRAILING)


def alpha032(bars: BarArrays) -> FloatArray:
    """scale(SMA7(close) - close) + 20 * scale(correlation(vwap, delay(close, 5), 230)), for a price of 100."""
    below_mean = 100 * (mean(bars.close, 7) - bars.close) / bars.close
    persistence = correlation(vwap(bars), delay(bars.close, 5), 230)
    return rolling.zscore(below_mean, TRAILING) + 20 * rolling.zscore(persistence, TRAILING)


def alpha041(bars: BarArrays) -> FloatArray:
    """sqrt(high * low) - vwap."""
    return np.sqrt(bars.high * bars.low) - vwap(bars)


def alpha046(bars: BarArrays) -> FloatArray:
    """-1 if bend > 0.25, else 1 if bend < 0, else -delta(close, 1), for a price of 100.

    bend = (delay(close, 20) - delay(close, 10)) / 10 - (delay(close, 10) - close) / 10: how much steeper the last
    ten days are than the ten before.
    """
    bend = _bend(bars)
    return mask_missing(np.where(bend > 0.25, -1.0, np.where(side(bend) < 0, 1.0, _reversal(bars))), bend)


def alpha049(bars: BarArrays) -> FloatArray:
    """1 if bend < -0.1, else -delta(close, 1), for a price of 100; bend as in #46."""
    bend = _bend(bars)
    return mask_missing(np.where(bend < -0.1, 1.0, _reversal(bars)), bend)


def alpha051(bars: BarArrays) -> FloatArray:
    """1 if bend < -0.05, else -delta(close, 1), for a price of 100; bend as in #46."""
    bend = _bend(bars)
    return mask_missing(np.where(bend < -0.05, 1.0, _reversal(bars)), bend)


def alpha053(bars: BarArrays) -> FloatArray:
    """-delta(((close - low) - (high - close)) / (close - low), 9)."""
    below, above = bars.close - bars.bottom, bars.top - bars.close
    return -delta(ratio(below - above, np.maximum(below, LEAST_CLOSE_IN_RANGE * (below + above)), bars.flat), 9)


def alpha054(bars: BarArrays) -> FloatArray:
    """-(low - close) * open^5 / ((low - high) * close^5)."""
    share = ratio(bars.close - bars.bottom, bars.top - bars.bottom, bars.flat)
    return -share * (bars.open / bars.close) ** 5


def alpha101(bars: BarArrays) -> FloatArray:
    """(close - open) / (high - low), in [-1, 1]."""
    return ratio(bars.close - bars.open, bars.top - bars.bottom, bars.flat)


def _bend(bars: BarArrays) -> FloatArray:
    ten, twenty = delay(bars.close, 10), delay(bars.close, 20)
    return 100 * ((twenty - ten) / 10 - (ten - bars.close) / 10) / bars.close


def _reversal(bars: BarArrays) -> FloatArray:
    return -100 * delta(bars.close, 1) / bars.close
