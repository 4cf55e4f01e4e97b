"""A day that is added to rank letters makes what all days together make."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import rank_growth
from ragsignal.data.rank_factors import Windows
from ragsignal.data.rank_growth import WindowsOfLastDay, grow_letters
from ragsignal.data.rank_letters import RankLetters, build_rank_letters
from tests.universe import N_DAYS, universe, universe_letters

GROWN = 12


def grown(last: int = N_DAYS, by: int = GROWN) -> RankLetters:
    """The universe's letters, the last days of which were added one at a time."""
    frames = universe()
    calendar = universe_letters().days
    letters = build_rank_letters({symbol: it.loc[: calendar[last - by - 1]] for symbol, it in frames.items()})
    for day in calendar[last - by : last]:
        stamp = pd.Timestamp(day)
        bars = {symbol: frame.loc[stamp].tolist() for symbol, frame in frames.items() if stamp in frame.index}
        letters = grow_letters(letters, day.item(), bars)
    return letters


def test_letters_that_grow_are_those_of_all_bars() -> None:
    one, whole = grown(), universe_letters()
    assert np.array_equal(one.letters, whole.letters)
    assert np.array_equal(one.ranked, whole.ranked)
    assert np.array_equal(one.market, whole.market, equal_nan=True)
    assert np.array_equal(one.states, whole.states, equal_nan=True)
    assert one.day_digests == whole.day_digests


def test_a_doubtful_place_is_worked_out_from_the_first_bar_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_growth, "_SURE", -1.0)
    monkeypatch.setattr(rank_growth, "_NEAR", np.inf)
    assert np.array_equal(grown(by=3).letters, universe_letters().letters)


def test_two_stocks_with_one_sum_are_doubtful_and_two_at_a_round_number_are_not() -> None:
    place = rank_growth.RANK_FACTORS.index("intraday_5")
    raw = np.tile(np.linspace(1.0, 2.0, 30), (len(rank_growth.RANK_FACTORS), 1))
    raw[place, :2] = 0.123456789_45
    raw[place, 2:4] = 0.5
    assert np.flatnonzero(rank_growth._doubtful(raw, np.ones(30, dtype=bool))).tolist() == [0, 1]


def test_a_day_before_the_last_one_is_refused() -> None:
    letters = universe_letters()
    with pytest.raises(ValueError, match="is not after"):
        grow_letters(letters, letters.days[-1].item(), {})


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), days=st.integers(3, 40), holes=st.floats(0.0, 0.4))
def test_windows_of_the_last_day_are_pandas_own(seed: int, days: int, holes: float) -> None:
    draw = np.random.default_rng(seed)
    values = draw.normal(0.0, 0.02, (60, 5))
    values[draw.random(values.shape) < holes] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in ("sum", "mean", "std", "var", "skew", "max", "min", "median"):
            ours, theirs = (getattr(last(values, days), name)() for last in (WindowsOfLastDay, Windows))
            np.testing.assert_allclose(ours[-1], theirs[-1], rtol=1e-7, atol=1e-12, err_msg=name)
            assert np.isnan(ours[:-1]).all()
