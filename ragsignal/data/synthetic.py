"""Two made-up markets with a known answer: one in which analogues pay, and one in which nothing does.

``planted_market`` moves a little after each bar in a direction that the shape of the last five closes decides. A
machine that retrieves similar windows and lets their outcomes vote must find it; one that does not is broken.
``noise_market`` is the same market without the plant: a machine that finds something there leaks the future.

The plant: four returns join five closes, and their direction in four dimensions is all that z-scoring leaves of a
window. Sixteen prototypes, the corners of a cube turned at random, are the same for all symbols. The closest one
decides: corners with an even number of negative coordinates announce a rise, the others a fall. Corners that share an
edge disagree, and a window and its mirror image agree, so momentum and reversal earn nothing. In noise all directions
are equally likely, so rises and falls balance, and buying and holding earns nothing either.

What is left for a straight line: pushes come back in the windows of the next days. Measured at the default strength
on the last two of four years of four symbols (means over 12 seeds, share of right open-to-open directions): regression
on the four returns 0.504, vote of the 25 nearest past windows 0.616, of the 5 nearest 0.603, knowing the prototypes
0.718.

When: the push comes between the open and the close of the next bar. An order that is filled at the next open and held
for a day earns it (open to open), and the close-to-close return of that bar carries it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.data.prices import Prices
from ragsignal.errors import ConfigError
from ragsignal.types import FloatArray
from ragsignal.utils import ALL_WEEK

SHAPE_CLOSES = 5
"""Closes whose shape decides the next move."""

DAILY_SIGMA = 0.012
"""Standard deviation of a day's return."""

GAP_SHARE = 0.15
"""Share of the daily variance that falls between close and open."""

_WICK = 0.003  # scale of how far high and low reach beyond open and close
_DRAWS = 5  # numbers a bar takes from the generator, always all of them, so that a later end moves no earlier bar


def planted_market(
    symbols: Sequence[str], start: date | str, end: date | str, seed: int = 0, strength: float = 0.5
) -> Prices:
    """Make a market whose next move follows from the shape of the last five closes.

    Parameters
    ----------
    symbols : sequence of str
        A symbol's bars depend on its name, ``start`` and ``seed``, and on no other symbol; the prototypes on ``seed``.
    start, end : date
        Inclusive; bars stand on business days.
    seed : int
    strength : float in [0, 1)
        Size of the push in standard deviations of a day's return, which stays at 1.2 %. Who knows the prototypes is
        right about the open-to-open direction in a share Phi(s / sqrt(1 - s^2)) of days: 0.718 at 0.5.

    Raises
    ------
    ConfigError
        If ``strength`` is out of range, or there is no business day from ``start`` to ``end``.
    """
    return planted_on(business_days(start, end), symbols, seed, strength)


def planted_on(bars: pd.DatetimeIndex, symbols: Sequence[str], seed: int = 0, strength: float = 0.5) -> Prices:
    """As :func:`planted_market`, on bars of any clock, of :func:`made_up_bars`; a bar moves as far on each of them."""
    share, axes = checked_strength(strength), prototypes(seed)
    return Prices(frames={symbol: _frame(bars, Draws.of(symbol, seed, len(bars)), axes, share) for symbol in symbols})


def noise_market(symbols: Sequence[str], start: date | str, end: date | str, seed: int = 0) -> Prices:
    """Make a market in which nothing can be foreseen: :func:`planted_market` with strength 0."""
    return planted_market(symbols, start, end, seed=seed, strength=0.0)


def made_up_bars(
    start: date | str, end: date | str, period: str | None, minutes: int = 0, all_week: bool = False
) -> pd.DatetimeIndex:
    """Name the bars of a made-up market, on any clock; the index has the name of its clock.

    Parameters
    ----------
    start, end : date
        Inclusive.
    period : {"week", "month"}, optional
        Bars are dated by the last day on which the market trades.
    minutes : int, optional
        Length of bars of hours: those of a session from 9:30 to 16:00, the last one shorter if need be, or of whole
        days. They are named by their ends.
    all_week : bool, optional
        Whether the market never closes.
    """
    days = pd.date_range(start, end) if all_week else business_days(start, end)
    whole = ALL_WEEK if all_week else ""
    if period is not None:
        number = days.to_period("M" if period == "month" else "W").asi8
        last = np.append(number[1:] != number[:-1], [False])  # the last period may go on
        return days[last].rename(f"{period}{whole}")
    if not minutes:
        return days
    opened, closed = (0, 1440) if all_week else (570, 960)
    ends = np.unique(np.append(np.arange(opened + minutes, closed, minutes), closed))
    moments = days.to_numpy().astype("datetime64[m]")[:, None] + ends.astype("timedelta64[m]")
    return pd.DatetimeIndex(moments.ravel(), name=f"{minutes}min{whole}")


