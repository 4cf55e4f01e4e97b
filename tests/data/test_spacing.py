"""Weekly and monthly bars are told from daily ones, and daily ones with holes are daily."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.spacing import differs_in_spacing, other_spacing, usual_gap, usual_gap_of

starts = st.dates(date(1990, 1, 1), date(2020, 1, 1))
seeds = st.integers(0, 2**32)


def days_of(index: pd.DatetimeIndex) -> np.ndarray:
    return index.to_numpy().astype("datetime64[D]")


@settings(max_examples=100, deadline=None)
@given(start=starts, count=st.integers(2, 800), missing=st.floats(0.0, 0.75), seed=seeds, hole=st.integers(0, 600))
def test_daily_bars_with_holes_and_holidays_are_daily(start: date, count: int, missing: float, seed: int, hole: int):
    index = pd.bdate_range(start, periods=count)
    kept = index[
        (np.random.default_rng(seed).random(count) >= missing) & ~((np.arange(count) > 100) & (np.arange(count) < hole))
    ]
    assert other_spacing(days_of(kept), 1.0) is None


@settings(max_examples=100, deadline=None)
@given(
    start=starts,
    count=st.integers(11, 300),
    rule=st.sampled_from(["W-MON", "W-FRI", "ME", "MS", "BME", "QE"]),
    seed=seeds,
)
def test_weekly_monthly_and_quarterly_bars_are_not_daily(start: date, count: int, rule: str, seed: int):
    index = pd.date_range(start, periods=count, freq=rule)
    moved = index - pd.to_timedelta(
        (np.random.default_rng(seed).random(count) < 0.1).astype(int), unit="D"
    )  # a holiday
    stretch = other_spacing(days_of(moved), 1.0)
    assert stretch is not None
    assert stretch.gap == pytest.approx({"W": 7, "M": 31, "B": 31, "Q": 91}[rule[0]], abs=2)
    assert other_spacing(days_of(moved), usual_gap(days_of(moved)) or 0.0) is None


@settings(max_examples=50, deadline=None)
@given(start=starts, count=st.integers(11, 400))
def test_daily_bars_are_not_weekly(start: date, count: int):
    stretch = other_spacing(days_of(pd.bdate_range(start, periods=count)), 7.0)
    assert stretch is not None
    assert stretch.gap == 1.0


def test_weekly_bars_before_daily_ones_are_found_and_their_days_are_said():
    weekly, daily = pd.date_range("1990-01-05", periods=150, freq="W-FRI"), pd.bdate_range("1993-01-01", periods=900)
    stretch = other_spacing(days_of(weekly.append(daily)), 1.0)
    assert stretch is not None
    assert stretch.words == "bars 7 days apart from 1990-01-05 to 1991-03-29"


def test_what_is_usual_is_the_median_of_the_symbols():
    daily, weekly = (
        days_of(pd.bdate_range("2020-01-01", periods=50)),
        days_of(pd.date_range("2020-01-01", periods=9, freq="7D")),
    )
    assert usual_gap_of([daily, daily[:1], weekly, daily]) == 1.0
    assert usual_gap_of([daily[:1]]) is None
    assert [differs_in_spacing(1, other) for other in (1, 2, 3.5, 7, 30)] == [False, False, False, True, True]
