"""Figures and intervals as functions of arrays. Each names its source; none knows where the numbers come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DAILY = 120  # more bars a year than this are days: between 52 and 252, on a logarithmic scale
_COARSER = (52, 12, 4)  # weeks, months, quarters
_REPETITIONS = 2000
# Bootstrap intervals of few days are too short: on normal noise "95 %" holds 52 % at 3 days, 76 % at 5, 84 % at 10,
# 85 % from 20 to 60, 91 % at 100, 94 % at 291. Fewer days than this say nothing here.
_LEAST_DAYS = 100
_NOISE = 1e-12


def bars_a_year(index: pd.DatetimeIndex) -> int:
    """Bars a year: 252 for trading days, 365 where bars stand on weekends too, else weeks, months or quarters."""
    years = max((index[-1] - index[0]).days, 1) / 365.25
    held = max(len(index) - 1, 1) / years
    if held > _DAILY:
        return 365 if (index.day_of_week >= 5).any() else 252
    return min(_COARSER, key=lambda usual: abs(np.log(usual / held)))


def performance(equity: pd.Series) -> dict[str, float | None]:
    """Figures of an equity curve; a figure that does not exist is None.

    Parameters
    ----------
    equity : Series of float, index DatetimeIndex
        Account value at each close, at least two bars.

    Returns
    -------
    dict
        ``return`` over the whole window and ``cagr`` by calendar days (365.25 a year); ``volatility`` (sample standard
        deviation), ``sharpe`` (risk-free rate 0) and ``sortino`` (downside deviation below 0 over *all* bars; Sortino
        and Price 1994), annualised by :func:`bars_a_year`; ``max_drawdown`` (negative). Fractions, not per cent.
    """
    returns = equity.pct_change().iloc[1:].to_numpy(dtype=np.float64)
    growth = float(equity.iloc[-1] / equity.iloc[0])
    years = (equity.index[-1] - equity.index[0]).days / 365.25
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    scale = np.sqrt(bars_a_year(pd.DatetimeIndex(equity.index)))
    return {
        "return": growth - 1.0,
        "cagr": growth ** (1.0 / years) - 1.0 if growth > 0 else -1.0,
        "volatility": None if deviation is None else float(deviation * scale),
        "sharpe": _ratio(returns.mean(), deviation, scale),
        "sortino": _ratio(returns.mean(), downside, scale),
        "max_drawdown": float((equity / equity.cummax() - 1.0).min()),
    }


def hit_rate(values: Floats, targets: Floats) -> float | None:
    """Share of signals whose sign is the sign of what followed; signals of 0 and unknown or zero targets do not count.

    Parameters
    ----------
    values, targets : (n,) float64
        Signals, and the returns that a next-open fill could earn.
    """
    counted = _counted(values, targets)
    if not counted.any():
        return None
    return float(np.mean(np.sign(values[counted]) == np.sign(targets[counted])))


def base_rate(values: Floats, targets: Floats) -> float | None:
    """Hit rate of the better constant answer (always rise, or always fall) on the signals that :func:`hit_rate` counts.

    It is known in hindsight only: what a signal must exceed before its hit rate means anything.
    """
    counted = _counted(values, targets)
    if not counted.any():
        return None
    rises = float(np.mean(targets[counted] > 0.0))
    return max(rises, 1.0 - rises)


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference with its 95 % interval; distinguishable from zero only if the interval leaves zero out."""

    difference: float
    low: float
    high: float

    @property
    def distinguishable(self) -> bool:
        """Whether zero lies outside the interval; False where the interval is unknown (NaN)."""
        return self.low > 0.0 or self.high < 0.0


def mean_interval(series: Floats, seed: int = 0) -> Interval:
    """Mean of a time series with a 95 % stationary-bootstrap interval.

    Parameters
    ----------
    series : (n_days,) float64
        For a paired comparison: the difference of the two variants, day by day.

    References
    ----------
    Politis and Romano (1994), The Stationary Bootstrap, JASA 89; basic ("reverse percentile") interval, mean block
    length sqrt(n), 2,000 repetitions, by the library ``arch``.
    """
    return ratio_interval(series, np.ones_like(series), seed)


def ratio_interval(numerators: Floats, denominators: Floats, seed: int = 0) -> Interval:
    """``sum(numerators) / sum(denominators)`` over days, with an interval that resamples whole days in blocks.

    Signals of one day share that day's move, so days are drawn, not signals. Fewer than 20 days say nothing: their
    interval is infinite.

    Parameters
    ----------
    numerators, denominators : (n_days,) float64
        Denominators positive: a day without a signal is left out.
    """
    from arch.bootstrap import StationaryBootstrap

    days = np.column_stack([numerators, denominators])
    estimate = float(_pooled(days)[0])
    if len(days) < _LEAST_DAYS:
        return Interval(estimate, -np.inf, np.inf)
    if not np.ptp(days, axis=0).any():  # two variants that did the same
        return Interval(estimate, estimate, estimate)
    bootstrap = StationaryBootstrap(np.sqrt(len(days)), days, seed=np.random.default_rng(seed))
    low, high = bootstrap.conf_int(_pooled, reps=_REPETITIONS, method="basic", size=0.95).ravel()
    return Interval(estimate, float(low), float(high))


def hit_rate_difference(left: pd.DataFrame, right: pd.DataFrame, seed: int = 0) -> Interval | None:
    """Hit rate of ``left`` minus that of ``right`` on the signals that both gave, clustered by day.

    Parameters
    ----------
    left, right : DataFrame
        Columns ``date``, ``symbol``, ``value``, ``target``.

    Returns
    -------
    Interval or None
        None where they share no signal.
    """
    both = left.merge(right, on=["date", "symbol"], suffixes=("", "_right"))
    target = both["target"].to_numpy(dtype=np.float64)
    values = {side: both[side].to_numpy(dtype=np.float64) for side in ("value", "value_right")}
    counted = _counted(values["value"], target) & _counted(values["value_right"], target)
    if not counted.any():
        return None
    right_of = {side: (np.sign(array) == np.sign(target)).astype(float) for side, array in values.items()}
    gain = pd.DataFrame({"gain": right_of["value"] - right_of["value_right"], "n": 1.0})[counted]
    daily = gain.groupby(both["date"][counted]).sum()
    return ratio_interval(daily["gain"].to_numpy(), daily["n"].to_numpy(), seed)


def equal_mass_bins(values: Floats, n_bins: int) -> NDArray[np.int64]:
    """Bin (n,) of each value, from 0, at most ``n_bins``; equal values share one, few distinct values have one each."""
    distinct, number = np.unique(values, return_inverse=True)
    if len(distinct) <= n_bins:
        return np.asarray(number.ravel(), dtype=np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _counted(values: Floats, targets: Floats) -> NDArray[np.bool_]:
    return np.asarray((values != 0.0) & np.isfinite(targets) & (targets != 0.0))


def _pooled(days: Floats) -> Floats:
    return np.array([days[:, 0].sum() / days[:, 1].sum()])


def _ratio(mean: float, deviation: float | None, scale: float) -> float | None:
    # the same return every day deviates by rounding noise only, and would have a ratio of 1e15
    if deviation is None or deviation <= _NOISE * abs(mean):
        return None
    return float(mean / deviation * scale)
