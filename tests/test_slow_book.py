"""The slow book: what it wants, bar by bar, and what its orders make of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.strategies.cross_sectional import CrossSectional, SlowBook
from ragsignal.strategies.price_rules import MomentumBook, ReversalBook
from tests.journal import DAYS, NAN, cerebro_of, feed, run, script, walk

NAMES = "ABCDEF"
BARS = 10
INVEST = 0.95
FLAT = {name: feed([100.0] * BARS) for name in NAMES}
VIEW = st.one_of(st.sampled_from([0.0, NAN]), st.floats(-1.0, 1.0))
VIEWS = st.fixed_dictionaries({name: st.lists(VIEW, min_size=BARS, max_size=BARS) for name in NAMES})
SPOKEN = st.permutations([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
MOVES = st.fixed_dictionaries(
    {name: st.lists(st.floats(-0.1, 0.1), min_size=2 * BARS, max_size=2 * BARS) for name in NAMES}
)


class Wishes(bt.Analyzer):  # type: ignore[misc]
    """What the book wants at each bar, by the name of the feed."""

    def start(self) -> None:
        self.rows: list[dict[str, float]] = []

    def next(self) -> None:
        self.rows.append({data._name: weight for data, weight in self.strategy.wanted.items()})

    prenext = next


def wishes(frames: dict[str, pd.DataFrame], strategy: type[bt.Strategy] = SlowBook, **params: Any) -> pd.DataFrame:
    """A row a bar of the run, a column a feed; NaN before its first bar."""
    cerebro = cerebro_of(frames)
    cerebro.addanalyzer(Wishes, _name="wishes")
    cerebro.addstrategy(strategy, **params)
    return pd.DataFrame(cerebro.run()[0].analyzers.wishes.rows)


def steady(views: Sequence[float], bars: int = BARS) -> Callable[..., Any]:
    """The same view of each feed at every bar."""
    return script(**{name: [view] * bars for name, view in zip(NAMES, views, strict=True)})


def test_three_bars_by_hand() -> None:
    """Two of six a side at a third; half of the way a bar: 0.95 / 2 / 2 = 0.2375 is a whole place."""
    table = {name: [view] * 2 for name, view in zip(NAMES, (0.6, 0.5, 0.4, 0.3, 0.2, 0.1), strict=True)}
    table["A"] += [0.05]  # A falls from the top to the bottom
    for name in "BCDEF":
        table[name] += [table[name][0]]
    rows = wishes(FLAT, signal=script(**table), quantile=1 / 3, speed=0.5)
    assert rows.iloc[0].tolist() == pytest.approx([0.11875, 0.11875, 0.0, 0.0, -0.11875, -0.11875])
    assert rows.iloc[1].tolist() == pytest.approx([0.178125, 0.178125, 0.0, 0.0, -0.178125, -0.178125])
    assert rows.iloc[2].tolist() == pytest.approx([-0.0296875, 0.2078125, 0.11875, 0.0, -0.0890625, -0.2078125])


def test_orders_fill_at_the_next_open_and_reach_what_is_wanted() -> None:
    frames = {name: feed([100.0] * 4, opens=[100, 101, 100, 100]) for name in NAMES}
    journal = run(SlowBook, frames, signal=steady((6, 5, 4, 3, 2, 1)), quantile=0.2, speed=0.5, band=0.0)
    assert journal.fills[:2] == [(DAYS[1].date(), "F", -237, 101.0), (DAYS[1].date(), "A", 237, 101.0)]
    assert journal.held("A")[:4] == [0, 237, 356, 415]  # 0.2375, 0.35625, 0.415625 of 100,000
    assert [journal.held(name)[-1] for name in "BCDE"] == [0, 0, 0, 0]


def test_a_change_within_the_band_is_not_traded_and_is_not_forgotten() -> None:
    """A slot is 0.95 / 6; its half, 0.079, is passed at the second bar: 0.0475, then 0.09025."""
    journal = run(SlowBook, FLAT, signal=steady((6, 5, 4, 3, 2, 1)), speed=0.1, band=0.5)
    assert journal.held("A")[:4] == [0, 0, 90, 90]


def test_a_position_of_which_little_is_wanted_is_closed() -> None:
    views = {name: [view] * 3 + [0.0] * 7 for name, view in zip(NAMES, (6, 5, 4, 3, 2, 1), strict=True)}
    journal = run(SlowBook, FLAT, signal=script(**views), speed=0.5, band=0.5)
    assert journal.held("A")[3] == 356  # 0.0594 of the account are within the band
    assert journal.held("A")[-1] == journal.held("F")[-1] == 0


def test_prices_and_whole_shares_do_not_move_what_is_wanted() -> None:
    dear = {
        name: feed([30_000.0 + 1_000 * bar * (-1) ** seed for bar in range(BARS)]) for seed, name in enumerate("ABCDEF")
    }
    signal = steady((6, 5, 4, 3, 2, 1))
    pd.testing.assert_frame_equal(wishes(dear, signal=signal), wishes(FLAT, signal=signal))


def test_a_feed_without_a_bar_keeps_its_weight_and_leaves_the_rest_to_the_others() -> None:
    frames = FLAT | {"A": feed([100.0] * 3, days=[0, 1, 9])}
    rows = wishes(frames, signal=steady((6, 5, 4, 3, 2, 1)), speed=1.0, quantile=0.4)
    assert rows["A"].tolist() == pytest.approx([INVEST / 4] * BARS)
    assert rows[["B", "C"]].iloc[5].tolist() == pytest.approx([INVEST / 8] * 2)
    assert rows[["E", "F"]].iloc[5].tolist() == pytest.approx([-INVEST / 4] * 2)


def test_ties_keep_the_order_of_the_feeds_and_no_difference_is_no_view() -> None:
    assert wishes(FLAT, signal=steady((1, 2, 2, 1, 1, 1)), speed=1.0).iloc[0].tolist() == pytest.approx(
        [0, INVEST / 2, 0, 0, 0, -INVEST / 2]
    )
    assert not wishes(FLAT, signal=steady((1,) * 6), speed=1.0).to_numpy().any()


def test_long_only_puts_all_into_the_top() -> None:
    rows = wishes(FLAT, signal=steady((6, 5, 4, 3, 2, 1)), quantile=0.4, speed=0.5, long_only=True)
    assert rows.iloc[0].tolist() == pytest.approx([INVEST / 4] * 2 + [0.0] * 4)
    assert rows.iloc[-1].sum() == pytest.approx(INVEST * (1 - 0.5**BARS))


def test_the_rules_read_the_last_return_and_the_year_but_its_last_month() -> None:
    paths = {"A": [100, 100, 110, 121, 115], "B": [100, 100, 100, 100, 105], "C": [100, 100, 90, 81, 90]}
    frames = {name: feed(closes) for name, closes in paths.items()}
    back = wishes(frames, ReversalBook, speed=1.0)
    assert back.iloc[2].tolist() == pytest.approx([-INVEST / 2, 0, INVEST / 2])
    assert back.iloc[4].tolist() == pytest.approx([INVEST / 2, 0, -INVEST / 2])
    year = wishes(frames, MomentumBook, speed=1.0, period=3, skip=1)
    assert not year.iloc[:3].to_numpy().any()  # too few bars
    assert year.iloc[3].tolist() == pytest.approx([INVEST / 2, 0, -INVEST / 2])  # 110, 100, 90 over 100


@settings(max_examples=30, deadline=None)
@given(views=VIEWS, quantile=st.floats(0.05, 0.5), speed=st.floats(0.01, 1.0), long_only=st.booleans())
def test_what_is_wanted_is_neutral_and_never_more_than_invest(
    views: dict[str, list[float]], quantile: float, speed: float, long_only: bool
) -> None:
    rows = wishes(FLAT, signal=script(**views), quantile=quantile, speed=speed, long_only=long_only)
    assert rows.abs().sum(axis=1).max() <= INVEST + 1e-12
    assert rows.to_numpy().min() >= 0.0 if long_only else rows.sum(axis=1).abs().max() < 1e-12


@settings(max_examples=30, deadline=None)
@given(views=SPOKEN, quantile=st.floats(0.05, 0.5), speed=st.floats(0.05, 1.0))
def test_under_a_constant_signal_the_two_sides_converge_geometrically(
    views: list[float], quantile: float, speed: float
) -> None:
    rows = wishes(FLAT, signal=steady(views), quantile=quantile, speed=speed)
    way = [INVEST / 2 * (1.0 - (1.0 - speed) ** (bar + 1)) for bar in range(BARS)]
    assert rows.clip(lower=0.0).sum(axis=1).tolist() == pytest.approx(way)
    assert rows.clip(upper=0.0).sum(axis=1).tolist() == pytest.approx([-side for side in way])
    assert (rows.iloc[-1] > 0).sum() == max(1, math.floor(quantile * 6 + 1e-9))


@settings(max_examples=20, deadline=None)
@given(views=SPOKEN, speed=st.floats(0.05, 1.0), nothing=st.sampled_from([0.0, NAN]))
def test_an_abstention_decays_at_the_same_speed(views: list[float], speed: float, nothing: float) -> None:
    quiet = script(**{name: [view] * 4 + [nothing] * 6 for name, view in zip(NAMES, views, strict=True)})
    rows = wishes(FLAT, signal=quiet, speed=speed)
    for bar in range(4, BARS):
        assert rows.iloc[bar].tolist() == pytest.approx((rows.iloc[3] * (1.0 - speed) ** (bar - 3)).tolist())


@settings(max_examples=20, deadline=None)
@given(views=VIEWS, moves=MOVES, n=st.sampled_from([1, 2]))
def test_all_at_once_without_a_band_is_the_cross_section(
    views: dict[str, list[float]], moves: dict[str, list[float]], n: int
) -> None:
    spoken = {
        name: [view if view and not math.isnan(view) else 0.01 * place for view in column]
        for place, (name, column) in enumerate(views.items(), 1)
    }
    frames = {name: walk(path) for name, path in moves.items()}
    slow = run(SlowBook, frames, signal=script(**spoken), quantile=n / 6, speed=1.0, band=0.0)
    at_once = run(CrossSectional, frames, signal=script(**spoken), n=n)
    assert slow.sent == at_once.sent
    assert slow.fills == at_once.fills


@settings(max_examples=20, deadline=None)
@given(views=VIEWS, moves=MOVES, cut=st.integers(1, BARS - 1), speed=st.floats(0.05, 1.0))
def test_later_bars_change_nothing_before(
    views: dict[str, list[float]], moves: dict[str, list[float]], cut: int, speed: float
) -> None:
    frames = {name: walk(path) for name, path in moves.items()}
    past = {name: frame.iloc[:cut] for name, frame in frames.items()}
    params: dict[str, Any] = {"signal": script(**views), "speed": speed}
    pd.testing.assert_frame_equal(wishes(frames, **params).iloc[:cut], wishes(past, **params))
    whole, part = run(SlowBook, frames, **params), run(SlowBook, past, **params)
    assert [order for order in whole.sent if order[0] <= DAYS[cut - 1].date()] == part.sent


@settings(max_examples=20, deadline=None)
@given(views=VIEWS, moves=MOVES, band=st.floats(0.0, 0.5))
def test_orders_lead_to_what_is_wanted_within_the_band_and_a_share(
    views: dict[str, list[float]], moves: dict[str, list[float]], band: float
) -> None:
    frames = {name: walk(path) for name, path in moves.items()}
    params: dict[str, Any] = {"signal": script(**views), "band": band, "speed": 0.5}
    journal, rows = run(SlowBook, frames, **params), wishes(frames, **params)
    for book, wanted in zip(journal.books, rows.to_dict("records"), strict=True):
        for name, size in book["planned"].items():
            off = abs(size * book["closes"][name] / book["equity"] - wanted[name])
            assert off <= band * INVEST / 6 + book["closes"][name] / book["equity"] + 1e-9
