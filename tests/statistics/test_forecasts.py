"""Forecasts against forecasts: by hand, against statsmodels and scikit-learn, and with days that move together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference
from statsmodels.stats import contingency_tables

from ragsignal.evaluation.metrics import METRICS, Sample, direction_of
from ragsignal.statistics import (
    McNemar,
    hit_rate_difference,
    ic_difference,
    log_loss_difference,
    mcnemar,
    reliability,
)

# --- hit rates of two variants


def signals(rows: list[tuple[int, str, float, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["day", "symbol", "value", "target"])
    return table.assign(date=pd.Timestamp("2020-01-01") + pd.to_timedelta(table["day"], unit="D"))


def test_hit_rate_difference_by_hand() -> None:
    left = signals([(0, "A", 0.5, 0.01), (0, "B", 0.5, -0.01), (1, "A", -0.2, -0.01), (2, "A", 0.0, 0.01),
                    (3, "A", 0.5, np.nan), (4, "A", 0.5, 0.0), (5, "A", 0.5, 0.01), (6, "A", 0.5, 0.01)])  # fmt: skip
    right = signals([(0, "A", -0.5, 0.01), (0, "B", 0.1, -0.01), (1, "A", 0.2, -0.01), (2, "A", 0.5, 0.01),
                     (3, "A", 0.5, np.nan), (4, "A", -0.5, 0.0), (5, "A", 0.0, 0.01), (7, "A", 0.5, 0.01)])  # fmt: skip
    # both spoke on A0 (left right), B0 (both wrong) and A1 (left right); the rest lacks one voice or an answer
    interval = hit_rate_difference(left, right)
    assert interval is not None
    assert interval.difference == pytest.approx(2 / 3)
    opposite = hit_rate_difference(right, left)
    assert opposite is not None
    assert opposite.difference == pytest.approx(-2 / 3)


def test_hit_rate_difference_draws_days_and_not_signals() -> None:
    rng = np.random.default_rng(3)
    days = [(day, float(value), float(target)) for day, (value, target) in enumerate(rng.choice([-1, 1], (60, 2)))]
    one = signals([(day, "A", value, target) for day, value, target in days])
    crowd = signals([(day, symbol, value, target) for day, value, target in days for symbol in "ABCDEFGH"])
    always = {"value": 1.0}
    assert hit_rate_difference(crowd, crowd.assign(**always)) == hit_rate_difference(one, one.assign(**always))


def test_rows_may_come_in_any_order() -> None:
    rng = np.random.default_rng(5)
    table = signals([(day, symbol, rng.normal(), rng.normal()) for day in range(40) for symbol in "AB"])
    other = table.assign(value=rng.normal(size=len(table)))
    mixed = table.sample(frac=1, random_state=0)
    assert hit_rate_difference(mixed, other) == hit_rate_difference(table, other)


@pytest.mark.parametrize("right", [[(1, "A", 0.5, 0.01)], [(0, "A", 0.0, 0.01)], [(0, "B", 0.5, 0.01)]])
def test_variants_without_a_common_signal_have_no_difference(right: list[Any]) -> None:
    assert hit_rate_difference(signals([(0, "A", 0.5, 0.01)]), signals(right)) is None


# --- log-loss of two variants


def forecasts(n_days: int, symbols: str, seed: int, skill: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    outcomes = np.random.default_rng(1000).normal(0, 0.01, (n_days, len(symbols)))
    logit = rng.normal(size=outcomes.shape) + skill * np.sign(outcomes)
    probability = 1 / (1 + np.exp(-logit))
    rows = [
        (day, symbol, 2 * probability[day, at] - 1, outcomes[day, at])
        for day in range(n_days)
        for at, symbol in enumerate(symbols)
    ]
    return signals(rows).assign(probability=probability.ravel())


def test_log_loss_difference_is_that_of_scikit_learn() -> None:
    left, right = forecasts(150, "ABC", 0), forecasts(150, "ABC", 1)
    found = log_loss_difference(left, right)
    assert found is not None
    rose = left["target"] > 0
    theirs = [reference.log_loss(rose, it["probability"]) for it in (left, right)]
    assert found.difference == pytest.approx(theirs[0] - theirs[1])


def test_the_better_probabilities_have_the_lower_log_loss_and_are_told_apart() -> None:
    better, worse = forecasts(250, "ABCDE", 0, skill=0.5), forecasts(250, "ABCDE", 1)
    found, swapped = log_loss_difference(better, worse), log_loss_difference(worse, better)
    assert found is not None
    assert swapped is not None
    assert found.high < 0 < swapped.low
    assert found.p == pytest.approx(swapped.p)
    assert found.p < 0.01
    assert log_loss_difference(better, better.copy()).p == 1.0  # type: ignore[union-attr]


def test_one_certain_error_is_not_infinite() -> None:
    left = forecasts(120, "A", 0)
    certain = left.assign(probability=(left["target"] < 0).astype(float))  # always sure, always wrong
    found = log_loss_difference(certain, left)
    assert found is not None
    assert np.isfinite([found.difference, found.low, found.high]).all()


def test_abstentions_are_in_no_difference() -> None:
    left, right = forecasts(120, "AB", 0), forecasts(120, "AB", 1)
    silent = left["symbol"] == "B"
    left.loc[silent, ["value", "probability"]] = 0.0, 0.5
    only_a = [it[it["symbol"] == "A"] for it in (left, right)]
    assert log_loss_difference(left, right) == log_loss_difference(*only_a)
    assert hit_rate_difference(left, right) == hit_rate_difference(*only_a)


# --- McNemar


def crossed(both: int, only_left: int, only_right: int, neither: int) -> tuple[Any, Any]:
    counts = [both, only_left, only_right, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(
    ("table", "statistic"),
    [((101, 121, 59, 33), 21.35556), ((101, 70, 59, 33), 0.9379845), ((101, 80, 59, 33), 3.172662)],
)
def test_mcnemar_has_the_statistic_of_r_and_the_exact_p_of_statsmodels(
    table: tuple[int, int, int, int], statistic: float
) -> None:
    found = mcnemar(*crossed(*table))
    theirs = contingency_tables.mcnemar(np.reshape(table, (2, 2)), exact=True)
    assert (found.only_left, found.only_right) == table[1:3]
    assert found.statistic == pytest.approx(statistic, rel=1e-6)
    assert found.p == pytest.approx(theirs.pvalue)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_exact_for_few_disagreements(only_left: int, only_right: int) -> None:
    found = mcnemar(*crossed(3, only_left, only_right, 2))
    theirs = contingency_tables.mcnemar([[3, only_left], [only_right, 2]], exact=True)
    assert found.p == pytest.approx(theirs.pvalue)


def obuchowski(left: Any, right: Any, day: Any) -> float:
    """The paper's own form: variances and covariance of two clustered proportions, pooled under the hypothesis."""
    days, n = np.unique(day), len(day)
    pooled = (left.sum() + right.sum()) / (2 * n)
    variance_left = variance_right = covariance = 0.0
    for it in days:
        of_left, of_right, size = left[day == it].sum(), right[day == it].sum(), (day == it).sum()
        variance_left += (of_left - size * pooled) ** 2
        variance_right += (of_right - size * pooled) ** 2
        covariance += (of_left - size * pooled) * (of_right - size * pooled)
    k = len(days)
    variance = k / (k - 1) / n**2 * (variance_left + variance_right - 2 * covariance)
    return float((left.mean() - right.mean()) ** 2 / variance)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(1, 6))
