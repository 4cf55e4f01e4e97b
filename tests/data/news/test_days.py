"""Every item belongs to the first bar that may know of it, and nothing at a bar depends on later items."""

from __future__ import annotations

from datetime import date

import numpy as np

from ragsignal.data import NewsDays, NewsItems, NewsScores, SessionClose, build_news_days

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
