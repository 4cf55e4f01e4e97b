"""Figures by hand and against quantstats; intervals that mean what they say."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ragsignal.statistics import (
    Interval,
    bars_a_year,
    base_rate,
    hit_rate,
    mean_interval,
    performance,
    ratio_interval,
)
from ragsignal.statistics.intervals import p_value

Floats = NDArray[np.float64]
FIGURES = {"return", "cagr", "volatility", "sharpe", "sharpe_error", "sortino", "max_drawdown"}


@pytest.fixture(scope="module")
def quantstats() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("MPLBACKEND", "Agg")
        warnings.simplefilter("ignore")
        return importlib.import_module("quantstats.stats")


def equity_of(returns: Floats | list[float], start: str = "2020-01-01") -> pd.Series:
    values = 1e5 * np.cumprod(np.r_[1.0, 1.0 + np.asarray(returns)])
    return pd.Series(values, index=pd.bdate_range(start, periods=len(values)))


# --- performance


def test_performance_by_hand() -> None:
    equity = pd.Series([100.0, 110.0, 99.0, 108.9], index=pd.to_datetime(["2020-01-01"] * 4) + pd.to_timedelta(
        [0, 1, 2, 366], unit="D"
    ))  # fmt: skip
    figures = performance(equity)  # returns +10 %, -10 %, +10 %: mean 1/30, deviation 0.2/sqrt(3); days, and a hole
    assert set(figures) == FIGURES
    assert figures["return"] == pytest.approx(0.089)
    assert figures["cagr"] == pytest.approx(1.089 ** (365.25 / 366) - 1)
    assert figures["volatility"] == pytest.approx(0.2 / np.sqrt(3) * np.sqrt(252))
    assert figures["sharpe"] == pytest.approx((0.1 / 3) / (0.2 / np.sqrt(3)) * np.sqrt(252))
    assert figures["sortino"] == pytest.approx((0.1 / 3) / np.sqrt(0.01 / 3) * np.sqrt(252))
    assert figures["max_drawdown"] == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("freq", "bars"),
    [("B", 252), ("D", 365), ("2D", 183), ("2B", 126), ("W-FRI", 52), ("2W", 26), ("ME", 12), ("BME", 12), ("QE", 4)],
)
def test_figures_are_annualised_by_the_bars_that_a_year_has(freq: str, bars: int) -> None:
    index = pd.date_range("2015-01-02", "2018-12-31", freq=freq)
    assert bars_a_year(index) == bars
    returns = np.random.default_rng(0).normal(0.001, 0.01, len(index))
    equity = pd.Series(100 * np.cumprod(1 + returns), index=index)
    deviation = equity.pct_change().iloc[1:].std()
    assert performance(equity)["volatility"] == pytest.approx(deviation * np.sqrt(bars))


def test_the_base_rate_is_that_of_the_better_constant_answer() -> None:
    values, targets = np.array([1.0, -1.0, 1.0, 0.0, 1.0]), np.array([-0.1, -0.1, 0.1, 0.1, np.nan])
    assert base_rate(values, targets) == pytest.approx(2 / 3)
    assert base_rate(np.zeros(2), np.ones(2)) is None


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(30, 600), st.floats(0.001, 0.03))
def test_figures_are_those_of_quantstats(quantstats: ModuleType, seed: int, n_bars: int, sigma: float) -> None:
    equity = equity_of(np.random.default_rng(seed).normal(0.0003, sigma, n_bars))
    figures = performance(equity)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        returns = equity.pct_change().iloc[1:]
        theirs = {
            name: getattr(quantstats, name)(returns) for name in ("sharpe", "sortino", "volatility", "max_drawdown")
        }
        theirs["return"] = quantstats.comp(returns)
    for name, value in theirs.items():
        assert figures[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_an_account_that_never_moves_has_no_ratio() -> None:
    figures = performance(equity_of([0.0] * 50))
    assert figures == {
        "return": 0.0,
        "cagr": 0.0,
        "volatility": 0.0,
        "sharpe": None,
        "sharpe_error": None,
        "sortino": None,
        "max_drawdown": 0.0,
    }


def test_the_same_return_every_day_has_no_ratio_made_of_rounding_noise() -> None:
    figures = performance(equity_of([0.01] * 50))
    assert figures["sharpe"] is None
    assert figures["sortino"] is None
    assert figures["volatility"] == pytest.approx(0.0, abs=1e-12)


def test_without_a_losing_day_there_is_a_sharpe_and_no_sortino() -> None:
    figures = performance(equity_of([0.01, 0.0, 0.02]))
    assert figures["sharpe"] is not None
    assert figures["sortino"] is None
    assert figures["max_drawdown"] == 0.0


def test_one_return_has_no_deviation() -> None:
    figures = performance(equity_of([-0.02]))
    assert figures["volatility"] is None
    assert figures["sharpe"] is None
    assert figures["return"] == pytest.approx(-0.02)
    assert figures["max_drawdown"] == pytest.approx(-0.02)


def test_who_lost_everything_lost_all_of_it_a_year() -> None:
    figures = performance(equity_of([-0.5, -1.0]))
    assert figures["return"] == figures["cagr"] == figures["max_drawdown"] == -1.0


@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=40))
def test_no_figure_is_ever_nan(returns: list[float]) -> None:
    figures = performance(equity_of(returns))
    assert all(value is None or np.isfinite(value) for value in figures.values())
    assert all(value is None or type(value) is float for value in figures.values())


# --- hit rate


@pytest.mark.parametrize(
    ("values", "targets", "expected"),
    [
        ([0.5, -0.1, 0.2, -0.9], [0.01, -0.02, -0.01, 0.03], 0.5),
        ([0.5, 0.0, 0.0], [0.01, 0.01, -0.01], 1.0),  # an abstention is no miss
        ([0.5, 0.5, -0.5], [0.01, np.nan, 0.0], 1.0),  # neither is what is not known yet, nor a price that stood still
        ([-0.5, 0.5], [0.01, -0.01], 0.0),
        ([0.0, 0.5], [0.01, np.nan], None),
        ([], [], None),
    ],
)
def test_hit_rate_by_hand(values: list[float], targets: list[float], expected: float | None) -> None:
    assert hit_rate(np.array(values), np.array(targets)) == expected


# --- intervals


def test_a_difference_is_distinguishable_only_if_zero_is_left_out() -> None:
    assert Interval(0.2, 0.1, 0.3).distinguishable
    assert Interval(-0.2, -0.3, -0.1).distinguishable
    assert not Interval(0.2, -0.1, 0.3).distinguishable
    assert not Interval(0.2, 0.0, 0.3).distinguishable
    assert not Interval(0.2, -np.inf, np.inf).distinguishable


def test_what_is_unknown_is_not_distinguishable() -> None:
    assert not Interval(np.nan, np.nan, np.nan).distinguishable
    assert not mean_interval(np.r_[np.nan, np.ones(50)]).distinguishable


def test_nothing_shows_in_noise_and_an_obvious_difference_shows() -> None:
    noise = np.random.default_rng(4).normal(0, 0.01, 250)
    paired = noise - np.roll(noise, 1)
    assert not mean_interval(paired).distinguishable
    shown = mean_interval(noise + 0.01)
    assert shown.distinguishable
    assert shown.low < 0.01 < shown.high


def test_an_interval_is_the_same_with_the_same_seed_and_other_with_another() -> None:
    series = np.random.default_rng(0).normal(size=100)
    assert mean_interval(series, seed=3) == mean_interval(series, seed=3)
    assert mean_interval(series, seed=3) != mean_interval(series, seed=4)
    assert mean_interval(series) == mean_interval(series, seed=0)


# Heavy tails, one outlier, two values: a resampled mean has the mean itself as its expectation, so that the estimate
# lies between its quantiles. For a ratio, or for another statistic, that need not hold.
SERIES: list[Callable[[np.random.Generator, int], Floats]] = [
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.standard_cauchy(size=n),
    lambda rng, n: 1e6 * (rng.permutation(n) == 0),
    lambda rng, n: rng.integers(0, 2, n).astype(float),
]


@pytest.mark.parametrize("make", SERIES)
@pytest.mark.parametrize("n_days", [20, 60, 300])
def test_the_estimate_lies_inside_its_interval(make: Callable[[np.random.Generator, int], Floats], n_days: int) -> None:
    for seed in range(5):
        series = make(np.random.default_rng(seed), n_days)
        interval = mean_interval(series, seed)
        assert interval.difference == pytest.approx(series.mean())
        assert interval.low <= interval.difference <= interval.high
        assert interval.low < interval.high


def test_a_95_percent_interval_holds_the_truth_most_of_the_time() -> None:
    rng = np.random.default_rng(7)
    intervals = [mean_interval(rng.normal(1.0, 1.0, 120), seed) for seed in range(200)]
    covered = [interval.low <= 1.0 <= interval.high for interval in intervals]
    assert 0.9 <= np.mean(covered) < 1.0  # 0.94 in benchmarks/coverage.py; one standard error is 1.6 %


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(100, 400), st.floats(-4.0, 4.0))
def test_p_is_below_5_percent_exactly_where_the_interval_leaves_zero_out(seed: int, n_days: int, far: float) -> None:
    noise = np.random.default_rng(seed).exponential(size=n_days) - 1.0
    found = mean_interval(noise + far / np.sqrt(n_days))
    assert (found.p < 0.05) == found.distinguishable
    assert 0.0 < found.p <= 1.0


@pytest.mark.parametrize("far", [0.3, 1.0, 2.0, 2.7])
def test_p_inverts_the_interval_at_every_level(far: float) -> None:
    """Draws that are exactly normal: then the interval is that of Student's t at every level, and so is p."""
    draws = far + stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    error, freedom = 1.0 / np.sqrt(1 - 15 / 240), 1.5 * 240 / 15 - 1
    assert p_value(far, draws, 240, 15) == pytest.approx(2 * stats.t.sf(far / error, freedom), rel=0.01)
    assert p_value(-far, -draws, 240, 15) == pytest.approx(p_value(far, draws, 240, 15))


