"""Titles: states of the market that no later row renames, and tokens that say nothing of prices or outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import CorpusSpec
from ragsignal.data.bins import shipped_bins
from ragsignal.errors import ConfigError
from ragsignal.retrieval.corpus import Corpus, build_corpus
from ragsignal.retrieval.recall.titles import CorpusTokens, MarketMoves, TitleVocabulary, fit_vocabulary
from tests.markets import Frames, bars, markets, queries_of
from tests.tiny import TINY_VOCABULARY

SPEC = CorpusSpec(stride=2, indicators=("adj_close", "volume", "movement"))


def tokens_of(corpus: Corpus, vocabulary: TitleVocabulary = TINY_VOCABULARY) -> CorpusTokens:
    return CorpusTokens(corpus, vocabulary, shipped_bins())


def prefix(corpus: Corpus, rows: int) -> Corpus:
    """The first rows, as a corpus of prices that end with them would have them."""
    columns = ("available_at", "symbol_id", "sequence_id", "dates", "values", "scaled", "outcome", "movement")
    last = corpus.available_at[rows - 1]
    return replace(
        corpus,
        calendar=corpus.calendar[corpus.calendar <= last],
        **{name: getattr(corpus, name)[:rows] for name in columns},
    )


@settings(max_examples=20, deadline=None)
@given(markets(max_bars=60), st.data())
def test_later_candidates_rename_no_earlier_one_and_no_query(frames: Frames, data: st.DataObject) -> None:
    corpus = build_corpus(frames, SPEC)
    day = data.draw(st.sampled_from(sorted(set(corpus.available_at.tolist()))))
    rows = corpus.visible(day)
    whole, cut = tokens_of(corpus), tokens_of(prefix(corpus, rows))
    np.testing.assert_array_equal(whole.of_rows()[:rows], cut.of_rows())
    queries = [query for query in queries_of(frames, next(iter(frames))) if query.as_of == day]
    if queries:
        known = corpus.available_at[[rows - 1]]
        np.testing.assert_array_equal(whole.of_queries(queries, known), cut.of_queries(queries, known))


def test_the_state_is_the_median_stocks_mean_move_of_the_last_twenty_bars() -> None:
    frames = {name: bars(90, seed) for seed, name in enumerate("ABC")}
    corpus = build_corpus(frames, CorpusSpec(indicators=("adj_close",)))
    moves = MarketMoves.of(corpus)
    at = len(moves.days) - 1
    returns = np.array([np.diff(np.log(frame["close"].to_numpy())) for frame in frames.values()])
    last = int(np.searchsorted(corpus.calendar, moves.days[at]))  # the bar of the last known window
    windows = np.array([returns[:, end - 5 : end] for end in range(last - 19, last + 1)])
    assert moves.trend[at] == pytest.approx(np.median(windows.mean(axis=2), axis=1).mean())
    assert moves.movement[at] == pytest.approx(np.sqrt(np.median((windows**2).mean(axis=2), axis=1).mean()))


def test_tokens_know_no_price_level_no_symbol_and_no_outcome() -> None:
    frames = {"A": bars(80), "B": bars(80, seed=1)}
    scaled = {name: frame * [8.0, 8.0, 8.0, 8.0, 1.0] for name, frame in zip("YZ", frames.values(), strict=True)}
    left, right = (build_corpus(it, CorpusSpec(indicators=("adj_close", "volume"))) for it in (frames, scaled))
    np.testing.assert_array_equal(tokens_of(left).of_rows(), tokens_of(right).of_rows())
    other = replace(left, outcome=left.outcome[::-1], movement=left.movement[::-1])
    np.testing.assert_array_equal(tokens_of(left).of_rows(), tokens_of(other).of_rows())


def test_tokens_are_state_indicator_and_the_oldest_letters() -> None:
    corpus = build_corpus({"A": bars(80), "B": bars(80, seed=1)}, SPEC)
    tokens, vocabulary = tokens_of(corpus), TINY_VOCABULARY
    row = len(corpus) - 1
    state, sequence, *letters = tokens.of_rows(np.array([row]))[0].tolist()
    candidate = corpus.candidate(row)
    assert vocabulary.first_state <= state < vocabulary.unknown_state
    assert vocabulary.sequences[sequence - vocabulary.first_sequence] == candidate.sequence
    line = shipped_bins().line(candidate.sequence, candidate.scaled).split(": ")[1]
    assert letters == ["ABCDEFGHIJKLMNOP".index(letter) for letter in line.split()[:3]]
    query = queries_of({"A": bars(80)}, "A")[-1]
    asked = tokens.of_queries([query], corpus.available_at[[corpus.visible(query.as_of) - 1]])[0].tolist()
    assert len(asked) == 7
    assert asked[-1] == vocabulary.now == vocabulary.size - 1
    assert vocabulary.first_state <= asked[-2] < vocabulary.unknown_state


def test_before_any_window_of_closes_is_known_the_state_is_unknown() -> None:
    corpus = build_corpus({"A": bars(60)}, SPEC)
    moves = MarketMoves.of(corpus)
    early = moves.known[:1] - np.timedelta64(1, "D")
    assert moves.newest(early).tolist() == [-1]
    assert moves.rows_for(moves.days[:1], early).tolist() == [-1]
    query = queries_of({"A": bars(60)}, "A")[-1]
    assert tokens_of(corpus).of_queries([query], early)[0, -2] == TINY_VOCABULARY.unknown_state


def test_edges_are_fitted_on_what_may_be_learned_from() -> None:
    corpus = build_corpus({"A": bars(200), "B": bars(200, seed=1)}, CorpusSpec(indicators=("adj_close",)))
    seen = len(corpus) // 2
    vocabulary = fit_vocabulary(corpus, ("adj_close",), 2, 3, seen)
    assert vocabulary == fit_vocabulary(prefix(corpus, corpus.visible(corpus.available_at[seen - 1].item())),
                                        ("adj_close",), 2, 3, seen)  # fmt: skip
    assert vocabulary != fit_vocabulary(corpus, ("adj_close",), 2, 3, len(corpus))
    assert (vocabulary.states, vocabulary.letters, vocabulary.lookback) == (10, 2, 5)


def test_a_corpus_without_closes_is_told_what_it_lacks() -> None:
    corpus = build_corpus({"A": bars(60)}, CorpusSpec(indicators=("volume",)))
    with pytest.raises(ConfigError, match=r"corpus.indicators names neither adj_close nor close; add adj_close to"):
        MarketMoves.of(corpus)
