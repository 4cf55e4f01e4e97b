"""Markets for searches: common moves, heavy tails, volatility that clusters; and, where one is named, a paying formula.

The formula is evaluated on each day's bars, and the stocks' ranks by it, times ``strength``, are added to what they
earn from the next open to the one after it, in standard deviations of a stock's own day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragsignal.data import Evaluator, FieldPanel, Formula, Prices
from ragsignal.types import FloatArray

_SIGMA, _COMMON, _GAP = 0.012, 0.009, 0.15  # a stock's own day, the market's day, the night's share of variance
_LOOKS_BACK = 60
_TAILS = 4.0  # degrees of freedom of Student's t


def market(symbols: int, bars: int, seed: int, formula: Formula | None = None, strength: float = 0.0) -> Prices:
    """Bars of a made-up market; a formula may look back 60 bars."""
    rng = np.random.default_rng([seed, 16])
    days = pd.bdate_range("2010-01-04", periods=bars)
    names = [f"M{number:03d}" for number in range(symbols)]
    calm = np.exp(0.4 * _persistent(rng, bars) - 0.08)[:, None]  # volatility of all stocks, by day
    beta = rng.uniform(0.6, 1.4, symbols)
    night, session = (
        np.sqrt(share) * calm * (_SIGMA * _heavy(rng, (bars, symbols)) + _COMMON * beta * _heavy(rng, (bars, 1)))
        for share in (_GAP, 1.0 - _GAP)
    )
    wicks = 0.004 * calm[:, :, None] * np.abs(rng.standard_normal((bars, symbols, 2)))
    busy = 0.4 * rng.standard_normal((bars, symbols)) + 20.0 * np.abs(session)
    bars_of = _Bars(days, names, night, session, wicks, rng.uniform(20.0, 200.0, symbols), busy)
    for bar in range(1, bars) if formula is not None else ():
        values = Evaluator(bars_of.panel(max(0, bar - _LOOKS_BACK), bar)).values(formula)[-1]
        # a position of the close before is filled at this open and sold at the next one
        push = strength * _SIGMA * calm[bar] * _ranks(values)
        session[bar] += (1.0 - _GAP) * push
        if bar + 1 < bars:
            night[bar + 1] += _GAP * push
    return bars_of.prices()


@dataclass
class _Bars:
    """Log moves from close to open and from open to close, by day and stock, and the bars that they make."""

    days: pd.DatetimeIndex
    names: list[str]
    night: FloatArray
    session: FloatArray
    wicks: FloatArray
    level: FloatArray
    busy: FloatArray

    def columns(self, first: int, last: int) -> dict[str, FloatArray]:
        """Bars of rows ``first`` to ``last`` - 1."""
        rows = slice(first, last)
        moves = self.night[:last] + self.session[:last]
        close = np.log(self.level) + np.cumsum(moves, axis=0)[rows]
        opened = close - self.session[rows]
        return {
            "open": np.exp(opened),
            "high": np.exp(np.maximum(opened, close) + self.wicks[rows, :, 0]),
            "low": np.exp(np.minimum(opened, close) - self.wicks[rows, :, 1]),
            "close": np.exp(close),
            "volume": np.round(3e6 * np.exp(self.busy[rows])),
        }

    def panel(self, first: int, last: int) -> FieldPanel:
        """The same as a panel, with the fields that are made of them."""
        fields = self.columns(first, last)
        close = fields["close"]
        fields["vwap"] = (fields["high"] + fields["low"] + close) / 3
        fields["returns"] = np.vstack([np.full((1, close.shape[1]), np.nan), close[1:] / close[:-1] - 1])
        return FieldPanel(self.days[first:last].to_numpy(), tuple(self.names), fields, {})

    def prices(self) -> Prices:
        """All of them."""
        table, index = self.columns(0, len(self.days)), self.days.rename("date")
        return Prices(
            frames={
                name: pd.DataFrame({key: it[:, number] for key, it in table.items()}, index=index)
                for number, name in enumerate(self.names)
            }
        )


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks about 0, of standard deviation 1; 0 where there is no value."""
    from scipy.stats import rankdata

    known = np.isfinite(values)
    ranks = np.where(known, rankdata(np.where(known, values, 0.0)), np.nan)
    spread = np.nanstd(ranks) if known.sum() > 1 else 0.0
    return np.nan_to_num((ranks - np.nanmean(ranks)) / spread) if spread else np.zeros(len(values))


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Student's t of variance 1."""
    return np.asarray(rng.standard_t(_TAILS, shape) / np.sqrt(_TAILS / (_TAILS - 2.0)))


def _persistent(rng: np.random.Generator, bars: int) -> FloatArray:
    """A series of variance 1 that forgets 3 % a day."""
    out, draws = np.zeros(bars), rng.standard_normal(bars)
    for bar in range(1, bars):
        out[bar] = 0.97 * out[bar - 1] + np.sqrt(1.0 - 0.97**2) * draws[bar]
    return out
