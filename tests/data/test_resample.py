"""Weeks and months: made of days without the future, recognised, dated by their last day, equal to Backtrader's."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import DataSpec
from ragsignal.data import Prices, days_of, load_prices
from ragsignal.data.resample import resample
from ragsignal.errors import DataError
from tests.markets import Frames, bars, markets

PERIODS = {"week": bt.TimeFrame.Weeks, "month": bt.TimeFrame.Months}


def load(folder: Path, days: pd.DatetimeIndex, **keys: Any) -> Prices:
    bars(len(days), days=days).to_csv(folder / "AA.csv", index_label="Date")
    table = {"source": "folder", "path": folder, "symbols": ["AA"], "start": date(2000, 1, 1), "end": date(2030, 1, 1)}
    return load_prices(DataSpec.model_validate(table | keys))


@pytest.mark.parametrize("period", PERIODS)
def test_weeks_and_months_are_those_of_backtrader(period: Any) -> None:
    days = pd.bdate_range("2019-12-30", "2021-06-30").delete([3, 4, 60, 61, 62, 63, 64, 200])
    frame = bars(len(days), days=days)
    cerebro = bt.Cerebro(stdstats=False)
    feed = bt.feeds.PandasData(dataname=frame, openinterest=None)
    cerebro.resampledata(feed, timeframe=PERIODS[period])
    cerebro.addstrategy(bt.Strategy)
    (ran,) = cerebro.run()
    made = resample(Prices({"AA": frame}), period).frames["AA"]
    theirs = [bt.num2date(stamp).date() for stamp in ran.data.datetime.array]
    count = len(made)
    assert len(theirs) - count in (0, 1)  # Backtrader's last one is whatever the feed has of it
    assert days_of(made).tolist() == theirs[:count]
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_allclose(made[name], np.array(getattr(ran.data, name).array)[:count], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(frames=markets(), period=st.sampled_from(["week", "month"]), cut=st.integers(5, 59), whole=st.booleans())
def test_no_bar_moves_when_days_are_added(frames: Frames, period: Any, cut: int, whole: bool) -> None:
    made = resample(Prices(frames), period, whole)
    calendar = np.unique(np.concatenate([days_of(frame) for frame in frames.values()]))
    end = pd.Timestamp(calendar[min(cut, len(calendar) - 1)])
    early = {symbol: frame.loc[:end] for symbol, frame in frames.items() if frame.index[0] <= end}
    part = resample(Prices(early), period, whole)
    for symbol, frame in part.frames.items():
        pd.testing.assert_frame_equal(frame, made.frames[symbol].iloc[: len(frame)])
        unknown = made.frames[symbol].loc[:end].iloc[len(frame) :]
        assert len(unknown) <= 1  # the period that may go on, as far as days up to the cut can tell
        assert (frame.index <= end).all()


def test_a_week_that_a_stock_does_not_end_is_known_when_the_market_ends_it() -> None:
    days = pd.bdate_range("2020-01-06", periods=15)
    frames = {"AA": bars(15, days=days), "BB": bars(13, days=days.delete([3, 4]))}  # BB stops on a Wednesday
    made = resample(Prices(frames), "week")
    assert days_of(made.frames["BB"]).tolist() == days_of(made.frames["AA"]).tolist() == days[4::5].date.tolist()


@pytest.mark.parametrize(("last", "bars_"), [("2020-01-30", 4), ("2020-01-31", 5)])
def test_a_week_that_is_not_over_is_no_bar(last: str, bars_: int) -> None:
    days = pd.bdate_range("2019-12-30", last)
    assert len(resample(Prices({"AA": bars(len(days), days=days)}), "week").frames["AA"]) == bars_


def test_a_week_of_a_market_that_never_closes_ends_on_sunday(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-06", "2020-03-21")  # ends on a Saturday
    prices = load(tmp_path, days, bar="week", calendar="24/7")
    assert prices.clock.name == "week 24/7"
    assert prices.clock.days == 7.0
    assert set(prices.frames["AA"].index.day_of_week) == {6}
    assert str(days_of(prices.frames["AA"])[-1]) == "2020-03-15"


@pytest.mark.parametrize(
    ("rule", "keys", "name", "last"),
    [
        ("W-FRI", {}, "week", "2023-11-24"),
        ("W-FRI", {"bar": "week"}, "week", "2023-11-24"),
        ("W-MON", {"stamp": "start"}, "week", "2023-12-01"),
        ("W-MON", {"stamp": "start", "calendar": "24/7"}, "week 24/7", "2023-12-03"),
        ("W-MON", {"stamp": "end"}, "week", "2023-11-27"),
        ("BME", {}, "month", "2023-10-31"),
        ("MS", {"stamp": "start"}, "month", "2023-11-30"),
        ("2W-FRI", {}, "14 days", "2023-11-17"),
    ],
)
def test_bars_of_a_source_are_recognised_and_dated_by_their_end(
    tmp_path: Path, rule: str, keys: Any, name: str, last: str
) -> None:
    prices = load(tmp_path, pd.date_range("2018-01-05", "2023-11-27", freq=rule), **keys)
    assert prices.clock.name == name
    assert str(days_of(prices.frames["AA"])[-1]) == last


@pytest.mark.parametrize(
    ("rule", "keys", "words"),
    [
        (
            "W-MON",
            {},
            r'AA: its weekly bars are dated by the day on which they begin.*Write data.stamp = "start", or "e',
        ),
        ("MS", {}, "AA: its monthly bars are dated by the day on which they begin"),
        ("W-FRI", {"bar": "month"}, 'data.bar = "month", but the source has bars 7 days apart; .*of daily bars'),
        ("2W-FRI", {"stamp": "start"}, 'data.stamp = "start": where bars of 14 days end cannot be told'),
        ("B", {"bar": "week", "stamp": "end"}, 'data.stamp = "end": the bars are daily'),
        ("D", {"bar": "week"}, 'AA has bars at weekends, and data.bar = "week"'),
        ("B", {"bar": "week", "calendar": "24/7"}, "but it has no bars at weekends from 2018-01-05"),
    ],
)
def test_what_may_be_wrong_is_refused(tmp_path: Path, rule: str, keys: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        load(tmp_path, pd.date_range("2018-01-05", "2020-11-27", freq=rule), **keys)
