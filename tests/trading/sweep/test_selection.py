"""What choosing the best point of a sweep is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ragsignal.study.trials import Trial, sharpe_of
from ragsignal.trading.sweep.selection import against_all, packed, selection_of, unpacked, words_of

DAYS = pd.bdate_range("2015-01-02", periods=300)


def _noise(points: int, seed: int = 0, days: int = 300) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).normal(0.0, 0.01, (points, days)))


@given(arrays.arrays(np.float64, st.integers(0, 20)))
def test_returns_come_back_from_a_journal_bit_for_bit(values: np.ndarray) -> None:
    assert unpacked(packed(pd.Series(values))).tobytes() == values.tobytes()


def test_the_best_of_worthless_points_is_not_believed() -> None:
    flat = [np.zeros(300)] * 40
    found = selection_of(_noise(40), flat, DAYS)
    assert found["overfitting"] > 0.2
    assert found["superior"] > 0.05
    assert found["deflated_sharpe"] < 0.95
    assert "not distinguishable" in " ".join(words_of(found, 40, "hold"))


def test_a_point_that_earns_every_day_is_believed() -> None:
    points = _noise(20)
    points[7] = points[7] + 0.005
    found = selection_of(points, [np.zeros(300)] * 20, DAYS)
    assert found["overfitting"] == 0.0
    assert found["superior"] <= 0.05
    assert "some point is better" in " ".join(words_of(found, 20, "hold"))


@pytest.mark.parametrize(
    ("points", "days"),
    [(_noise(1), DAYS), (_noise(5, days=60), DAYS[:60])],
    ids=["one point", "few days"],
)
def test_where_nothing_was_chosen_or_days_are_few_nothing_is_said(points: list[np.ndarray], days: pd.Index) -> None:
    found = selection_of(points, [np.zeros(len(days))] * len(points), days)
    assert {value for name, value in found.items() if name != "points"} == {None}
    assert words_of(found, len(points), "hold") == []


def test_points_that_do_what_the_benchmark_does_are_no_evidence() -> None:
    same = _noise(1)[0]
    found = selection_of([same] * 5, [same] * 5, DAYS)
    assert found["superior"] is None


def test_a_point_that_lost_everything_is_judged_by_its_loss() -> None:
    points = _noise(6)
    lost = points[3].copy()
    lost[100], lost[101:] = -1.05, np.nan
    found = selection_of([*points, lost], [np.zeros(300)] * 7, DAYS)
    dead = selection_of([*points, np.nan_to_num(lost)], [np.zeros(300)] * 7, DAYS)
    assert found["overfitting"] == dead["overfitting"]
    assert found["superior"] is not None


def test_more_trials_in_the_ledger_make_the_best_point_less_believable() -> None:
    points = _noise(20)
    own = [Trial("", "sweep", sharpe_of(it)) for it in points]
    few, many = against_all(points, own, DAYS), against_all(points, own * 50, DAYS)
    assert many["sharpe0"] > few["sharpe0"]
    assert many["deflated_sharpe"] < few["deflated_sharpe"]
