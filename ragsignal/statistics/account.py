"""Figures of one account, and how often one variant's signals were right."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pandas as pd

from ragsignal.statistics.ratios import sharpe_a_year, sharpe_error
from ragsignal.types import BoolArray, FloatArray

_DAILY = 120  # more bars a year than this are days: between 52 and 252, on a logarithmic scale
_COARSER = (52, 12, 4)  # weeks, months, quarters
_OPEN = 0.05  # share of bars on a day of the week from which it is one of trade; a seventh, where all are
_NOISE = 1e-12


def bars_a_year(index: pd.DatetimeIndex) -> int:
    """Bars a year: 252 for trading days, 365 where both days of weekends have bars, else weeks, months or quarters."""
    years = max((index[-1] - index[0]).days, 1) / 365.25
    held = max(len(index) - 1, 1) / years
    if held > _DAILY:
        # a festive Saturday (NSE), or a week from Sunday to Thursday (TASE), is not a market that never closes
        return 365 if min(np.mean(index.day_of_week == day) for day in (5, 6)) > _OPEN else 252
    return min(_COARSER, key=lambda usual: abs(np.log(usual / held)))


Performance = TypedDict(
    "Performance",
    {
        "return": float,
        "cagr": float,
        "volatility": float | None,
        "sharpe": float | None,
        "sharpe_error": float | None,
        "sortino": float | None,
        "max_drawdown": float,
    },
)
"""Figures of :func:`performance`."""


def performance(equity: pd.Series) -> Performance:
    """Figures of an equity curve; a figure that does not exist is None.

    Parameters
    ----------
    equity : Series of float, index DatetimeIndex
        Account value at each close, at least two bars.

    Returns
    -------
    Performance
        ``return`` over the whole window and ``cagr`` by calendar days (365.25 a year); ``volatility`` (sample standard
        deviation), ``sharpe`` (risk-free rate 0), ``sharpe_error``, its standard error, and ``sortino`` (downside
        deviation below 0 over *all* bars; Sortino and Price 1994), annualised by :func:`bars_a_year`: None for an
        account that lost everything before its last bar; ``max_drawdown`` (negative). Fractions, not per cent.
    """
    returns: FloatArray = np.asarray(equity.pct_change().iloc[1:], dtype=np.float64)
    if equity.iloc[:-1].min() <= 0.0:  # a further loss over a value below 0 would read as a gain
        returns = np.full(len(returns), np.nan, dtype=np.float64)
    growth = float(equity.iloc[-1] / equity.iloc[0])
    years = (equity.index[-1] - equity.index[0]).days / 365.25
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    error = sharpe_error(returns)
    a_year = bars_a_year(pd.DatetimeIndex(equity.index))
    scale = np.sqrt(a_year)
    return {
        "return": growth - 1.0,
        "cagr": growth ** (1.0 / years) - 1.0 if growth > 0 else -1.0,
        "volatility": None if deviation is None or np.isnan(deviation) else float(deviation * scale),
        "sharpe": sharpe_a_year(returns, a_year),
        "sharpe_error": float(error * scale) if np.isfinite(error) else None,
        "sortino": _ratio(returns.mean(), downside, scale),
        "max_drawdown": float((equity / equity.cummax() - 1.0).min()),
    }


def hit_rate(values: FloatArray, targets: FloatArray) -> float | None:
    """Share of signals whose sign is the sign of what followed; signals of 0 and unknown or zero targets do not count.

    Parameters
    ----------
    values, targets : (n,) float64
        Signals, and the returns that a next-open fill could earn.
    """
    counted = spoken_and_known(values, targets)
    if not counted.any():
        return None
    return float(np.mean(np.sign(values[counted]) == np.sign(targets[counted])))


def base_rate(values: FloatArray, targets: FloatArray) -> float | None:
    """Hit rate of the better constant answer (always rise, or always fall) on the signals that :func:`hit_rate` counts.

    It is known in hindsight only: what a signal must exceed before its hit rate means anything.
    """
    counted = spoken_and_known(values, targets)
    if not counted.any():
        return None
    rises = float(np.mean(targets[counted] > 0.0))
    return max(rises, 1.0 - rises)


def spoken_and_known(values: FloatArray, targets: FloatArray) -> BoolArray:
    """Which signals (n,) can be right or wrong: they take a side, and the price has moved since."""
    return np.asarray((values != 0.0) & np.isfinite(targets) & (targets != 0.0))


def _ratio(mean: float, deviation: float, scale: float) -> float | None:
    # the same return every day deviates by rounding noise only, and would have a ratio of 1e15
    return float(mean / deviation * scale) if deviation > _NOISE * abs(mean) else None
