"""Buckets of the market's state: what later bars cannot move, and what cannot be cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config.tables import StateName
from ragsignal.data.market_state import STATE_FORMULAS
from ragsignal.data.state_buckets import UNKNOWN_STATE, StateBuckets, daily_states
from ragsignal.errors import DataError
from tests.markets import bars, until

MARKET = {name: bars(120, seed) for seed, name in enumerate("ABC")}
STATES = daily_states(MARKET)


def test_a_spec_names_every_number_of_a_state() -> None:
    assert StateName.__args__ == tuple(STATE_FORMULAS)  # type: ignore[attr-defined]


@settings(max_examples=10, deadline=None)
@given(st.integers(60, 119))
def test_later_bars_change_no_earlier_state(row: int) -> None:
    day = STATES.days[row]
    early = daily_states(until(MARKET, day.item()))
    np.testing.assert_array_equal(early.days, STATES.days[: row + 1])
    np.testing.assert_array_equal(early.values, STATES.values[: row + 1])


def test_edges_rest_on_the_days_that_may_decide_and_on_each_of_them_once() -> None:
    days = STATES.days[60:90]
    buckets = StateBuckets.fit(STATES, "volatility_20", 3, days)
    again = StateBuckets.fit(STATES, "volatility_20", 3, np.repeat(days, np.arange(1, 31)))
    assert again == buckets
    assert buckets.count == 3
    found = buckets.of(STATES.of("volatility_20", days))
    np.testing.assert_array_equal(np.bincount(found), [10, 10, 10])
    assert StateBuckets.fit(STATES, "volatility_20", 3, STATES.days[60:]) != buckets


def test_an_unknown_day_has_no_bucket() -> None:
    buckets = StateBuckets.fit(STATES, "trend_5", 2, STATES.days)
    days = np.array(["2019-01-01", "2020-01-01", "2020-06-03", "2035-01-01"], dtype="datetime64[D]")
    found = buckets.of(STATES.of("trend_5", days)).tolist()
    assert found[:2] == [UNKNOWN_STATE, UNKNOWN_STATE]
    assert found[2] in (0, 1)
    assert found[3] == UNKNOWN_STATE


def test_a_single_symbol_or_too_few_days_are_refused() -> None:
    alone = daily_states({"A": MARKET["A"]})
    with pytest.raises(DataError, match=r"0 of 120 training days have a state.*needs two symbols at least"):
        StateBuckets.fit(alone, "volatility_20", 3, alone.days)
    with pytest.raises(DataError, match=r"volatility_20 .* cannot be cut into 4 buckets: 3 of 3 training days"):
        StateBuckets.fit(STATES, "volatility_20", 4, STATES.days[-3:])
