"""Probes of vectors: what is planted is found, noise is not, and no class is ruled out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.retrieval.probes import KnownWindows, linear_probe, nearest_probe
from ragsignal.types import FloatArray, IntArray


def ring(n: int, seed: int) -> tuple[NDArray[np.float32], IntArray]:
    """Unit vectors on a circle; the class is the third of it, which a line cannot tell as well as neighbours do."""
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, n)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return vectors, (angle / (2 * np.pi) * 6).astype(np.int64) % 3


def loss(probabilities: FloatArray, labels: IntArray) -> float:
    return float(-np.log(probabilities[np.arange(len(labels)), labels]).mean())


def test_neighbours_find_what_a_line_cannot() -> None:
    (vectors, labels), (later, came) = ring(1500, 0), ring(500, 1)
    known = KnownWindows(vectors, labels, 3)
    assert (nearest_probe(known, later, 20).argmax(axis=1) == came).mean() > 0.95
    assert (linear_probe(known, later).argmax(axis=1) == came).mean() < 0.5


def test_a_line_finds_a_direction() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 6)).astype(np.float32)
    labels = (vectors[:, 2] > 0.5).astype(np.int64) * 2  # the class in the middle never comes
    answers = linear_probe(KnownWindows(vectors[:1500], labels[:1500], 3), vectors[1500:])
    assert (answers.argmax(axis=1) == labels[1500:]).mean() > 0.95
    assert answers[:, 1].max() < 0.01


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 5, 60]))
def test_of_noise_a_probe_says_little_more_than_the_shares(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, labels = rng.normal(size=(900, 16)).astype(np.float32), rng.choice(3, 900, p=[0.2, 0.3, 0.5])
    known = KnownWindows(vectors[:600], labels[:600], 3)
    base = loss(np.tile(known.shares, (300, 1)), labels[600:])
    for answers in (linear_probe(known, vectors[600:]), nearest_probe(known, vectors[600:], k)):
        np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-6)
        assert answers.min() > 0
        assert loss(answers, labels[600:]) < base + 0.08


def test_far_is_by_distance_where_it_is_not_by_cosine() -> None:
    vectors = np.array([[1, 0], [10, 0], [0, 1], [0, 10]] * 5, dtype=np.float32)
    known = KnownWindows(vectors, np.array([0, 1, 0, 1] * 5), 2)
    asked = np.array([[9, 0.0]], dtype=np.float32)
    assert nearest_probe(known, asked, 5, cosine=False)[0, 1] > nearest_probe(known, asked, 10)[0, 1]


def test_one_class_alone_is_always_said() -> None:
    known = KnownWindows(np.eye(4, dtype=np.float32), np.zeros(4, dtype=np.int64), 3)
    for answers in (linear_probe(known, known.vectors), nearest_probe(known, known.vectors, 50)):
        assert (answers.argmax(axis=1) == 0).all()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_shares_count_each_class_once_more_than_it_came(classes: int) -> None:
    known = KnownWindows(np.zeros((4, 1), dtype=np.float32), np.array([0, 0, 1, 1]), classes)
    assert known.shares.sum() == pytest.approx(1.0)
    assert known.shares[0] == pytest.approx(3 / (4 + classes))
