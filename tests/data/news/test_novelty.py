"""Novelty against a plain computation, and blind to whatever comes later."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import NewsItems, SessionClose, novelty_of

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2014-01-15T00:00:00", "us")
Told = tuple[int, int, str]
told = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 60),
        st.lists(st.sampled_from(["Apple", "apple", "beats", "é", "3", "—"]), max_size=5).map(" ".join),
    ),
    max_size=25,
)


def items_of(rows: list[Told]) -> NewsItems:
    """Items of two symbols, some hours after a start, in the order that a table gives."""
    rows = sorted(rows)
    return NewsItems(
        symbols=("AAA", "BBB"),
        close=SessionClose.parse("24:00 UTC"),
        places=np.array([place for place, _, _ in rows], np.int64),
        available_at=START + np.array([hour for _, hour, _ in rows], np.int64) * HOUR,
        after=np.full(len(rows), "NaT", "datetime64[D]"),
        ids=np.array([str(number) for number in range(len(rows))], object),
        headlines=np.array([text for _, _, text in rows], object),
        bodies=np.full(len(rows), "", object),
    )


def plain(rows: list[Told], days: int) -> list[float]:
    """Novelty by comparing every item with every earlier one."""
    rows, found = sorted(rows), []
    for place, hour, text in rows:
        earlier = [pairs(other) for its, when, other in rows if its == place and hour - 24 * days <= when < hour]
        own = pairs(text)
        found.append(1.0 - max((len(own & it) / len(own | it) for it in earlier), default=0.0))
    return found


def pairs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {(*words, "")[:2]} if len(words) < 2 else {*pairwise(words)}


@settings(deadline=None)
@given(told, st.integers(1, 2))
def test_it_is_one_less_the_largest_jaccard_index_with_an_earlier_item(rows: list[Told], days: int) -> None:
    np.testing.assert_allclose(novelty_of(items_of(rows), days), plain(rows, days), atol=1e-12)


@settings(deadline=None)
@given(told, told)
def test_later_items_move_no_earlier_novelty(rows: list[Told], more: list[Told]) -> None:
    later = [(place, 61 + hour, text) for place, hour, text in more]
    before, after = novelty_of(items_of(rows), 3), novelty_of(items_of(rows + later), 3)
    kept = items_of(rows + later).available_at <= START + 60 * HOUR
    np.testing.assert_array_equal(after[kept], before)


@pytest.mark.parametrize("block", [1, 3])
def test_it_does_not_depend_on_how_many_items_are_looked_at_at_once(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(number % 2, number, f"apple beats {number % 3} again") for number in range(20)]
    whole = novelty_of(items_of(rows), 2)
    monkeypatch.setattr("ragsignal.data.news.novelty._AT_ONCE", block)
    np.testing.assert_array_equal(novelty_of(items_of(rows), 2), whole)


def test_a_headline_that_is_repeated_is_not_new_and_after_the_window_it_is() -> None:
    same = [(0, 0, "Apple beats estimates"), (0, 24, "Apple beats estimates"), (0, 24 * 9, "Apple beats estimates")]
    assert novelty_of(items_of(same), 7).tolist() == [1.0, 0.0, 1.0]