def test_clustered_mcnemar_is_obuchowskis(seed: int, n_days: int, a_day: int) -> None:
    rng = np.random.default_rng(seed)
    day = rng.permutation(np.repeat(np.arange(n_days), a_day))
    left, right = rng.random(len(day)) < 0.6, rng.random(len(day)) < 0.5
    found = mcnemar(left, right, day)
    if found.statistic > 0.0:
        assert found.statistic == pytest.approx(obuchowski(left, right, day))
    else:
        assert found.p == 1.0


def test_one_signal_a_day_is_the_test_without_days_but_for_one_degree_of_freedom() -> None:
    left, right = crossed(40, 60, 40, 60)
    found = mcnemar(left, right, np.arange(200))
    assert found.statistic == pytest.approx(mcnemar(left, right).statistic * 199 / 200)


def test_ten_symbols_that_move_as_one_are_no_more_evidence() -> None:
    left, right = crossed(40, 60, 30, 60)
    one = mcnemar(left, right, np.arange(190))
    crowd = mcnemar(np.repeat(left, 10), np.repeat(right, 10), np.repeat(np.arange(190), 10))
    assert crowd.p == pytest.approx(one.p)
    assert mcnemar(np.repeat(left, 10), np.repeat(right, 10)).p < 1e-6 < one.p


