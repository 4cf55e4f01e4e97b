"""The as-of index against a search by hand in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.errors import LookAheadError, ModelError
from ragsignal.retrieval import index as index_module
from ragsignal.retrieval.index import AsOfIndex

Vectors = NDArray[np.float32]
Allowed = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
FIRST = np.datetime64("2020-01-01", "D")
many = settings(max_examples=150, deadline=None)


def unit(rows: NDArray[np.float64]) -> Vectors:
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32)


def brute_force(
    vectors: Vectors | NDArray[np.float16], query: Vectors, visible: int, k: int, keep: NDArray[np.bool_]
) -> tuple[list[int], list[float]]:
    """Score every row, round to 6 decimals, sort by (score down, row up), take k: the promise, in its plainest form."""
    scores = {
        row: round(float(vectors[row].astype(np.float64) @ query.astype(np.float64)), 6)
        for row in range(visible)
        if keep[row]
    }
    rows = sorted(scores, key=lambda row: (-scores[row], row))[:k]
    return rows, [scores[row] for row in rows]


def by_day(count: int, rows_a_day: int = 3) -> NDArray[np.datetime64]:
    return FIRST + np.arange(count) // rows_a_day


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Vectors, Vectors]:
    """Vectors with many duplicates, near duplicates (1e-8 to 1e-6 apart) and zeros; a query that equals one or none."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, dim, distinct = draw(st.integers(1, 300)), draw(st.sampled_from([3, 5, 32])), draw(st.integers(1, 12))
    pool = rng.normal(size=(distinct, dim)) * (rng.random((distinct, 1)) > 0.2)
    jitter = rng.normal(size=(count, dim)) * draw(st.sampled_from([0.0, 1e-8, 1e-7, 1e-6]))
    vectors = unit(pool)[rng.integers(0, distinct, count)] + jitter.astype(np.float32)
    query = vectors[rng.integers(count)] if draw(st.booleans()) else unit(rng.normal(size=(1, dim)))[0]
    return vectors, query


@many
@given(crowds(), st.data())
def test_a_search_is_the_plain_search_of_the_prefix(crowd: tuple[Vectors, Vectors], data: st.DataObject) -> None:
    vectors, query = crowd
    days = by_day(len(vectors))
    visible, k = data.draw(st.integers(0, len(vectors))), data.draw(st.integers(1, 60))
    share = data.draw(st.sampled_from([1.0, 0.5, 0.05, 0.0]))
    keep = np.random.default_rng(visible).random(len(vectors)) < share
    allowed: Allowed | None = None if share == 1.0 else lambda rows: keep[rows]
    as_of = days[max(visible - 1, 0)]
    rows, scores = AsOfIndex(vectors, days).search(query, visible, as_of, k, allowed)
    expected_rows, expected_scores = brute_force(vectors, query, visible, k, keep)
    assert rows.tolist() == expected_rows
    np.testing.assert_allclose(scores, expected_scores, rtol=0, atol=1e-12)


