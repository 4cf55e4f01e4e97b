"""Figures of forecasts of classes against the formulas, and how often noise is taken for something."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from ragsignal.statistics.classes import (
    ClassForecasts,
    class_figures,
    correlation_of_days,
    loss_difference,
    mean_of_days,
)
from ragsignal.types import FloatArray, IntArray

SHARES = np.array([0.2, 0.3, 0.5])


def drawn(seed: int = 0, n_days: int = 120, each: int = 4) -> tuple[FloatArray, IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([2.0, 3.0, 5.0], n_days * each)
    labels = rng.choice(3, n_days * each, p=SHARES)
    return probabilities, labels, np.repeat(np.arange(n_days), each)


def of(probabilities: FloatArray, labels: IntArray, day: IntArray) -> ClassForecasts:
    return ClassForecasts(probabilities, SHARES, labels, day, int(day.max()) + 1)


def test_figures_are_those_of_scikit_learn() -> None:
    probabilities, labels, day = drawn()
    found, said = class_figures(of(probabilities, labels, day)), probabilities.argmax(axis=1)
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, said))
    assert found["accuracy"].base == pytest.approx((labels == 2).mean())
    assert found["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, said))
    assert found["balanced_accuracy"].base == pytest.approx(1 / 3)
    assert found["log_loss"].value == pytest.approx(log_loss(labels, probabilities))
    for figure in found.values():
        assert figure.gain.low < figure.gain.difference < figure.gain.high


def test_who_knows_is_better_and_who_says_the_shares_is_not_distinguishable() -> None:
    _, labels, day = drawn()
    knows = 0.7 * np.eye(3)[labels] + 0.3 * SHARES
    assert all(figure.gain.low > 0 for figure in class_figures(of(knows, labels, day)).values())
    shares = np.tile(SHARES, (len(labels), 1))
    for name, figure in class_figures(of(shares, labels, day)).items():
        assert figure.gain.difference == pytest.approx(0.0), name
        assert not figure.gain.distinguishable


def test_of_noise_one_interval_in_twenty_leaves_the_base_rate_out() -> None:
    false = 0
    for seed in range(60):
        _, labels, day = drawn(seed)
        noise = 0.2 * np.eye(3)[np.random.default_rng(seed + 999).permutation(labels)] + 0.8 * SHARES
        gains = class_figures(of(noise, labels, day))
        false += gains["balanced_accuracy"].gain.distinguishable
    assert false <= 8  # 3 are expected


def test_fewer_than_100_days_say_nothing() -> None:
    probabilities, labels, day = drawn(n_days=99)
    for figure in class_figures(of(probabilities, labels, day)).values():
        assert (figure.gain.low, figure.gain.high) == (-np.inf, np.inf)


def test_a_paired_difference_is_of_the_same_queries() -> None:
    probabilities, labels, day = drawn()
    knows = of(0.7 * np.eye(3)[labels] + 0.3 * SHARES, labels, day)
    gap = loss_difference(knows, of(probabilities, labels, day))
    assert gap.low > 0
    assert loss_difference(of(probabilities, labels, day), knows).difference == pytest.approx(-gap.difference)
    with pytest.raises(ValueError, match="the same queries on both sides"):
        loss_difference(knows, of(probabilities[4:], labels[4:], day[4:]))


def test_days_are_averaged_where_they_count_and_correlated_by_rank() -> None:
    forecasts = of(*drawn())
    daily = np.where(np.arange(120) % 2, 0.3, np.nan)
    figure = mean_of_days(forecasts, daily, (np.arange(120) % 2).astype(float))
    assert figure.value == pytest.approx(0.3)
    assert np.isnan(mean_of_days(forecasts, daily, np.zeros(120)).value)
    x = np.random.default_rng(0).normal(size=120)
    assert correlation_of_days(forecasts, x, np.exp(x)).value == pytest.approx(1.0)
    assert correlation_of_days(forecasts, x, -x).gain.high < 0
    assert np.isnan(correlation_of_days(forecasts, x, np.ones(120)).value)
