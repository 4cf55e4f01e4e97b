"""Encoders and the embedding cache: shapes without a price level, and every text embedded once."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import CorpusSpec
from ragsignal.data.bins import Bins, shipped_bins
from ragsignal.data.windows import log_returns
from ragsignal.errors import StoreError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import ShapeEncoder, corpus_lines, zscore_rows
from tests.fakes import FakeModel, FakeTextEncoder
from tests.markets import Frames, bars, queries_of, rescaled

few = settings(max_examples=15, deadline=None)


def lines_by_row(corpus: Corpus) -> list[str]:
    """The plain way: one line a candidate."""
    lines, line_of = corpus_lines(corpus, shipped_bins())
    return [lines[number] for number in line_of]


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "deep" / "embeddings.sqlite")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return build_corpus({"A": bars(60, tick=0.5), "B": bars(60, seed=1)}, CorpusSpec())


# --- zscore_rows


@given(st.integers(2, 10), st.integers(1, 30), st.integers(0, 2**32), st.sampled_from([1e-6, 1.0, 1e6]))
def test_rows_have_norm_one_and_mean_zero_unless_they_are_flat(
    lookback: int, count: int, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    windows = (rng.integers(0, 3, (count, lookback)) + rng.choice([0.0, 0.1, 50.0], (count, 1))) * scale
    unit = zscore_rows(windows)
    flat = (windows == windows[:, :1]).all(axis=1)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), ~flat, atol=1e-12)
    np.testing.assert_allclose(unit.sum(axis=1), 0, atol=1e-7)
    assert (unit[flat] == 0.0).all()


@given(st.integers(0, 2**32), st.integers(2, 9))
def test_the_inner_product_of_two_shapes_is_pearsons_correlation(seed: int, lookback: int) -> None:
    windows = np.random.default_rng(seed).normal(size=(4, lookback))
    unit = zscore_rows(windows)
    np.testing.assert_allclose(unit @ unit.T, np.corrcoef(windows), atol=1e-9)


def test_a_shape_has_neither_level_nor_unit_but_a_direction() -> None:
    window = np.array([[1.0, 2.0, 4.0, 3.0, 3.5]])
    np.testing.assert_allclose(zscore_rows(5e4 * window + 1e5), zscore_rows(window), atol=1e-9)
    np.testing.assert_allclose(zscore_rows(-window), -zscore_rows(window), atol=1e-12)


# --- what an embedding may depend on (law 5)


@few
@given(rescaled())
def test_multiplying_all_prices_changes_no_embedding_and_no_line(pair: tuple[Frames, Frames]) -> None:
    before, after = (build_corpus(frames, CorpusSpec(stride=2)) for frames in pair)
    assert lines_by_row(after) == lines_by_row(before)
    queries, moved = (queries_of(frames, "A") for frames in pair)
    assert [shipped_bins().line("adj_close", log_returns(q).tolist()) for q in moved] == [
        shipped_bins().line("adj_close", log_returns(q).tolist()) for q in queries
    ]
    shape = ShapeEncoder()
    np.testing.assert_allclose(shape.encode_queries(moved), shape.encode_queries(queries), atol=1e-5)
    # values that differ by rounding noise only are a shape of noise: not those
    spread = np.ptp(before.values, axis=1) > 1e-9 + 1e-6 * np.abs(before.values).max(axis=1)
    np.testing.assert_allclose(shape.encode_corpus(after)[spread], shape.encode_corpus(before)[spread], atol=1e-5)


def test_what_came_after_a_window_changes_no_embedding(corpus: Corpus, cache: EmbeddingCache) -> None:
    other = dataclasses.replace(
        corpus,
        outcome=corpus.outcome[::-1].copy(),
        movement=-corpus.movement,
        available_at=corpus.available_at + 7,
        dates=corpus.dates + 7,
        symbol_id=1 - corpus.symbol_id,
    )
    for encoder in (ShapeEncoder(), FakeTextEncoder(cache)):
        np.testing.assert_array_equal(encoder.encode_corpus(other), encoder.encode_corpus(corpus))


def test_corpus_lines_are_the_lines_that_a_prompt_shows_row_by_row(corpus: Corpus) -> None:
    bins = shipped_bins()
    candidates = [corpus.candidate(row) for row in range(len(corpus))]
    lines, line_of = corpus_lines(corpus, bins)
    assert [lines[number] for number in line_of] == [bins.line(it.sequence, it.scaled) for it in candidates]
    assert lines == sorted(set(lines))


@few
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 4))
def test_distinct_lines_ascend_as_text_whatever_the_names_and_the_lookback(
    seed: int, lookback: int, letters: int
) -> None:
    rng = np.random.default_rng(seed)
    names = ("a", "a1", "a10", "a_b", "ab")  # a colon comes after digits and before letters
    count = 60
    bins = Bins({name: tuple(float(edge) for edge in range(15)) for name in names}, shipped_bins().fitted_through)
    days = np.full(count, np.datetime64("2020-01-01"))
    scaled = rng.integers(0, letters, (count, lookback)).astype(np.float64) + 0.5
    zeros = np.zeros(count, dtype=np.int32)
    corpus = Corpus(
        symbols=("S",),
        sequences=names,
        calendar=days[:1],
        available_at=days,
        symbol_id=zeros,
        sequence_id=rng.integers(0, len(names), count).astype(np.int32),
        dates=np.repeat(days[:, None], lookback, axis=1),
        values=scaled,
        scaled=scaled,
        outcome=np.zeros(count),
        movement=zeros.astype(np.int8),
    )
    lines, line_of = corpus_lines(corpus, bins)
    plain = [bins.line(it.sequence, it.scaled) for it in map(corpus.candidate, range(count))]
    assert [lines[number] for number in line_of] == plain
    assert lines == sorted(set(plain))


# --- the two encoders


def test_both_sides_of_the_shape_encoder_are_unit_rows_and_meet() -> None:
    frames = {"A": bars(40)}
    corpus = build_corpus(frames, CorpusSpec(indicators=("close",)))
    encoder = ShapeEncoder()
    queries = queries_of(frames, "A")
    candidates, asked = encoder.encode_corpus(corpus), encoder.encode_queries(queries)
    assert candidates.dtype == asked.dtype == np.float32
    by_last_day = {corpus.candidate(row).dates[-1]: row for row in range(len(corpus))}
    rows = [by_last_day[query.as_of] for query in queries[:-1]]
    np.testing.assert_array_equal(asked[:-1], candidates[rows])


def test_the_text_encoder_embeds_each_distinct_line_once_ever(corpus: Corpus, cache: EmbeddingCache) -> None:
    lines = lines_by_row(corpus)
    encoder = FakeTextEncoder(cache)
    vectors = encoder.encode_corpus(corpus)
    assert len(set(lines)) < len(lines)
    assert sorted(encoder.fake.asked) == sorted(set(lines))
    np.testing.assert_array_equal(vectors, FakeModel()(lines))
    again = FakeTextEncoder(cache)
    np.testing.assert_array_equal(again.encode_corpus(corpus), vectors)
    assert again.fake.asked == []


def test_what_was_never_embedded_is_counted_without_embedding_it(corpus: Corpus, cache: EmbeddingCache) -> None:
    encoder, queries = FakeTextEncoder(cache), queries_of({"A": bars(30, seed=9)}, "A")
    lines = {*lines_by_row(corpus)}
    asked = {shipped_bins().line("adj_close", log_returns(query).tolist()) for query in queries}
    assert encoder.missing_lines(corpus) == len(lines)
    assert encoder.missing_lines(corpus, queries) == len(lines | asked) > len(lines)
    assert encoder.fake.asked == []
    encoder.encode_corpus(corpus)
    assert encoder.missing_lines(corpus, queries) == len(asked - lines)
    encoder.encode_queries(queries)
    assert encoder.missing_lines(corpus, queries) == 0


def test_the_text_encoder_reads_a_query_as_the_line_of_its_returns(cache: EmbeddingCache) -> None:
    encoder = FakeTextEncoder(cache)
    queries = queries_of({"A": bars(12)}, "A")
    vectors = encoder.encode_queries(queries)
    lines = [shipped_bins().line("adj_close", log_returns(query).tolist()) for query in queries]
    assert sorted(encoder.fake.asked) == sorted(set(lines))
    np.testing.assert_array_equal(vectors, FakeModel()(lines))


def test_other_weights_or_other_letters_are_another_encoder(cache: EmbeddingCache) -> None:
    encoder, other = FakeTextEncoder(cache), FakeTextEncoder(cache, digest="tuned")
    letters = FakeTextEncoder(cache)
    letters._bins = dataclasses.replace(shipped_bins(), edges={**shipped_bins().edges, "open": (0.0,) * 15})
    recipes = [it.recipe for it in (encoder, other, letters, ShapeEncoder())]
    assert all(recipes.count(recipe) == 1 for recipe in recipes)
    assert FakeTextEncoder(cache).recipe == encoder.recipe


def test_the_text_encoder_says_how_far_it_is(corpus: Corpus, cache: EmbeddingCache) -> None:
    told: list[tuple[int, int]] = []
    encoder = FakeTextEncoder(cache, progress=lambda done, total: told.append((done, total)))
    encoder.encode_corpus(corpus)
    total = len(set(lines_by_row(corpus)))
    assert told == [(min(done, total), total) for done in range(256, total + 256, 256)]


# --- the cache


def test_only_texts_that_the_file_lacks_are_encoded_in_the_order_of_the_question(cache: EmbeddingCache) -> None:
    first, second = FakeModel(), FakeModel()
    cache.vectors("w", ["bb", "a", "ccc"], first, batch_size=2)
    found = cache.vectors("w", ["dddd", "ccc", "a", "e"], second, batch_size=2)
    assert first.batches == [["a", "bb"], ["ccc"]]  # the longest together
    assert second.batches == [["e", "dddd"]]
    np.testing.assert_array_equal(found, FakeModel()(["dddd", "ccc", "a", "e"]))
    assert found.dtype == np.float32


def test_more_texts_than_one_statement_may_ask_for_are_all_found(cache: EmbeddingCache) -> None:
    texts = [f"text {number}" for number in range(1_203)]
    cache.vectors("w", texts, FakeModel(), batch_size=400)
    again = FakeModel()
    np.testing.assert_array_equal(cache.vectors("w", texts[::-1], again, batch_size=400), FakeModel()(texts[::-1]))
    assert again.asked == []


def test_an_interrupted_run_goes_on_where_it_stopped(cache: EmbeddingCache) -> None:
    texts = [letter * 3 for letter in "abcdefg"]
    broken = FakeModel(fail_after=2)
    with pytest.raises(RuntimeError, match="out of memory"):
        cache.vectors("w", texts, broken, batch_size=2)
    rest = FakeModel()
    found = cache.vectors("w", texts, rest, batch_size=2)
    assert rest.asked == [text for text in texts if text not in broken.asked]
    assert len(broken.asked) == 4
    np.testing.assert_array_equal(found, FakeModel()(texts))


def test_other_weights_find_nothing(cache: EmbeddingCache) -> None:
    cache.vectors("w", ["a", "b"], FakeModel(), batch_size=2)
    other = FakeModel()
    cache.vectors("w2", ["a", "b"], other, batch_size=2)
    assert other.asked == ["a", "b"]


def test_progress_counts_the_texts_to_encode_and_not_those_already_there(cache: EmbeddingCache) -> None:
    told: list[tuple[int, int]] = []
    cache.vectors("w", ["a", "b"], FakeModel(), batch_size=2)
    cache.vectors("w", list("abcde"), FakeModel(), 2, lambda done, total: told.append((done, total)))
    assert told == [(2, 3), (3, 3)]
    cache.vectors("w", list("abcde"), FakeModel(), 2, lambda *_: pytest.fail("nothing was left to encode"))


def test_a_file_that_is_no_cache_is_an_error_that_says_what_to_delete(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.sqlite"
    path.write_bytes(b"not a database, though long enough to be one" * 100)
    with pytest.raises(StoreError, match=rf"{path}: file is not a database; delete the file and run again"):
        EmbeddingCache(path).vectors("w", ["a"], FakeModel(), batch_size=2)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE embeddings (something TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="no such column: key"):
        EmbeddingCache(path).vectors("w", ["a"], FakeModel(), batch_size=2)
