"""Bars stamped at an exchange's midnight are filed under the exchange's day, wherever it is and however stored."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragsignal.data.check import find_problems
from ragsignal.data.exchange_day import EXCHANGE_ZONES, exchange_days, week_of
from ragsignal.data.prices import days_of, read_folder, read_table
from ragsignal.errors import DataError
from tests.markets import bars

SUNDAY_TO_THURSDAY = ("Asia/Riyadh", "Asia/Jerusalem", "Africa/Cairo", "Asia/Dhaka", "Asia/Kathmandu")


def weekdays(zone: str, start: str, count: int) -> pd.DatetimeIndex:
    days = pd.date_range(start, periods=2 * count + 7)
    off = (4, 5) if zone in SUNDAY_TO_THURSDAY else (5, 6)
    return days[~days.day_of_week.isin(off)][:count]


def in_utc(days: pd.DatetimeIndex, zone: str, at: str = "00:00") -> pd.DatetimeIndex:
    stamps = days + pd.Timedelta(f"{at}:00")
    return stamps.tz_localize(zone, nonexistent="shift_forward").tz_convert("UTC")


def read_days(stamps: pd.DatetimeIndex, offset: float = 0.0) -> np.ndarray:
    naive = stamps.tz_localize(None) if stamps.tz is not None else stamps
    found = exchange_days(naive.to_numpy().astype("datetime64[us]"), np.full(len(stamps), offset))
    assert found.clear
    return found.days


@settings(max_examples=80, deadline=None)
@given(
    zone=st.sampled_from(EXCHANGE_ZONES),
    start=st.dates(pd.Timestamp("1995-01-01").date(), pd.Timestamp("2024-01-01").date()),
    count=st.integers(10, 300),
    holes=st.integers(0, 2**32),
)
@example(zone="Asia/Tehran", start="2000-07-01", count=246, holes=23605400)  # its spring began at midnight
def test_midnights_of_every_exchange_told_in_utc_are_its_own_days(zone: str, start: object, count: int, holes: int):
    days = weekdays(zone, str(start), count)
    kept = days[np.random.default_rng(holes).random(count) > 0.1]  # holidays
    if len(kept) >= 10:
        assert (read_days(in_utc(kept, zone)) == kept.to_numpy().astype("datetime64[D]")).all()


CLOSES = {"America/New_York": "16:00", "Europe/London": "16:30", "Europe/Paris": "17:30", "Asia/Tokyo": "15:00"}


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(sorted(CLOSES)),
    start=st.dates(pd.Timestamp("1995-01-01").date(), pd.Timestamp("2024-01-01").date()),
    count=st.integers(1, 300),
)
def test_closes_of_an_exchange_told_in_utc_belong_to_their_day(zone: str, start: object, count: int):
    days = weekdays(zone, str(start), count)
    assert (read_days(in_utc(days, zone, CLOSES[zone])) == days.to_numpy().astype("datetime64[D]")).all()


@pytest.mark.parametrize("count", [1, 3, 9, 10, 250])
def test_one_bar_a_day_at_21_utc_is_of_that_day(count: int):
    days = weekdays("America/New_York", "2010-01-04", count)
    assert (read_days(days + pd.Timedelta(hours=21)) == days.to_numpy().astype("datetime64[D]")).all()


def test_what_two_readings_explain_is_unclear():
    every_day = pd.date_range("2020-01-01", periods=60) + pd.Timedelta(hours=15)
    few = weekdays("Asia/Tokyo", "2020-01-06", 3) + pd.Timedelta(hours=15)
    for stamps in (every_day, few):
        found = exchange_days(stamps.to_numpy().astype("datetime64[us]"), np.zeros(len(stamps)))
        assert not found.clear
        assert found.zone == "Asia/Tokyo"


def test_stamps_without_a_zone_are_local_unless_only_another_zones_days_make_a_week():
    nan = np.full(60, np.nan)
    local = weekdays("Asia/Tokyo", "2020-01-06", 60) + pd.Timedelta(hours=15)
    found = exchange_days(local.to_numpy().astype("datetime64[us]"), nan)
    assert found.clear
    assert week_of(found.days) == 0
    stripped = in_utc(weekdays("Asia/Tokyo", "2020-01-06", 60), "Asia/Tokyo").tz_localize(None)
    assert not exchange_days(stripped.to_numpy().astype("datetime64[us]"), nan).clear


OTHER_DAYS = [
    ("America/New_York", "20:00", 0),  # the end of late trade: after midnight in UTC
    ("America/New_York", "23:59", 0),
    ("America/Los_Angeles", "17:00", 0),
    ("America/New_York", "17:00", -1),  # currencies open on the evening before, on Sundays
    ("America/Chicago", "17:00", -1),  # futures
]


@pytest.mark.parametrize(("zone", "at", "shift"), OTHER_DAYS)
@pytest.mark.parametrize("offset", [0.0, np.nan])
def test_stamps_whose_days_make_a_week_in_another_zone_alone_are_unclear(zone: str, at: str, shift: int, offset: float):
    days = weekdays(zone, "2010-01-04", 300)
    stamps = in_utc(days + pd.Timedelta(days=shift), zone, at).tz_localize(None)
    found = exchange_days(stamps.to_numpy().astype("datetime64[us]"), np.full(300, offset))
    assert not found.clear
    local = stamps.tz_localize("UTC").tz_convert(found.zone).tz_localize(None).normalize()
    assert local.equals(days)


@pytest.mark.parametrize(
    "off", [(), (5,), (6,), (4, 5), (3, 4)], ids=["24/7", "Sun-Fri", "Mon-Sat", "Tel Aviv", "Riyadh"]
)
@pytest.mark.parametrize("at", ["12:20", "15:40", "19:10"])
def test_a_week_of_its_own_is_clear(off: tuple[int, ...], at: str):
    every = pd.date_range("2010-01-04", periods=300)
    days = every[~every.day_of_week.isin(off)]
    assert (read_days(days + pd.Timedelta(f"{at}:00")) == days.to_numpy().astype("datetime64[D]")).all()


# ---- files


def write(form: str, folder: Path, frame: pd.DataFrame) -> Path:
    """``frame``, indexed by stamps, as a folder of CSVs, a long CSV or a long Parquet table."""
    if form == "folder":
        frame.to_csv(folder / "7203.T.csv", index_label="Date")
        return folder
    table = frame.rename_axis("date").reset_index().assign(symbol="7203.T")
    path = folder / f"table.{form}"
    if form == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return path


def read(path: Path) -> pd.DataFrame:
    assert find_problems(path) == []
    return (read_folder if path.is_dir() else read_table)(path).frames["7203.T"]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/London", "America/New_York", "Australia/Sydney", "Asia/Riyadh"])
@pytest.mark.parametrize("form", ["folder", "csv", "parquet"])
def test_midnights_told_in_utc_are_read_as_the_exchanges_days(tmp_path: Path, form: str, zone: str):
    days = weekdays(zone, "2010-01-04", 260)
    frame = bars(len(days), days=days).set_axis(in_utc(days, zone), axis=0)
    assert (days_of(read(write(form, tmp_path, frame))) == days.to_numpy().astype("datetime64[D]")).all()


@pytest.mark.parametrize("form", ["folder", "csv", "parquet"])
def test_one_bar_a_day_at_the_close_of_new_york_is_daily(tmp_path: Path, form: str):
    days = weekdays("America/New_York", "2010-01-04", 260)
    stamps = in_utc(days, "America/New_York", "16:00").to_series().reset_index(drop=True)
    stamps[100] -= pd.Timedelta(hours=3)  # the exchange closed at one
    frame = bars(len(days), days=days).set_axis(pd.DatetimeIndex(stamps), axis=0)
    assert (days_of(read(write(form, tmp_path, frame))) == days.to_numpy().astype("datetime64[D]")).all()


def test_symbols_of_several_exchanges_in_one_table_have_their_own_days(tmp_path: Path):
    parts, wanted = [], {}
    for zone in ("Asia/Tokyo", "Europe/London", "America/New_York"):
        days = wanted[zone] = weekdays(zone, "2010-01-04", 260)
        parts.append(bars(len(days), days=days).assign(symbol=zone, date=in_utc(days, zone)))
    path = tmp_path / "all.parquet"
    pd.concat(parts).to_parquet(path, index=False)
    prices = read_table(path)
    for zone, days in wanted.items():
        assert (days_of(prices.frames[zone]) == days.to_numpy().astype("datetime64[D]")).all()


@pytest.mark.parametrize("form", ["folder", "parquet"])
@pytest.mark.parametrize("zone", ["Europe/Lisbon", "Europe/Moscow", "Asia/Singapore"])
def test_a_zone_whose_own_offset_was_changed_is_one_zone(tmp_path: Path, form: str, zone: str):
    days = weekdays(zone, "1991-01-01", 1500)  # Lisbon had the time of Berlin from 1992 to 1996
    local = days.tz_localize(zone)
    index = local if form == "parquet" else local.map(str)
    frame = bars(len(days), days=days).set_axis(index, axis=0)
    assert (days_of(read(write(form, tmp_path, frame))) == days.to_numpy().astype("datetime64[D]")).all()


@pytest.mark.parametrize(("zone", "at"), [("Asia/Tokyo", "00:00"), ("America/New_York", "20:00")])
def test_the_repair_of_unclear_days_works_as_it_is_printed(tmp_path: Path, zone: str, at: str):
    days = weekdays(zone, "2020-01-06", 60)
    stripped = in_utc(days, zone, at).tz_localize(None)  # the zone was thrown away: no more than a suspicion
    frame = bars(len(days), days=days).set_axis(stripped, axis=0)
    with pytest.raises(DataError, match="days unclear") as caught:
        read_folder(write("folder", tmp_path, frame))
    line = re.search(r"pd\.DatetimeIndex.*%Y-%m-%d\"\)", str(caught.value))
    assert line
    dates = eval(line[0], {"pd": pd, "dates": frame.index})  # noqa: S307 - the printed line itself
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    assert (days_of(read(write("folder", fixed, frame.set_axis(dates, axis=0)))) == days.to_numpy()).all()
