"""Figures of one account, and how often one variant's signals were right."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.statistics.ratios import sharpe_a_year, sharpe_error
from ragsignal.types import BoolArray, FloatArray

_YEAR = 365.25  # days
_TRADING_DAYS = 252  # of a week of five days, less holidays
_WEEKLY = 6.0  # days: bars of trading days lie nearer to each other, those of weeks and more do not
_WEEKS = 4  # whole weeks from which their number of bars is known
_WHOLE_DAY = 1440.0  # minutes
_OPEN = 0.05  # share of bars on a day of the week from which it is one of trade; a seventh, where all are
_NOISE = 1e-12


def bars_a_year(index: pd.DatetimeIndex) -> int:
    """Bars a year by the usual distance between bars, which a hole in the data does not change; at least 1.

    Bars of days: 252 where a week has five of them; else a year has 365.25 / 7 weeks of as many as the week of the
    median bar, so 313 of six days and 365 of seven. Bars on every k-th day of trade: the k-th part of that. Farther
    apart: 365.25 days over the mean distance, those beyond half of the median and one and a half of it left out: 52 of
    weeks, 26 of two weeks, 12 of months, 4 of quarters.

    Several bars a day: the median number of them on days that have more than half of the most, times what bars of one
    on each such day would give: the last hours of a Sunday, on which a market that trades round the clock opens, are no
    sixth day. An hour of a session of six and a half hours is 7 x 252, and one of a market that never closes is
    24 x 365; of less than four weeks, which show no weekend, so is one whose bars fill whole days. A bar that ends at
    midnight is of the day that is over.

    Parameters
    ----------
    index : DatetimeIndex (n_bars,)
        Days of the bars, or moments of their ends, in order; a single one is taken for a trading day.
    """
    moments = index.tz_localize(None)
    ended_on = (moments - pd.Timedelta(1, "us")).to_numpy(dtype="M8[D]")
    each, counts = np.unique(ended_on, return_counts=True)
    if 2 * len(each) > len(moments):
        return _bars_of_days(moments.to_numpy(dtype="M8[D]"))
    full = 2 * counts > counts.max()
    usual = round(float(np.median(counts[full])))
    span = float(np.median(np.diff(moments.to_numpy(dtype="M8[m]")).astype(np.float64)))
    in_a_row = bool((np.diff(each[full]) == np.timedelta64(1, "D")).all())
    if in_a_row and len(each) < 7 * _WEEKS and usual * span >= _WHOLE_DAY:  # it trades at night, and no weekend is seen
        return usual * round(_YEAR)
    return usual * _bars_of_days(each[full])


def _bars_of_days(days: NDArray[np.datetime64]) -> int:
    """Bars a year of bars of whole days or longer."""
    gaps = np.diff(days).astype(np.float64)
    gaps = gaps[gaps > 0.0]
    usual = float(np.median(gaps)) if len(gaps) else 1.0
    if usual < _WEEKLY:
        return max(1, round(_daily(days)))
    near = gaps[(gaps >= usual / 2.0) & (gaps <= usual * 1.5)]
    return max(1, round(_YEAR / float(near.mean())))


def _daily(days: NDArray[np.datetime64]) -> float:
    """Bars a year of bars that lie days apart."""
    number = days.astype(np.int64) + 3  # from a Monday on: 1970-01-01 was a Thursday
    # a festive Saturday (NSE) makes no week of six days
    traded = np.bincount(number % 7, minlength=7) > _OPEN * len(days)
    step = max(1.0, float(np.median(np.busday_count(days[:-1], days[1:], weekmask=traded)))) if len(days) > 1 else 1.0
    a_week = float(np.count_nonzero(traded))
    whole = np.unique(number // 7, return_counts=True)[1][1:-1]
    if len(whole) < _WEEKS:
        a_week = max(a_week, 5.0)
    elif step == 1.0:  # which days are traded may have changed (TASE, from Sunday to Thursday until 2025)
        a_week = float(np.median(np.repeat(whole, whole)))  # of a bar, not of a week: years of one a week before days
    return (_TRADING_DAYS if a_week == 5.0 else _YEAR * a_week / 7.0) / step


def years_of(index: pd.DatetimeIndex) -> float:
    """Years of 365.25 days from the first bar of ``index`` to its last."""
    elapsed = index[-1] - index[0]
    return float((elapsed.days + elapsed.seconds / 86_400.0) / _YEAR)


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
        account that lost everything; ``max_drawdown`` (negative). Fractions, not per cent.
    """
    returns: FloatArray = np.asarray(equity.pct_change().iloc[1:], dtype=np.float64)
    if equity.min() <= 0.0:  # what lost everything has no mean return that anybody could have had
        returns = np.full(len(returns), np.nan, dtype=np.float64)
    growth = float(equity.iloc[-1] / equity.iloc[0])
    years = years_of(pd.DatetimeIndex(equity.index))
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else None
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    error = sharpe_error(returns)
    a_year = bars_a_year(pd.DatetimeIndex(equity.index))
    scale = np.sqrt(a_year)
    return {
        "return": growth - 1.0,
        "cagr": _a_year(growth, years),
        "volatility": None if deviation is None or np.isnan(deviation) else float(deviation * scale),
        "sharpe": sharpe_a_year(returns, a_year),
        "sharpe_error": float(error * scale) if np.isfinite(error) else None,
        "sortino": _ratio(returns.mean(), downside, scale),
        "max_drawdown": float((equity / equity.cummax() - 1.0).min()),
    }


def _a_year(growth: float, years: float) -> float:
    """Growth over ``years`` as a return a year; infinite where an hour's would be."""
    if growth <= 0.0:
        return -1.0
    try:
        return float(growth ** (1.0 / years) - 1.0)
    except OverflowError:
        return float("inf")


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
