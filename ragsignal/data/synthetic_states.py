"""A made-up market with states and a known answer: what a factor pays follows from the state that the market is in.

Two states alternate, each for 8 to 16 days (12 on average), and a spell of one is as long as the spell of the other
before it. In the first the market rises calmly, in the second it falls in larger moves: they are told by the market's
returns of the last days alone, never by what sets one stock apart from another. A stock with more volume than usual
moves a little more than the others on the next day in the first state, and a little less in the second. So volume pays
as often as it costs: whoever pools all days, or random ones, finds nothing, and so does a model without the state; who
pools the days whose state was like today's knows the sign. The last days hold nearly as many of either state.

Why volume: it is drawn by itself. All factors of prices are bent by the market's move (the range of a day is wide for
stocks that rose, if the market rose), so that with them an average over all days would find something.

Measured (40 stocks named D00 to D39, strength 0.5, two years traded after two of history, k = 60, mean IC of the vote
with the next relative return over 6 seeds, and its extremes; the standard error of each is .007):

    days nearest by state              +.195    +.167 .. +.247
    the same, and the 30 most unlike   +.203    +.180 .. +.251
    400 days nearest by state          +.069    +.057 .. +.090
    random days                        -.004    -.011 .. +.003
    the last 60 days                   -.003    -.027 .. +.036
    the last 400 days                  -.008    -.017 .. -.001
    all days before                    -.005    -.013 .. +.000

When: the push comes between the open and the close of the next bar, as in
:func:`~ragsignal.data.synthetic.planted_market`: an order that is filled at the next open earns it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.data.prices import Prices
from ragsignal.data.synthetic import DAILY_SIGMA, GAP_SHARE, Draws, business_days, checked_strength
from ragsignal.types import FloatArray

SPELL = (8, 16)
"""Fewest and most days that a state lasts."""

_MARKET_SIGMA = 0.008
_DRIFT = 0.006  # a day, up in the first state and down in the second
_WILD = 1.3  # moves of the market are so much larger in the second state, and smaller in the first
_SPELLS, _MARKET = 1000, 1001  # beside the seed; no byte of a name is so large


@dataclass(frozen=True, eq=False)
class MarketPath:
    """State (1.0 or -1.0), and the log moves of the whole market from close to open and from open to close.

    Each is (n_bars,).
    """

    states: FloatArray
    gaps: FloatArray
    sessions: FloatArray


def planted_days(
    symbols: Sequence[str], start: date | str, end: date | str, seed: int = 0, strength: float = 0.5
) -> Prices:
    """Make a market in which a factor's payoff has the sign of the market's state.

    Parameters
    ----------
    symbols : sequence of str
        A symbol's bars depend on its name, ``start`` and ``seed``, and on no other symbol; those of the market on
        ``start`` and ``seed``. Ranks need 20 symbols; 40 are a good number.
    start, end : date
        Inclusive; bars stand on business days, and a later end moves no earlier bar.
    seed : int
    strength : float in [0, 1)
        Size of the push in standard deviations of a stock's own daily return, which stays at 1.2 %: the correlation
        of volume, signed by the state, with the next relative return. 0: a market in which nothing pays.

    Raises
    ------
    ConfigError
        If ``strength`` is out of range, or there is no business day from ``start`` to ``end``.
    """
    days = business_days(start, end)
    path = market_path(len(days), seed)
    share = checked_strength(strength)
    return Prices(frames={symbol: _frame(days, Draws.of(symbol, seed, len(days)), path, share) for symbol in symbols})


def market_path(n_bars: int, seed: int) -> MarketPath:
    """The states of the first ``n_bars`` bars of a seed, and how the whole market moves in them."""
    states = _states(n_bars, np.random.default_rng([seed, _SPELLS]))
    draws = np.random.default_rng([seed, _MARKET]).standard_normal((n_bars, 2))
    sigma = _MARKET_SIGMA * _WILD**-states
    gaps = sigma * np.sqrt(GAP_SHARE) * draws[:, 0]
    return MarketPath(states, gaps, sigma * np.sqrt(1.0 - GAP_SHARE) * draws[:, 1] + _DRIFT * states)


def _states(n_bars: int, rng: np.random.Generator) -> FloatArray:
    """1.0 and -1.0 in turn, in pairs of equally long spells; the first bar lies anywhere in the first pair."""
    fewest, most = SPELL
    begin = int(rng.integers(0, 2 * fewest))  # drawn first: a later end must not move it
    lengths = rng.integers(fewest, most + 1, size=n_bars // (2 * fewest) + 2)
    signs = np.tile([1.0, -1.0], len(lengths))
    return np.repeat(signs, np.repeat(lengths, 2))[begin : begin + n_bars]


def _frame(days: pd.DatetimeIndex, draws: Draws, path: MarketPath, strength: float) -> pd.DataFrame:
    noise = DAILY_SIGMA * np.sqrt(1.0 - strength**2)
    surprise = draws.numbers[:, 4]  # of the volume
    gaps = path.gaps + noise * np.sqrt(GAP_SHARE) * draws.numbers[:, 0]
    sessions = path.sessions + noise * np.sqrt(1.0 - GAP_SHARE) * draws.numbers[:, 1]
    sessions[1:] += strength * DAILY_SIGMA * path.states[:-1] * surprise[:-1]
    return draws.bars(days, gaps, sessions, 0.3 * surprise)
