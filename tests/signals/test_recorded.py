"""All signals in one go: the same queries as the indicator asks, answers from memory, and what is not there."""

from __future__ import annotations

import pickle
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.windows import cut_queries, cut_query
from ragsignal.errors import ConfigError, DataError
from ragsignal.signals.recorded import KnownSignals, queries_of
from tests.fakes import LOOKBACK, CountingSource, corpus_of, every_query, market, pipeline_of

FRAMES = market()
QUERIES = every_query(FRAMES)


def test_the_queries_of_a_run_are_those_of_every_bar_of_every_symbol() -> None:
    assert queries_of(FRAMES, LOOKBACK) == QUERIES


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_whole_history_is_cut_as_bar_by_bar(data: st.DataObject) -> None:
    closes = data.draw(st.lists(st.floats(1e-3, 1e6), max_size=20))
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(len(closes))]
    lookback = data.draw(st.integers(1, 8))
    one_by_one = [cut_query("AA", days[:end], closes[:end], lookback) for end in range(1, len(days) + 1)]
    assert cut_queries("AA", days, closes, lookback) == one_by_one


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_close_that_is_no_price_is_found_wherever_it_stands(bad: float) -> None:
    days = [date(2020, 1, 1) + timedelta(days=number) for number in range(9)]
    with pytest.raises(DataError, match=r"close of 2020-01-02 is"):
        cut_queries("AA", days, [1.0, bad, *[1.0] * 7], 2)


def test_known_signals_are_answered_from_memory_and_others_by_the_fallback_in_order() -> None:
    pipeline = pipeline_of(corpus_of(FRAMES))
    truth = pipeline.signals(QUERIES)
    asked = CountingSource(pipeline)
    known = dict(zip(QUERIES[::2], truth[::2], strict=True))
    source = KnownSignals(LOOKBACK, known, fallback=asked)
    assert source.signals(QUERIES) == truth
    assert source.signals(QUERIES[::2]) == truth[::2]
    assert asked.calls == [len(QUERIES) // 2]


def test_without_a_fallback_it_travels_and_says_what_it_cannot_answer() -> None:
    pipeline = pipeline_of(corpus_of(FRAMES))
    known = dict(zip(QUERIES, pipeline.signals(QUERIES), strict=True))
    source = pickle.loads(pickle.dumps(KnownSignals(LOOKBACK, known)))
    assert source.signals(QUERIES) == list(known.values())
    with pytest.raises(ConfigError, match=r"ZZ as of 2020-03-31.*without --jobs or --ray"):
        source.signals([cut_query("ZZ", QUERIES[-1].dates, QUERIES[-1].closes, LOOKBACK)])