def test_who_never_disagree_do_not_differ_and_one_day_says_nothing() -> None:
    left, right = crossed(3, 2, 0, 1)
    assert mcnemar(left, left) == mcnemar(left, left, np.arange(6)) == McNemar(0, 0, 0.0, 1.0)
    assert np.isnan(mcnemar(left, right, np.zeros(6)).p)
    nothing = np.zeros(0, dtype=bool)
    assert mcnemar(nothing, nothing).p == 1.0


def test_days_that_cancel_out_show_no_difference() -> None:
    left, right = crossed(0, 4, 4, 0)
    assert mcnemar(left, right, np.r_[np.arange(4), np.arange(4)]).p == 1.0


# --- reliability


def test_bins_hold_what_was_said_and_seen_and_give_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    said, day = rng.random(3000), rng.permutation(np.repeat(np.arange(300), 10))
    rose = rng.random(3000) < said
    bins = reliability(said, rose, day)
    assert len(bins) == 10
    for it, part in zip(bins, np.array_split(np.argsort(said), 10), strict=True):
        assert (it.n, it.said, it.seen) == (300, pytest.approx(said[part].mean()), pytest.approx(rose[part].mean()))
        assert 0.0 <= it.low < it.seen < it.high <= 1.0
        assert it.low < it.said < it.high  # it means what it says
    sample = Sample(day, 300, rose - 0.5, said, said, direction_of(said), rose, rose, np.zeros((len(day), 0)), least=5)
    gap = sum(it.n * abs(it.said - it.seen) for it in bins) / 3000
    assert gap == pytest.approx(METRICS["ece"].value(sample))


def test_a_bin_of_few_days_has_the_widest_interval_and_no_forecasts_no_bin() -> None:
    said = np.r_[np.full(150, 0.4), np.full(50, 0.6)]
    rose = np.arange(200) % 2 == 0
    many, few = reliability(said, rose, np.arange(200))
    assert (few.n, few.low, few.high) == (50, 0.0, 1.0)
    assert 0.3 < many.low < 0.5 < many.high < 0.7
    assert reliability(np.array([]), np.array([], dtype=bool), np.array([])) == ()


def ranked_signals(skill: float, seed: int, n_days: int = 120, n_symbols: int = 20) -> pd.DataFrame:
    """Signals whose cross-section knows ``skill`` of what comes; the market's own moves are ten times as large."""
    came = np.random.default_rng(0).normal(size=(n_days, n_symbols))
    said = skill * came + np.random.default_rng(seed).normal(size=came.shape)
    market = np.random.default_rng(1).normal(scale=10.0, size=(n_days, 1))
    days, symbols = np.indices(came.shape)
    columns = {"date": days, "symbol": symbols, "value": said, "target": came + market}
    table = pd.DataFrame({name: column.ravel() for name, column in columns.items()})
    return table.assign(probability=0.5)


def test_an_ic_difference_is_that_of_scipys_rank_correlations_averaged_over_rivals() -> None:
    from scipy.stats import spearmanr

    left, rights = ranked_signals(0.5, 2), [ranked_signals(0.0, 3), ranked_signals(0.1, 4)]

    def ic(table: pd.DataFrame) -> float:
        return float(np.mean([spearmanr(day["value"], day["target"]).statistic for _, day in table.groupby("date")]))

    found, swapped = ic_difference(left, rights), ic_difference(rights[0], [left])
    assert found is not None
    assert swapped is not None
    assert found.difference == pytest.approx(ic(left) - np.mean([ic(right) for right in rights]))
    assert swapped.difference == pytest.approx(ic(rights[0]) - ic(left))
    assert found.low > 0.0  # the market's moves do not hide it


def test_days_of_few_shared_signals_have_no_ic() -> None:
    left = ranked_signals(0.5, 2)
    few = left[left["symbol"] < 9]
    assert ic_difference(left, [few]) is None
    same = ic_difference(left, [left.copy()])
    assert same is not None
    assert (same.difference, same.p) == (0.0, 1.0)
