"""Shares whose interval knows what stands together."""

from __future__ import annotations

import numpy as np
import pytest

from ragsignal.statistics import ClusteredShare, clustered_share


def test_signals_of_their_own_days_have_wilsons_interval() -> None:
    true = np.array([True, False] * 200)
    share = clustered_share(true, np.arange(400))
    # Wilson (1927) for one half of 399 (the variance takes one): z sqrt(1/(4n) + z^2/(4n^2)) / (1 + z^2/n) around 1/2
    assert share.value == 0.5
    assert (share.low, share.high) == pytest.approx((0.451174, 0.548826), abs=1e-6)


def test_signals_that_all_agree_within_a_day_are_worth_a_day() -> None:
    days = np.repeat(np.arange(40), 10)
    true = np.repeat(np.arange(40) % 2 == 0, 10)
    share, of_days = clustered_share(true, days), clustered_share(np.arange(40) % 2 == 0, np.arange(40))
    assert of_days.low is not None
    assert share.low == pytest.approx(of_days.low, abs=0.005)


@pytest.mark.parametrize("side", [True, False])
def test_no_spread_and_a_single_day_are_as_wide_as_their_days(side: bool) -> None:
    share = clustered_share(np.full(100, side), np.zeros(100, dtype=np.int64))
    one = clustered_share(np.array([side]), np.array([0]))
    assert (share.low, share.high) == pytest.approx((one.low, one.high))


def test_of_nothing_there_is_no_share() -> None:
    assert clustered_share(np.empty(0, dtype=bool), np.empty(0, dtype=np.int64)) == ClusteredShare(None, None, None)


def test_intervals_hold_what_they_promise_where_days_share_a_move() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        days = np.repeat(np.arange(60), rng.integers(1, 9, 60))
        chance = np.clip(0.5 + rng.normal(0, 0.25, 60), 0, 1)[days]
        share = clustered_share(rng.random(len(days)) < chance, days)
        assert share.low is not None
        assert share.high is not None
        held += share.low <= 0.5 <= share.high
    assert 0.92 <= held / 400 <= 0.98
