"""Letters: ranks of the day in sixteenths, of a universe's stocks and of others; and digests of what was known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ragsignal.data.market_days import build_market_days
from ragsignal.data.rank_factors import RANK_FACTORS, bar_table, rank_factors
from ragsignal.data.rank_letters import (
    LEAST_STOCKS,
    RANK_LETTERS,
    RankLetters,
    build_rank_letters,
    daily_ranks,
    letters_of,
)
from ragsignal.errors import DataError
from tests.markets import Frames, bars, poisoned
from tests.universe import CALENDAR, N_DAYS, rescaled_with_dividend, universe, universe_letters

FRAMES = universe()
LETTERS = universe_letters()
FIRST = 249  # day on which a stock that was there from the beginning has 250 bars
MEMORY = 5


def same_until(left: RankLetters, right: RankLetters, day: int) -> bool:
    """Whether letters, ranked stocks, states and digests of two universes of the same symbols are equal up to a day."""
    return (
        np.array_equal(left.letters[: day + 1], right.letters[: day + 1])
        and np.array_equal(left.ranked[: day + 1], right.ranked[: day + 1])
        and np.array_equal(left.states[: day + 1], right.states[: day + 1], equal_nan=True)
        and left.day_digests[: day + 1] == right.day_digests[: day + 1]
    )


def literal_rank(values: list[float], value: float) -> float:
    """Middle of the places that ``value`` takes among ``values``, as a share of their number."""
    below = sum(other < value for other in values)
    equal = sum(other == value for other in values)
    return (below + equal / 2) / len(values)


@given(st.lists(st.sampled_from([0.0, 1.0, 1.5, -3.0, np.nan]) | st.floats(-1, 1), min_size=1, max_size=40))
def test_a_rank_counts_the_stocks_below_and_half_of_the_equal_ones(values: list[float]) -> None:
    ranks = daily_ranks(np.array([values]))[0]
    known = [value for value in values if np.isfinite(value)]
    for value, rank in zip(values, ranks, strict=True):
        assert np.isnan(rank) if np.isnan(value) else rank == pytest.approx(literal_rank(known, value))


def test_letters_are_sixteenths_and_unknown_is_a_letter_of_its_own() -> None:
    ranks = np.array([0.001, 1 / 16 - 1e-9, 1 / 16, 0.5, 0.999, np.nan])
    assert letters_of(ranks).tolist() == [0, 0, 1, 8, 15, RANK_LETTERS]


def test_each_letter_is_the_rank_of_its_factor_among_the_ranked_stocks_of_the_day() -> None:
    for name, values in rank_factors(LETTERS.bars, LETTERS.market):
        factor = RANK_FACTORS.index(name)
        for day in (FIRST, 280, 291, N_DAYS - 1):
            here = [value for value in values[day, LETTERS.ranked[day]] if np.isfinite(value)]
            for column in range(len(LETTERS.symbols)):
                value, letter = values[day, column], LETTERS.letters[day, column, factor]
                if LETTERS.ranked[day, column] and np.isfinite(value):
                    assert letter == int(literal_rank(here, value) * RANK_LETTERS)
                else:
                    assert letter == RANK_LETTERS


def test_a_stock_that_is_not_ranked_has_unknown_letters_only() -> None:
    assert (LETTERS.letters[~LETTERS.ranked] == RANK_LETTERS).all()
    assert not LETTERS.ranked[:FIRST].any()
    assert LETTERS.ranked[FIRST:].sum(axis=1).min() >= LEAST_STOCKS


def test_all_sixteen_letters_are_used_about_equally() -> None:
    of_day = LETTERS.letters[N_DAYS - 1, LETTERS.ranked[N_DAYS - 1], RANK_FACTORS.index("mom_60")]
    assert set(np.bincount(of_day, minlength=16).tolist()) <= {1, 2}


def test_a_day_of_fewer_than_20_stocks_ranks_nobody() -> None:
    late = {symbol: frame.iloc[(60 if number >= 19 else 0) :] for number, (symbol, frame) in enumerate(FRAMES.items())}
    letters = build_rank_letters(late)
    counts = letters.ranked.sum(axis=1)
    assert set(counts[:309].tolist()) == {0}
    assert counts[309] >= LEAST_STOCKS
    with pytest.raises(DataError, match=r"ranks need at least 20 stocks, and data\.symbols names 19"):
        build_rank_letters(dict(list(FRAMES.items())[:19]))


# ------------------------------------------------------------------------------------------------------- as of


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])  # to shrink takes minutes
@given(day=st.integers(FIRST - 2, N_DAYS - 2), seed=st.integers(0, 99))
def test_no_later_bar_changes_a_letter_or_a_digest(day: int, seed: int) -> None:
    after = CALENDAR[day].date()
    assert same_until(build_rank_letters(poisoned(FRAMES, after, seed)), LETTERS, day)
    cut = {symbol: frame.loc[: pd.Timestamp(after)] for symbol, frame in FRAMES.items()}
    assert same_until(build_rank_letters(cut), LETTERS, day)


@pytest.mark.parametrize("start", [FIRST + 2, 300, N_DAYS - 1])
def test_a_symbol_that_begins_later_changes_no_earlier_day(start: int) -> None:
    letters = build_rank_letters({"AAA": bars(N_DAYS - start, 77, days=CALENDAR[start:]), **FRAMES})
    assert letters.day_digests[: start + 1] == LETTERS.day_digests[: start + 1]  # its first return comes a day later
    assert np.array_equal(letters.letters[: start + 1, 1:], LETTERS.letters[: start + 1])


def test_a_symbol_with_a_history_changes_the_days_on_which_it_is_ranked() -> None:
    letters = build_rank_letters({"AAA": bars(N_DAYS, 77, days=CALENDAR), **FRAMES})
    pairs = list(zip(letters.day_digests, LETTERS.day_digests, strict=True))
    assert all(left == right for left, right in pairs[:FIRST])
    assert all(left != right for left, right in pairs[FIRST:])


def test_symbols_may_come_in_any_order() -> None:
    backwards = build_rank_letters(dict(reversed(list(FRAMES.items()))))
    assert np.array_equal(backwards.letters[:, ::-1], LETTERS.letters)
    assert backwards.day_digests == LETTERS.day_digests


def test_a_dividend_that_rescales_all_prices_of_a_stock_changes_no_letter() -> None:
    rescaled = {
        symbol: rescaled_with_dividend(frame, 0.5 + number / 40)
        for number, (symbol, frame) in enumerate(FRAMES.items())
    }
    letters = build_rank_letters(rescaled)
    assert np.array_equal(letters.ranked, LETTERS.ranked)
    # money is a product of rescaled numbers: where two stocks tie to the last bit, they may part by it
    assert (letters.letters != LETTERS.letters).mean() < 1e-4


def test_a_digest_holds_the_letters_of_its_days_and_no_others() -> None:
    digest = LETTERS.window_digest(300, MEMORY)
    for day, changes in ((300 - MEMORY, False), (301 - MEMORY, True), (300, True), (301, False)):
        letters = LETTERS.letters.copy()
        letters[day, 0, 0] ^= 1
        other = RankLetters(LETTERS.bars, LETTERS.market, LETTERS.ranked, letters)
        assert (other.window_digest(300, MEMORY) != digest) is changes
    assert LETTERS.window_digest(2, MEMORY) == LETTERS.window_digest(2, 3)


def test_the_states_are_those_of_the_days_that_are_retrieved() -> None:
    days = build_market_days(LETTERS, FRAMES, "relative")
    assert np.array_equal(LETTERS.states, days.states, equal_nan=True)
    assert np.isfinite(LETTERS.states).all(axis=1).sum() == N_DAYS - FIRST - 44  # 45 days of dispersion, or nothing


@pytest.mark.parametrize(("back", "changes"), [(MEMORY + 59, False), (MEMORY + 58, True), (0, True), (-1, False)])
def test_a_digest_with_states_changes_with_the_market_sixty_days_back(back: int, changes: bool) -> None:
    market = LETTERS.market.copy()
    market[320 - back] += 0.01
    other = replace(LETTERS, market=market)
    assert (other.window_digest(320, MEMORY, states=True) != LETTERS.window_digest(320, MEMORY, states=True)) is changes
    assert other.window_digest(320, MEMORY) == LETTERS.window_digest(320, MEMORY)


def test_a_digest_knows_whose_letters_they_are() -> None:
    swapped = dict(FRAMES)
    swapped["S10"], swapped["S11"] = FRAMES["S11"], FRAMES["S10"]
    assert build_rank_letters(swapped).day_digests[300] != LETTERS.day_digests[300]


# ----------------------------------------------------------------------------------------- a stock of another name


def test_a_stock_of_the_universe_under_another_name_is_placed_where_it_stands() -> None:
    """Among itself and 24 others its rank moves by less than a place, and so its letter by at most one."""
    for symbol in ("S00", "S02", "S03", "S20"):
        column = LETTERS.symbols.index(symbol)
        letters, ranked = LETTERS.placed(FRAMES[symbol])
        own = LETTERS.letters[:, column]
        assert np.array_equal(ranked, LETTERS.ranked[:, column])
        assert np.array_equal(letters == RANK_LETTERS, own == RANK_LETTERS)
        assert np.abs(letters.astype(int) - own).max() <= 1
        assert (letters[ranked] == own[ranked]).mean() > 0.7


def test_placing_is_literally_a_rank_as_one_more_of_the_day() -> None:
    stranger = bars(N_DAYS, 500, days=CALENDAR)
    letters, ranked = LETTERS.placed(stranger)
    assert ranked[FIRST:].all()
    own = dict(rank_factors(bar_table({"": stranger}), LETTERS.market))
    for name, values in rank_factors(LETTERS.bars, LETTERS.market):
        for day in (FIRST, 300, N_DAYS - 1):
            others = [value for value in values[day, LETTERS.ranked[day]] if np.isfinite(value)]
            value = float(own[name][day, 0])
            known = np.isfinite(value)
            expected = int(literal_rank([*others, value], value) * RANK_LETTERS) if known else RANK_LETTERS
            assert letters[day, RANK_FACTORS.index(name)] == expected, name


def test_days_that_the_universe_lacks_are_left_out_and_a_short_history_is_not_ranked() -> None:
    weekends = pd.date_range("2020-01-01", CALENDAR[-1]).as_unit("us")
    stranger = bars(len(weekends), 501, days=weekends)
    letters, ranked = LETTERS.placed(stranger)
    only, known = LETTERS.placed(stranger.loc[CALENDAR])
    assert np.array_equal(letters, only)
    assert np.array_equal(ranked, known)
    short, there = LETTERS.placed(bars(100, 502, days=CALENDAR[-100:]))
    assert not there.any()
    assert (short == RANK_LETTERS).all()


def test_a_placed_letter_knows_no_later_bar_of_the_feed() -> None:
    stranger: Frames = {"X": bars(N_DAYS, 503, days=CALENDAR)}
    letters, ranked = LETTERS.placed(stranger["X"])
    for day in (FIRST, 300):
        other, there = LETTERS.placed(poisoned(stranger, CALENDAR[day].date())["X"])
        cut, known = LETTERS.placed(stranger["X"].iloc[: day + 1])
        for changed, who in ((other, there), (cut, known)):
            assert np.array_equal(changed[: day + 1], letters[: day + 1])
            assert np.array_equal(who[: day + 1], ranked[: day + 1])


def test_nothing_is_placed_on_a_day_without_a_universe() -> None:
    stranger = bars(N_DAYS, 504, days=CALENDAR)
    _, ranked = LETTERS.placed(stranger)
    assert not ranked[:FIRST].any()
