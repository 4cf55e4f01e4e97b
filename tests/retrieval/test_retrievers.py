"""Retrievers: six ways to rank what was known, and none that sees more."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ragsignal.config import CorpusSpec
from ragsignal.data.bins import shipped_bins
from ragsignal.data.names import plain_name
from ragsignal.errors import ConfigError
from ragsignal.protocols import Retriever
from ragsignal.retrieval import retrievers
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.embeddings import EmbeddingCache
from ragsignal.retrieval.encoders import ShapeEncoder, TextEncoder, zscore_rows
from ragsignal.retrieval.recall.reader import RecallReader
from ragsignal.retrieval.recall.retriever import RecallRetriever
from ragsignal.retrieval.retrievers import (
    FLAT_WINDOW,
    CorpusRetriever,
    DenseRetriever,
    DTWRetriever,
    NoRetriever,
    RandomRetriever,
)
from ragsignal.retrieval.segments import SegmentedIndex
from ragsignal.types import Hit, Query
from ragsignal.utils.digest import json_digest
from tests.markets import Frames, bars, markets, poisoned, queries_of, until
from tests.tiny import tiny_recall

PRICES = ["open", "high", "low", "close"]
NAMES = ("text", "shape", "dtw", "random", "recall")
BY_SHAPE = ("shape", "dtw")
SPEC = CorpusSpec(stride=2, indicators=("close", "volume", "movement", "alpha101", "MACD_Histogram"))
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class LetterEncoder(TextEncoder):
    """The real text encoder around a model that counts letters by position."""

    def encode_lines(self, lines: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(lines), 64))
        for row, line in enumerate(lines):
            for place, letter in enumerate(line.split(": ")[1].split()):
                rows[row, (7 * place + ord(letter)) % 64] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class Makers:
    """Makes any of the five retrievers over a corpus; text encoders share one cache."""

    def __init__(self, folder: Path) -> None:
        self.cache = EmbeddingCache(folder / "embeddings.sqlite")
        self.recall = RecallReader(tiny_recall(folder / "recall"), shipped_bins())

    def text_encoder(self, digest: str = "letters") -> TextEncoder:
        return LetterEncoder(Path("/nowhere"), digest, shipped_bins(), self.cache)

    def make(self, name: str, corpus: Corpus, **options: Any) -> CorpusRetriever:
        if name == "dtw":
            return DTWRetriever(corpus, **options)
        if name == "random":
            return RandomRetriever(corpus, **options)
        if name == "recall":
            return RecallRetriever(corpus, self.recall, **options)
        return DenseRetriever(corpus, self.text_encoder() if name == "text" else ShapeEncoder(), **options)


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> Makers:
    return Makers(tmp_path_factory.mktemp("retrievers"))


@pytest.fixture(scope="module")
def frames() -> Frames:
    return {"A": bars(60, tick=0.5), "B": bars(60, seed=1), "C": bars(60, seed=2)}


@pytest.fixture(scope="module")
def corpus(frames: Frames) -> Corpus:
    return build_corpus(frames, SPEC)


def known_on(corpus: Corpus, as_of: date, embargo: int) -> list[int]:
    """Rows that a query may see, the plain way."""
    past = [day for day in corpus.calendar.tolist() if day <= as_of]
    if len(past) <= embargo:
        return []
    return [row for row, day in enumerate(corpus.available_at.tolist()) if day <= past[-1 - embargo]]


def is_flat(window: Sequence[float]) -> bool:
    return float(np.ptp(window)) <= 1e-12 * max(map(abs, window))


def distance(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Dynamic time warping by its textbook recursion: squared differences, any warping, root at the end."""
    table = np.full((len(left) + 1, len(right) + 1), np.inf)
    table[0, 0] = 0.0
    for i, x in enumerate(left, start=1):
        for j, y in enumerate(right, start=1):
            table[i, j] = (x - y) ** 2 + min(table[i - 1, j - 1], table[i - 1, j], table[i, j - 1])
    return float(np.sqrt(table[-1, -1]))


# --- what may be seen (law 1)


