"""The state of a universe's market on each day: eight numbers from its median return and its dispersion.

    bars ─► median return, dispersion of the day ─► means over weeks and months ─► states (n_days, 8)

By it days are retrieved (:mod:`ragsignal.retrieval.days`), and boosting can read it beside the rank letters. A state at
day t needs bars up to t only.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ragsignal.types import BoolArray, FloatArray

STATE_FORMULAS = {
    "trend_5": "mean of 5 market; market: the universe's median log return of a day",
    "trend_20": "mean of 20 market",
    "trend_60": "mean of 60 market",
    "volatility_20": "square root of the mean of 20 market^2",
    "volatility_60": "square root of the mean of 60 market^2",
    "dispersion_5": "log of the mean of 5 dispersion; dispersion: standard deviation across stocks of a day's returns",
    "dispersion_20": "log of the mean of 20 dispersion",
    "dispersion_60": "log of the mean of 60 dispersion",
}
"""The variables of a state in their order, each with its formula; "of n" the last n days."""

STATE_WORDS = {
    "trend_5": "median stock's daily return, 5 days",
    "trend_20": "median stock's daily return, 20 days",
    "trend_60": "median stock's daily return, 60 days",
    "volatility_20": "daily volatility of the median stock, 20 days",
    "volatility_60": "daily volatility of the median stock, 60 days",
    "dispersion_5": "daily dispersion across stocks, 5 days",
    "dispersion_20": "daily dispersion across stocks, 20 days",
    "dispersion_60": "daily dispersion across stocks, 60 days",
}
"""The variables as people call them; dispersions are logs."""

_DECIMALS = 9  # so that the order in which a sum is taken does not show
_LARGEST_RETURN = 1.0  # a log return beyond it is a split that nobody adjusted for


def dispersion_of(close: FloatArray, ranked: BoolArray, market: FloatArray) -> FloatArray:
    """Standard deviation across the ranked stocks of each day's log returns less the median.

    Parameters
    ----------
    close : (n_days, n_symbols) float64
    ranked : (n_days, n_symbols) bool
    market : (n_days,) float64
        Median log return of the universe.

    Returns
    -------
    (n_days,) float64, NaN where no stock is ranked
    """
    returns = np.full(close.shape, np.nan)
    returns[1:] = np.diff(np.log(close), axis=0)
    usable = ranked & (np.abs(returns) < _LARGEST_RETURN)
    spread = pd.DataFrame(np.where(usable, returns - market[:, None], np.nan)).std(axis=1, ddof=0)
    return spread.to_numpy()


def market_states(market: FloatArray, dispersion: FloatArray) -> FloatArray:
    """Compute the variables of :data:`STATE_FORMULAS`.

    Parameters
    ----------
    market, dispersion : (n_days,) float64
        NaN where unknown.

    Returns
    -------
    (n_days, 8) float64
        All of a row, or nothing: NaN where a quarter of a window is unknown.
    """
    returns, spread = pd.Series(market), pd.Series(dispersion)
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [_mean(returns, days) for days in (5, 20, 60)]
        columns += [np.sqrt(_mean(returns**2, days)) for days in (20, 60)]
        columns += [np.log(_mean(spread, days)) for days in (5, 20, 60)]
    table: FloatArray = np.round(np.stack(columns, axis=1), _DECIMALS).astype(np.float64) + 0.0
    table[~np.isfinite(table).all(axis=1)] = np.nan
    return table


def _mean(series: pd.Series, days: int) -> FloatArray:
    """Mean of the last ``days`` days, of which three quarters must be known.

    Not pandas' rolling mean, whose running sum carries the past's rounding: a table that begins later would differ.
    """
    windows = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([np.full(days - 1, np.nan), series.to_numpy(dtype=np.float64)]), days
    )
    known = np.isfinite(windows)
    count = known.sum(axis=1)
    total = np.where(known, windows, 0.0).sum(axis=1)
    mean: FloatArray = np.where(count >= days - days // 4, total / np.maximum(count, 1), np.nan)
    return mean
