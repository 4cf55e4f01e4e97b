"""A moment belongs to the first bar whose close is not earlier, by the clock of the market."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.data.session import SessionClose

ZONES = ("America/New_York", "Asia/Tokyo", "Europe/London", "UTC", "Pacific/Auckland")


@pytest.mark.parametrize(
    ("close", "day", "known"),
    [
        ("16:00 America/New_York", "2014-01-15", "2014-01-15T21:00"),
        ("16:00 America/New_York", "2014-07-15", "2014-07-15T20:00"),
        ("15:00 Asia/Tokyo", "2014-07-15", "2014-07-15T06:00"),
        ("24:00 UTC", "2014-12-31", "2015-01-01T00:00"),
        ("02:30 Europe/Berlin", "2014-03-30", "2014-03-30T01:00"),  # no such time on that day
        ("02:30 Europe/Berlin", "2014-10-26", "2014-10-26T01:30"),  # twice on that day
    ],
)
def test_a_bar_is_known_at_its_markets_close(close: str, day: str, known: str) -> None:
    assert SessionClose.parse(close).instants(np.array([day], "datetime64[D]")) == np.datetime64(known)


@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(4, 23),
    first=st.dates(date(1990, 1, 1), date(2030, 1, 1)),
    days=st.sets(st.integers(0, 40), min_size=1),
    moment=st.integers(-5 * 24 * 3600, 50 * 24 * 3600),
)
def test_a_moment_belongs_to_the_first_close_that_is_not_earlier(
    zone: str, hour: int, first: date, days: set[int], moment: int
) -> None:
    bars = [first + timedelta(days=number) for number in sorted(days)]
    instant = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(seconds=moment)
    closes = [datetime(bar.year, bar.month, bar.day, hour, tzinfo=ZoneInfo(zone)) for bar in bars]
    expected = next((number for number, close in enumerate(closes) if close >= instant), len(bars))
    found = SessionClose.parse(f"{hour}:00 {zone}").first_bar(
        np.array([instant.replace(tzinfo=None)], "datetime64[us]"), np.array(bars, "datetime64[D]")
    )
    assert found.tolist() == [expected]


def test_a_microsecond_after_the_close_is_the_next_session() -> None:
    close, days = SessionClose.parse("16:00 America/New_York"), np.array(["2014-01-15", "2014-01-16"], "datetime64[D]")
    moments = np.array(["2014-01-15T21:00:00.000000", "2014-01-15T21:00:00.000001"], "datetime64[us]")
    assert close.first_bar(moments, days).tolist() == [0, 1]


@pytest.mark.parametrize("text", ["16:00", "America/New_York", "24:01 UTC", "9:60 UTC", "16:00 Mars", "", "4 pm UTC"])
def test_what_is_no_close_is_refused_with_the_form_of_one(text: str) -> None:
    with pytest.raises(ValueError, match=r'such as "16:00 America/New_York" or "24:00 UTC"'):
        SessionClose.parse(text)
