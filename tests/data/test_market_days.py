"""Days as candidates: slopes by hand, what was known when, and digests of what could be seen."""

from __future__ import annotations

from functools import cache
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ragsignal.config import Target
from ragsignal.data import forward_returns
from ragsignal.data.labels import bars_until_known
from ragsignal.data.market_days import DayHits, MarketDays, build_market_days, factor_values
from ragsignal.data.rank_factors import RANK_FACTORS
from ragsignal.data.rank_letters import RANK_LETTERS, build_rank_letters
from ragsignal.errors import LookAheadError
from ragsignal.retrieval import NearestDays
from ragsignal.types import Hit, MarketDay
from tests.day_tables import METRIC, day_at, drawn_days
from tests.markets import Frames, poisoned, until
from tests.universe import CALENDAR, N_DAYS, universe, universe_letters

FRAMES = universe()
TARGETS = get_args(Target)
SHAPES = [("relative", 1), ("relative", 5), ("movement", 1), ("movement", 5), ("open_to_open", 1), ("open_to_open", 5)]
FIRST = 249  # day on which stocks are ranked
STATED = FIRST + 44  # and on which a state is known
TABLE = drawn_days()


@cache
def days_of(target: Target = "relative", horizon: int = 1) -> MarketDays:
    return build_market_days(universe_letters(), FRAMES, target, horizon)


def seen(days: MarketDays, row: int) -> list[object]:
    """All that is known as of the close of a row: digest, states, payoffs that had matured, and what is retrieved."""
    matured = np.flatnonzero(days.available_at <= days.days[row])
    found = NearestDays(days, METRIC, k=8, opposite=4).of_day(day_at(days, row))
    tables = (days.states[: row + 1], days.payoffs[matured], days.stocks[matured], days.available_at[matured])
    parts = [table.tobytes() for table in tables]
    return [days.digest_as_of(day_at(days, row)), parts, found.rows.tolist(), found.scores.tolist(), found.digest]


# ------------------------------------------------------------------------------------------------------- by hand


@pytest.mark.parametrize(("target", "horizon"), [("relative", 1), ("open_to_open", 5)])
@pytest.mark.parametrize("row", [FIRST, 289, 300])  # one stock has no bar on day 290
def test_payoffs_are_the_ridge_slopes_of_the_ranks_of_what_followed(row: int, target: Target, horizon: int) -> None:
    days, letters, outcomes = days_of(target, horizon), universe_letters(), forward_returns(FRAMES, target, horizon)
    known_on = CALENDAR[row + bars_until_known(target, horizon)]
    rows, followed = [], []
    for column, symbol in enumerate(letters.symbols):
        label = outcomes[symbol].reindex([CALENDAR[row]]).iloc[0]
        if letters.ranked[row, column] and label["available_at"] <= known_on:
            spelled = letters.letters[row, column].tolist()
            rows.append([0.0 if it == RANK_LETTERS else (it - 7.5) / 8 for it in spelled])
            followed.append(label["outcome"])
    count = len(followed)
    places = [sum(it < value for it in followed) + followed.count(value) / 2 for value in followed]
    ranks = [2 * place / count - 1 for place in places]
    # 20 stocks of nothing beside each factor: another way to a ridge than the normal equations
    padded = np.concatenate([np.array(rows), np.sqrt(20.0) * np.eye(len(RANK_FACTORS))])
    slopes = np.linalg.lstsq(padded, np.concatenate([ranks, np.zeros(len(RANK_FACTORS))]), rcond=None)[0]
    assert days.payoffs[row] == pytest.approx(slopes, abs=1e-6)
    assert days.stocks[row] == count >= 20
    assert days.record(row).available_at == known_on.date()


def test_a_planted_payoff_is_found() -> None:
    letters = universe_letters(60)
    for factor, sign in ((3, 1.0), (20, -1.0)):
        moves = 0.01 * sign * factor_values(letters.letters)[:, :, factor] + 0.001 * np.random.default_rng(0).normal(
            size=letters.ranked.shape
        )
        closes = np.exp(np.cumsum(np.concatenate([np.zeros((1, 60)), moves[:-1]]), axis=0))  # earned a day later
        frames = {
            symbol: pd.DataFrame({"open": closes[:, column], "close": closes[:, column]}, index=CALENDAR)
            for column, symbol in enumerate(letters.symbols)
        }
        payoffs = build_market_days(letters, frames, "movement").payoffs[FIRST : N_DAYS - 1].mean(axis=0)
        assert np.argmax(np.abs(payoffs)) == factor
        assert payoffs[factor] * sign > 0.25  # 20 stocks of nothing and factors much like it take the rest


