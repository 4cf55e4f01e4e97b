"""Bull and bear, high and low volatility: the regime of a bar is what the previous close knew, never its own bars.

The market is the equal-weighted mean of the run's symbols. Bull: it rose over the last 60 bars. High volatility: the
standard deviation of its last 20 returns is above the median of all such deviations so far. The first bars, which have
no such past within the run, belong to no regime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ragsignal import statistics
from ragsignal.trading.variant import VariantResult

TREND_BARS = 60
VOLATILITY_BARS = 20
MEDIAN_BARS = 20
"""Deviations that there must be before their median says anything."""

REGIMES = ("bull", "bear", "low volatility", "high volatility")


@dataclass(frozen=True)
class RegimeFigures:
    """One variant in one regime: mean return a year (a fraction), annual Sharpe ratio, hit rate."""

    yearly: float | None = field(metadata={"key": "return"})
    sharpe: float | None
    hit_rate: float | None


@dataclass(frozen=True)
class Regimes:
    """Bars in each regime (``none``: in no regime of trend), and each variant's figures by regime."""

    days: dict[str, int]
    variants: dict[str, dict[str, RegimeFigures]]


def regimes_of(variants: Sequence[VariantResult], closes: pd.DataFrame) -> Regimes:
    """What each variant did in each regime."""
    at_close = regimes_at_close(closes)
    of_bar = at_close.shift(1)
    days = {name: int((of_bar[name] == 1.0).sum()) for name in REGIMES}
    days["none"] = int(of_bar["bull"].isna().sum()) - 1
    figures = {
        variant.name: {name: _figures(variant, at_close[name], of_bar[name]) for name in REGIMES}
        for variant in variants
    }
    return Regimes(days, figures)


def regimes_at_close(closes: pd.DataFrame) -> pd.DataFrame:
    """(n_bars, 4) 1.0, 0.0, or NaN where unknown: the regimes by each close, for the bar that follows."""
    market = closes.ffill().pct_change(fill_method=None).mean(axis=1)
    trend = np.log1p(market).rolling(TREND_BARS).sum()
    deviation = market.rolling(VOLATILITY_BARS).std()
    usual = deviation.expanding(min_periods=MEDIAN_BARS).median()
    high = (deviation > usual).astype(float).where(usual.notna())
    bull = (trend > 0).astype(float).where(trend.notna())
    return pd.DataFrame(dict(zip(REGIMES, (bull, 1.0 - bull, 1.0 - high, high), strict=True)))


def _figures(variant: VariantResult, at_close: pd.Series, of_bar: pd.Series) -> RegimeFigures:
    inside = (of_bar.to_numpy()[1:] == 1.0) & (variant.ruined is None)  # what it earned before is nobody's now
    returns = variant.returns.to_numpy(dtype=np.float64)[inside]
    a_year = statistics.bars_a_year(pd.DatetimeIndex(variant.equity.index))
    return RegimeFigures(
        yearly=float(returns.mean()) * a_year if len(returns) else None,
        sharpe=statistics.sharpe_a_year(returns, a_year),
        hit_rate=_hit_rate(variant, at_close),
    )


def _hit_rate(variant: VariantResult, at_close: pd.Series) -> float | None:
    """Hit rate of the signals of those closes that are in the regime; their outcome comes after the close."""
    signals = variant.signals
    if not len(signals):
        return None
    inside = signals[signals["date"].isin(at_close.index[at_close == 1.0]) & signals["abstained"].isna()]
    return statistics.hit_rate(*(inside[name].to_numpy(dtype=np.float64) for name in ("value", "target")))
