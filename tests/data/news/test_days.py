"""Every item belongs to the first bar that may know of it, and nothing at a bar depends on later items."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import (
    NewsDays,
    NewsItems,
    NewsRules,
    NewsScores,
    SessionClose,
    bars_of,
    build_news_days,
    novelty_of,
    read_news,
)
from ragsignal.data.news.days import Days
from ragsignal.errors import DataError

NEW_YORK = SessionClose.parse("16:00 America/New_York")
WEEK = np.array(["2014-01-15", "2014-01-16", "2014-01-17", "2014-01-21", "2014-01-22"], "datetime64[D]")


def items(*moments: str, after: dict[int, str] | None = None, ids: list[str] | None = None) -> NewsItems:
    """Items of one symbol, at these moments in UTC."""
    named = np.full(len(moments), "NaT", "datetime64[D]")
    for row, day in (after or {}).items():
        named[row] = day
    return NewsItems(
        symbols=("AAA",),
        close=NEW_YORK,
        places=np.zeros(len(moments), np.int64),
        available_at=np.array(moments, "datetime64[us]"),
        after=named,
        ids=np.array(ids or [str(number) for number in range(len(moments))], object),
        headlines=np.array([f"said at {moment}" for moment in moments], object),
        bodies=np.array([""] * len(moments), object),
    )


def days_of(found: NewsItems, sentiment: list[float] | None = None) -> NewsDays:
    """What these items said, on the bars of a week with a holiday."""
    values = np.array(sentiment or [0.5] * len(found))
    scores = NewsScores(values, np.ones(len(found)), {"scorer": "given"})
    return build_news_days(found, scores, {"AAA": WEEK})


def test_what_comes_after_the_close_or_over_a_holiday_belongs_to_the_next_session() -> None:
    found = days_of(items("2014-01-15T21:00", "2014-01-15T21:00:00.000001", "2014-01-18T12:00", "2014-01-20T15:00"))
    assert found.count[:, 0].tolist() == [1, 1, 0, 2, 0]
    assert found.headlines("AAA", date(2014, 1, 21)) == ("said at 2014-01-20T15:00", "said at 2014-01-18T12:00")
    assert found.headlines("AAA", date(2014, 1, 20)) == ()


def test_a_day_without_a_time_counts_for_the_bar_after_it() -> None:
    found = days_of(items("2014-01-16T05:00", "2014-01-17T05:00", after={0: "2014-01-15", 1: "2014-01-16"}))
    assert found.count[:, 0].tolist() == [0, 1, 1, 0, 0]


def test_a_day_without_a_time_counts_for_the_bar_after_it_where_bars_end_at_midnight_too() -> None:
    always = replace(items("2014-01-16T00:00", after={0: "2014-01-15"}), close=SessionClose.parse("24:00 UTC"))
    assert days_of(always).count[:, 0].tolist() == [0, 1, 0, 0, 0]


def test_a_day_has_the_mean_of_its_items_and_nan_without_any() -> None:
    found = days_of(items("2014-01-15T12:00", "2014-01-15T13:00"), [-0.5, 1.0])
    np.testing.assert_array_equal(found.sentiment[:, 0], [0.25, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.novelty[:, 0], [1.0, np.nan, np.nan, np.nan, np.nan])


def test_of_revisions_within_a_bar_the_last_counts() -> None:
    found = days_of(items("2014-01-15T12:00", "2014-01-15T13:00", "2014-01-16T13:00", ids=["a", "a", "a"]))
    assert found.count[:, 0].tolist() == [1, 1, 0, 0, 0]
    assert found.headlines("AAA", date(2014, 1, 15)) == ("said at 2014-01-15T13:00",)


def test_what_was_known_before_the_first_bar_or_after_the_last_belongs_to_none() -> None:
    found = days_of(items("2014-01-14T20:00", "2014-01-14T21:30", "2014-01-22T22:00"))
    assert found.count[:, 0].tolist() == [1, 0, 0, 0, 0]


# ------------------------------------------------------------------------------------------------ laws

MONDAY = np.datetime64("2014-01-13T00:00:00", "us")
BARS = {
    "AAA": WEEK,
    "BBB": np.array(["2014-01-16", "2014-01-21"], "datetime64[D]"),
    "CCC": WEEK[:0],
}
FRIDAYS_CLOSE = (4 * 24 + 21) * 60  # minutes after that Monday
Row = tuple[str, str, str, str]


@st.composite
def rows_of(draw: st.DrawFn, first: int = 0, last: int = 14 * 24 * 60) -> list[Row]:
    """Rows of a table between two minutes after Monday, 2014-01-13: moments and days, copies and revisions."""
    minutes = draw(st.lists(st.integers(first, last), unique=True, max_size=15))
    rows = []
    for minute in minutes:
        moment = MONDAY + np.timedelta64(minute, "m")
        stamp = f"{moment.astype('datetime64[m]')}Z" if draw(st.booleans()) else str(moment.astype("datetime64[D]"))
        name = draw(st.sampled_from("abc"))
        # the text of a day's stamp is its id's: two texts at one moment would be an error
        text = name if len(stamp) == len("2014-01-13") else draw(st.sampled_from(["up", "up again", "down"]))
        rows.append((name if text != name else name + stamp, draw(st.sampled_from([*BARS, "ZZZ"])), stamp, text))
    return rows


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("news") / "news.csv"


def read(file: Path, rows: list[Row]) -> NewsItems:
    anchor = ("x", "AAA", "2014-01-13", "anchor")  # a table without any of the symbols is refused
    lines = [",".join(row) for row in [("id", "symbol", "published_at", "headline"), anchor, *rows]]
    file.write_text("\n".join(lines), encoding="utf-8")
    return read_news(file, tuple(BARS), NewsRules(NEW_YORK, timedelta(0))).items


def placed(found: NewsItems, days: dict[str, Days] = BARS) -> NewsDays:
    tone = {"up": 1.0, "up again": 0.5, "down": -1.0}
    sentiment = np.array([tone.get(text, 0.0) for text in found.headlines])
    return build_news_days(found, NewsScores(sentiment, novelty_of(found, 3), {"scorer": "tone"}), days)


@settings(max_examples=30, deadline=None)
@given(rows=rows_of())
def test_an_item_counts_for_the_first_close_that_is_not_earlier_and_for_no_other(file: Path, rows: list[Row]) -> None:
    found = read(file, rows)
    calendar, bars = bars_of(found, BARS)
    for row, bar in enumerate(bars):
        own = BARS[found.symbols[found.places[row]]]
        closes = NEW_YORK.instants(own).astype("datetime64[us]")
        may_know = (closes >= found.available_at[row]) & ~(own <= found.after[row])  # NaT compares false
        early = len(own) and found.available_at[row] <= NEW_YORK.instants(own[:1] - np.timedelta64(1, "D"))[0]
        expected = -1 if early or not may_know.any() else np.searchsorted(calendar, own[may_know.argmax()])
        assert bar == expected


@settings(max_examples=30, deadline=None)
@given(rows=rows_of(last=FRIDAYS_CLOSE), more=rows_of(first=FRIDAYS_CLOSE + 1))
def test_later_items_move_nothing_at_earlier_bars(file: Path, rows: list[Row], more: list[Row]) -> None:
    before, after = placed(read(file, rows)), placed(read(file, rows + more))
    known = int((before.days <= np.datetime64("2014-01-17")).sum())
    for name in ("sentiment", "count", "novelty"):
        np.testing.assert_array_equal(getattr(before, name)[:known], getattr(after, name)[:known])
    assert before.day_digests[:known] == after.day_digests[:known]
    assert before.window_digest(known - 1, 2) == after.window_digest(known - 1, 2)
    for day in before.days[:known].tolist():
        assert before.headlines("AAA", day) == after.headlines("AAA", day)


@settings(max_examples=30, deadline=None)
@given(rows=rows_of(), data=st.data())
def test_the_order_of_the_rows_does_not_matter(file: Path, rows: list[Row], data: st.DataObject) -> None:
    one, other = placed(read(file, rows)), placed(read(file, data.draw(st.permutations(rows))))
    assert one.digest == other.digest
    np.testing.assert_array_equal(one.sentiment, other.sentiment)
    np.testing.assert_array_equal(one.novelty, other.novelty)
    assert one.titles.tolist() == other.titles.tolist()


@settings(max_examples=30, deadline=None)
@given(rows=rows_of())
def test_bars_that_end_earlier_leave_the_days_that_they_have_as_they_are(file: Path, rows: list[Row]) -> None:
    found = read(file, rows)
    whole, cut = placed(found), placed(found, {symbol: days[days <= WEEK[2]] for symbol, days in BARS.items()})
    np.testing.assert_array_equal(whole.sentiment[:3], cut.sentiment)
    assert whole.day_digests[:3] == cut.day_digests


@pytest.mark.parametrize(
    "change",
    [
        {"headlines": np.array(["other"], object)},
        {"ids": np.array(["other"], object)},
        {"bodies": np.array(["other"], object)},
        {"available_at": np.array(["2014-01-16T12:00:01"], "datetime64[us]")},
    ],
)
def test_whatever_decides_an_item_is_in_the_digest_of_its_day_and_of_no_earlier_one(change: dict[str, Any]) -> None:
    one, other = items("2014-01-16T12:00"), replace(items("2014-01-16T12:00"), **change)
    first, second = days_of(one).day_digests, days_of(other).day_digests
    assert [here == there for here, there in zip(first, second, strict=True)] == [True, False, True, True, True]
    assert days_of(one).digest != days_of(other).digest
    assert one.digest != other.digest


def test_an_earlier_item_that_changes_how_new_a_later_one_is_changes_its_days_digest_too() -> None:
    found = items("2014-01-15T12:00", "2014-01-17T12:00")
    digests = [
        build_news_days(found, NewsScores(np.zeros(2), np.array([1.0, new]), {}), {"AAA": WEEK}) for new in (0.0, 1.0)
    ]
    assert digests[0].window_digest(2, 1) != digests[1].window_digest(2, 1)
    assert digests[0].window_digest(1, 2) == digests[1].window_digest(1, 2)


def test_another_scorer_is_another_digest() -> None:
    found, scores = items("2014-01-16T12:00"), (np.zeros(1), np.ones(1))
    digests = {build_news_days(found, NewsScores(*scores, {"scorer": it}), {"AAA": WEEK}).digest for it in "ab"}
    assert len(digests) == 2


def test_headlines_of_a_symbol_that_is_not_there_are_refused() -> None:
    with pytest.raises(DataError, match=r"no news are kept of AAB\. Did you mean 'AAA'\?"):
        days_of(items("2014-01-15T12:00")).headlines("AAB", date(2014, 1, 15))