def test_letters_become_the_middles_of_sixteenths_and_unknown_becomes_0() -> None:
    values = factor_values(np.arange(RANK_LETTERS + 1, dtype=np.uint8))
    assert values.tolist() == [*[(it - 7.5) / 8 for it in range(RANK_LETTERS)], 0.0]


# ------------------------------------------------------------------------------------------------------- as of


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("horizon", [1, 5, 10, 20])
def test_payoffs_are_available_when_the_bars_that_they_look_ahead_have_passed(target: Target, horizon: int) -> None:
    days, wait = days_of(target, horizon), bars_until_known(target, horizon)
    assert (days.available_at[:-wait] == days.days[wait:]).all()
    assert np.isnat(days.available_at[-wait:]).all()
    assert np.isnan(days.payoffs[-wait:]).all()
    assert np.isfinite(days.payoffs[FIRST:-wait]).all()
    assert np.isnan(days.payoffs[:FIRST]).all()
    assert days.retrievable.sum() == len(days.days) - STATED - wait
    last = day_at(days, N_DAYS - 1)
    assert days.visible(last).tolist() == list(range(STATED, N_DAYS - wait))
    assert days.visible(last, embargo=3).tolist() == list(range(STATED, N_DAYS - wait - 3))


@pytest.mark.parametrize(("target", "horizon"), SHAPES)
@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate])  # to shrink takes minutes
@given(row=st.integers(STATED + 2, N_DAYS - 2), seed=st.integers(0, 99))
def test_bars_that_are_cut_off_or_poisoned_after_t_change_nothing_that_was_known_at_t(
    target: Target, horizon: int, row: int, seed: int
) -> None:
    truth, day = seen(days_of(target, horizon), row), CALENDAR[row].date()
    for frames in (until(FRAMES, day), poisoned(FRAMES, day, seed)):
        assert seen(build_market_days(build_rank_letters(frames), frames, target, horizon), row) == truth
    earlier = CALENDAR[row - 1].date()  # the day itself is known
    lies = poisoned(FRAMES, earlier, seed)
    assert seen(build_market_days(build_rank_letters(lies), lies, target, horizon), row) != truth


@pytest.mark.parametrize("horizon", [1, 5])
def test_data_that_begin_later_give_the_same_days_once_all_memory_is_filled(horizon: int) -> None:
    n_days, start = 700, 60
    frames = universe(24, n_days)
    late: Frames = {symbol: frame.iloc[start:] for symbol, frame in frames.items() if symbol not in ("S02", "S03")}
    whole: Frames = {symbol: frames[symbol] for symbol in late}
    left = build_market_days(build_rank_letters(whole), whole, "relative", horizon)
    right = build_market_days(build_rank_letters(late), late, "relative", horizon)
    memory = 272 + 60  # bars that a factor and a state look back, or that a stock needs to be ranked
    for name in ("states", "payoffs", "stocks", "available_at"):
        ahead = getattr(left, name)[start + memory :], getattr(right, name)[memory:]
        assert np.array_equal(*ahead, equal_nan=True), name
    assert left.retrievable[start + memory :].sum() > 250


def test_a_stock_that_does_not_trade_holds_up_no_day() -> None:
    days = days_of()
    assert days.stocks[FIRST:288].max() == days.stocks[289] + 1  # its label came two days later, and is left out


@settings(max_examples=50, deadline=None)
@given(
    waits=st.sampled_from([1, 5, 20]),
    seed=st.integers(0, 2**32),
    first=st.sampled_from(["1999-01-04", "2004-09-01", "2005-02-01", "2030-01-01"]),
)
def test_days_that_follow_another_universes_keep_what_is_known_ascending(waits: int, seed: int, first: str) -> None:
    shipped, own = drawn_days(seed, 80, waits, first), drawn_days(seed + 1, 120, waits)
    joined = shipped.followed_by(own)
    assert (np.diff(joined.days) > np.timedelta64(0)).all()
    known = joined.available_at[~np.isnat(joined.available_at)]
    assert (np.diff(known) >= np.timedelta64(0)).all()
    assert not np.isnat(joined.available_at[: len(known)]).any()  # the days of the first that were never known are gone
    assert (joined.available_at[: len(known)] > joined.days[: len(known)]).all()
    kept = 80 - waits
    assert np.array_equal(joined.days[:kept], shipped.days[:kept])
    assert np.array_equal(joined.days[kept:], own.days[own.days > shipped.days[kept - 1]])
    rows = np.searchsorted(own.days, joined.days[kept:])
    assert np.array_equal(joined.payoffs[kept:], own.payoffs[rows], equal_nan=True)
    assert not (joined.available_at[kept:] < own.available_at[rows]).any()  # never earlier than by itself


