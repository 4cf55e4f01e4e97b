"""41 causal factors of every stock of a universe on every day: what StockLLM and boosting read, once they are ranked.

    frames ─► BarTable (days x symbols) ─► factors, one table after the other ─► rank_letters.py

A factor at day t needs bars up to t only. Days are those of the universe's calendar, so that "five days ago" means the
same day for all of its stocks. A quarter of a window may lack bars, as vendors miss a day now and then; else, and where
a single day that a formula names lacks one, the factor is NaN. ``rel`` is a stock's log return less the median of its
universe's on that day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.prices import calendar_of, days_of
from ragsignal.types import BoolArray, FloatArray

FORMULAS = {
    "rel_1": "rel: log(close / close[1]) less the universe's median of the day; reverts (Lehmann 1990)",
    "rel_2": "rel[1]",
    "rel_3": "rel[2]",
    "rel_4": "rel[3]",
    "rel_5": "rel[4]",
    "mom_5": "log(close / close[5])",
    "mom_10": "log(close / close[10])",
    "mom_20": "log(close / close[20]); reverts (Jegadeesh 1990)",
    "mom_60": "log(close / close[60])",
    "mom_120": "log(close / close[120])",
    "mom_250": "log(close / close[250])",
    "mom_250_20": "log(close[20] / close[250]): momentum less its last month (Jegadeesh and Titman 1993)",
    "intraday_1": "log(close / open) (Lou, Polk and Skouras 2019)",
    "overnight_1": "log(open / close[1]) (the same)",
    "intraday_5": "mean of 5 intraday_1",
    "overnight_5": "mean of 5 overnight_1",
    "overnight_20": "mean of 20 overnight_1",
    "range_1": "log(high / low) (Parkinson 1980)",
    "range_20": "mean of 20 range_1",
    "range_ratio": "range_1 / range_20",
    "place_1": "((close - low) - (high - close)) / (high - low): place of the close in the day's range; 0 without one",
    "place_5": "mean of 5 place_1",
    "vol_20": "standard deviation of 20 rel (idiosyncratic volatility: Ang, Hodrick, Xing and Zhang 2006)",
    "vol_60": "standard deviation of 60 rel",
    "vol_ratio": "vol_20 / vol_60",
    "z_1": "rel / vol_20",
    "z_5": "mean of 5 rel / vol_20",
    "max_20": "largest of 20 rel (Bali, Cakici and Whitelaw 2011)",
    "min_20": "smallest of 20 rel",
    "skew_60": "skewness of 60 rel (Boyer, Mitton and Vorkink 2010)",
    "volume_1": "log(volume / mean of 20 volumes) (Gervais, Kaniel and Mingelgrin 2001)",
    "volume_5": "log(mean of 5 volumes / mean of 60)",
    "dollar_volume": "log of the median of 60 close x volume",
    "illiquidity": "log of the mean of 20 |rel| / (close x volume) (Amihud 2002)",
    "high_250": "log(close / highest close of 250, of which 120 must be known) (George and Hwang 2004)",
    "low_250": "log(close / lowest close of 250, of which 120 must be known)",
    "high_20": "log(close / highest close of 20)",
    "low_20": "log(close / lowest close of 20)",
    "beta_120": "covariance of 120 rel with the median return, over its variance",
    "signed_volume": "volume_1 x sign of rel (Campbell, Grossman and Wang 1993)",
    "season": "rel[20] + rel[21] + rel[22]: the same days a month ago (Heston and Sadka 2008)",
}
"""The factors in their order, each with its formula; ``x[n]`` is x of n days ago, "of n" the last n days."""

FACTOR_WORDS = {
    "rel_1": "return of the day",
    "rel_2": "return of the day before",
    "rel_3": "return 2 days ago",
    "rel_4": "return 3 days ago",
    "rel_5": "return 4 days ago",
    "mom_5": "return of 5 days",
    "mom_10": "return of 10 days",
    "mom_20": "return of 20 days",
    "mom_60": "return of 60 days",
    "mom_120": "return of 120 days",
    "mom_250": "return of 250 days",
    "mom_250_20": "return of 250 days less the last 20",
    "intraday_1": "intraday return of the day",
    "overnight_1": "overnight return of the day",
    "intraday_5": "intraday return, 5 days",
    "overnight_5": "overnight return, 5 days",
    "overnight_20": "overnight return, 20 days",
    "range_1": "range of the day",
    "range_20": "range, 20 days",
    "range_ratio": "range of the day over that of 20",
    "place_1": "close within the day's range",
    "place_5": "close within its range, 5 days",
    "vol_20": "volatility, 20 days",
    "vol_60": "volatility, 60 days",
    "vol_ratio": "volatility, 20 days over 60",
    "z_1": "return of the day over volatility",
    "z_5": "return of 5 days over volatility",
    "max_20": "best day of 20",
    "min_20": "worst day of 20",
    "skew_60": "skewness, 60 days",
    "volume_1": "volume of the day over 20 days",
    "volume_5": "volume of 5 days over 60",
    "dollar_volume": "dollar volume",
    "illiquidity": "illiquidity",
    "high_250": "nearness to the high of 250 days",
    "low_250": "height above the low of 250 days",
    "high_20": "nearness to the high of 20 days",
    "low_20": "height above the low of 20 days",
    "beta_120": "beta, 120 days",
    "signed_volume": "volume with the day's sign",
    "season": "return a month ago",
}
"""The factors as people call them: the greater, the higher the rank."""

FACTOR_GROUPS: dict[str, tuple[str, ...]] = {
    "reversal": ("rel_1", "rel_2", "rel_3", "rel_4", "rel_5", "z_1", "z_5", "mom_5", "mom_10", "mom_20"),
    "momentum": ("mom_60", "mom_120", "mom_250", "mom_250_20"),
    "day and night": ("intraday_1", "overnight_1", "intraday_5", "overnight_5", "overnight_20"),
    "volatility": (
        "range_1",
        "range_20",
        "range_ratio",
        "vol_20",
        "vol_60",
        "vol_ratio",
        "max_20",
        "min_20",
        "skew_60",
    ),
    "volume and liquidity": ("volume_1", "volume_5", "dollar_volume", "illiquidity", "signed_volume"),
    "place in the range": ("place_1", "place_5", "high_250", "low_250", "high_20", "low_20"),
    "market": ("beta_120",),
    "season": ("season",),
}
"""What an explanation takes away at once: every factor is in one group."""

RANK_FACTORS: tuple[str, ...] = tuple(FORMULAS)

HISTORY = 250
"""Bars, among the last 260 days, that a stock needs to be ranked."""

_WITHIN = 260
LEAST_VOLATILITY = 1e-4  # a stock that does not move is not traded
_LARGEST_RETURN = 1.0  # a log return beyond it is a split that nobody adjusted for
DECIMALS = 9  # a factor that is 0 comes out as 1e-16 once a dividend has rescaled the prices: it must tie with zeros


@dataclass(frozen=True, eq=False)
class BarTable:
    """Bars of a universe, (n_days, n_symbols) float64 each, NaN where a symbol has no bar.

    ``days`` (n_days,) datetime64[D] is every day on which any symbol traded, ascending.
    """

    symbols: tuple[str, ...]
    days: NDArray[np.datetime64]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


def bar_table(frames: Mapping[str, pd.DataFrame], days: NDArray[np.datetime64] | None = None) -> BarTable:
    """Lay the bars of all symbols side by side.

    Parameters
    ----------
    frames : mapping of symbol to DataFrame
        Back-adjusted ``open``, ``high``, ``low``, ``close``, ``volume``.
    days : (n_days,) datetime64[D], optional
        The calendar, ascending; bars on other days are left out. By default every day of any symbol.
    """
    calendar = calendar_of(frames.values()) if days is None else days
    columns = {
        name: np.full((len(calendar), len(frames)), np.nan) for name in ("open", "high", "low", "close", "volume")
    }
    for number, frame in enumerate(frames.values()):
        row = np.searchsorted(calendar, days_of(frame))
        known = row < len(calendar)
        known[known] = calendar[row[known]] == days_of(frame)[known]
        for name, table in columns.items():
            table[row[known], number] = frame[name].to_numpy()[known]
    traded = np.all([columns[name] > 0 for name in ("open", "high", "low", "close")], axis=0)
    prices = {name: np.where(traded, columns[name], np.nan) for name in ("open", "high", "low", "close")}
    return BarTable(tuple(frames), calendar, **prices, volume=np.where(traded, columns["volume"], np.nan))


class Windows:
    """What is made of the last days up to each day, of which some must be known; (n_days, ...) arrays, NaN elsewhere.

    Parameters
    ----------
    values : (n_days, n_symbols) or (n_days,) float64
    days : int
    least : int, optional
        How many of them must be known; by default three quarters.
    """

    def __init__(self, values: FloatArray, days: int, least: int | None = None) -> None:
        table = pd.DataFrame(values) if values.ndim == 2 else pd.Series(values)
        self._rolling: Any = table.rolling(days, min_periods=days - days // 4 if least is None else least)

    def sum(self) -> FloatArray:
        """Sum."""
        return np.asarray(self._rolling.sum())

    def mean(self) -> FloatArray:
        """Mean."""
        return np.asarray(self._rolling.mean())

    def var(self) -> FloatArray:
        """Variance, of a population."""
        return np.asarray(self._rolling.var(ddof=0))

    def std(self) -> FloatArray:
        """Standard deviation, of a sample."""
        return np.asarray(self._rolling.std())

    def skew(self) -> FloatArray:
        """Skewness, of a sample."""
        return np.asarray(self._rolling.skew())

    def max(self) -> FloatArray:
        """Greatest."""
        return np.asarray(self._rolling.max())

    def min(self) -> FloatArray:
        """Least."""
        return np.asarray(self._rolling.min())

    def median(self) -> FloatArray:
        """Median."""
        return np.asarray(self._rolling.median())


Last = type[Windows]


def market_return(bars: BarTable) -> FloatArray:
    """Median log return of the universe's symbols on each day, (n_days,); NaN on the first."""
    return pd.DataFrame(_returns(bars)).median(axis=1).to_numpy()