def test_p_falls_as_zero_moves_away_and_has_no_floor() -> None:
    noise = np.random.default_rng(0).normal(size=250)
    found = [mean_interval(noise - noise.mean() + far).p for far in np.linspace(0.0, 1.0, 30)]
    assert found[0] == pytest.approx(1.0, abs=0.05)
    assert (np.diff(found) <= 1e-9).all()
    assert found[-1] < 1e-6


def test_p_is_that_of_a_t_test_where_days_are_normal_and_independent() -> None:
    series = np.random.default_rng(8).normal(0.08, 1.0, 2000)
    assert mean_interval(series).p == pytest.approx(stats.ttest_1samp(series, 0.0).pvalue, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_unit_does_not_matter_and_swapping_sides_mirrors_the_interval(seed: int, factor: float) -> None:
    series = np.random.default_rng(seed).normal(0.1, 1.0, 150)
    found, scaled, swapped = mean_interval(series), mean_interval(factor * series), mean_interval(-series)
    assert scaled == found.times(factor)
    assert [swapped.difference, swapped.high, swapped.low] == pytest.approx(
        [-found.difference, -found.low, -found.high]
    )
    assert swapped.p == pytest.approx(found.p, abs=1e-9)


def test_the_error_of_an_interval_is_that_of_its_mean() -> None:
    series = np.random.default_rng(0).normal(size=2500)
    assert mean_interval(series).error == pytest.approx(series.std() / 50, rel=0.1)


def test_days_that_resemble_each_other_widen_an_interval() -> None:
    rng = np.random.default_rng(1)
    clustered = np.repeat(rng.normal(size=20), 20)
    ordered, shuffled = mean_interval(clustered), mean_interval(rng.permutation(clustered))
    assert ordered.high - ordered.low > 2 * (shuffled.high - shuffled.low)


@pytest.mark.parametrize("n_days", [1, 2, 19, 99])
def test_a_few_days_say_nothing_however_clear_they_look(n_days: int) -> None:
    interval = mean_interval(np.full(n_days, 0.5))
    assert (interval.difference, interval.low, interval.high) == (0.5, -np.inf, np.inf)
    assert np.isnan(interval.p)
    assert not interval.distinguishable


def test_nothing_at_all_has_no_figure() -> None:
    found = mean_interval(np.array([]))
    assert np.isnan([found.difference, found.low, found.high, found.p]).all()


def test_an_interval_is_the_basic_one_and_leans_against_the_tail() -> None:
    skewed = mean_interval(np.random.default_rng(0).lognormal(sigma=1.5, size=200))
    # resampled means spread further upwards; reflected at the estimate, the interval reaches further down
    assert skewed.difference - skewed.low > 1.1 * (skewed.high - skewed.difference)


def test_two_variants_that_did_the_same_do_not_differ() -> None:
    assert mean_interval(np.zeros(100)) == Interval(0.0, 0.0, 0.0, 1.0)
    assert not mean_interval(np.zeros(100)).distinguishable


def test_the_same_gap_every_day_is_no_p_of_zero() -> None:
    found = mean_interval(np.full(100, 0.01))
    assert found.p == pytest.approx(2 / 1000)


def test_signals_of_one_day_count_as_one_day() -> None:
    rng = np.random.default_rng(2)
    gains = rng.integers(-1, 2, 200).astype(float)
    single = ratio_interval(gains, np.ones(200))
    assert ratio_interval(10 * gains, np.full(200, 10.0)) == single  # ten symbols that move as one are no more evidence
    independent = ratio_interval(rng.integers(-1, 2, (200, 10)).sum(axis=1).astype(float), np.full(200, 10.0))
    assert independent.high - independent.low < 0.6 * (single.high - single.low)


def test_a_ratio_weighs_days_by_their_signals() -> None:
    numerators, denominators = np.tile([3.0, 0.0], 20), np.tile([3.0, 1.0], 20)
    assert ratio_interval(numerators, denominators).difference == pytest.approx(0.75)


def test_a_week_that_begins_on_sunday_or_a_festive_saturday_is_no_market_that_never_closes() -> None:
    every = pd.date_range("2015-01-01", "2016-12-31")
    tel_aviv = every[~every.day_of_week.isin([4, 5])]
    mumbai = every[every.day_of_week < 5].append(pd.DatetimeIndex(["2015-02-28", "2016-10-30"])).sort_values()
    assert [bars_a_year(it) for it in (every, tel_aviv, mumbai)] == [365, 252, 252]


def test_a_week_of_six_days_has_313_bars_a_year() -> None:
    every = pd.date_range("2008-01-02", "2012-12-31")
    assert bars_a_year(every[every.day_of_week != 5]) == 313


def test_a_market_that_moved_its_week_has_no_sixth_day_of_trade() -> None:
    every = pd.date_range("2025-01-01", "2026-12-31")
    sunday_first = (every < "2026-01-04") & ~every.day_of_week.isin([4, 5])
    assert bars_a_year(every[sunday_first | ((every >= "2026-01-04") & (every.day_of_week < 5))]) == 252


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["B", "D", "2D", "W-FRI", "2W", "ME", "QE"]), st.integers(15, 25), st.integers(60, 900))
def test_bars_a_year_do_not_depend_on_a_hole_in_the_data(freq: str, before: int, months: int) -> None:
    index = pd.date_range("1990-01-01", periods=80, freq=freq)
    later = index[before:] + pd.Timedelta(days=7 * months)  # as many whole weeks: the same days of the week
    assert bars_a_year(index[:before].append(later)) == bars_a_year(index)


