"""Names of bars: days and moments, their bounds, and how they are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.utils import (
    DAILY,
    as_stamps,
    clock_named,
    day_of,
    days_in,
    is_through,
    lower,
    read_stamp,
    stamp_text,
    stamp_texts,
    upper,
)

moments = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda it: it.replace(second=0, microsecond=0))
days = st.dates(date(1990, 1, 1), date(2030, 1, 1))


@given(moments | days)
def test_a_name_is_read_as_it_was_written(stamp: date) -> None:
    assert read_stamp(stamp_text(stamp)) == stamp
    assert type(read_stamp(stamp_text(stamp))) is type(stamp)
    assert as_stamps([stamp])[0].item() == stamp


@given(moments, days)
def test_a_bar_is_of_one_day_whichever_way_it_is_asked(moment: datetime, day: date) -> None:
    stamps = as_stamps([moment])
    inside = bool((stamps >= lower(day, stamps))[0] and (stamps <= upper(day, stamps))[0])
    assert inside == (day_of(moment) == day)
    assert days_in(stamps)[0].item() == day_of(moment)
    assert is_through(moment, day) == bool((stamps <= upper(day, stamps))[0])


@given(moments, moments)
def test_a_moment_bounds_itself(moment: datetime, bound: datetime) -> None:
    stamps = as_stamps([moment])
    assert bool((stamps <= upper(bound, stamps))[0]) == is_through(moment, bound) == (moment <= bound)


@given(days, days)
def test_days_are_bounded_by_days(day: date, bound: date) -> None:
    stamps = as_stamps([day])
    assert lower(bound, stamps) == upper(bound, stamps) == np.datetime64(bound)
    assert is_through(day, bound) == (day <= bound)


def test_midnight_is_the_end_of_the_day_that_is_over() -> None:
    midnight = datetime(2020, 1, 2)
    assert day_of(midnight) == date(2020, 1, 1)
    assert day_of(midnight + timedelta(minutes=1)) == date(2020, 1, 2)


@pytest.mark.parametrize(
    ("name", "days_", "minutes", "words"),
    [
        ("date", 1.0, 0, "daily bars"),
        ("week", 5.0, 0, "weekly bars"),
        ("week 24/7", 7.0, 0, "weekly bars"),
        ("month", 21.0, 0, "monthly bars"),
        ("60min", 60 / 390, 60, "bars of 60 minutes"),
        ("240min 24/7", 1 / 6, 240, "bars of 240 minutes"),
        ("14 days", 10.0, 0, "bars of 14 days"),
    ],
)
def test_a_clock_is_known_by_its_name(name: str, days_: float, minutes: int, words: str) -> None:
    clock = clock_named(name)
    assert (clock.name, clock.minutes, clock.words) == (name, minutes, words)
    assert clock.days == pytest.approx(days_)
    assert clock.unit == ("m" if minutes else "D")
    assert clock.scale == pytest.approx(days_**0.5)


@pytest.mark.parametrize("name", [None, "", "Date", "weekly", "60m", "min", "60min 24/5"])
def test_any_other_name_is_daily(name: str | None) -> None:
    assert clock_named(name) == DAILY


def test_texts_of_an_index_have_times_where_one_bar_has() -> None:
    assert stamp_texts(pd.DatetimeIndex(["2020-01-01", "2020-01-02"])) == ["2020-01-01", "2020-01-02"]
    assert stamp_texts(pd.DatetimeIndex(["2020-01-02", "2020-01-02 01:00"]))[0] == "2020-01-02 00:00"