def prototypes(seed: int) -> FloatArray:
    """Return the axes of the cube whose corners are the prototypes: (4, 4), orthonormal rows, in units of returns."""
    gaussian = np.random.default_rng(seed).standard_normal((SHAPE_CLOSES - 1, SHAPE_CLOSES - 1))
    return np.linalg.qr(gaussian)[0].T


def direction(returns: FloatArray, axes: FloatArray) -> FloatArray:
    """Direction of the push after windows of returns.

    Parameters
    ----------
    returns : ndarray of shape (..., 4)
        Log returns within the five closes, oldest first; only their ratios matter.
    axes : ndarray of shape (4, 4)
        From :func:`prototypes`.

    Returns
    -------
    ndarray of shape (...,)
        1.0 or -1.0.
    """
    # The closest corner has the signs of the coordinates, and the product of signs is their parity.
    return np.where(np.prod(returns @ axes.T, axis=-1) > 0, 1.0, -1.0)


@dataclass(frozen=True, eq=False)
class Draws:
    """What chance decides of one symbol: level of price and volume, and (n_bars, 5) standard normal numbers."""

    first_price: float
    usual_volume: float
    numbers: FloatArray

    @classmethod
    def of(cls, symbol: str, seed: int, n_bars: int) -> Draws:
        """Draw for a symbol; more bars leave the first ones as they are."""
        rng = np.random.default_rng([seed, *symbol.encode()])
        return cls(rng.uniform(20.0, 200.0), rng.uniform(1e6, 1e7), rng.standard_normal((n_bars, _DRAWS)))

    def bars(self, days: pd.DatetimeIndex, gaps: FloatArray, sessions: FloatArray, busy: FloatArray) -> pd.DataFrame:
        """Bars of log moves from close to open and from open to close, and of the log of the volume over its usual."""
        log_close = np.log(self.first_price) + np.cumsum(gaps + sessions)
        log_open = log_close - sessions
        wicks = _WICK * np.abs(self.numbers[:, 2:4])
        return pd.DataFrame(
            {
                "open": np.exp(log_open),
                "high": np.exp(np.maximum(log_open, log_close) + wicks[:, 0]),
                "low": np.exp(np.minimum(log_open, log_close) - wicks[:, 1]),
                "close": np.exp(log_close),
                "volume": np.round(self.usual_volume * np.exp(busy)),
            },
            index=days,
        )


def business_days(start: date | str, end: date | str) -> pd.DatetimeIndex:
    """Return the days of a made-up market; raise ``ConfigError`` if there are none."""
    days = pd.bdate_range(start, end)
    if days.empty:
        raise ConfigError(f"a market from {start} to {end} has no business day; end must not lie before start")
    return days


def checked_strength(strength: float) -> float:
    """Return ``strength``; raise ``ConfigError`` if it is out of range."""
    if not 0.0 <= strength < 1.0:
        raise ConfigError(f"strength {strength} is not in [0, 1): the push is a share of the day's movement")
    return strength


def _frame(days: pd.DatetimeIndex, draws: Draws, axes: FloatArray, strength: float) -> pd.DataFrame:
    gaps, sessions = _log_moves(draws.numbers, axes, strength)
    busy = 0.3 * draws.numbers[:, 4] + np.abs(gaps + sessions) / (2 * DAILY_SIGMA)
    return draws.bars(days, gaps, sessions, busy)


def _log_moves(draws: FloatArray, axes: FloatArray, strength: float) -> tuple[FloatArray, FloatArray]:
    """Log moves from close to open and from open to close, each (n_bars,); the push is in the second."""
    noise = DAILY_SIGMA * np.sqrt(1.0 - strength**2)
    gaps = noise * np.sqrt(GAP_SHARE) * draws[:, 0]
    # Half the variance is taken off, so that a price is expected to stay where it is.
    sessions = noise * np.sqrt(1.0 - GAP_SHARE) * draws[:, 1] - DAILY_SIGMA**2 / 2
    if not strength:  # nothing is planted: 5 microseconds a bar less
        return gaps, sessions
    window = SHAPE_CLOSES - 1
    for bar in range(window + 1, len(draws)):  # the first bar's own return has no close before it
        past = gaps[bar - window : bar] + sessions[bar - window : bar]
        sessions[bar] += strength * DAILY_SIGMA * direction(past, axes)
    return gaps, sessions