@few
@given(markets(max_bars=40), st.sampled_from(NAMES), st.integers(1, 40), st.booleans(), st.sampled_from([0, 1, 5, 100]))
def test_hits_are_known_as_of_the_query_ranked_and_as_many_as_there_are(
    makers: Makers, frames: Frames, name: str, k: int, exclude: bool, embargo: int
) -> None:
    corpus = build_corpus(frames, SPEC)
    retriever = makers.make(name, corpus, k=k, exclude_own_symbol=exclude, embargo=embargo)
    queries = queries_of(frames, "A", every=4)
    for query, hits in zip(queries, retriever.retrieve(queries), strict=True):
        rows = known_on(corpus, query.as_of, embargo)
        seen = [it for row in rows if (it := corpus.candidate(row)) and not (exclude and it.symbol == "A")]
        allowed = {it.id for it in seen if name != "dtw" or not is_flat(it.values)}
        if name in BY_SHAPE and is_flat(query.closes[1:]):
            allowed = set()
        ids = [hit.candidate.id for hit in hits]
        assert all(hit.candidate.available_at <= query.as_of for hit in hits)
        assert set(ids) <= allowed
        assert len(ids) == len(set(ids)) == min(k, len(allowed))
        assert [hit.rank for hit in hits] == list(range(len(hits)))
        assert all(earlier.score >= later.score for earlier, later in itertools.pairwise(hits))


@few
@given(markets(max_bars=40), st.sampled_from(NAMES), st.data())
def test_poisoning_or_dropping_the_future_leaves_past_hits_and_digests_equal(
    makers: Makers, frames: Frames, name: str, data: st.DataObject
) -> None:
    as_of = data.draw(st.sampled_from(sorted(set(build_corpus(frames, SPEC).available_at.tolist()))))
    queries = [query for query in queries_of(frames, "A") if query.as_of <= as_of]
    answers = []
    for other in (frames, until(frames, as_of), poisoned(frames, as_of)):
        retriever = makers.make(name, build_corpus(other, SPEC), embargo=1)
        answers.append((retriever.retrieve(queries), [retriever.corpus_digest(query) for query in queries]))
    assert answers[1] == answers[0]
    assert answers[2] == answers[0]


