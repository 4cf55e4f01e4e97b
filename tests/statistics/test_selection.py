"""What choosing costs: the papers' worked values, literal loops, statsmodels; and how much data a difference takes."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from arch.bootstrap import SPA
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmarks import coverage
from ragsignal.statistics import (
    backtest_overfitting,
    best_of_noise,
    days_for,
    deflated_sharpe,
    detectable,
    holm,
    mean_interval,
    sharpe,
    step_m,
    superior_predictive_ability,
    years_for_sharpe,
)
from ragsignal.statistics.ratios import probabilistic_sharpe_of

Floats = NDArray[np.float64]


def noise(n_days: int, n_points: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.01, (n_days, n_points))


# --- deflated Sharpe


def test_the_worked_example_of_the_deflated_sharpe_ratio() -> None:
    """Bailey and López de Prado (2014): annual ratio 2.5 of 1,250 days, the best of 100 trials with variance 1/2."""
    luck = best_of_noise(0.5 / 250, 100)
    assert luck == pytest.approx(0.1132, abs=5e-5)
    assert probabilistic_sharpe_of(2.5 / math.sqrt(250), 1250, -3.0, 10.0, luck) == pytest.approx(0.9004, abs=5e-5)


@pytest.mark.parametrize("trials", [5, 50, 1000])
def test_the_best_of_noise_is_as_good_as_the_theorem_says(trials: int) -> None:
    best = np.random.default_rng(0).normal(0, 0.3, (3000, trials)).max(axis=1).mean()
    assert best_of_noise(0.09, trials) == pytest.approx(best, rel=0.03)


def test_one_trial_is_not_deflated_and_many_are_ever_more() -> None:
    returns = noise(500, 1)[:, 0] + 0.001
    assert best_of_noise(1.0, 1) == 0.0
    found = [deflated_sharpe(returns, trials, 0.002) for trials in (1, 2, 10, 100, 1000)]
    assert (np.diff(found) < 0).all()
    error = np.sqrt((1 + sharpe(returns) ** 2 / 2) / 499)
    assert found[0] == pytest.approx(stats.norm.cdf(sharpe(returns) / error), abs=0.01)
    assert np.isnan(deflated_sharpe(np.zeros(500), 10, 0.002))


def test_no_trial_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        best_of_noise(1.0, 0)


# --- many variants against one benchmark


def test_of_many_only_the_good_ones_are_named() -> None:
    gaps = noise(400, 12)
    assert superior_predictive_ability(gaps) > 0.1
    assert step_m(gaps) == ()
    gaps[:, [3, 7]] += [0.004, 0.003]
    assert superior_predictive_ability(gaps) < 0.01
    assert step_m(gaps) == (3, 7)


def test_the_p_value_is_that_of_arch() -> None:
    gaps = noise(225, 4, seed=1) + 0.001
    scaled = gaps / gaps.std(axis=0)
    theirs = SPA(
        np.zeros(225),
        -scaled,
        block_size=15,
        reps=1000,
        bootstrap="circular",
        nested=True,
        seed=np.random.default_rng(3),
    )
    theirs.compute()
    assert superior_predictive_ability(gaps, seed=3) == theirs.pvalues["consistent"]


def test_a_wild_variant_does_not_decide_for_the_calm_ones() -> None:
    gaps = noise(400, 5)
    gaps[:, 0] = (gaps[:, 0] - gaps[:, 0].mean()) * 50  # its mean would wander ten times further than that edge
    gaps[:, 4] += 0.003
    assert step_m(gaps) == (4,)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.sampled_from([0.1, 1.0, 8.0]), min_size=3, max_size=3))
def test_the_size_of_a_position_does_not_matter_to_the_choice(sizes: list[float]) -> None:
    gaps = noise(150, 3, seed=2) + np.array([0.0, 0.001, 0.002])
    assert superior_predictive_ability(gaps * sizes) == pytest.approx(superior_predictive_ability(gaps))


def test_variants_that_do_what_the_benchmark_does_are_no_better() -> None:
    gaps = noise(200, 3) + np.array([0.0, 0.0, 0.01])
    gaps[:, 0] = 0.0
    assert step_m(gaps) == (2,)
    assert superior_predictive_ability(np.zeros((200, 3))) == 1.0
    assert step_m(np.zeros((200, 3))) == ()
    assert np.isnan(superior_predictive_ability(gaps[:99]))
    assert step_m(gaps[:99]) == ()


# --- overfitting


def literal_cscv(returns: Floats, n_blocks: int) -> float:
    """The steps of the paper, one split after the other."""
    blocks = np.array_split(returns, n_blocks)
    logits = []
    for chosen in combinations(range(n_blocks), n_blocks // 2):
        inside = np.vstack([blocks[it] for it in chosen])
        outside = np.vstack([blocks[it] for it in range(n_blocks) if it not in chosen])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0)))
        ranks = stats.rankdata(outside.mean(axis=0) / outside.std(axis=0))
        relative = ranks[best] / (returns.shape[1] + 1)
        logits.append(math.log(relative / (1 - relative)))
    return float(np.mean(np.array(logits) <= 0))


@pytest.mark.parametrize(("n_days", "n_points", "n_blocks"), [(120, 7, 6), (203, 8, 8), (101, 2, 4)])
def test_overfitting_is_that_of_the_paper(n_days: int, n_points: int, n_blocks: int) -> None:
    returns = noise(n_days, n_points, seed=n_days) + np.linspace(0, 0.002, n_points)
    assert backtest_overfitting(returns, n_blocks) == pytest.approx(literal_cscv(returns, n_blocks))


def test_choosing_among_noise_is_a_lot_and_a_true_edge_is_no_overfitting() -> None:
    by_lot = [backtest_overfitting(noise(320, 20, seed), 8) for seed in range(40)]
    assert np.mean(by_lot) == pytest.approx(0.5, abs=0.1)
    returns = noise(500, 100)
    returns[:, 42] += 0.004
    assert backtest_overfitting(returns) < 0.01


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(6)), st.floats(0.5, 20.0))
def test_neither_the_order_of_points_nor_their_size_matters(order: list[int], size: float) -> None:
    returns = noise(160, 6)
    assert backtest_overfitting(size * returns[:, order], 8) == backtest_overfitting(returns, 8)


def test_points_that_never_trade_rank_as_zero_and_twins_say_nothing() -> None:
    returns = noise(200, 3) + np.array([0.01, 0.0, 0.0])
    returns[:, 1] = 0.0
    assert backtest_overfitting(returns, 8) == 0.0
    assert np.isnan(backtest_overfitting(np.repeat(noise(200, 1), 4, axis=1)))
    assert np.isnan(backtest_overfitting(np.zeros((200, 3))))
    assert np.isnan(backtest_overfitting(noise(200, 1)))
    assert np.isnan(backtest_overfitting(noise(99, 3)))
    with pytest.raises(ValueError, match="even number"):
        backtest_overfitting(returns, 7)


# --- many p-values


@pytest.mark.slow
@settings(max_examples=8, deadline=None)  # statsmodels takes a tenth of a second
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    theirs = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(theirs)


def test_an_unknown_p_value_stays_unknown_and_is_not_counted() -> None:
    found = holm([0.01, float("nan"), 0.04])
    assert found[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(found[1])
    assert len(holm([])) == 0


# --- power


def test_half_a_sharpe_ratio_takes_three_decades() -> None:
    assert years_for_sharpe(0.5, 0.5) == pytest.approx(31.4, abs=0.05)
    assert years_for_sharpe(0.5, 0.9) == pytest.approx(6.3, abs=0.05)
    assert years_for_sharpe(1.0, 0.5) == pytest.approx(31.4 / 4, abs=0.05)
    assert years_for_sharpe(0.0, 0.5) == math.inf
    assert np.isnan(years_for_sharpe(0.5, math.nan))


def test_after_the_days_that_it_takes_four_studies_of_five_see_the_difference() -> None:
    first = mean_interval(np.random.default_rng(0).normal(0.1, 1.0, 400))
    days = days_for(0.1, first.error, 400)
    assert days == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 / 0.01, rel=0.25)
    draws = np.random.default_rng(1).normal(0.1, 1.0, (2000, round(7.849 / 0.01)))
    seen = draws.mean(axis=1) / (draws.std(axis=1) / math.sqrt(draws.shape[1])) > stats.norm.ppf(0.975)
    assert seen.mean() == pytest.approx(0.8, abs=0.03)


@given(st.floats(0.01, 10.0), st.integers(100, 5000), st.floats(0.5, 0.99))
def test_what_is_detectable_needs_no_more_days(error: float, n_days: int, power: float) -> None:
    assert days_for(detectable(error, power), error, n_days, power) == pytest.approx(n_days)
    assert days_for(0.0, error, n_days, power) == math.inf


# --- all of it on studies with a known truth


def test_intervals_hold_the_truth_and_p_values_are_honest_on_clustered_days() -> None:
    """A small edition of benchmarks/coverage.py: 25 studies; its 1,000 give 0.92 to 0.96, and 0.05 to 0.06."""
    wanted = ("hit rate, difference", "log-loss, difference", "Sharpe ratio, less the rival's")
    twins = coverage.studies(25, (0.08, 0.08), seed=4)
    found = [{name: it for name, it in coverage.differences(made).items() if name in wanted} for made in twins]
    for name in wanted:
        held = np.mean([not it[name].distinguishable for it in found])
        alarms = np.mean([it[name].p < 0.05 for it in found])
        assert held >= 0.8, name
        assert alarms == pytest.approx(1.0 - held)
