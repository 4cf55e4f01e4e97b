"""Days by macro variables: which months are alike, and that no value is used before it was known."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import RetrievalSpec
from ragsignal.data import RANK_FACTORS, MarketDays
from ragsignal.errors import DataError
from ragsignal.retrieval import Macro, RegimeDays, StateMetric, make_day_retriever, read_macro
from ragsignal.retrieval.regimes import last_days, last_months

DAYS = pd.bdate_range("1996-01-01", "2010-12-31").to_numpy().astype("datetime64[D]")
MONTHS = pd.date_range("1985-01-31", "2010-12-31", freq="ME").to_numpy().astype("datetime64[D]")
LAG = 30


@cache
def market_days() -> MarketDays:
    rng, n = np.random.default_rng(0), len(DAYS)
    known = np.append(DAYS[1:], np.datetime64("NaT"))
    payoffs = rng.normal(0.0, 0.05, (n, len(RANK_FACTORS)))
    payoffs[-1] = np.nan
    stocks = np.full(n, 500, dtype=np.int32)
    return MarketDays(DAYS, rng.normal(0, 0.01, n), rng.uniform(0.01, 0.03, n), stocks, payoffs, known, 1)


def cycle(months: float = 48.0) -> np.ndarray:
    """Two variables that come back after so many months, (n_months, 2)."""
    phase = 2.0 * np.pi * np.arange(len(MONTHS)) / months
    return np.stack([np.sin(phase), np.cos(phase)], axis=1)


def retriever(values: np.ndarray, lag: int = LAG) -> RegimeDays:
    days = market_days()
    return RegimeDays(days, StateMetric.euclidean(days.states), Macro(("one", "two"), MONTHS, values, lag))


def months_of(found: RegimeDays, day: date, unlike: bool) -> set[int]:
    hits = found.of_day(day)
    rows = hits.rows[(hits.scores < 0.0) == unlike]
    return set(last_months(found.days.days[rows]).tolist())


def test_months_of_the_same_phase_are_found_and_those_of_the_opposite_one_count_against() -> None:
    found = retriever(cycle())
    day = date(2010, 6, 15)
    (now,) = last_months(np.array([day], dtype="datetime64[D]")).tolist()
    away = {(now - month + 24) % 48 - 24 for month in months_of(found, day, unlike=False)}
    against = {(now - month) % 48 - 24 for month in months_of(found, day, unlike=True)}
    assert {0, -1, 1} <= away <= set(range(-6, 7))
    assert {0, -1, 1} <= against <= set(range(-6, 7))


def test_the_last_three_years_are_left_out_and_a_fifth_is_taken_on_each_side() -> None:
    found, day = retriever(np.random.default_rng(1).normal(size=(len(MONTHS), 2)).cumsum(axis=0)), date(2010, 6, 15)
    (now,) = last_months(np.array([day], dtype="datetime64[D]")).tolist()
    like, unlike = months_of(found, day, unlike=False), months_of(found, day, unlike=True)
    assert max(like | unlike) <= now - 36
    assert not like & unlike
    known = np.isfinite(found.macro.states[: now - 36 + 1 - found.macro.first, 0]).sum()
    assert len(found._fifths(day)[0]) == len(found._fifths(day)[1]) == known // 5


def test_every_day_of_a_month_is_a_hit_and_its_nearest_comes_first() -> None:
    found = retriever(cycle(37.0))
    hits = found.of_day(date(2009, 3, 10))
    alike = hits.scores[hits.scores >= 0.0]
    assert (np.diff(alike) <= 0.0).all()
    assert (hits.scores[len(alike) :] < 0.0).all()
    first = last_months(DAYS[hits.rows[:1]])[0]
    whole = np.flatnonzero(last_months(DAYS) == first)
    np.testing.assert_array_equal(np.sort(hits.rows[: len(whole)]), whole)


@settings(max_examples=40, deadline=None)  # the first case reads a file
@given(
    day=st.dates(date(2004, 1, 1), date(2010, 12, 1)),
    seed=st.integers(0, 1000),
    lag=st.sampled_from([0, 1, 15, 30, 75]),
)
def test_no_value_is_used_before_its_date_and_the_lag_are_over(day: date, seed: int, lag: int) -> None:
    values = np.random.default_rng(seed).normal(size=(len(MONTHS), 2)).cumsum(axis=0)
    later = MONTHS + np.timedelta64(lag, "D") > np.datetime64(day)
    poisoned = np.where(later[:, None], 1e6, values)
    one, two = retriever(values, lag), retriever(poisoned, lag)
    assert one.of_day(day) == two.of_day(day)
    assert one.digest_as_of(day) == two.digest_as_of(day)


def test_a_value_that_is_known_at_the_last_month_end_counts_and_changes_the_address() -> None:
    values = cycle(41.0)
    other = values.copy()
    other[np.searchsorted(MONTHS, np.datetime64("2010-04-30"))] *= -1.0  # known on 2010-05-30
    before, after = date(2010, 5, 30), date(2010, 6, 1)
    one, two = retriever(values), retriever(other)
    assert one.digest_as_of(before) == two.digest_as_of(before)
    assert one.of_day(before) == two.of_day(before)
    assert one.digest_as_of(after) != two.digest_as_of(after)
    assert one.of_day(after) != two.of_day(after)


def test_no_day_is_found_before_its_payoff_was_known() -> None:
    found = retriever(cycle())
    for day in (date(2004, 2, 2), date(2008, 9, 15)):
        last = found.of_day(day).known_through
        assert last is not None
        assert last <= day


def test_nothing_is_found_where_values_are_missing_or_old() -> None:
    assert not len(retriever(cycle()).of_day(date(1998, 1, 5)))  # no month of ten years, three years before
    early = Macro(("one",), MONTHS[:200], cycle()[:200, :1], LAG)
    days = market_days()
    assert not len(RegimeDays(days, StateMetric.euclidean(days.states), early).of_day(date(2009, 1, 5)))
    constant = retriever(np.ones((len(MONTHS), 2)))
    assert not len(constant.of_day(date(2009, 1, 5)))


def test_months_that_all_look_alike_are_never_taken_for_like_ones_on_both_sides() -> None:
    rising = np.repeat(np.exp(np.arange(len(MONTHS)) / 20.0)[:, None], 2, axis=1)  # every change is held at 3
    scores = retriever(rising).of_day(date(2010, 6, 15)).scores
    assert ((scores < 0.0).sum(), (scores >= 0.0).sum()) > (0, 0)


def test_the_last_month_is_the_one_that_was_over_at_the_close() -> None:
    days = np.array(["2010-01-30", "2010-01-31", "2010-02-01", "2010-02-27", "2010-02-28"], dtype="datetime64[D]")
    ends = ["2009-12-31", "2010-01-31", "2010-01-31", "2010-01-31", "2010-02-28"]
    assert last_days(last_months(days)).astype(str).tolist() == ends


def _file(folder: Path, text: str) -> Path:
    path = folder / "macro.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_its_gaps(tmp_path: Path) -> None:
    macro = read_macro(_file(tmp_path, "date,yield,oil\n1990-01-31,8.2,22.7\n1990-02-28,,22.1\n"), 10)
    assert macro.names == ("yield", "oil")
    assert macro.known_on[0].item() == date(1990, 1, 31) + timedelta(days=10)
    np.testing.assert_array_equal(macro.values, [[8.2, 22.7], [np.nan, 22.1]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,yield\n1990-01-31,high\n", "could not convert"),
        ("date,yield\nlast month,1.0\n", "cannot read"),
        ("date,yield\n1990-02-28,1.0\n1990-01-31,1.0\n", "do not ascend"),
        ("date,yield\n1990-01-31,1.0\n1990-01-31,1.0\n", "do not ascend"),
        ("date,yield\n1990-01-31,\n", "one without any"),
        ("date\n1990-01-31\n", "no column of numbers"),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_form(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=f"{said}.*A CSV file was expected"):
        read_macro(_file(tmp_path, text), 30)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*none\.csv"):
        read_macro(tmp_path / "none.csv", 30)


def test_a_spec_makes_the_retriever_and_says_what_file_it_needs(tmp_path: Path) -> None:
    keys = {"candidates": "days", "retriever": "regimes", "own_days": True}
    with pytest.raises(ValueError, match=r'needs macro = "FILE\.csv": a column of dates'):
        RetrievalSpec.model_validate(keys)
    lines = [f"{month},{one},{two}" for month, (one, two) in zip(MONTHS, cycle(), strict=True)]
    path = _file(tmp_path, "\n".join(["date,one,two", *lines]))
    spec, days = RetrievalSpec.model_validate(keys | {"macro": path}), market_days()
    made = make_day_retriever(spec, days, StateMetric.euclidean(days.states), "")
    day = date(2010, 6, 15)
    assert made.of_day(day) == retriever(cycle()).of_day(day)
    slower = make_day_retriever(spec.model_copy(update={"macro_lag": 60}), days, StateMetric.euclidean(days.states), "")
    assert slower.recipe != made.recipe
