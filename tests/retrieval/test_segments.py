"""Segments: each an index of its own rows only, exact where all lists are read, and blind to what comes later."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.errors import LookAheadError, StoreError
from ragsignal.retrieval.index import AsOfIndex, Ranked
from ragsignal.retrieval.segments import SegmentedIndex

Vectors = NDArray[np.float32]
FIRST = np.datetime64("2020-01-01", "D")
SMALL: dict[str, Any] = {"segment_rows": 100, "rows_a_list": 20}
few = settings(max_examples=25, deadline=None)


def unit(rows: NDArray[np.float64]) -> Vectors:
    norm = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32)


def by_day(count: int) -> NDArray[np.datetime64]:
    return FIRST + np.arange(count) // 7


def clustered(count: int, seed: int, dim: int = 16) -> Vectors:
    """Points around 40 centres, as windows are around shapes; some equal, some zero."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, dim))
    rows = centres[rng.integers(0, 40, count)] + 0.3 * rng.normal(size=(count, dim))
    rows[rng.random(count) < 0.02] = 0.0
    twins = rng.random(count) < 0.05
    rows[twins] = rows[rng.integers(0, count, int(twins.sum()))]
    return unit(rows)


def answers(found: list[Ranked]) -> list[tuple[list[int], list[float]]]:
    return [(rows.tolist(), scores.tolist()) for rows, scores in found]


def ask(index: AsOfIndex, queries: Vectors, visible: NDArray[np.int64], k: int = 5, allowed: Any = None) -> Any:
    return answers(index.search_all(queries, visible, by_day(2_000)[np.maximum(visible - 1, 0)], k, allowed))


@few
@given(st.integers(0, 2**32), st.integers(1, 900), st.booleans(), st.sampled_from([1.0, 0.5, 0.02]), st.integers(1, 12))
def test_with_all_lists_read_it_is_the_exact_search(seed: int, count: int, half: bool, share: float, k: int) -> None:
    rng = np.random.default_rng(seed)
    plain = clustered(count, seed)
    vectors = plain.astype(np.float16) if half else plain
    queries = np.vstack([clustered(10, seed + 1), vectors[:3].astype(np.float32)])
    visible = rng.integers(0, count + 1, len(queries))
    keep = rng.random(count) < share
    allowed = None if share == 1.0 else [keep.__getitem__] * len(queries)
    all_lists = SegmentedIndex(vectors, by_day(count), probes=5, **SMALL)
    exact = AsOfIndex(vectors, by_day(count))
    assert ask(all_lists, queries, visible, k, allowed) == ask(exact, queries, visible, k, allowed)


@few
@given(st.integers(0, 2**32), st.integers(100, 800), st.data())
def test_poisoning_or_dropping_later_rows_moves_nothing(seed: int, count: int, data: st.DataObject) -> None:
    vectors, seen = clustered(count, seed), data.draw(st.integers(1, count))
    queries = clustered(8, seed + 1)
    visible = np.random.default_rng(seed).integers(0, seen + 1, len(queries))
    poisoned = vectors.copy()
    poisoned[seen:] = queries[0]
    found = [
        ask(SegmentedIndex(rows, by_day(len(rows)), probes=1, **SMALL), queries, visible)
        for rows in (vectors, poisoned, vectors[:seen])
    ]
    assert found[1] == found[0]
    assert found[2] == found[0]
    for (rows, scores), limit in zip(found[0], visible.tolist(), strict=True):
        assert all(row < limit for row in rows)
        assert len(rows) == len(set(rows)) == min(5, limit)
        assert all(one >= other for one, other in itertools.pairwise(scores))


def test_a_closed_segment_stays_what_it_is_when_later_rows_arrive(tmp_path: Path) -> None:
    vectors = clustered(390, 0)
    SegmentedIndex(vectors[:250], by_day(250), tmp_path, **SMALL)
    before = {path: path.read_bytes() for path in tmp_path.glob("*/segment.faiss")}
    assert len(before) == 2
    SegmentedIndex(vectors, by_day(390), tmp_path, **SMALL)
    after = {path: path.read_bytes() for path in tmp_path.glob("*/segment.faiss")}
    assert len(after) == 3
    assert before.items() <= after.items()


