"""Yahoo as a source, with a made-up yfinance: days that are over, and no others."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from ragsignal.data import SessionClose
from ragsignal.errors import DataError
from ragsignal.trading.live import YahooSource

NEW_YORK = SessionClose.parse("16:00 America/New_York")
FRIDAY = date(2024, 1, 12)


class Yahoo(ModuleType):
    """What `import yfinance` gives in these tests."""

    def __init__(self) -> None:
        super().__init__("yfinance")
        self.asked: list[tuple[str, Any, Any]] = []
        days = pd.bdate_range("2024-01-02", FRIDAY)
        columns = {"Open": 10.0, "High": 12.0, "Low": 8.0, "Close": 10.0, "Adj Close": 5.0, "Volume": 100}
        self.table = pd.DataFrame(columns, index=days)
        self.broken: Exception | None = None

    def download(self, symbol: str, start: date, end: date, **_: Any) -> pd.DataFrame:
        self.asked.append((symbol, start, end))
        if self.broken:
            raise self.broken
        return self.table.loc[pd.Timestamp(start) :] if symbol == "A" else self.table.iloc[:0]


@pytest.fixture
def yahoo(monkeypatch: pytest.MonkeyPatch) -> Yahoo:
    made = Yahoo()
    monkeypatch.setitem(sys.modules, "yfinance", made)
    return made


def source(now: datetime, last: date | None = None, symbol: str = "A", pause: float = 0.0) -> YahooSource:
    known = {} if last is None else {symbol: last}
    return YahooSource([symbol], NEW_YORK, known, lambda: now, pause)


@pytest.mark.parametrize(
    ("minute", "last"), [(59, date(2024, 1, 11)), (60, FRIDAY)], ids=["before the close", "at the close"]
)
def test_the_bar_of_a_day_comes_with_its_close(yahoo: Yahoo, minute: int, last: date) -> None:
    now = datetime(2024, 1, 12, 20 + minute // 60, minute % 60, tzinfo=UTC)
    bars = source(now).poll().bars
    assert bars[-1].day == last  # Yahoo has a row of the day all day long
    assert bars[-1].values == (5.0, 6.0, 4.0, 5.0, 200.0)


def test_what_is_there_is_not_asked_for_again(yahoo: Yahoo) -> None:
    one = source(datetime(2024, 1, 14, tzinfo=UTC))
    assert one.poll().bars
    assert one.poll().bars == []
    assert len(yahoo.asked) == 1


def test_after_a_restart_some_weeks_come_again_by_which_a_dividend_shows(yahoo: Yahoo) -> None:
    one = source(datetime(2024, 1, 14, tzinfo=UTC), last=date(2024, 1, 11))
    one.poll()
    assert yahoo.asked == [("A", date(2023, 12, 22), date(2024, 1, 13))]


def test_a_bar_that_yahoo_does_not_have_yet_is_asked_for_after_a_pause(yahoo: Yahoo) -> None:
    now = datetime(2024, 1, 15, 22, tzinfo=UTC)
    for pause, asked in ((0.0, 2), (900.0, 1)):
        yahoo.asked.clear()
        one = source(now, pause=pause)
        one.poll()
        one.poll()
        assert len(yahoo.asked) == asked


def test_a_network_that_is_down_is_told_of_and_tried_again(yahoo: Yahoo) -> None:
    one = source(datetime(2024, 1, 14, tzinfo=UTC))
    yahoo.broken = OSError("no route")
    (event,) = one.poll().events
    assert (event.kind, "it is asked again" in event.words) == ("source", True)
    yahoo.broken = None
    assert one.poll().bars


def test_a_symbol_that_yahoo_does_not_know_is_refused(yahoo: Yahoo) -> None:
    with pytest.raises(DataError, match="Yahoo has no bars of XX through 2024-01-12; check the spelling"):
        source(datetime(2024, 1, 14, tzinfo=UTC), symbol="XX").poll()


def test_without_yfinance_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(DataError, match=r"pip install \"ragsignal\[download\]\""):
        source(datetime(2024, 1, 14, tzinfo=UTC))
