"""The metric on states: z-scores, a learned matrix, and what age costs."""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal.errors import DataError
from ragsignal.retrieval.state_metric import StateMetric, similarity

STATES = np.random.default_rng(0).normal(3.0, 2.0, (50, 8))


def test_a_distance_by_hand() -> None:
    metric = StateMetric(np.ones(8), np.full(8, 2.0), np.eye(8)[:2] * [3.0], decay=0.5)
    states = np.zeros((2, 8))
    states[0, :3] = [2.0, 4.0, 100.0]  # the third variable is not in the matrix
    ages = np.array([365.25, 730.5])
    assert metric.distances(np.zeros(8), states, ages).tolist() == [9.0 + 36.0 + 0.5, 1.0]
    assert metric.plain.distances(np.zeros(8), states, ages).tolist() == [1.0 + 4.0 + 2500.0, 0.0]


def test_the_euclidean_metric_standardises_by_the_known_states() -> None:
    with_gaps = np.concatenate([STATES, np.full((3, 8), np.nan)])
    metric = StateMetric.euclidean(with_gaps)
    z_scores = metric.standardized(STATES)
    assert z_scores.mean(axis=0) == pytest.approx(np.zeros(8), abs=1e-12)
    assert z_scores.std(axis=0) == pytest.approx(np.ones(8))
    gaps = z_scores - z_scores[7]
    assert metric.distances(STATES[7], STATES, np.ones(50)) == pytest.approx((gaps**2).sum(axis=1))


def test_similarity_is_1_for_the_same_state_and_falls_with_distance() -> None:
    assert similarity(np.array([0.0, 16.0, 32.0])) == pytest.approx([1.0, np.exp(-1), np.exp(-2)])


@pytest.mark.parametrize("states", [STATES[:19], np.full((40, 8), np.nan), STATES * np.r_[np.ones(7), 0.0]])
def test_too_few_states_or_a_variable_that_never_changes_is_refused(states: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"at least 20 states of before data\.start, and \d+ are known: .*own_days"):
        StateMetric.euclidean(states)
