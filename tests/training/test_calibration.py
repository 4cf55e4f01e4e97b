"""Calibration: its laws, and what it does with scores that say nothing or everything."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.errors import DataError
from ragsignal.llm.calibration import calibrated, probability_of
from ragsignal.training.calibration import expected_calibration_error, fit_calibration

Method = Literal["platt", "temperature"]
METHODS = st.sampled_from(["platt", "temperature"])


@st.composite
def scores(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Log-odds on any scale, with ties, and outcomes that follow them, oppose them, or neither."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, scale = draw(st.integers(2, 200)), draw(st.sampled_from([0.0, 1e-6, 0.3, 5.0, 1e3]))
    log_odds = draw(st.sampled_from([0.0, -3.0, 800.0])) + scale * rng.normal(size=count).round(1)
    knowledge = draw(st.sampled_from([-3.0, 0.0, 1.0, np.inf]))
    drawn = rng.random(count) if np.isfinite(knowledge) else np.full(count, 0.5)
    rise = drawn < probability_of((knowledge if np.isfinite(knowledge) else 1.0) * (log_odds - log_odds.mean()))
    rise[:2] = (True, False)
    return log_odds, rise


@settings(deadline=None, max_examples=60)
@given(scores(), METHODS)
def test_calibration_never_changes_order(drawn: tuple[Any, Any], method: Method) -> None:
    log_odds, rise = drawn
    fitted = fit_calibration(log_odds, rise, method)
    order = np.argsort(log_odds, kind="stable")
    assert fitted["slope"] >= 0.01
    assert (np.diff(calibrated(log_odds, fitted)[order]) >= 0).all()
    assert (np.diff(probability_of(calibrated(log_odds, fitted))[order]) >= 0).all()


@settings(deadline=None, max_examples=60)
@given(scores())
def test_after_platt_the_mean_probability_is_the_share_of_rises(drawn: tuple[Any, Any]) -> None:
    log_odds, rise = drawn
    fitted = fit_calibration(log_odds, rise, "platt")
    assert abs(probability_of(calibrated(log_odds, fitted)).mean() - rise.mean()) < 1e-3


def test_an_overconfident_model_gets_its_true_slope_back() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=20_000)
    rise = rng.random(len(true)) < probability_of(true)
    platt = fit_calibration(3 * true + 1, rise, "platt")
    assert platt["slope"] == pytest.approx(1 / 3, abs=0.02)
    assert platt["intercept"] == pytest.approx(-1 / 3, abs=0.05)
    assert fit_calibration(3 * true, rise, "temperature") == {
        "method": "temperature",
        "slope": pytest.approx(1 / 3, abs=0.02),
        "intercept": 0.0,
    }
    raw = expected_calibration_error(probability_of(3 * true + 1), rise)
    left = expected_calibration_error(probability_of(calibrated(3 * true + 1, platt)), rise)
    assert left < 0.02 < 0.15 < raw


def test_scores_that_oppose_what_followed_are_muted_and_not_turned_round() -> None:
    log_odds = np.linspace(-2, 2, 100)
    assert fit_calibration(log_odds, log_odds < 0.5, "platt")["slope"] == 0.01


def test_scores_that_separate_the_outcomes_get_a_finite_slope() -> None:
    log_odds = np.linspace(-2, 2, 100)
    fitted = fit_calibration(log_odds, log_odds > 0, "platt")
    assert 1 < fitted["slope"] < 100
    assert fitted["intercept"] == pytest.approx(0.0, abs=1e-6)


def test_no_calibration_leaves_the_log_odds_alone() -> None:
    log_odds = np.array([-1.0, 0.0, 2.0])
    assert fit_calibration(log_odds, np.zeros(3, dtype=bool), "none") == {
        "method": "none",
        "slope": 1.0,
        "intercept": 0.0,
    }
    assert calibrated(log_odds, None) is log_odds


@pytest.mark.parametrize(
    ("log_odds", "rise", "message"),
    [
        ([0.1, 0.2], [True, True], "2 validation queries of which 2 rose"),
        ([0.1, 0.2], [False, False], "of which 0 rose"),
        ([0.1, np.nan], [True, False], "1 of 2 validation scores are not numbers"),
    ],
)
def test_what_cannot_be_calibrated_raises(log_odds: list[float], rise: list[bool], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_calibration(np.array(log_odds), np.array(rise), "platt")


@given(st.lists(st.booleans(), min_size=1, max_size=200), st.integers(1, 20))
def test_a_calibrated_constant_has_no_calibration_error(rise: list[bool], bins: int) -> None:
    seen = np.array(rise)
    assert expected_calibration_error(np.full(len(seen), seen.mean()), seen, bins) == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_by_hand() -> None:
    said = np.array([0.1, 0.2, 0.8, 0.9])
    rise = np.array([False, True, True, True])
    # lower half: said 0.15, seen 0.5; upper half: said 0.85, seen 1.0
    assert expected_calibration_error(said, rise, bins=2) == pytest.approx((0.35 + 0.15) / 2)


def test_probability_holds_in_both_tails() -> None:
    assert probability_of(np.array([-1000.0, -2.0, 0.0, 1000.0])) == pytest.approx(
        [0.0, 1 / (1 + np.exp(2.0)), 0.5, 1.0]
    )