def is_ranked(bars: BarTable, market: FloatArray, last: Last = Windows) -> BoolArray:
    """Which symbols can be ranked on which day, (n_days, n_symbols): a history of 250 bars, trade, and moves."""
    known = np.isfinite(bars.close)
    history = last(known.astype(np.float64), _WITHIN, 1).sum()
    moves = last(_relative(bars, market), 20).std() > LEAST_VOLATILITY
    traded = last(bars.close * bars.volume, 60).median() > 0
    ranked: BoolArray = known & (history >= HISTORY) & moves & traded
    return ranked


def rank_factors(bars: BarTable, market: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Compute the factors, a group of them at a time: all at once, a thousand stocks would need gigabytes.

    Parameters
    ----------
    bars : BarTable
    market : (n_days,) float64
        :func:`market_return` of the universe, which need not be the symbols of ``bars``.

    Yields
    ------
    name, values
        One of :data:`RANK_FACTORS`, and (n_days, n_symbols) float64 in the unit of :data:`FORMULAS`, NaN where unknown.
    """
    for name, values in raw_factors(bars, market):
        yield name, rounded_factor(values)


def rounded_factor(values: FloatArray) -> FloatArray:
    """A factor as it is ranked: to nine decimals, NaN where it is no number."""
    table = np.round(values, DECIMALS)
    return np.where(np.isfinite(table), table + 0.0, np.nan)


def raw_factors(bars: BarTable, market: FloatArray, last: Last = Windows) -> Iterator[tuple[str, FloatArray]]:
    """The factors before they are rounded, as :func:`rank_factors`.

    ``last`` works out windows: of every day, or of the last one alone (:mod:`ragsignal.data.rank_growth`).
    """
    rel, log_close = _relative(bars, market), np.log(bars.close)
    with np.errstate(divide="ignore", invalid="ignore"):
        for group in (
            _recent(rel),
            _momentum(log_close),
            _parts_of_day(bars, last),
            _risk(rel, market, last),
            _volume(bars, rel, last),
            _extremes(log_close, last),
        ):
            yield from group.items()


def _before(values: FloatArray, days: int) -> FloatArray:
    """The values of so many days ago, NaN where there are none."""
    shifted = np.full(values.shape, np.nan)
    shifted[days:] = values[: max(len(values) - days, 0)]
    return shifted


def _returns(bars: BarTable) -> FloatArray:
    log_close = np.log(bars.close)
    returns = log_close - _before(log_close, 1)
    return np.where(np.abs(returns) < _LARGEST_RETURN, returns, np.nan)


def _relative(bars: BarTable, market: FloatArray) -> FloatArray:
    return _returns(bars) - market[:, None]


def _recent(rel: FloatArray) -> dict[str, FloatArray]:
    same_days = _before(rel, 20) + _before(rel, 21) + _before(rel, 22)
    return {f"rel_{n}": _before(rel, n - 1) for n in range(1, 6)} | {"season": same_days}


def _momentum(log_close: FloatArray) -> dict[str, FloatArray]:
    momenta = {f"mom_{n}": log_close - _before(log_close, n) for n in (5, 10, 20, 60, 120, 250)}
    return momenta | {"mom_250_20": _before(log_close, 20) - _before(log_close, 250)}


def _parts_of_day(bars: BarTable, last: Last) -> dict[str, FloatArray]:
    intraday = np.log(bars.close / bars.open)
    overnight = np.log(bars.open) - _before(np.log(bars.close), 1)
    spread = np.log(bars.high / bars.low)
    width = bars.high - bars.low
    place = (2 * bars.close - bars.high - bars.low) / np.where(width > 0, width, np.inf)
    usual = last(spread, 20).mean()
    return {
        "intraday_1": intraday,
        "overnight_1": overnight,
        "intraday_5": last(intraday, 5).mean(),
        "overnight_5": last(overnight, 5).mean(),
        "overnight_20": last(overnight, 20).mean(),
        "range_1": spread,
        "range_20": usual,
        "range_ratio": spread / usual,
        "place_1": place,
        "place_5": last(place, 5).mean(),
    }


def _risk(rel: FloatArray, market: FloatArray, last: Last) -> dict[str, FloatArray]:
    month, quarter = last(rel, 20).std(), last(rel, 60).std()
    of_market = last(market, 120)
    covariance = last(rel * market[:, None], 120).mean() - last(rel, 120).mean() * of_market.mean()[:, None]
    return {
        "vol_20": month,
        "vol_60": quarter,
        "vol_ratio": month / quarter,
        "z_1": rel / month,
        "z_5": last(rel, 5).mean() / month,
        "max_20": last(rel, 20).max(),
        "min_20": last(rel, 20).min(),
        "skew_60": last(rel, 60).skew(),
        "beta_120": covariance / of_market.var()[:, None],
    }


def _volume(bars: BarTable, rel: FloatArray, last: Last) -> dict[str, FloatArray]:
    volume, money = bars.volume, bars.close * bars.volume
    surprise = np.log(volume / last(volume, 20).mean())
    impact = last(np.abs(rel) / np.where(money > 0, money, np.nan), 20).mean()
    return {
        "volume_1": surprise,
        "volume_5": np.log(last(volume, 5).mean() / last(volume, 60).mean()),
        "dollar_volume": np.log(last(money, 60).median()),
        "illiquidity": np.log(impact),
        "signed_volume": surprise * np.sign(rel),
    }


def _extremes(log_close: FloatArray, last: Last) -> dict[str, FloatArray]:
    year, month = last(log_close, 250, 120), last(log_close, 20)
    return {
        "high_250": log_close - year.max(),
        "low_250": log_close - year.min(),
        "high_20": log_close - month.max(),
        "low_20": log_close - month.min(),
    }
