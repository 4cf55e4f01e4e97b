"""News as factors and sequences: ranked among those who have some, causal, and with no gap where they are retrieved."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import NEWS_FACTORS, RANK_FACTORS, RANK_LETTERS, NewsItems, daily_ranks, news_sequences, with_news
from ragsignal.data.news.factors import news_factors
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from ragsignal.errors import DataError
from tests.made_news import SCORED, drawn_items, made, news_of
from tests.markets import until
from tests.universe import CALENDAR, universe, universe_letters

FRAMES = universe()
NEWS = news_of(FRAMES)
LETTERS = with_news(universe_letters(), NEWS, SCORED)
few = settings(max_examples=5, deadline=None)


def test_letters_of_bars_stay_as_they_are_and_those_of_news_stand_behind_them() -> None:
    plain = universe_letters()
    assert (plain.factors, plain.letters.shape[2]) == (RANK_FACTORS, 41)
    assert (LETTERS.factors, LETTERS.letters.shape[2]) == (RANK_FACTORS + NEWS_FACTORS, 44)
    np.testing.assert_array_equal(LETTERS.letters[:, :, :41], plain.letters)
    assert LETTERS.day_digests[-1] != plain.day_digests[-1]


def test_a_letter_of_news_is_the_rank_among_the_ranked_stocks_that_have_some() -> None:
    for number, values in enumerate((NEWS.sentiment, NEWS.count, NEWS.novelty)):
        known = np.where(LETTERS.ranked & (NEWS.count > 0), values, np.nan)
        ranks = daily_ranks(known)
        expected = np.where(np.isnan(ranks), RANK_LETTERS, np.floor(np.nan_to_num(ranks) * RANK_LETTERS))
        np.testing.assert_array_equal(LETTERS.letters[:, :, 41 + number], expected)


def test_a_stock_without_news_has_unknown_letters_of_news_and_known_ones_of_bars() -> None:
    row = len(CALENDAR) - 1
    silent = LETTERS.ranked[row] & (NEWS.count[row] == 0)
    assert silent.any()
    assert (LETTERS.letters[row, silent, 41:] == RANK_LETTERS).all()
    assert (LETTERS.letters[row, silent, :41] < RANK_LETTERS).any(axis=1).all()


@few
@given(st.integers(270, len(CALENDAR) - 2))
def test_no_later_item_and_no_later_bar_changes_a_letter_or_a_digest(row: int) -> None:
    day = CALENDAR[row].date()
    items = drawn_items(tuple(FRAMES), NEWS.days)
    known = items.available_at <= items.close.instants(np.array([day], "datetime64[D]"))[0]
    cut = until(FRAMES, day)
    letters = with_news(build_rank_letters(cut), made(items.take(known), cut), SCORED)
    assert _seen(letters, day) == _seen(LETTERS, day)
    # the property can fail: an item that was known and is taken away shows
    without = made(items.take(known & (np.arange(len(items)) != _of_day(items, day))), cut)
    assert _seen(with_news(build_rank_letters(cut), without, SCORED), day) != _seen(LETTERS, day)


def _of_day(items: NewsItems, day: date) -> int:
    """The latest item that a ranked stock's bar of a day may know of."""
    close = items.close.instants(np.array([day], "datetime64[D]"))[0]
    places = [LETTERS.symbols.index(name) for name in ("S07", "S08", "S09", "S10", "S11")]
    known = (items.available_at <= close) & np.isin(items.places, places)
    return int(np.flatnonzero(known)[np.argmax(items.available_at[known])])


def _seen(letters: RankLetters, day: date) -> bytes:
    return letters.window_digest(int(np.searchsorted(letters.days, np.datetime64(day))), 5)


def test_a_stock_from_outside_the_universe_has_no_news() -> None:
    placed, ranked = LETTERS.placed(FRAMES["S08"])
    assert placed.shape[1] == 44
    assert (placed[:, 41:] == RANK_LETTERS).all()
    assert (placed[ranked][:, :41] < RANK_LETTERS).any()


def test_a_sequence_has_zeros_without_news_and_nothing_before_the_first_item_of_all() -> None:
    days = NEWS.days
    items = drawn_items(("A", "B"), days[20:30])
    frames = {name: FRAMES[f"S{number:02d}"] for number, name in enumerate(("A", "B"))}
    news = made(items, frames)
    table = news_sequences(news, frames, NEWS_FACTORS)
    own, other = np.split(table, [len(frames["A"])], axis=1)
    begun = int(np.flatnonzero(news.count.sum(axis=1))[0])
    assert np.isnan(own[:, :begun]).all()
    assert np.isfinite(own[:, begun:]).all()
    np.testing.assert_array_equal(own[1], np.where(np.arange(len(days)) < begun, np.nan, news.count[:, 0]))
    np.testing.assert_array_equal(other[0, begun:], np.nan_to_num(news.sentiment[begun:, 1]))


def test_news_of_other_symbols_or_days_are_refused() -> None:
    with pytest.raises(DataError, match="X is none of them; read the news of all symbols"):
        list(news_factors(NEWS, ("S01", "X"), NEWS.days))
    later = np.append(NEWS.days, np.datetime64("2031-01-02"))
    with pytest.raises(DataError, match="have no 2031-01-02; give them the bars of the same prices"):
        list(news_factors(NEWS, ("S01",), later))
    elsewhere = FRAMES["S01"].set_axis(FRAMES["S01"].index + pd.Timedelta(days=4000), axis=0)
    with pytest.raises(DataError, match="give them the bars of the same prices"):
        news_sequences(NEWS, {"S01": elsewhere}, NEWS_FACTORS)