def test_years_of_weekly_bars_before_daily_ones_do_not_make_those_weekly() -> None:
    days = pd.bdate_range("2010-01-01", "2012-12-31")
    assert bars_a_year(pd.date_range("2000-01-07", "2009-12-31", freq="W-FRI").append(days)) == 252


@pytest.mark.parametrize("weeks", [3, 50])
@pytest.mark.parametrize(
    ("freq", "opens", "closes", "a_day"),
    [("4h", 22, 22, 6), ("h", 22, 22, 24), ("2h", 18, 18, 12)],
)
def test_a_market_that_opens_on_sunday_evening_has_five_days_of_hours(
    weeks: int, freq: str, opens: int, closes: int, a_day: int
) -> None:
    every = pd.date_range("2015-01-05", periods=weeks * 7 * 24, freq="h")
    ends = every[every.isin(pd.date_range(every[0], every[-1], freq=freq))]
    weekday, hour = ends.day_of_week, ends.hour
    shut = (weekday == 5) | ((weekday == 4) & (hour > closes)) | ((weekday == 6) & (hour <= opens))
    assert bars_a_year(ends[~shut]) == a_day * 252


def test_ten_days_of_half_days_of_a_market_that_never_closes_have_730_bars_a_year() -> None:
    assert bars_a_year(pd.date_range("2015-01-01 12:00", periods=20, freq="12h")) == 730