def test_a_segment_is_the_same_from_disk_and_from_any_number_of_threads(tmp_path: Path) -> None:
    import faiss

    vectors, queries, visible = clustered(600, 1), clustered(30, 2), np.full(30, 600)
    threads = faiss.omp_get_max_threads()
    try:
        for number in (1, 4):
            faiss.omp_set_num_threads(number)
            SegmentedIndex(vectors, by_day(600), tmp_path / str(number), **SMALL)
    finally:
        faiss.omp_set_num_threads(threads)
    one, four = (
        {path.relative_to(tmp_path / number): path.read_bytes() for path in tmp_path.glob(f"{number}/*/*")}
        for number in "14"
    )
    assert one == four
    built = SegmentedIndex(vectors, by_day(600), probes=2, **SMALL)
    read = SegmentedIndex(vectors, by_day(600), tmp_path / "1", probes=2, **SMALL)
    assert ask(read, queries, visible) == ask(built, queries, visible)


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_a_query_gets_the_same_alone_and_in_company(share: float) -> None:
    vectors, queries = clustered(900, 3), clustered(40, 4)
    rng = np.random.default_rng(5)
    visible, keep = rng.integers(0, 901, 40), rng.random(900) < share
    index = SegmentedIndex(vectors, by_day(900), probes=1, **SMALL)
    allowed = [keep.__getitem__] * 40
    together = ask(index, queries, visible, 5, allowed)
    assert [ask(index, queries[i : i + 1], visible[i : i + 1], 5, allowed[:1])[0] for i in range(40)] == together
    assert ask(index, queries[::-1], visible[::-1], 5, allowed) == together[::-1]


def test_most_neighbours_are_found_in_a_fraction_of_the_lists() -> None:
    vectors, queries, visible = clustered(2_000, 6), clustered(100, 7), np.full(100, 1_950)
    exact = ask(AsOfIndex(vectors, by_day(2_000)), queries, visible)
    fifth = SegmentedIndex(vectors, by_day(2_000), segment_rows=500, rows_a_list=10, probes=10)
    found = ask(fifth, queries, visible)
    recall = np.mean([len(set(a) & set(b)) / 5 for (a, _), (b, _) in zip(exact, found, strict=True)])
    assert 0.95 < recall < 1.0  # and not all: else the lists were not what limits it


def test_rows_that_are_not_allowed_make_it_look_further() -> None:
    vectors = clustered(1_000, 8)
    index = SegmentedIndex(vectors, by_day(1_000), probes=1, **SMALL)
    rare = np.zeros(1_000, bool)
    rare[[3, 412, 988]] = True
    ((rows, _),) = ask(index, vectors[500:501], np.array([1_000]), 5, [rare.__getitem__])
    assert sorted(rows) == [3, 412, 988]


def test_the_last_look_reads_every_list() -> None:
    vectors = clustered(140, 12)
    index = SegmentedIndex(vectors, by_day(140), segment_rows=100, rows_a_list=2, probes=1)
    rare = np.zeros(140, bool)
    rare[[3, 47, 98, 139]] = True
    far = -vectors[[3, 47, 98]].sum(axis=0, keepdims=True)
    ((rows, _),) = ask(index, far, np.array([140]), 5, [rare.__getitem__])
    assert sorted(rows) == [3, 47, 98, 139]


def test_a_prefix_that_holds_the_future_is_refused() -> None:
    index = SegmentedIndex(clustered(300, 9), by_day(300), **SMALL)
    with pytest.raises(LookAheadError, match="asked as of 2020-01-01 for candidates known on"):
        index.search(clustered(1, 10)[0], 200, FIRST, 5)


def test_a_damaged_segment_is_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    SegmentedIndex(clustered(120, 11), by_day(120), tmp_path, **SMALL)
    (path,) = tmp_path.glob("*/segment.faiss")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StoreError, match=f"cannot read the index in {path.parent}: .*delete the folder and run again"):
        SegmentedIndex(clustered(120, 11), by_day(120), tmp_path, **SMALL)