@pytest.mark.slow
@many
@given(crowds(), st.data())
def test_all_queries_together_get_what_each_would_get_by_the_plain_search(
    crowd: tuple[Vectors, Vectors], data: st.DataObject
) -> None:
    vectors, query = crowd
    count, days = len(vectors), by_day(len(vectors))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    half = data.draw(st.booleans())
    stored = vectors.astype(np.float16) if half else vectors
    queries = np.vstack([query, vectors[rng.integers(0, count, 12)], unit(rng.normal(size=(3, vectors.shape[1])))])
    visible, k = rng.integers(0, count + 1, len(queries)), data.draw(st.integers(1, 20))
    keeps = [rng.random(count) < rng.choice([1.0, 0.3, 0.0]) for _ in queries]
    allowed: list[Allowed | None] = [None if keep.all() else keep.__getitem__ for keep in keeps]
    with pytest.MonkeyPatch.context() as small:
        small.setattr(index_module, "_QUERIES", data.draw(st.integers(1, 20)))
        small.setattr(index_module, "_ROWS", data.draw(st.integers(1, 100)))
        small.setattr(index_module, "_SCORES", data.draw(st.integers(1, 200)))
        small.setattr(index_module, "_SLACK", data.draw(st.integers(0, 5)))
        index = AsOfIndex(stored, days)
        found = index.search_all(queries, visible, days[np.maximum(visible - 1, 0)], k, allowed)
    for number, (rows, scores) in enumerate(found):
        expected = brute_force(stored, queries[number], int(visible[number]), k, keeps[number])
        assert rows.tolist() == expected[0]
        np.testing.assert_allclose(scores, expected[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [1, -1])
def test_scores_that_only_rise_or_only_fall_with_time_are_all_weighed(order: int) -> None:
    angles = np.linspace(0.1, 1.5, 20_000)[::order]
    vectors = np.stack([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    days = by_day(20_000)
    visible = np.array([20_000, 9_000, 37, 0])
    query = np.array([[1.0, 0.0]] * 4, dtype=np.float32)
    found = AsOfIndex(vectors, days).search_all(query, visible, [days[-1]] * 4, 5)
    for (rows, _), seen in zip(found, visible.tolist(), strict=True):
        assert rows.tolist() == brute_force(vectors, query[0], seen, 5, np.ones(20_000, bool))[0]


def test_one_query_of_many_whose_prefix_holds_the_future_is_refused() -> None:
    days = by_day(3, rows_a_day=1)
    index = AsOfIndex(np.eye(3, dtype=np.float32), days)
    queries = np.eye(3, dtype=np.float32)
    assert len(index.search_all(queries, [3, 1, 2], days[[2, 0, 1]], 1)) == 3
    with pytest.raises(LookAheadError, match="asked as of 2020-01-01 for candidates known on 2020-01-02"):
        index.search_all(queries, [3, 2, 2], days[[2, 0, 1]], 1)


def test_no_queries_get_no_answers() -> None:
    index = AsOfIndex(np.eye(3, dtype=np.float32), by_day(3))
    assert index.search_all(np.empty((0, 3), np.float32), [], [], 5) == []


def test_equal_scores_come_oldest_first_even_when_ties_fill_the_whole_corpus() -> None:
    vectors = np.tile(unit(np.array([[1.0, 2.0, 3.0]])), (5_000, 1))
    rows, scores = AsOfIndex(vectors, by_day(5_000)).search(vectors[0], 4_000, by_day(5_000)[3_999], 7)
    assert rows.tolist() == list(range(7))
    assert set(scores.tolist()) == {1.0}


def test_a_rare_symbol_is_found_behind_thousands_of_better_rows() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(np.array([1.0, 0.0, 0.0]) + rng.normal(0, 0.1, (3_000, 3)))
    wanted = np.array([17, 1_500, 2_998])
    vectors[wanted] = unit(np.array([[-1.0, 0.0, 0.1], [-1.0, 0.0, 0.0], [-1.0, 0.0, 0.2]]))
    index = AsOfIndex(vectors, by_day(3_000))
    query = np.array([1.0, 0.0, 0.0], dtype=np.float32)
    rows, _ = index.search(query, 3_000, by_day(3_000)[-1], 5, lambda found: np.isin(found, wanted))
    assert rows.tolist() == [2_998, 17, 1_500]


def test_the_prefix_is_all_that_is_read() -> None:
    vectors = unit(np.array([[0.0, 1.0], [0.1, 1.0], [1.0, 0.0]]))
    days = by_day(3, rows_a_day=1)
    rows, scores = AsOfIndex(vectors, days).search(vectors[2], 2, days[1], 5)
    assert rows.tolist() == [1, 0]
    assert scores.tolist() == [0.099504, 0.0]


@pytest.mark.parametrize("visible", [2, 3])
def test_a_prefix_that_holds_the_future_is_refused(visible: int) -> None:
    days = by_day(3, rows_a_day=1)
    index = AsOfIndex(np.eye(3, dtype=np.float32), days)
    assert index.search(np.ones(3, dtype=np.float32), visible, days[visible - 1], 1)[0].tolist() == [0]
    with pytest.raises(LookAheadError, match=rf"asked as of 2020-01-01 for candidates known on 2020-01-0{visible}"):
        index.search(np.ones(3, dtype=np.float32), visible, days[0], 1)


def test_nothing_visible_gives_nothing() -> None:
    index = AsOfIndex(np.eye(3, dtype=np.float32), by_day(3))
    for allowed in (None, lambda rows: rows > 0):
        rows, scores = index.search(np.ones(3, dtype=np.float32), 0, np.datetime64("1999-01-01"), 5, allowed)
        assert len(rows) == len(scores) == 0


def test_a_search_leaves_no_trace_in_the_next() -> None:
    rng = np.random.default_rng(1)
    vectors = unit(np.round(rng.normal(size=(400, 4)), 1))
    days = by_day(400)
    index = AsOfIndex(vectors, days)
    jobs = [(vectors[row], visible) for row, visible in rng.integers(1, 400, (20, 2))]

    def search(job: tuple[Vectors, int]) -> tuple[int, ...]:
        return tuple(index.search(job[0], job[1], days[job[1] - 1], 9)[0])

    first = [search(job) for job in jobs]
    assert [search(job) for job in reversed(jobs)] == first[::-1]


def test_a_flag_that_the_matrix_product_leaves_behind_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """BLAS kernels of some processors compute lanes that nobody reads (numpy issue 24067)."""
    product = np.matmul

    def noisy(*args: Any, **named: Any) -> Any:
        np.subtract(np.float32(np.inf), np.float32(np.inf))
        return product(*args, **named)

    vectors, days = np.eye(3, dtype=np.float32), by_day(3)
    monkeypatch.setattr(np, "matmul", noisy)
    assert AsOfIndex(vectors, days).search(vectors[2], 3, days[2], 1)[0].tolist() == [2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_vector_that_is_no_number_is_an_error_and_not_the_last_row_of_the_corpus(bad: float) -> None:
    vectors, days = np.eye(4, dtype=np.float32), by_day(4, rows_a_day=1)
    broken = vectors.copy()
    broken[1, 1] = bad
    with pytest.raises(ModelError, match="an embedding is NaN or infinite"):
        AsOfIndex(broken, days)
    with pytest.raises(ModelError, match="an embedding is NaN or infinite"):
        AsOfIndex(vectors, days).search(broken[1], 2, days[1], 1)


def test_vectors_and_days_must_belong_together() -> None:
    with pytest.raises(ValueError, match="2 vectors, but 3 dates"):
        AsOfIndex(np.eye(2, dtype=np.float32), by_day(3))
    with pytest.raises(ValueError, match="available_at must ascend"):
        AsOfIndex(np.eye(3, dtype=np.float32), by_day(3, rows_a_day=1)[::-1])
