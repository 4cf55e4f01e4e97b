"""The state of a market: eight numbers, by hand, and none of them from a later day."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragsignal.data.market_state import STATE_FORMULAS, dispersion_of, market_states

RNG = np.random.default_rng(3)
MARKET, DISPERSION = RNG.normal(0, 0.01, 120), RNG.uniform(0.01, 0.03, 120)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_a_state_by_hand() -> None:
    state = dict(zip(STATE_FORMULAS, market_states(MARKET, DISPERSION)[99], strict=True))
    last = {days: (MARKET[100 - days : 100].tolist(), DISPERSION[100 - days : 100].tolist()) for days in (5, 20, 60)}
    expected = {f"trend_{days}": mean(last[days][0]) for days in (5, 20, 60)}
    expected |= {f"volatility_{days}": math.sqrt(mean([it**2 for it in last[days][0]])) for days in (20, 60)}
    expected |= {f"dispersion_{days}": math.log(mean(last[days][1])) for days in (5, 20, 60)}
    assert state == pytest.approx(expected, abs=1e-9)


def test_a_state_needs_three_quarters_of_each_window_and_is_whole_or_nothing() -> None:
    market = MARKET.copy()
    market[40:55] = np.nan  # 15 of the 60 that end with row 99, and none of its 20
    states = market_states(market, DISPERSION)
    assert np.isfinite(states[99]).all()
    assert states[99, 2] == pytest.approx(np.nanmean(market[40:100]), abs=1e-9)
    market[55] = np.nan
    states = market_states(market, DISPERSION)
    assert np.isnan(states[99]).all()
    assert np.isnan(market_states(MARKET, DISPERSION)[:44]).all()
    assert np.isfinite(market_states(MARKET, DISPERSION)[44:]).all()


@given(day=st.integers(0, 118), seed=st.integers(0, 9))
def test_no_later_day_and_no_day_before_the_last_60_moves_a_state(day: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    market, dispersion = MARKET.copy(), DISPERSION.copy()
    market[day + 1 :], dispersion[day + 1 :] = rng.normal(9, 1, 119 - day), np.nan
    states, clean = market_states(market, dispersion), market_states(MARKET, DISPERSION)
    assert np.array_equal(states[: day + 1], clean[: day + 1], equal_nan=True)
    late = market_states(MARKET[day:], DISPERSION[day:])  # to the last bit: states are in a digest
    assert np.array_equal(late[59:], clean[day + 59 :], equal_nan=True)


def test_dispersion_by_hand_leaves_out_stocks_that_are_not_ranked_and_splits_that_nobody_adjusted() -> None:
    returns = np.array([[0.01, -0.02, 0.03, 0.5, 3.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    close = np.concatenate([np.full((1, 5), 50.0), 50.0 * np.exp(np.cumsum(returns, axis=0))])
    ranked = np.tile([True, True, True, False, True], (3, 1))
    spread = dispersion_of(close, ranked, np.array([np.nan, 0.01, 0.0]))
    around = [0.0, -0.03, 0.02]
    assert np.isnan(spread[0])
    assert spread[1] == pytest.approx(math.sqrt(mean([it**2 for it in around]) - mean(around) ** 2))
    assert spread[2] == 0.0
    assert np.isnan(dispersion_of(close, np.zeros((3, 5), dtype=bool), np.zeros(3))).all()


def test_a_market_that_stands_still_has_no_state() -> None:
    assert np.isnan(market_states(np.zeros(100), np.zeros(100))).all()  # the logarithm of no dispersion
