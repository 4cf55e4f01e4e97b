"""Stamps of bars of hours and of days that never end become the names of their ends; what may be wrong is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragsignal.config import DataSpec
from ragsignal.data import days_of, load_prices
from ragsignal.errors import DataError
from tests.markets import bars

SESSION = pd.DatetimeIndex(
    [day + pd.Timedelta(hours=9.5 + hour) for day in pd.bdate_range("2020-03-02", periods=8) for hour in range(7)]
)
"""Beginnings of the seven hourly bars of a session, by the clock of New York; summer time begins on 2020-03-08."""


def spec(path: Path, **keys: Any) -> DataSpec:
    table = {"source": "folder", "path": path, "symbols": "all", "start": date(2020, 1, 1), "end": date(2020, 12, 31)}
    return DataSpec.model_validate({**table, "bar": "60min", "stamp": "start", **keys})


def write(folder: Path, stamps: Any, symbol: str = "AA", form: str | None = None) -> Path:
    frame = bars(len(stamps), days=pd.DatetimeIndex(stamps).tz_localize(None))
    index = pd.DatetimeIndex(stamps)
    frame.set_axis(index.strftime(form) if form else index, axis=0).to_csv(folder / f"{symbol}.csv", index_label="Date")
    return folder


def ends(folder: Path, **keys: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(load_prices(spec(folder, **keys)).frames["AA"].index)


@pytest.mark.parametrize("stamp", ["start", "end"])
def test_naive_stamps_stay_by_their_own_clock(tmp_path: Path, stamp: str) -> None:
    moved = ends(write(tmp_path, SESSION), stamp=stamp)
    assert moved.equals(SESSION + pd.Timedelta(hours=int(stamp == "start")))
    assert moved.name == "60min"


def test_stamps_with_a_zone_become_utc_over_a_change_of_summer_time(tmp_path: Path) -> None:
    local = SESSION.tz_localize("America/New_York")
    moved = ends(write(tmp_path, local))
    assert moved.equals((local + pd.Timedelta(hours=1)).tz_convert("UTC").tz_localize(None))
    assert set(moved.hour[:7]) == set(range(15, 22))
    assert set(moved.hour[-7:]) == set(range(14, 21))


def test_the_last_second_of_a_bar_is_its_end(tmp_path: Path) -> None:
    late = SESSION + pd.Timedelta(hours=1) - pd.Timedelta(milliseconds=1)
    assert ends(write(tmp_path, late), stamp="end").equals(SESSION + pd.Timedelta(hours=1))


def test_a_shorter_last_bar_of_a_session_is_taken(tmp_path: Path) -> None:
    moved = SESSION + pd.Timedelta(hours=1)
    moved = moved.where(moved.hour < 16, moved.normalize() + pd.Timedelta(hours=16))
    assert ends(write(tmp_path, moved), stamp="end").equals(moved)
    two = SESSION[SESSION.hour == 12] + pd.Timedelta(hours=1)
    whole = pd.DatetimeIndex(sorted([*two, *(two.normalize() + pd.Timedelta(hours=16))]))
    assert len(ends(write(tmp_path, whole), stamp="end", bar="4h")) == 16


def test_a_bar_that_ends_at_midnight_belongs_to_the_day_that_is_over(tmp_path: Path) -> None:
    write(tmp_path, pd.date_range("2020-03-01", periods=24 * 40, freq="h"))
    prices = load_prices(spec(tmp_path, calendar="24/7"))
    day = days_of(prices.between(date(2020, 3, 3), date(2020, 3, 3)).frames["AA"])
    assert (str(day[0]), str(day[-1]), len(day)) == ("2020-03-03T01:00", "2020-03-04T00:00", 24)


def test_days_of_a_market_that_never_closes(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=60)
    daily = {"bar": None, "stamp": None}
    write(tmp_path, days.tz_localize("UTC"))
    assert ends(tmp_path, **daily, calendar="24/7").equals(days)
    assert ends(tmp_path, **daily, close="24:00 UTC").equals(days)
    assert ends(tmp_path, bar=None, stamp="end", calendar="24/7").equals(days - pd.Timedelta(days=1))
    write(tmp_path, (days + pd.Timedelta(days=1) - pd.Timedelta(milliseconds=1)).tz_localize("UTC"))
    assert ends(tmp_path, bar=None, stamp="end", calendar="24/7").equals(days)
    write(tmp_path, days.tz_localize("Asia/Tokyo").tz_convert("UTC"))  # 15:00 of the day before, on all days
    with pytest.raises(DataError, match="days unclear"):
        ends(tmp_path, **daily)
    assert ends(tmp_path, **daily, close="24:00 Asia/Tokyo").equals(days)


HALF_HOURS = pd.date_range("2020-03-02 09:30", periods=100, freq="30min")
DAYS = pd.bdate_range("2020-01-01", periods=60)


@pytest.mark.parametrize(
    ("stamps", "keys", "words"),
    [
        (HALF_HOURS, {}, r"AA: bars mostly 30 minutes apart, where data.bar says 60 at line 2 .*Write the length"),
        (SESSION + pd.Timedelta(seconds=7), {}, "stamps with seconds at line 2 .*the minute at which each bar"),
        (SESSION, {"calendar": "24/7", "start": date(2020, 1, 1)}, None),
        (DAYS, {}, r"bars mostly 1440 minutes apart, where data.bar says 60"),
        (SESSION, {"bar": None, "stamp": None}, "intraday bars .*need data.bar and data.stamp in the spec"),
        (
            pd.date_range("2020-03-01", periods=900, freq="h"),
            {},
            'AA has bars at weekends.*write data.calendar = "24/7"',
        ),
        (DAYS, {"bar": None, "stamp": None, "calendar": "24/7"}, 'data.calendar = "24/7", but it has no bars at week'),
        (DAYS, {"bar": None}, 'data.stamp = "start": the bars are daily and named by their day; delete that line'),
        (
            pd.date_range("2020-01-01 05:30", periods=60),
            {"bar": None, "stamp": None, "calendar": "24/7"},
            'days that begin at no midnight of UTC, such as 2020-01-01 05:30 .*Write data.close = "24:00 ZONE"',
        ),
        (SESSION[[0, 1, 1, 2, 3]], {}, "duplicate dates at line 3"),
        (SESSION[[0, 2, 1, 3, 4, 5]], {}, "unsorted dates at line 4"),
    ],
    ids=["half hours", "seconds", "few", "days", "no bar", "weekends", "no weekends", "stamp", "odd", "twice", "order"],
)
def test_what_may_be_wrong_is_refused_in_one_line(tmp_path: Path, stamps: Any, keys: Any, words: str | None) -> None:
    write(tmp_path, stamps)
    if words is None:  # eight sessions are too few to show that weekends are missing
        assert len(ends(tmp_path, **keys)) == len(stamps)
        return
    with pytest.raises(DataError, match=words):
        ends(tmp_path, **keys)


def test_symbols_with_and_without_a_zone_are_refused(tmp_path: Path) -> None:
    write(tmp_path, SESSION)
    write(tmp_path, SESSION.tz_localize("America/New_York"), "BB")
    with pytest.raises(DataError, match="stamps with a time zone in some symbols, and without one in others"):
        ends(tmp_path)


def test_drops_of_bad_hours_are_counted_by_their_day(tmp_path: Path) -> None:
    frame = bars(len(SESSION), days=SESSION)
    frame.iloc[9, frame.columns.get_loc("close")] = np.nan
    frame.to_csv(tmp_path / "AA.csv", index_label="Date")
    prices = load_prices(spec(tmp_path, bad_bars="drop"))
    assert len(prices.frames["AA"]) == len(SESSION) - 1
    assert [bar.day for bar in prices.dropped] == [date(2020, 3, 3)]


def test_a_table_of_hours_in_utc_is_read_by_symbol(tmp_path: Path) -> None:
    stamps = SESSION.tz_localize("America/New_York").tz_convert("UTC")
    parts = [
        bars(len(stamps), seed, days=SESSION).set_axis(stamps).assign(symbol=name) for seed, name in enumerate("AB")
    ]
    pd.concat(parts).rename_axis("Date").to_parquet(tmp_path / "hours.parquet")
    prices = load_prices(spec(tmp_path / "hours.parquet", source="table"))
    assert prices.symbols == ("A", "B")
    moved = pd.DatetimeIndex(prices.frames["B"].index)
    assert moved.equals((stamps + pd.Timedelta(hours=1)).tz_localize(None))