def _sessions(ends: list[str], days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(sorted(day + pd.Timedelta(f"{end}:00") for day in days for end in ends))


HOURS = ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"]


@pytest.mark.parametrize(
    ("index", "bars"),
    [
        (_sessions(HOURS, pd.bdate_range("2015-01-02", "2015-12-31")), 252 * 7),
        (_sessions(HOURS, pd.bdate_range("2015-01-05", "2015-01-07")), 252 * 7),
        (_sessions(["13:30", "16:00"], pd.bdate_range("2015-01-02", "2015-12-31")), 252 * 2),
        (pd.date_range("2015-01-01 01:00", "2016-01-01", freq="h"), 365 * 24),
        (pd.date_range("2015-01-01 01:00", "2015-01-04", freq="h"), 365 * 24),
        (pd.date_range("2015-01-01 04:00", "2016-01-01", freq="4h"), 365 * 6),
        (pd.date_range("2015-01-01 12:00", "2016-01-01", freq="12h"), 365 * 2),
    ],
    ids=["year of hours", "three days of hours", "two a session", "24/7", "three days of 24/7", "4h of 24/7", "12h"],
)
def test_bars_of_hours_a_year_are_those_of_a_usual_day_times_its_days(index: pd.DatetimeIndex, bars: int) -> None:
    assert bars_a_year(index) == bars
    half_days = index[~((index.day == 3) & (index.hour > 12))]  # shorter sessions, as before holidays
    assert len(index) < 100 or bars_a_year(half_days) == bars
    returns = np.random.default_rng(0).normal(0.0001, 0.003, len(index))
    equity = pd.Series(100 * np.cumprod(1 + returns), index=index)
    deviation = equity.pct_change().iloc[1:].std()
    assert performance(equity)["volatility"] == pytest.approx(deviation * np.sqrt(bars))


def test_a_gain_of_an_hour_is_no_finite_return_a_year() -> None:
    index = pd.DatetimeIndex(["2015-01-05 10:30", "2015-01-05 11:30"])
    assert performance(pd.Series([100.0, 120.0], index=index))["cagr"] == np.inf