def test_days_over_other_bars_cannot_follow() -> None:
    with pytest.raises(ValueError, match="over 1 and 5 bars"):
        TABLE.followed_by(drawn_days(wait=5))


# ------------------------------------------------------------------------------------------------------- digests


@given(row=st.integers(60, 148), change=st.sampled_from(["market", "dispersion", "payoffs", "available_at"]))
def test_a_digest_changes_with_what_could_be_seen_and_with_nothing_else(row: int, change: str) -> None:
    columns = {name: getattr(TABLE, name).copy() for name in ("days", "market", "dispersion", "stocks", "payoffs")}
    columns["available_at"] = TABLE.available_at.copy()
    if change == "available_at":
        columns[change][row:] = columns[change][row:] + np.timedelta64(1)
    else:
        columns[change][row] = 0.5
    other = MarketDays(**columns, horizon=1)
    same = [TABLE.digest_as_of(day_at(TABLE, it)) == other.digest_as_of(day_at(other, it)) for it in range(150)]
    first = row if change in ("market", "dispersion") else row + 1
    moved = change in ("payoffs", "available_at") or np.isfinite(TABLE.states[row]).all()
    assert same[:first] == [True] * first
    assert not moved or same[first:] == [False] * (150 - first)


def test_an_embargo_holds_back_payoffs_and_not_the_state_of_the_day() -> None:
    day = day_at(TABLE, 120)
    assert len({TABLE.digest_as_of(day, embargo) for embargo in (0, 1, 2)}) == 3
    assert TABLE.visible(day, 2).tolist() == TABLE.visible(day_at(TABLE, 118)).tolist()
    assert TABLE.visible(day_at(TABLE, 1), 5).tolist() == []


# ------------------------------------------------------------------------------------------------------- hits


def hits(rows: list[int], scores: list[float]) -> DayHits:
    return DayHits(TABLE, np.array(rows, dtype=np.int64), np.array(scores))


def test_hits_are_records_of_days_made_once_and_equal_to_a_tuple_of_them() -> None:
    rows = TABLE.visible(day_at(TABLE, 149))[:3].tolist()
    found = hits(rows, [0.5, 0.25, -0.75])
    assert [hit.candidate.id for hit in found] == [f"market/{TABLE.days[row]}" for row in rows]
    assert [(hit.score, hit.rank) for hit in found] == [(0.5, 0), (0.25, 1), (-0.75, 2)]
    day = found[1].candidate
    assert isinstance(day, MarketDay)
    assert (day.state, day.payoffs) == (tuple(TABLE.states[rows[1]]), tuple(TABLE.payoffs[rows[1]]))
    assert found == tuple(found.hits)
    assert hits([rows[1]], [0.1]).days[0] is found.days[1]
    assert found.known_through == max(day.available_at for day in found.days)
    assert found[:2] == (Hit(found.days[0], 0.5, 0), Hit(found.days[1], 0.25, 1))


def test_hits_are_equal_where_days_order_and_scores_are() -> None:
    one = hits([60, 61], [0.5, 0.25])
    assert one == hits([60, 61], [0.5, 0.25])
    assert (
        len({it.digest for it in (one, hits([61, 60], [0.5, 0.25]), hits([60, 61], [0.5, 0.3]), hits([60], [0.5]))})
        == 4
    )


def test_an_age_counts_from_the_day_on_which_payoffs_were_known_and_none_is_below_0() -> None:
    found = hits([60, 70], [0.5, 0.5])
    known = TABLE.available_at[70].item()
    gap = (TABLE.available_at[70] - TABLE.available_at[60]).astype(int)
    assert found.ages(known).tolist() == [float(gap), 0.0]
    with pytest.raises(LookAheadError, match=rf"market/{TABLE.days[70]} paid was only known on {known}"):
        found.ages(TABLE.days[70].item())
