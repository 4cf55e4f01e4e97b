"""The 41 factors: each against its formula at single points, and none of them knows a later bar."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy.stats import skew

from ragsignal.data.rank_factors import (
    FORMULAS,
    RANK_FACTORS,
    BarTable,
    bar_table,
    is_ranked,
    market_return,
    rank_factors,
)
from ragsignal.types import FloatArray
from tests.markets import Frames, poisoned
from tests.universe import CALENDAR, N_DAYS, rescaled_with_dividend, universe

FRAMES = universe(8)
BARS = bar_table(FRAMES)
SYMBOLS = list(BARS.symbols)


@cache
def _factors() -> dict[str, FloatArray]:
    return factors_of(FRAMES)


def factors_of(frames: Frames) -> dict[str, FloatArray]:
    table = bar_table(frames)
    return dict(rank_factors(table, market_return(table)))


class Point:
    """One stock on one day: what the formulas say, bar by bar, without a table or a rolling window."""

    def __init__(self, table: BarTable, day: int, stock: int) -> None:
        self.table, self.day, self.stock = table, day, stock

    def at(self, name: str, ago: int = 0) -> float:
        """A column of the bar ``ago`` days ago; NaN before the first."""
        return float(getattr(self.table, name)[self.day - ago, self.stock]) if ago <= self.day else np.nan

    def past(self, number: Callable[[int], float], count: int) -> FloatArray:
        """The known ones of the last ``count`` values of something; NaN where more than a quarter is unknown."""
        values = np.array([number(ago) for ago in range(count)])
        known = values[np.isfinite(values)]
        return known if len(known) >= count - count // 4 else np.array([np.nan])

    def log_return(self, ago: int, stock: int | None = None) -> float:
        close = self.table.close[:, self.stock if stock is None else stock]
        if ago >= self.day:
            return np.nan
        value = float(np.log(close[self.day - ago] / close[self.day - ago - 1]))
        return value if abs(value) < 1.0 else np.nan

    def market(self, ago: int) -> float:
        returns = np.array([self.log_return(ago, stock) for stock in range(len(self.table.symbols))])
        return float(np.median(returns[np.isfinite(returns)])) if np.isfinite(returns).any() else np.nan

    def rel(self, ago: int = 0) -> float:
        return self.log_return(ago) - self.market(ago)

    def ratio(self, over: str, under: str, ago: int = 0, later: int = 0) -> float:
        return float(np.log(self.at(over, ago) / self.at(under, ago + later)))

    def momentum(self, since: int, until: int = 0) -> float:
        return float(np.log(self.at("close", until) / self.at("close", since)))

    def place(self, ago: int = 0) -> float:
        high, low, close = (self.at(name, ago) for name in ("high", "low", "close"))
        return ((close - low) - (high - close)) / (high - low) if high != low else close - high

    def money(self, ago: int) -> float:
        return self.at("close", ago) * self.at("volume", ago)

    def volatility(self, count: int) -> float:
        rel = self.past(self.rel, count)
        return float(np.std(rel, ddof=1)) if len(rel) > 1 else np.nan

    def volume_surprise(self) -> float:
        return float(np.log(self.at("volume") / self.past(lambda ago: self.at("volume", ago), 20).mean()))

    def impact(self) -> float:
        impacts = self.past(lambda ago: abs(self.rel(ago)) / self.money(ago) if self.money(ago) > 0 else np.nan, 20)
        return float(np.log(impacts.mean()))

    def extreme(self, largest: Callable[[FloatArray], float], count: int, least: int) -> float:
        closes = np.array([self.at("close", ago) for ago in range(count)])
        known = closes[np.isfinite(closes)]
        return float(np.log(self.at("close") / largest(known))) if len(known) >= least else np.nan

    def beta(self) -> float:
        rel, median = self.past(self.rel, 120), self.past(self.market, 120)
        products = self.past(lambda ago: self.rel(ago) * self.market(ago), 120)
        return float((products.mean() - rel.mean() * median.mean()) / median.var())


ORACLE: dict[str, Callable[[Point], float]] = {
    "rel_1": lambda it: it.rel(0),
    "rel_2": lambda it: it.rel(1),
    "rel_3": lambda it: it.rel(2),
    "rel_4": lambda it: it.rel(3),
    "rel_5": lambda it: it.rel(4),
    "mom_5": lambda it: it.momentum(5),
    "mom_10": lambda it: it.momentum(10),
    "mom_20": lambda it: it.momentum(20),
    "mom_60": lambda it: it.momentum(60),
    "mom_120": lambda it: it.momentum(120),
    "mom_250": lambda it: it.momentum(250),
    "mom_250_20": lambda it: it.momentum(250, 20),
    "intraday_1": lambda it: it.ratio("close", "open"),
    "overnight_1": lambda it: it.ratio("open", "close", 0, 1),
    "intraday_5": lambda it: it.past(lambda ago: it.ratio("close", "open", ago), 5).mean(),
    "overnight_5": lambda it: it.past(lambda ago: it.ratio("open", "close", ago, 1), 5).mean(),
    "overnight_20": lambda it: it.past(lambda ago: it.ratio("open", "close", ago, 1), 20).mean(),
    "range_1": lambda it: it.ratio("high", "low"),
    "range_20": lambda it: it.past(lambda ago: it.ratio("high", "low", ago), 20).mean(),
    "range_ratio": lambda it: it.ratio("high", "low") / it.past(lambda ago: it.ratio("high", "low", ago), 20).mean(),
    "place_1": lambda it: it.place(),
    "place_5": lambda it: it.past(it.place, 5).mean(),
    "vol_20": lambda it: it.volatility(20),
    "vol_60": lambda it: it.volatility(60),
    "vol_ratio": lambda it: it.volatility(20) / it.volatility(60),
    "z_1": lambda it: it.rel() / it.volatility(20),
    "z_5": lambda it: it.past(it.rel, 5).mean() / it.volatility(20),
    "max_20": lambda it: it.past(it.rel, 20).max(),
    "min_20": lambda it: it.past(it.rel, 20).min(),
    "skew_60": lambda it: skew(it.past(it.rel, 60), bias=False),
    "volume_1": lambda it: it.volume_surprise(),
    "volume_5": lambda it: np.log(
        it.past(lambda ago: it.at("volume", ago), 5).mean() / it.past(lambda ago: it.at("volume", ago), 60).mean()
    ),
    "dollar_volume": lambda it: np.log(np.median(it.past(it.money, 60))),
    "illiquidity": lambda it: it.impact(),
    "high_250": lambda it: it.extreme(np.max, 250, 120),
    "low_250": lambda it: it.extreme(np.min, 250, 120),
    "high_20": lambda it: it.extreme(np.max, 20, 15),
    "low_20": lambda it: it.extreme(np.min, 20, 15),
    "beta_120": lambda it: it.beta(),
    "signed_volume": lambda it: it.volume_surprise() * np.sign(it.rel()),
    "season": lambda it: it.rel(20) + it.rel(21) + it.rel(22),
}

POINTS = [  # where windows begin to be whole, where a bar is missing or has no volume, and days like any other
    *((0, day) for day in (0, 1, 4, 5, 19, 20, 23, 60, 61, 121, 249, 250, 251, 329)),
    *((1, day) for day in (270, 300, 329)),
    *((2, day) for day in (39, 40, 41, 289, 290, 291, 295, 312, 329)),
    *((3, day) for day in (29, 30, 31, 51, 150, 280, 329)),
    *((4, day) for day in (329,)),
    *((6, day) for day in (326, 327, 328)),
    *((7, day) for day in (119, 120, 200, 310)),
]


def test_every_factor_has_its_formula_here_too() -> None:
    assert tuple(ORACLE) == RANK_FACTORS == tuple(FORMULAS)
    assert set(_factors()) == set(RANK_FACTORS)
    assert len(RANK_FACTORS) == 41


@pytest.mark.parametrize("name", RANK_FACTORS)
def test_a_factor_is_what_its_formula_says(name: str) -> None:
    values, known = _factors()[name], 0
    for stock, day in POINTS:
        with np.errstate(all="ignore"):
            expected = float(ORACLE[name](Point(BARS, day, stock)))
        got = values[day, stock]
        if not np.isfinite(expected):
            assert np.isnan(got), (SYMBOLS[stock], day)
        else:
            # atol: values are rounded to nine decimals
            assert got == pytest.approx(expected, rel=1e-6, abs=2e-9), (SYMBOLS[stock], day)
            known += 1
    assert known >= 5  # or nothing was compared


def test_a_bar_without_a_positive_price_is_no_bar() -> None:
    frames = universe(8)
    frames["S07"].loc[frames["S07"].index[100], "low"] = 0.0
    frames["S00"].loc[frames["S00"].index[101], "open"] = np.nan
    table = bar_table(frames)
    assert np.isnan(table.close[100, 7])
    assert np.isnan(table.volume[101, 0])
    assert np.isfinite(table.close[100, 0])


def test_days_that_a_calendar_lacks_are_left_out() -> None:
    days = BARS.days[[3, 5, 200]]
    table = bar_table(FRAMES, days)
    assert np.array_equal(table.close, BARS.close[[3, 5, 200]], equal_nan=True)
    assert bar_table({"A": FRAMES["S00"]}, days[:0]).close.shape == (0, 1)


def test_what_can_be_ranked_has_250_bars_of_the_last_260_days_moves_and_is_traded() -> None:
    ranked = is_ranked(BARS, market_return(BARS))
    first = {symbol: int(np.argmax(ranked[:, column])) for column, symbol in enumerate(SYMBOLS)}
    assert {"S00": 249, "S01": 249, "S02": 250, "S03": 279, "S06": 249, "S07": 249}.items() <= first.items()
    assert not ranked[:, 5].any()  # never traded
    assert not ranked[290, 2]  # no bar that day
    assert ranked[291:, 2].all()  # one missing day takes a stock out for that day alone
    assert ranked[249:, 0].all()


def test_a_gap_of_more_than_ten_days_takes_a_stock_out() -> None:
    frames = universe(8)
    frames["S07"] = frames["S07"].drop(frames["S07"].index[200:212])
    table = bar_table(frames)
    assert not is_ranked(table, market_return(table))[249:, 7].any()


@settings(max_examples=6, deadline=None, phases=[Phase.explicit, Phase.generate])  # to shrink takes minutes
@given(day=st.integers(230, N_DAYS - 2), seed=st.integers(0, 99))
def test_no_later_bar_changes_a_factor_or_who_is_ranked(day: int, seed: int) -> None:
    changed = poisoned(FRAMES, CALENDAR[day].date(), seed)
    cut = {
        symbol: frame.iloc[: frame.index.searchsorted(CALENDAR[day], side="right")] for symbol, frame in FRAMES.items()
    }
    for frames in (changed, cut):
        table = bar_table(frames)
        market = market_return(table)
        assert np.array_equal(market[: day + 1], market_return(BARS)[: day + 1], equal_nan=True)
        assert np.array_equal(is_ranked(table, market)[: day + 1], is_ranked(BARS, market_return(BARS))[: day + 1])
        for name, values in rank_factors(table, market):
            assert np.array_equal(values[: day + 1], _factors()[name][: day + 1], equal_nan=True), name


def test_a_factor_is_the_same_after_a_later_dividend_rescaled_the_prices() -> None:
    rescaled = factors_of({symbol: rescaled_with_dividend(frame, 0.37) for symbol, frame in FRAMES.items()})
    for name, values in _factors().items():
        assert np.allclose(values, rescaled[name], rtol=1e-6, atol=2e-9, equal_nan=True), name


def test_a_return_beyond_e_is_a_split_that_nobody_adjusted_for() -> None:
    frames = universe(8)
    frames["S00"].iloc[300:, :4] *= 10.0
    assert np.isnan(factors_of(frames)["rel_1"][300, 0])
    assert np.isfinite(factors_of(frames)["rel_1"][301, 0])


def test_flat_prices_and_equal_high_and_low_give_no_infinity() -> None:
    flat = _factors()
    for name, values in flat.items():
        assert not np.isinf(values).any(), name
    assert np.nanmax(np.abs(flat["place_1"][:, 4])) == 0.0
    assert np.isnan(flat["range_ratio"][329, 4])


def test_a_market_without_bars_of_a_day_has_no_median() -> None:
    assert np.isnan(market_return(BARS)[0])
    assert np.isfinite(market_return(BARS)[1:]).all()


def test_symbols_may_come_in_any_order() -> None:
    backwards = dict(reversed(list(FRAMES.items())))
    for name, values in factors_of(backwards).items():
        assert np.array_equal(values[:, ::-1], _factors()[name], equal_nan=True), name


def test_days_are_the_universes_so_that_five_days_ago_may_lack_a_bar() -> None:
    assert np.isnan(_factors()["mom_5"][295, 2])
    assert np.isfinite(_factors()["mom_5"][[294, 296], 2]).all()
    assert np.isnan(_factors()["rel_1"][[290, 291], 2]).all()


@pytest.mark.parametrize(("missing", "known"), [(4, True), (5, False)])
def test_a_quarter_of_a_window_may_lack_bars_and_no_more(missing: int, known: bool) -> None:
    frames = universe(8)
    frames["S07"] = frames["S07"].drop(frames["S07"].index[np.arange(305, 305 + missing)])
    values = factors_of(frames)  # so many days without a bar lack one return more
    for name in ("vol_20", "max_20", "z_1"):
        assert np.isfinite(values[name][320, 7]) == known, name
    assert np.isfinite(values["range_20"][320, 7])
