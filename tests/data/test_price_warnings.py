"""Splits that are not adjusted, long holes and odd weeks are named; ordinary prices, crashes and holidays are not."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.price_warnings import HOLE, SPLIT, WEEK, price_warnings, warning_notes
from ragsignal.data.prices import Prices, check_prices, load_sample, read_folder
from ragsignal.data.synthetic import noise_market
from ragsignal.study import Study, notes_on_prices
from tests.markets import bars
from tests.specs import HOLD, spec

PRICES = ["open", "high", "low", "close"]
FRAMES = noise_market(("AAA", "BBB"), date(2008, 1, 2), date(2012, 12, 31), seed=3).frames
PLAIN = FRAMES["AAA"]
DAY = PLAIN.index[700]


def split(frame: pd.DataFrame, ratio: float, day: pd.Timestamp = DAY, bars_after: int | None = None) -> pd.DataFrame:
    """``frame`` as it is traded: from ``day`` on at 1 / ratio of the price, for some bars or for ever."""
    traded = frame.copy()
    last = None if bars_after is None else frame.index[frame.index.get_loc(day) + bars_after]
    traded.loc[day:last, PRICES] /= ratio
    return traded


@pytest.mark.parametrize(("ratio", "words"), [
    (10, "10:1"), (2, "2:1"), (3, "3:1"), (1.5, "3:2"), (20, "20:1"), (0.1, "1:10"), (0.5, "1:2"), (1 / 15, "1:15"),
])  # fmt: skip
def test_a_split_that_is_not_adjusted_is_named_and_the_repair_works(ratio: float, words: str) -> None:
    traded = split(PLAIN, ratio)
    (found,) = price_warnings({"SPL": traded})
    assert (found.symbol, found.kind, found.day, found.short) == ("SPL", SPLIT, DAY.date(), words)
    factor = ratio if ratio > 1 else 1 / ratio
    assert f"prices before that day {'divided' if ratio > 1 else 'multiplied'} by {factor:g}" in found.repair
    assert price_warnings({"SPL": split(traded, 1 / ratio)}) == []
    mended = traded.copy()
    mended.loc[: DAY - pd.Timedelta(days=1), PRICES] /= ratio
    assert price_warnings({"SPL": mended}) == []


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), sigma=st.floats(0.002, 0.04), count=st.integers(2, 800))
def test_ordinary_prices_of_any_volatility_have_no_split(seed: int, sigma: float, count: int) -> None:
    rng = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(rng.normal(0, sigma, count)))
    frame = pd.DataFrame(dict.fromkeys(PRICES, close), index=pd.bdate_range("2010-01-01", periods=count))
    assert price_warnings({"A": frame.assign(volume=1e6)}) == []


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), ratio=st.sampled_from([2.0, 3.0, 10.0, 0.1]), at=st.integers(25, 200))
def test_a_split_is_found_wherever_it_is(seed: int, ratio: float, at: int) -> None:
    close = 50 * np.exp(np.random.default_rng(seed).uniform(-0.02, 0.02, 230))
    index = pd.bdate_range("2020-01-01", periods=230)
    frame = pd.DataFrame(dict.fromkeys(PRICES, close), index=index).assign(volume=1e5)
    found = price_warnings({"A": split(frame, ratio, frame.index[at])})
    assert [(it.kind, it.day) for it in found] == [(SPLIT, frame.index[at].date())]


def test_a_crash_a_spike_and_a_ratio_of_nothing_are_no_splits() -> None:
    crash = split(PLAIN, 2)
    crash.loc[DAY, "volume"] = 30 * PLAIN["volume"].median()  # news
    spike = split(PLAIN, 10, bars_after=3)  # a wrong figure that is right again
    odd = split(PLAIN, 2.3)
    intraday = PLAIN.copy()
    intraday.loc[DAY:, ["close", "low"]] /= 2  # it opened where it had closed
    for frame in (crash, spike, odd, intraday):
        assert [it for it in price_warnings({"A": frame}) if it.kind == SPLIT and it.day == DAY.date()] == []


def test_a_long_hole_is_named_with_what_is_missing() -> None:
    gone = PLAIN.index[(PLAIN.index > "2011-03-01") & (PLAIN.index < "2012-06-01")]
    holed = PLAIN.drop(gone)
    beside, alone = (price_warnings(frames) for frames in ({"HOL": holed, "BBB": FRAMES["BBB"]}, {"HOL": holed}))
    assert [(it.symbol, it.kind, it.day) for it in beside] == [("HOL", HOLE, date(2011, 3, 2))]
    assert beside[0].short == f"{len(gone)} bars missing to 2012-05-31"
    (of_its_own,) = alone
    assert int(of_its_own.short.split()[0]) == pytest.approx(len(gone), rel=0.03)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), missing=st.floats(0.0, 0.5), rule=st.sampled_from(["B", "D", "W-FRI", "BME"]))
def test_holidays_and_rare_trades_are_no_holes(seed: int, missing: float, rule: str) -> None:
    days = pd.date_range("2010-01-01", periods=200, freq=rule)
    days = days[np.random.default_rng(seed).random(200) >= missing]
    assert [it for it in price_warnings({"A": bars(len(days), days=days)}) if it.kind == HOLE] == []


@pytest.mark.parametrize(
    ("shift", "words"), [(-1, "Sundays in weeks without a Friday"), (1, "Saturdays in weeks without a Monday")]
)
def test_days_that_are_filed_one_off_are_named_and_the_repair_works(shift: int, words: str) -> None:
    days = pd.bdate_range("2010-01-04", periods=260)
    (found,) = price_warnings({"A": bars(260, days=days + pd.Timedelta(days=shift))})
    assert found.kind == WEEK
    assert words in found.short
    assert f"dates + pd.Timedelta(days={-shift})" in found.repair
    assert price_warnings({"A": bars(260, days=days)}) == []


def test_summers_that_are_filed_a_day_early_are_named() -> None:
    days = pd.bdate_range("2010-01-04", "2011-12-30")
    utc = days.tz_localize("Europe/London").tz_convert("UTC").tz_localize(None).normalize()  # as many files have them
    assert [it.kind for it in price_warnings({"A": bars(len(days), days=utc)})] == [WEEK]


@pytest.mark.parametrize("off", [(), (5,), (5, 6)])
def test_weeks_of_seven_six_and_five_days_are_ordinary(off: tuple[int, ...]) -> None:
    days = pd.date_range("2010-01-01", periods=400)
    days = days[~days.day_of_week.isin(off)]
    assert price_warnings({"A": bars(len(days), days=days)}) == []


def test_the_bundled_prices_have_no_warnings() -> None:
    assert load_sample().warnings == ()


def test_files_are_checked_for_both_and_a_warning_is_no_problem(tmp_path: Path) -> None:
    split(PLAIN, 10).to_csv(tmp_path / "SPL.csv")
    twice = pd.concat([PLAIN.iloc[:1], PLAIN])
    twice.to_csv(tmp_path / "BAD.csv")
    assert [(it.level, it.symbol) for it in check_prices(tmp_path)] == [("problem", "BAD"), ("warning", "SPL")]
    assert [it.symbol for it in read_folder(tmp_path, ["SPL"]).warnings] == ["SPL"]


def test_notes_name_the_first_of_each_kind() -> None:
    frames = {f"S{number}": split(PLAIN, 10) for number in range(7)}
    (note,) = warning_notes(price_warnings(frames))
    assert f"S0 {DAY.date()} (10:1), S1" in note
    assert note.endswith("and 2 more.")


def test_a_run_notes_what_looks_wrong_in_its_prices() -> None:
    traded = Prices({"AAA": split(PLAIN, 10), "BBB": FRAMES["BBB"].drop(FRAMES["BBB"].index[100:300])})
    small = spec(data={"symbols": ["AAA", "BBB"], "end": "2012-12-31", "start": "2011-01-03"}, variant=[HOLD])
    notes = notes_on_prices(Study(small, history=traded))
    assert any(
        f"split that is not adjusted, which counts as a return here: AAA {DAY.date()} (10:1)" in it for it in notes
    )
    assert any("The prices have holes" in it and "BBB 2008-05-" in it and "(200 bars missing to" in it for it in notes)
