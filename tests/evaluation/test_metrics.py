"""Figures of forecasts against scikit-learn and SciPy, ties and constants, and intervals that hold what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as reference

from ragsignal.evaluation.days import medians, places, rank_correlations
from ragsignal.evaluation.metrics import AUC_BINS, METRICS, MetricEstimate, Resampling, Sample, direction_of
from ragsignal.statistics import equal_mass_bins
from ragsignal.statistics.intervals import LEAST_DAYS, Interval, block_length, day_weights, interval_of_draws, widening
from ragsignal.types import FloatArray, IntArray


def sample_of(n_days: int = 12, symbols: int = 10, seed: int = 0, skill: float = 0.5) -> Sample:
    """Days of equal size in random order, with a forecast of some skill."""
    rng = np.random.default_rng(seed)
    day = rng.permutation(np.repeat(np.arange(n_days), symbols))
    outcome = rng.normal(0.0, 0.02, len(day))
    probability = 1 / (1 + np.exp(-(skill * np.sign(outcome) + rng.normal(0, 1, len(day)))))
    return asked(day, n_days, outcome, probability)


def asked(day: IntArray, n_days: int, outcome: FloatArray, probability: FloatArray) -> Sample:
    """A sample whose outcomes are the same open to open, and whose one style says nothing."""
    rise, styles = direction_of(probability), np.zeros((len(day), 1))
    return Sample(day, n_days, outcome, probability, probability, rise, outcome, outcome, styles, least=5)


def estimate(measure: str, sample: Sample) -> MetricEstimate:
    metric = METRICS[measure]
    return metric.estimate(metric.daily(sample), Resampling.of(sample.n_days))


def difference(measure: str, left: Sample, *rights: Sample) -> Interval:
    metric = METRICS[measure]
    return metric.difference(metric.daily(left), [metric.daily(it) for it in rights], Resampling.of(left.n_days))


def constant(sample: Sample, probability: float) -> Sample:
    flat = np.full(len(sample), probability)
    return replace(sample, probability=flat, score=flat, rise=direction_of(flat))


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn(seed: int) -> None:
    sample = sample_of(seed=seed)
    rose, said = sample.rose, sample.rise
    expected = {
        "acc": reference.accuracy_score(rose, said),
        "mcc": reference.matthews_corrcoef(rose, said),
        "auc": reference.roc_auc_score(rose, sample.score),
        "brier": reference.brier_score_loss(rose, sample.probability),
        "log_loss": reference.log_loss(rose, sample.probability),
    }
    assert {name: METRICS[name].value(sample) for name in expected} == pytest.approx(expected)


def test_auc_in_bins_is_close_to_that_of_all_pairs() -> None:
    sample = sample_of(n_days=60, symbols=100)
    assert len(np.unique(sample.score)) > 10 * AUC_BINS
    assert METRICS["auc"].value(sample) == pytest.approx(reference.roc_auc_score(sample.rose, sample.score), abs=1e-4)


def test_ic_is_the_mean_of_each_days_spearman_over_what_is_known() -> None:
    sample = replace(sample_of(), score=np.round(sample_of().score, 1))  # with ties
    opened = np.where(sample.day == 3, np.nan, -sample.outcome)
    opened[np.flatnonzero(sample.day == 5)[0]] = np.nan
    sample = replace(sample, open_outcome=opened)
    for measure, outcome in (("ic", sample.outcome), ("ic_o2o", opened)):
        known = np.isfinite(outcome)
        daily = [
            stats.spearmanr(sample.score[of_day], outcome[of_day]).statistic
            for of_day in ((sample.day == day) & known for day in range(sample.n_days))
            if of_day.any()
        ]
        assert METRICS[measure].value(sample) == pytest.approx(np.mean(daily))


def test_daily_auc_is_the_mean_of_the_days_that_have_both_sides() -> None:
    sample = replace(sample_of(symbols=6), score=np.round(sample_of(symbols=6).score, 1))
    outcome = np.where(sample.day == 2, 0.01, sample.outcome)
    sample = replace(sample, outcome=outcome)
    daily = [
        reference.roc_auc_score(sample.rose[sample.day == day], sample.score[sample.day == day])
        for day in range(sample.n_days)
        if len(np.unique(sample.rose[sample.day == day])) == 2
    ]
    assert len(daily) < sample.n_days
    assert METRICS["auc_day"].value(sample) == pytest.approx(np.mean(daily))


def test_residual_ic_is_that_of_what_a_regression_leaves() -> None:
    sample = sample_of(symbols=15)
    styles = np.random.default_rng(1).normal(size=(len(sample), 3)) + sample.score[:, None]
    sample = replace(sample, styles=styles)
    daily = []
    for day in range(sample.n_days):
        mine = sample.day == day
        ranks, came = stats.rankdata(sample.score[mine]), stats.rankdata(sample.outcome[mine])
        known = np.column_stack([np.ones(15), styles[mine]])
        left = ranks - known @ np.linalg.lstsq(known, ranks, rcond=None)[0]
        daily.append(np.corrcoef(left, came)[0, 1])
    assert METRICS["ic_residual"].value(sample) == pytest.approx(np.mean(daily))


def test_a_score_that_is_a_style_has_no_residual() -> None:
    sample = sample_of(symbols=15)
    ranks = places(sample.score, sample.day).centred
    assert METRICS["ic_residual"].value(replace(sample, styles=np.column_stack([ranks, -ranks]))) == 0.0


def test_days_with_few_symbols_are_in_no_ic() -> None:
    sample = sample_of(symbols=20)
    kept = sample.where((sample.day != 4) | (np.cumsum(sample.day == 4) <= 9))  # 9 of its 20
    whole = sample.where(sample.day != 4)
    for measure in ("ic", "ic_o2o", "ic_residual", "auc_day", "spread_bp"):
        metric = METRICS[measure]
        assert metric.value(replace(kept, least=10)) == pytest.approx(metric.value(whole))
    assert METRICS["ic"].value(replace(kept, least=9)) != pytest.approx(METRICS["ic"].value(whole))


def test_blocks_are_three_times_as_long_as_outcomes_overlap() -> None:
    assert Resampling.of(150, overlap=20).block == 60
    assert Resampling.of(150, overlap=4).block == 12
    weights = Resampling.of(600, overlap=20).weights
    assert np.corrcoef(weights[:, 40], weights[:, 60])[0, 1] > 0.5


def test_intervals_hold_the_truth_where_outcomes_overlap() -> None:
    n_days, trials, horizon = 500, 1000, 20
    noise = np.random.default_rng(0).normal(size=(trials, n_days + horizon - 1))
    series = np.lib.stride_tricks.sliding_window_view(noise, horizon, axis=1).mean(axis=2)
    resampling = Resampling.of(n_days, overlap=horizon)
    draws = series @ resampling.weights.T / n_days
    held = [
        interval_of_draws(float(value), drawn, n_days, resampling.block)
        for value, drawn in zip(series.mean(axis=1), draws, strict=True)
    ]
    assert np.mean([not it.distinguishable for it in held]) > 0.91  # 0.88 with blocks of the square root


def test_spread_is_top_less_bottom_fifth_and_tenth_of_large_days() -> None:
    for symbols, share in ((9, 5), (60, 10)):
        sample = sample_of(symbols=symbols)
        table = pd.DataFrame({"day": sample.day, "score": sample.score, "outcome": sample.outcome})
        size = symbols // share
        daily = [
            group["outcome"].iloc[-size:].mean() - group["outcome"].iloc[:size].mean()
            for _, group in table.sort_values("score").groupby("day")
        ]
        assert METRICS["spread_bp"].value(sample) == pytest.approx(1e4 * np.mean(daily))


def test_ece_is_the_mean_gap_of_ten_bins_of_equal_mass() -> None:
    sample = sample_of(n_days=10, symbols=20)
    order = np.argsort(sample.probability)
    gaps = [abs((sample.probability - sample.rose)[part].sum()) for part in np.array_split(order, 10)]
    assert METRICS["ece"].value(sample) == pytest.approx(sum(gaps) / len(sample))


def test_ranked_accuracy_compares_with_the_days_median() -> None:
    score = np.array([0.1, 0.2, 0.3, 0.9, 0.8, 0.8, 0.8, 0.7])
    outcome = np.array([-1, -1, 1, 1, 1, 1, 1, -1.0])
    day = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    sample = asked(day, 2, outcome, score)
    # the first day is all right; on the second three stand at the median and count half, and 0.7 is below it
    assert METRICS["acc_ranked"].value(sample) == pytest.approx((4 + 3 * 0.5 + 1) / 8)


@given(st.floats(0.0, 1.0), st.integers(0, 5))
@settings(max_examples=40)
def test_a_constant_forecast_has_no_skill_in_any_figure(probability: float, seed: int) -> None:
    sample = constant(sample_of(seed=seed), probability)
    values = {name: metric.value(sample) for name, metric in METRICS.items()}
    without_skill = {
        "auc": 0.5,
        "mcc": 0.0,
        "auc_day": 0.5,
        "ic": 0.0,
        "ic_residual": 0.0,
        "spread_bp": 0.0,
        "acc_ranked": 0.5,
    }
    assert {name: values[name] for name in without_skill} == pytest.approx(without_skill)
    assert np.isfinite(list(values.values())).all()
    assert values["ece"] == pytest.approx(abs(probability - sample.rose.mean()))


def test_a_probability_of_exactly_one_half_counts_half_for_each_side() -> None:
    assert METRICS["acc"].value(constant(sample_of(), 0.5)) == 0.5


def test_a_figure_that_does_not_exist_is_nan_and_so_is_its_interval() -> None:
    risen = replace(sample_of(), outcome=np.ones(len(sample_of())))
    few = sample_of(symbols=4)
    nothing = few.where(np.zeros(len(few), dtype=bool))
    for name, sample in (("auc", risen), ("auc_day", risen), ("ic", few), ("spread_bp", few), ("brier", nothing)):
        found = estimate(name, sample)
        assert np.isnan([found.value, found.low, found.high]).all()


@given(st.permutations(range(20)), st.integers(0, 100))
@settings(max_examples=30)
def test_the_order_of_the_queries_does_not_matter(order: list[int], seed: int) -> None:
    sample = sample_of(n_days=4, symbols=5, seed=seed)
    turned = sample.where(np.array(order))  # an index array takes rows in its order
    for metric in METRICS.values():
        np.testing.assert_allclose(metric.value(turned), metric.value(sample), atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=40))
def test_places_medians_and_correlations_are_those_of_pandas(entries: list[tuple[int, int]]) -> None:
    day, values = (np.array(column) for column in zip(*entries, strict=True))
    values = values.astype(float)
    grouped = pd.Series(values).groupby(day)
    found = places(values, day)
    np.testing.assert_array_equal((found.low + found.high + 1) / 2, grouped.rank())
    np.testing.assert_array_equal(medians(values, day), grouped.transform("median"))
    assert found.share_of_lowest(np.ones(len(day))).sum() == pytest.approx(grouped.ngroups)
    np.testing.assert_array_equal(
        np.isnan(rank_correlations(values, values, day, 5)), np.bincount(day, minlength=5) == 0
    )


def test_equal_values_share_a_bin_and_few_values_have_their_own() -> None:
    assert equal_mass_bins(np.array([0.3, 0.1, 0.3]), 10).tolist() == [1, 0, 1]
    many = np.random.default_rng(0).normal(size=1000)
    assert np.bincount(equal_mass_bins(many, 10)).tolist() == [100] * 10


def test_a_repetition_draws_blocks_of_consecutive_days_and_as_many_days_as_there_are() -> None:
    weights = day_weights(150, seed=1)
    assert weights.shape == (1000, 150)
    assert (weights.sum(axis=1) == 150).all()
    assert block_length(150) == 12
    assert block_length(10_000) == 30
    # neighbours are drawn together: weights of days far apart are as good as independent
    near = np.corrcoef(weights[:, 40], weights[:, 41])[0, 1]
    far = np.corrcoef(weights[:, 40], weights[:, 100])[0, 1]
    assert near > 0.8 > 0.2 > abs(far)


def test_draws_weigh_days_as_a_sample_with_those_days_repeated_would() -> None:
    sample = sample_of(n_days=6)
    times = np.array([0, 2, 1, 0, 3, 0])
    again = np.concatenate([np.flatnonzero(sample.day == day) for day in range(6) for _ in range(times[day])])
    fresh_day = np.repeat(np.arange(6), 10)  # a day that is drawn twice is two days
    repeated = replace(sample.where(again), day=fresh_day)
    for name in set(METRICS) - {"ece"}:  # whose bins are those of the whole sample
        metric = METRICS[name]
        found = float(metric.pooled(times @ metric.daily(sample)))
        assert found == pytest.approx(metric.value(repeated)), name


def test_intervals_hold_the_truth_when_days_move_together() -> None:
    """Ten symbols a day, half of them following the day: naive intervals are too short by far."""
    rng = np.random.default_rng(0)
    n_days, symbols, trials = 160, 10, 300
    day = np.repeat(np.arange(n_days), symbols)
    covered, naive = 0, 0
    for _ in range(trials):
        common = np.repeat(rng.random(n_days) < 0.55, symbols)
        right = np.where(rng.random(len(day)) < 0.7, common, rng.random(len(day)) < 0.55)
        outcome = np.where(right, 1.0, -1.0)
        said = np.ones(len(day))
        found = estimate("acc", asked(day, n_days, outcome, said))
        covered += found.low <= 0.55 <= found.high
        naive += abs(right.mean() - 0.55) <= 1.96 * np.sqrt(0.55 * 0.45 / len(day))
    assert covered / trials > 0.91
    assert naive / trials < 0.75


def test_too_few_days_say_nothing() -> None:
    for n_days, known in ((LEAST_DAYS - 1, False), (LEAST_DAYS, True)):
        sample = sample_of(n_days=n_days)
        found = estimate("brier", sample)
        gap = difference("brier", sample, constant(sample, 0.0))
        assert np.isfinite(found.value)
        assert gap.distinguishable == known


def test_a_difference_is_paired_so_its_interval_is_shorter_than_those_of_its_parts() -> None:
    sample = sample_of(n_days=200)
    nearly = replace(sample, probability=np.clip(sample.probability + 0.01, 0, 1))
    gap = difference("brier", sample, nearly)
    alone = estimate("brier", sample)
    assert gap.high - gap.low < (alone.high - alone.low) / 5
    none = difference("brier", sample, sample, sample)
    assert (none.difference, none.low, none.high) == (0.0, 0.0, 0.0)
    assert not none.distinguishable


def test_a_difference_to_several_is_one_to_their_mean_figure() -> None:
    left, one, two = (replace(sample_of(), rise=sample_of(seed=seed).rise) for seed in range(3))
    found = difference("acc", left, one, two)
    values = [METRICS["acc"].value(it) for it in (left, one, two)]
    assert found.difference == pytest.approx(values[0] - (values[1] + values[2]) / 2)


def test_intervals_hold_the_truth_with_few_blocks_and_days_that_resemble_each_other() -> None:
    n_days, trials = 100, 2000
    noise = np.random.default_rng(0).normal(size=(trials, n_days + 1))
    series = noise[:, 1:] + 0.3 * noise[:, :-1]
    draws = series @ day_weights(n_days).T / n_days
    block = block_length(n_days)
    found = [
        interval_of_draws(float(value), drawn, n_days, block)
        for value, drawn in zip(series.mean(1), draws, strict=True)
    ]
    assert 0.93 < np.mean([not it.distinguishable for it in found]) < 0.97  # 0.90 without the widening
    assert widening(100_000, 30) == pytest.approx(1.0, abs=1e-3)