@pytest.mark.parametrize("name", NAMES)
def test_before_anything_is_known_there_are_no_hits(makers: Makers, corpus: Corpus, name: str) -> None:
    days = tuple(date(2019, 12, 1) + timedelta(days=number) for number in range(6))
    query = Query("A", days, (1.0, 2.0, 1.0, 2.0, 1.0, 3.0))
    retriever = makers.make(name, corpus)
    assert retriever.retrieve([query]) == [()]
    assert retriever.corpus_digest(query) == ""
    assert retriever.requires_hits
    assert retriever.retrieve([]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_symbol_that_the_corpus_does_not_hold_sees_all_of_it(makers: Makers, corpus: Corpus, name: str) -> None:
    query = queries_of({"Z": bars(60)}, "Z")[-1]
    retriever = makers.make(name, corpus, k=10_000, exclude_own_symbol=True)
    retriever.others = {"Z"}
    flat = sum(map(is_flat, corpus.values[: corpus.visible(query.as_of)])) if name == "dtw" else 0
    assert len(retriever.retrieve([query])[0]) == corpus.visible(query.as_of) - flat


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("symbol", ["a", "A.US", "A-USD", "Z", "feed"])
def test_a_symbol_that_is_to_be_left_out_and_is_not_known_is_refused(
    makers: Makers, corpus: Corpus, name: str, symbol: str
) -> None:
    query = queries_of({symbol: bars(60)}, symbol)[-1]
    hint = "There are A, B, C" if symbol in ("Z", "feed") else "Did you mean 'A'?"
    retriever = makers.make(name, corpus, exclude_own_symbol=True)
    for ask in (retriever.abstains, lambda it: retriever.retrieve([it])):
        with pytest.raises(ConfigError, match=re.escape(f"the corpus has no symbol '{symbol}'")) as caught:
            ask(query)
        assert hint in str(caught.value)
        assert 'RagMomentum(data, source=..., symbol="NAME")' in str(caught.value)
    retriever.others = {"Z", "a"}  # symbols of the same spec: one has no candidates, one has them under another name
    if symbol == "Z":
        assert retriever.abstains(query) is None
    else:
        with pytest.raises(ConfigError):
            retriever.abstains(query)
    retriever.exclude_own_symbol = False
    assert retriever.abstains(query) is None


@pytest.mark.parametrize("twin", ["AA.US", "aa", "AA-USD"])
def test_a_stock_that_the_corpus_has_under_two_names_cannot_be_left_out(makers: Makers, twin: str) -> None:
    frames = {"AA": bars(60), twin: bars(60), "AA-N": bars(60, 2), "B": bars(60, 1)}
    retriever = makers.make("shape", build_corpus(frames, SPEC), exclude_own_symbol=True)
    with pytest.raises(ConfigError, match=f"has 'AA' under another name too, '{twin}'"):
        retriever.retrieve([queries_of(frames, "AA")[-1]])
    assert all(retriever.retrieve([queries_of(frames, symbol)[-1]])[0] for symbol in ("B", "AA-N"))


def test_names_of_one_stock_are_one_and_its_classes_two() -> None:
    for left, right in (("brk.b", "BRK-B"), ("AAPL.US", "aapl"), ("BTC/USD", "BTC-USD"), ("AAPL.OQ", "AAPL")):
        assert plain_name(left) == plain_name(right)
    assert len({plain_name(it) for it in ("BRK-A", "BRK-B", "BRK", "7203.T", "7203.JP")}) == 5


# --- windows without a shape


@pytest.mark.parametrize("name", BY_SHAPE)
def test_a_flat_window_has_no_neighbours_and_flat_candidates_are_nobodys_nearest(makers: Makers, name: str) -> None:
    frame = bars(60)
    for first in (5, 50):
        frame.iloc[first : first + 6, :4] = 50.0
    corpus = build_corpus({"A": frame}, CorpusSpec(indicators=("close",)))
    retriever = makers.make(name, corpus, k=10_000)
    for query in queries_of({"A": frame}, "A"):
        flat = is_flat(query.closes[1:])
        assert retriever.abstains(query) == (FLAT_WINDOW if flat else None)
        (hits,) = retriever.retrieve([query])
        assert not flat or hits == ()
        assert all(name == "shape" and hit.score == 0.0 for hit in hits if is_flat(hit.sequence.values))


@pytest.mark.parametrize("name", ["text", "random"])
def test_what_does_not_compare_shapes_answers_a_flat_window(makers: Makers, corpus: Corpus, name: str) -> None:
    days = tuple(date(2020, 3, 1) + timedelta(days=number) for number in range(6))
    query = Query("A", days, (50.0,) * 6)
    assert makers.make(name, corpus).abstains(query) is None
    assert len(makers.make(name, corpus).retrieve([query])[0]) == 5


@pytest.mark.parametrize("name", NAMES)
def test_one_symbol_alone_has_nothing_left_when_its_own_is_excluded(makers: Makers, frames: Frames, name: str) -> None:
    corpus = build_corpus({"A": frames["A"]}, SPEC)
    retriever = makers.make(name, corpus, exclude_own_symbol=True)
    assert retriever.retrieve(queries_of(frames, "A", every=20)) == [()] * 3


# --- the same answer every time


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("exclude", [False, True])
def test_hits_do_not_depend_on_the_batch(
    makers: Makers, corpus: Corpus, frames: Frames, name: str, exclude: bool
) -> None:
    queries = queries_of(frames, "A", every=6) + queries_of(frames, "B", every=9)
    retriever = makers.make(name, corpus, exclude_own_symbol=exclude, embargo=2)
    together = retriever.retrieve(queries)
    assert [retriever.retrieve([query])[0] for query in queries] == together
    assert retriever.retrieve(queries[::-1]) == together[::-1]
    assert makers.make(name, corpus, exclude_own_symbol=exclude, embargo=2).retrieve(queries) == together


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_from_disk_gives_the_same_hits(
    makers: Makers, corpus: Corpus, frames: Frames, name: str, tmp_path: Path
) -> None:
    corpus.save(tmp_path / "c")
    queries = queries_of(frames, "A", every=10)
    loaded = makers.make(name, Corpus.load(tmp_path / "c"))
    assert loaded.retrieve(queries) == makers.make(name, corpus).retrieve(queries)


# --- recipes


@pytest.mark.parametrize("name", NAMES)
def test_every_option_changes_the_recipe(makers: Makers, corpus: Corpus, name: str) -> None:
    options: list[dict[str, Any]] = [{}, {"k": 6}, {"exclude_own_symbol": True}, {"embargo": 1}]
    if name == "random":
        options.append({"seed": 1})
    recipes = [makers.make(name, corpus, **option).recipe for option in options]
    assert all(recipes.count(recipe) == 1 for recipe in recipes)
    assert makers.make(name, corpus).recipe == recipes[0]


def test_every_retriever_and_every_encoder_has_a_recipe_of_its_own(makers: Makers, corpus: Corpus) -> None:
    every: list[Retriever] = [makers.make(name, corpus) for name in NAMES]
    every += [NoRetriever(), DenseRetriever(corpus, makers.text_encoder("other weights"))]
    recipes = [retriever.recipe for retriever in every]
    assert all(recipes.count(recipe) == 1 for recipe in recipes)


def test_an_embargo_is_part_of_the_digest(makers: Makers, corpus: Corpus, frames: Frames) -> None:
    query = queries_of(frames, "A")[-1]
    digests = [makers.make("random", corpus, embargo=embargo).corpus_digest(query) for embargo in (0, 2, 4)]
    assert len(set(digests)) == 3


# --- each one's ranking


def test_the_shape_retriever_finds_the_same_window_at_another_price_first(makers: Makers, frames: Frames) -> None:
    query = queries_of(frames, "A")[-1]
    shape = np.array(query.closes[1:])
    planted = frames["B"].copy()
    planted.loc[planted.index[30:35], PRICES] = np.tile(7 * shape + 3, (4, 1)).T
    corpus = build_corpus({"A": frames["A"], "B": planted}, CorpusSpec(indicators=("close",)))
    hits = makers.make("shape", corpus, exclude_own_symbol=True).retrieve([query])[0]
    assert hits[0].candidate.id == f"B/close/{planted.index[34].date()}"
    assert hits[0].score == 1.0
    assert hits[1].score < 1.0


def test_the_shape_retriever_ranks_by_correlation(makers: Makers, corpus: Corpus, frames: Frames) -> None:
    query = queries_of(frames, "B")[-1]
    end = corpus.visible(query.as_of)
    window = zscore_rows(np.array([query.closes[1:]]))
    correlation = (zscore_rows(corpus.values[:end]) @ window.T)[:, 0]
    hits = makers.make("shape", corpus, k=20).retrieve([query])[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(correlation)[::-1][:20], atol=2e-6)


def test_the_text_retriever_finds_the_same_letters_first_and_of_equal_ones_the_first_id(
    makers: Makers, frames: Frames
) -> None:
    corpus = build_corpus(frames, CorpusSpec(indicators=("adj_close", "close", "high")))
    then, now = queries_of(frames, "C")[-9], queries_of(frames, "C")[-1]
    # what C did eight days ago happens again; back then close and adj_close ended on these letters
    query = Query("C", now.dates, then.closes)
    first, second, third = makers.make("text", corpus, k=3).retrieve([query])[0]
    assert [first.candidate.id, second.candidate.id] == [f"C/adj_close/{then.as_of}", f"C/close/{then.as_of}"]
    assert first.score == second.score == 1.0
    assert third.score < 1.0


def test_dtw_finds_the_window_that_is_only_shifted_in_time(makers: Makers) -> None:
    early, late, rising = [1, 5, 1, 1, 1], [1, 1, 1, 5, 1], [1, 2, 3, 4, 5]
    days = pd.bdate_range("2020-01-01", periods=40)
    close = np.full(40, 2.0)
    close[3:8], close[12:17], close[30:35] = rising, early, late
    frame = pd.DataFrame(dict.fromkeys(PRICES, close), index=days).assign(volume=1.0)
    corpus = build_corpus({"A": frame}, CorpusSpec(indicators=("close",), start=days[1].date()))
    query = queries_of({"Q": frame}, "Q")[34 - 5]
    rows = {corpus.candidate(row).dates[-1]: row for row in range(len(corpus))}
    two = [rows[days[end].date()] for end in (7, 16)]
    shapes = zscore_rows(np.vstack([query.closes[1:], corpus.values[two]]))
    assert distance(shapes[0], shapes[2]) < distance(shapes[0], shapes[1])
    hits = makers.make("dtw", corpus, k=40).retrieve([query])[0]
    order = [hit.candidate.dates[-1] for hit in hits]
    assert order.index(days[16].date()) < order.index(days[7].date())
    assert hits[order.index(days[16].date())].score == 0.0  # the peak slides at no cost
    correlated = [hit.candidate.dates[-1] for hit in makers.make("shape", corpus, k=40).retrieve([query])[0]]
    assert correlated.index(days[7].date()) < correlated.index(days[16].date())


@few
@given(st.integers(0, 2**32), st.booleans())
def test_dtw_ranks_by_the_textbook_distance_between_shapes(makers: Makers, seed: int, exclude: bool) -> None:
    frames = {"A": bars(28, seed, tick=1.0), "B": bars(28, seed + 1)}
    corpus = build_corpus(frames, CorpusSpec(indicators=("close", "alpha101"), stride=3))
    query = queries_of(frames, "A")[-4]
    (window,) = zscore_rows(np.array([query.closes[1:]]))
    shapes = zscore_rows(corpus.values)
    scored = [
        (-round(-distance(window, shapes[row]), 6), row)
        for row in known_on(corpus, query.as_of, 0)
        if shapes[row].any() and not (exclude and corpus.candidate(row).symbol == "A")
    ][: 0 if is_flat(query.closes[1:]) else None]
    hits = makers.make("dtw", corpus, k=6, exclude_own_symbol=exclude).retrieve([query])[0]
    np.testing.assert_allclose([-hit.score for hit in hits], [far for far, _ in sorted(scored)[:6]], atol=2e-6)
    assert not any(np.signbit(hit.score) for hit in hits if hit.score == 0.0)


def test_equal_dtw_distances_come_oldest_first(makers: Makers) -> None:
    frame = bars(40)
    frame[PRICES] = np.tile([[10.0], [12.0]], (20, 4))
    corpus = build_corpus({"A": frame}, CorpusSpec(indicators=("close",)))
    hits = makers.make("dtw", corpus).retrieve([queries_of({"A": frame}, "A")[-1]])[0]
    assert len({hit.score for hit in hits}) == 1
    days = [hit.candidate.available_at for hit in hits]
    assert days == sorted(days)
    assert days[0] <= date(2020, 1, 10)


def draws(makers: Makers, corpus: Corpus, queries: list[Query], **options: Any) -> list[tuple[Hit, ...]]:
    return makers.make("random", corpus, **options).retrieve(queries)


def test_a_random_draw_differs_by_seed_by_day_and_by_symbol(makers: Makers, corpus: Corpus, frames: Frames) -> None:
    last, earlier = queries_of(frames, "A")[-1], queries_of(frames, "A")[-2]
    other = Query("B", last.dates, last.closes)
    other_day = Query("A", (*last.dates[:-1], last.as_of + timedelta(days=1)), last.closes)  # the same rows are visible
    answers = [
        *draws(makers, corpus, [last, earlier, other, other_day]),
        *draws(makers, corpus, [last], seed=1),
        *draws(makers, corpus, [last], seed=2),
    ]
    chosen = [tuple(hit.candidate.id for hit in hits) for hits in answers]
    assert len(set(chosen)) == 6
    assert {hit.score for hits in answers for hit in hits} == {0.0}


def test_random_draws_are_uniform_over_what_is_visible(makers: Makers, corpus: Corpus) -> None:
    closes = (1.0, 2.0, 1.0, 2.0, 1.0, 3.0)
    first = date(2021, 1, 1)
    queries = [
        Query("A", tuple(first + timedelta(days=number + back) for back in range(-5, 1)), closes)
        for number in range(400)
    ]
    row_of = {corpus.candidate(row).id: row for row in range(len(corpus))}
    rows = [row_of[hit.candidate.id] for hits in draws(makers, corpus, queries, k=10) for hit in hits]
    share = np.histogram(rows, bins=8, range=(0, len(corpus)))[0] / len(rows)
    # 4,000 draws in 8 equal parts: one standard error is 0.005
    np.testing.assert_allclose(share, 1 / 8, atol=0.02)


@pytest.mark.parametrize("exclude", [False, True])
def test_a_random_draw_is_the_same_as_from_a_list_of_all_visible_rows(
    makers: Makers, corpus: Corpus, frames: Frames, exclude: bool
) -> None:
    retriever = makers.make("random", corpus, k=7, exclude_own_symbol=exclude, seed=3)
    row_of = {corpus.candidate(row).id: row for row in range(len(corpus))}
    for symbol in ("A", "C"):
        for query in queries_of(frames, symbol, every=5):
            rows = np.array(known_on(corpus, query.as_of, 0), dtype=np.int64)
            if exclude:
                rows = rows[corpus.symbol_id[rows] != corpus.symbols.index(symbol)]
            rng = np.random.default_rng(int(json_digest([3, symbol, query.as_of])[:16], 16))
            expected = rows[rng.choice(len(rows), size=min(7, len(rows)), replace=False)]
            (hits,) = retriever.retrieve([query])
            assert [row_of[hit.candidate.id] for hit in hits] == expected.tolist()


# --- storage and index


def dense(makers: Makers, corpus: Corpus, **options: Any) -> DenseRetriever:
    return DenseRetriever(corpus, makers.text_encoder(), **options)


def test_vectors_from_a_file_give_the_same_hits_and_are_not_gathered_again(
    makers: Makers, corpus: Corpus, frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = queries_of(frames, "A", every=7)
    expected = dense(makers, corpus).retrieve(queries)
    assert dense(makers, corpus, cache=tmp_path).retrieve(queries) == expected
    assert dense(makers, corpus, cache=tmp_path).recipe == dense(makers, corpus).recipe
    monkeypatch.setattr(LetterEncoder, "corpus_blocks", lambda *_: pytest.fail("the vectors were on disk"))
    assert dense(makers, corpus, cache=tmp_path).retrieve(queries) == expected


def test_half_precision_and_segments_are_in_the_recipe_and_only_where_they_are_chosen(
    makers: Makers, corpus: Corpus
) -> None:
    plain = dense(makers, corpus, storage="float32", index="exact").recipe
    assert not {"storage", "index"} & set(plain)
    assert dense(makers, corpus, storage="float16").recipe == {**plain, "storage": "float16"}
    segmented = {"index": "segmented/1", "segment_rows": 500_000, "rows_a_list": 700, "probes": 4}
    assert dense(makers, corpus, index="segmented").recipe == {**plain, **segmented}


@pytest.mark.parametrize("cached", [False, True])
def test_half_precision_ranks_by_the_vectors_as_they_are_stored(
    makers: Makers, corpus: Corpus, frames: Frames, tmp_path: Path, cached: bool
) -> None:
    queries = queries_of(frames, "B", every=20)
    retriever = dense(makers, corpus, storage="float16", cache=tmp_path if cached else None)
    encoder = makers.text_encoder()
    stored = encoder.encode_corpus(corpus).astype(np.float16).astype(np.float64)
    asked = encoder.encode_queries(queries).astype(np.float64)
    for query, vector, hits in zip(queries, asked, retriever.retrieve(queries), strict=True):
        scores = np.round(stored[: corpus.visible(query.as_of)] @ vector, 6)
        assert [hit.score for hit in hits] == np.sort(scores)[::-1][:5].tolist()


def test_segments_keep_their_indexes_beside_the_vectors(
    makers: Makers, corpus: Corpus, frames: Frames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(SegmentedIndex, segment_rows=100, rows_a_list=10, probes=10)  # 10 of 10 lists: exact
    monkeypatch.setattr(retrievers, "SegmentedIndex", small)
    queries = queries_of(frames, "A", every=7)
    for exclude in (False, True):
        options: dict[str, Any] = {"exclude_own_symbol": exclude, "embargo": 1}
        expected = dense(makers, corpus, **options).retrieve(queries)
        assert dense(makers, corpus, index="segmented", cache=tmp_path, **options).retrieve(queries) == expected
    assert len(list(tmp_path.glob("segments/*/segment.faiss"))) == len(corpus) // 100 > 1


def test_no_retrieval_is_a_choice_and_not_a_lack(frames: Frames) -> None:
    queries = queries_of(frames, "A")
    retriever = NoRetriever()
    assert retriever.retrieve(queries) == [()] * len(queries)
    assert not retriever.requires_hits
    assert retriever.corpus_digest(queries[0]) == ""


def test_encoding_waits_for_the_first_question(corpus: Corpus, frames: Frames) -> None:
    calls = []

    class Counting(ShapeEncoder):
        def encode_corpus(self, corpus: Corpus) -> NDArray[np.float32]:
            calls.append(len(corpus))
            return super().encode_corpus(corpus)

    retriever = DenseRetriever(corpus, Counting())
    queries = queries_of(frames, "A", every=20)
    assert retriever.recipe
    assert retriever.corpus_digest(queries[0])
    assert calls == []
    retriever.retrieve(queries)
    retriever.retrieve(queries)
    assert calls == [len(corpus)]
