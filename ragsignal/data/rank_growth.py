"""Rank letters with one more day: that day alone is worked out, from the last bars of each stock.

    RankLetters, a day's bars ─► windows that end with the day ─► its factors, rounded ─► its letters

The letters are those that :func:`~ragsignal.data.rank_letters.build_rank_letters` would make of all bars. Its windows
run along the days, and carry the rounding of what left them long ago; here each is summed by itself. The two differ by
less than the rounding to nine decimals, but where a number lies between two of these. Only if another stock is as near
does that decide a place, and such stocks are worked out from their first bar on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from ragsignal.data.rank_factors import (
    DECIMALS,
    LEAST_VOLATILITY,
    RANK_FACTORS,
    BarTable,
    Windows,
    is_ranked,
    market_return,
    raw_factors,
    rounded_factor,
)
from ragsignal.data.rank_letters import LEAST_STOCKS, RankLetters, letters_of
from ragsignal.data.ranks import daily_ranks
from ragsignal.types import BoolArray, FloatArray, IntArray

_LOOK_BACK = 280  # rows: a factor looks 272 back, and whether a stock is ranked 260
_UNIT = 10.0**-DECIMALS
_SURE = 0.1  # of a unit, from a whole number of them: a running sum would have to be wrong by 0.4 to round elsewhere
_NEAR = 2.5  # units within which two stocks may change places, each being rounded by one at most
_COLUMNS = ("open", "high", "low", "close", "volume")
_SUMMED = frozenset(
    [
        *("intraday_5", "overnight_5", "overnight_20", "range_20", "range_ratio", "place_5"),
        *("vol_20", "vol_60", "vol_ratio", "z_1", "z_5", "skew_60", "beta_120"),
        *("volume_1", "volume_5", "signed_volume", "illiquidity"),
    ]
)
"""Factors made of sums over a window; all others are bit for bit the same, however they are worked out."""
_IS_SUMMED = np.array([name in _SUMMED for name in RANK_FACTORS])

Five = Sequence[float]
"""Open, high, low, close and volume of a bar, back-adjusted."""


def grow_letters(letters: RankLetters, day: date, bars: Mapping[str, Five]) -> RankLetters:
    """Add a day to the letters of a universe.

    Parameters
    ----------
    letters : RankLetters
    day : date
        After the last one of ``letters``.
    bars : mapping of symbol to five numbers
        Of the universe's symbols that have a bar on the day.

    Raises
    ------
    ValueError
        If the day is not after the last one.
    """
    if len(letters.days) and np.datetime64(day, "D") <= letters.days[-1]:
        raise ValueError(f"the day {day} is not after {letters.days[-1]}, the last one of the universe")
    table = _with_day(letters.bars, day, bars)
    market = np.append(letters.market, market_return(_last_rows(table, 2))[-1])
    ranked, factors = _last_day(table, market)
    row = letters_of(daily_ranks(np.where(ranked, factors, np.nan))).T
    return RankLetters(
        table,
        market,
        np.vstack([letters.ranked, ranked]),
        np.concatenate([letters.letters, row[None]]),
        letters.day_digests,
    )


def _last_day(table: BarTable, market: FloatArray) -> tuple[BoolArray, FloatArray]:
    """Which stocks are ranked on the last day, (n_symbols,), and their rounded factors, (n_factors, n_symbols)."""
    tail, of_tail = _last_rows(table, _LOOK_BACK), market[-_LOOK_BACK:]
    with np.errstate(divide="ignore", invalid="ignore"):
        ranked = is_ranked(tail, of_tail, WindowsOfLastDay)[-1]
    raw = _factors(tail, of_tail, WindowsOfLastDay)
    factors, doubtful = rounded_factor(raw), _doubtful(raw, ranked)
    if doubtful.any():
        columns = np.flatnonzero(doubtful)
        whole = _of_columns(table, columns)
        factors[:, columns] = rounded_factor(_factors(whole, market))
        ranked[columns] = is_ranked(whole, market)[-1]
    return ranked if ranked.sum() >= LEAST_STOCKS else np.zeros_like(ranked), factors


def _factors(bars: BarTable, market: FloatArray, *last: type[WindowsOfLastDay]) -> FloatArray:
    """Factors of the last day before they are rounded, (n_factors, n_symbols)."""
    known = {name: values[-1] for name, values in raw_factors(bars, market, *last)}
    return np.stack([known[name] for name in RANK_FACTORS])


def _doubtful(raw: FloatArray, ranked: BoolArray) -> BoolArray:
    """Stocks whose place could be another one if their windows were summed in another order, (n_symbols,)."""
    units = np.where(np.isfinite(raw) & ranked, raw, np.nan)[_IS_SUMMED] / _UNIT
    unsure = np.abs(units - np.rint(units)) > _SURE
    order = np.argsort(units, axis=1)
    near = np.diff(np.take_along_axis(units, order, axis=1), axis=1) < _NEAR
    edge = np.zeros((len(units), 1), dtype=bool)
    beside = np.zeros_like(unsure)
    np.put_along_axis(beside, order, np.hstack([near, edge]) | np.hstack([edge, near]), axis=1)
    barely = np.abs(raw[RANK_FACTORS.index("vol_20")] - LEAST_VOLATILITY) < _UNIT
    found: BoolArray = (unsure & beside).any(axis=0) | barely
    return found


def _with_day(table: BarTable, day: date, bars: Mapping[str, Five]) -> BarTable:
    rows = np.array([bars.get(symbol, (np.nan,) * 5) for symbol in table.symbols], dtype=np.float64).T
    rows[:, ~(rows[:4] > 0).all(axis=0)] = np.nan
    grown = {name: np.vstack([getattr(table, name), row]) for name, row in zip(_COLUMNS, rows, strict=True)}
    return BarTable(table.symbols, np.append(table.days, np.datetime64(day, "D")), **grown)


def _last_rows(table: BarTable, count: int) -> BarTable:
    return BarTable(table.symbols, table.days[-count:], **{name: getattr(table, name)[-count:] for name in _COLUMNS})


def _of_columns(table: BarTable, columns: IntArray) -> BarTable:
    symbols = tuple(table.symbols[column] for column in columns.tolist())
    return BarTable(symbols, table.days, **{name: getattr(table, name)[:, columns] for name in _COLUMNS})


class WindowsOfLastDay(Windows):
    """Only the window that ends with the last day: arrays of its row alone are filled.

    Parameters
    ----------
    values, days, least
        As of :class:`~ragsignal.data.rank_factors.Windows`.
    """

    def __init__(self, values: FloatArray, days: int, least: int | None = None) -> None:
        self._shape = values.shape
        self._values = values[-days:]
        self._known = np.isfinite(self._values)
        self._count = self._known.sum(axis=0)
        self._enough = self._count >= (days - days // 4 if least is None else least)

    def sum(self) -> FloatArray:
        """Sum of what is known."""
        return self._row(self._total())

    def mean(self) -> FloatArray:
        """Mean of what is known."""
        return self._row(self._total() / self._count)

    def var(self) -> FloatArray:
        """Variance, of a population."""
        return self._row(self._squares() / self._count)

    def std(self) -> FloatArray:
        """Standard deviation, of a sample."""
        return self._row(np.sqrt(self._squares() / (self._count - 1)))

    def skew(self) -> FloatArray:
        """Skewness, of a sample, as pandas has it (G1 of Joanes and Gill 1998, doi 10.1111/1467-9884.00122)."""
        n, apart = self._count, self._apart()
        squares = apart * apart
        second, third = squares.sum(axis=0) / n, (squares * apart).sum(axis=0) / n
        return self._row(np.sqrt(n * (n - 1.0)) / (n - 2) * third / second**1.5)

    def max(self) -> FloatArray:
        """Greatest."""
        return self._row(np.where(self._known, self._values, -np.inf).max(axis=0))

    def min(self) -> FloatArray:
        """Least."""
        return self._row(np.where(self._known, self._values, np.inf).min(axis=0))

    def median(self) -> FloatArray:
        """Median."""
        ordered = np.sort(np.where(self._known, self._values, np.inf), axis=0)
        last = len(ordered) - 1
        middle = np.stack([(self._count - 1) // 2, self._count // 2]).clip(0, last)
        return self._row(np.take_along_axis(ordered, middle, axis=0).mean(axis=0))

    def _total(self) -> FloatArray:
        return np.asarray(np.where(self._known, self._values, 0.0).sum(axis=0))

    def _apart(self) -> FloatArray:
        return np.where(self._known, self._values - self._total() / self._count, 0.0)

    def _squares(self) -> FloatArray:
        apart = self._apart()
        return np.asarray((apart * apart).sum(axis=0))

    def _row(self, values: FloatArray) -> FloatArray:
        table = np.full(self._shape, np.nan)
        table[-1] = np.where(self._enough, values, np.nan)
        return table
