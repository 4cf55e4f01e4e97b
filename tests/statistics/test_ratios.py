"""Sharpe ratios: worked values of the papers, a literal Ledoit-Wolf in loops, and laws."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from ragsignal import statistics
from ragsignal.statistics import (
    Interval,
    minimum_track_record,
    probabilistic_sharpe,
    ratios,
    sharpe_difference,
    sharpe_error,
)
from ragsignal.statistics import sharpe as ratio_of
from ragsignal.statistics.ratios import (
    minimum_track_record_of,
    probabilistic_sharpe_of,
    shape,
    sharpe_block,
    sharpe_error_of,
)

Floats = NDArray[np.float64]


def pair(seed: int, n_bars: int = 250, correlation: float = 0.5, edge: float = 0.0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=(2, n_bars))
    right = 0.01 * one + 0.0005
    return 0.012 * (correlation * one + math.sqrt(1 - correlation**2) * two) + 0.0006 + 0.012 * edge, right


# --- one ratio


def test_a_ratio_is_that_of_the_performance_table_before_it_is_annualised() -> None:
    returns, _ = pair(0)
    index = pd.bdate_range("2020-01-01", periods=251)
    equity = pd.Series(100 * np.cumprod(np.r_[1.0, 1.0 + returns]), index=index)
    assert ratio_of(returns) * math.sqrt(252) == pytest.approx(statistics.performance(equity)["sharpe"])


@pytest.mark.parametrize(
    ("ratio", "n_bars", "expected"), [(0.5, 12, 0.306), (0.5, 24, 0.217), (1.0, 60, 0.158), (2.0, 125, 0.155)]
)
def test_errors_of_normal_returns_are_those_of_lo(ratio: float, n_bars: int, expected: float) -> None:
    assert sharpe_error_of(ratio, n_bars + 1) == pytest.approx(expected, abs=6e-4)  # he divides by n, not n - 1


def test_the_error_of_skewed_returns_is_the_spread_of_their_ratios() -> None:
    samples = 0.4 - np.random.default_rng(0).exponential(0.3, (4000, 250))
    ratios = samples.mean(axis=1) / samples.std(axis=1, ddof=1)
    errors = [sharpe_error(it) for it in samples[:300]]
    assert np.mean(errors) == pytest.approx(ratios.std(), rel=0.04)
    assert sharpe_error_of(ratios.mean(), 250) < 0.85 * ratios.std()  # the normal formula is too short here


def test_skew_and_kurtosis_are_those_of_scipy() -> None:
    returns = np.random.default_rng(0).exponential(size=200)
    assert shape(returns) == pytest.approx((stats.skew(returns), stats.kurtosis(returns, fisher=False)))


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(252, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_track_records_are_as_long_as_bailey_and_lopez_de_prado_say(
    a_year: int, skew: float, kurtosis: float, years: float
) -> None:
    """An annual ratio of 2 against 1 at 95 %, from their section on the minimum track record."""
    bars = minimum_track_record_of(2 / math.sqrt(a_year), skew, kurtosis, 1 / math.sqrt(a_year))
    assert bars / a_year == pytest.approx(years, abs=0.006)


@given(st.floats(-0.3, 0.3), st.integers(20, 2000), st.floats(-3.0, 0.0), st.floats(4.0, 12.0))
def test_after_the_minimum_track_record_the_probability_is_95_percent(
    ratio: float, n_bars: int, skew: float, kurtosis: float
) -> None:
    bars = minimum_track_record_of(abs(ratio) + 0.05, skew, kurtosis)
    at_that = probabilistic_sharpe_of(abs(ratio) + 0.05, round(bars), skew, kurtosis)
    assert at_that == pytest.approx(0.95, abs=0.02)
    assert probabilistic_sharpe_of(ratio, n_bars) + probabilistic_sharpe_of(-ratio, n_bars) == pytest.approx(1.0)


def test_a_ratio_not_above_its_benchmark_never_will_be() -> None:
    returns, _ = pair(0)
    assert minimum_track_record(-np.abs(returns)) == math.inf
    assert minimum_track_record(returns, benchmark=ratio_of(returns)) == math.inf
    assert probabilistic_sharpe(returns, benchmark=ratio_of(returns)) == pytest.approx(0.5)


@pytest.mark.parametrize("returns", [np.zeros(300), np.full(300, 0.01), np.full(1, 0.01), np.array([])])
def test_what_does_not_move_has_no_ratio(returns: Floats) -> None:
    assert np.isnan(ratio_of(returns))
    assert np.isnan(sharpe_error(returns))
    assert np.isnan(probabilistic_sharpe(returns))
    assert np.isnan(minimum_track_record(returns))


# --- a difference


def literal_ledoit_wolf(left: Floats, right: Floats, repetitions: int, seed: int) -> tuple[float, float, Floats]:
    """Difference, standard error, studentised distances: section 3 of the paper with its vectors, loop by loop."""
    n, block = len(left), sharpe_block(len(left))

    def parts(x: Floats, y: Floats) -> tuple[Floats, Floats, float]:
        v = np.array([x.mean(), y.mean(), (x**2).mean(), (y**2).mean()])
        sx, sy = math.sqrt(v[2] - v[0] ** 2), math.sqrt(v[3] - v[1] ** 2)
        gradient = np.array([v[2] / sx**3, -v[3] / sy**3, -v[0] / (2 * sx**3), v[1] / (2 * sy**3)])
        return np.column_stack([x, y, x**2, y**2]) - v, gradient, v[0] / sx - v[1] / sy

    y, gradient, difference = parts(left, right)
    line = y @ gradient
    slope = float(line[1:] @ line[:-1] / (line @ line))
    bandwidth = 2.6614 * (4 * slope**2 / (1 - slope) ** 4 * n) ** 0.2
    psi = y.T @ y / n
    for lag in range(1, math.ceil(bandwidth)):
        x = lag / bandwidth
        kernel = 1 - 6 * x**2 + 6 * x**3 if x <= 0.5 else 2 * (1 - x) ** 3
        gamma = y[lag:].T @ y[:-lag] / n
        psi += kernel * (gamma + gamma.T)
    error = math.sqrt(n / (n - 4) * gradient @ psi @ gradient / n)

    starts = np.random.default_rng(seed).integers(0, n, size=(repetitions, n // block))
    distances = []
    for row in starts:
        chosen = np.concatenate([(start + np.arange(block)) % n for start in row])
        y_star, gradient_star, star = parts(left[chosen], right[chosen])
        psi_star = np.zeros((4, 4))
        for j in range(len(row)):
            zeta = y_star[j * block : (j + 1) * block].sum(axis=0) / math.sqrt(block)
            psi_star += np.outer(zeta, zeta) / len(row)
        spread = math.sqrt(gradient_star @ psi_star @ gradient_star / (len(row) * block))
        small = math.sqrt(1 - 1 / n)  # our ratios divide by n - 1
        distances.append(abs(small * (star - difference)) / spread)
    return math.sqrt(1 - 1 / n) * difference, error, np.array(distances)


@pytest.mark.parametrize("n_bars", [100, 237])
def test_the_difference_is_ledoits_and_wolfs(monkeypatch: pytest.MonkeyPatch, n_bars: int) -> None:
    monkeypatch.setattr(ratios, "REPETITIONS", 199)
    left, right = pair(3, n_bars)
    left = left + 0.4 * np.roll(left, 1)  # so that the kernel has something to do
    difference, error, distances = literal_ledoit_wolf(left, right, 199, seed=5)
    reach = np.sort(distances)[-10] * error  # 5 % of 200
    p = (1 + np.count_nonzero(distances >= abs(difference) / error)) / 200
    found = sharpe_difference(left, right, seed=5)
    assert [found.difference, found.low, found.high, found.p] == pytest.approx(
        [difference, difference - reach, difference + reach, p]
    )


def test_its_error_for_normal_returns_is_that_of_memmel() -> None:
    left, right = pair(0, 20_000, correlation=0.6, edge=0.1)
    s, t, rho = ratio_of(left), ratio_of(right), np.corrcoef(left, right)[0, 1]
    memmel = math.sqrt((2 - 2 * rho + (s**2 + t**2 - 2 * s * t * rho**2) / 2) / 20_000)
    assert sharpe_difference(left, right).error == pytest.approx(memmel, rel=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(-0.3, 0.3), st.floats(-0.9, 0.9))
def test_swapping_sides_mirrors_the_interval_and_size_does_not_matter(
    seed: int, edge: float, correlation: float
) -> None:
    left, right = pair(seed, 120, correlation, edge)
    found, swapped, scaled = (
        sharpe_difference(*it) for it in ((left, right), (right, left), (3.0 * left, 0.1 * right))
    )
    assert [swapped.difference, swapped.low, swapped.high] == pytest.approx(
        [-found.difference, -found.high, -found.low]
    )
    assert [scaled.difference, scaled.low, scaled.high] == pytest.approx([found.difference, found.low, found.high])
    assert swapped.p == scaled.p == found.p
    assert (found.p <= 0.05) == found.distinguishable


def test_an_obvious_difference_is_seen_and_none_in_twins() -> None:
    assert sharpe_difference(*pair(0, 500, 0.5, edge=0.4)).p < 0.001
    assert not sharpe_difference(*pair(0, 500, 0.5)).distinguishable


def test_the_same_account_at_any_size_does_not_differ_from_itself() -> None:
    left, _ = pair(0)
    assert sharpe_difference(left, left.copy()) == Interval(0.0, 0.0, 0.0, 1.0)
    assert sharpe_difference(left, 3.0 * left) == Interval(0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("still", [np.zeros(250), np.full(250, 0.001)])
def test_beside_an_account_that_does_not_move_there_is_no_difference(still: Floats) -> None:
    left, _ = pair(0)
    for found in (sharpe_difference(left, still), sharpe_difference(still, left), sharpe_difference(still, still)):
        assert np.isnan([found.difference, found.low, found.high, found.p]).all()
        assert not found.distinguishable


def test_few_bars_say_nothing_and_accounts_that_rarely_move_do_not_crash() -> None:
    left, right = pair(0, 99, edge=2.0)
    found = sharpe_difference(left, right)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert np.isnan(found.p)
    rarely = np.where(np.arange(250) == 17, 0.01, 0.0)
    assert not sharpe_difference(rarely, pair(1)[0]).distinguishable
