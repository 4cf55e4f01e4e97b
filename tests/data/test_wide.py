"""The wide panel: ranks across symbols of one day, from the past alone."""

from __future__ import annotations

import math
import statistics
import time
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data.bins import LETTERS
from ragsignal.data.wide import FACTORS, FORMULAS, Panel, build_panel, compute_wide
from ragsignal.errors import DataError
from tests.markets import Frames, bars, days_of, markets, poisoned, rescaled, until

FIRST_KNOWN_BAR = {
    **{f"ret_{n}": n for n in range(1, 6)},
    **{f"mom_{n}": n for n in (10, 20, 60, 120, 250)},
    **{"vol_20": 20, "vol_60": 60, "volume_5_60": 59, "range_5": 4, "gap": 1, "place_20": 19, "below_250": 249},
}
NEEDS_MORE_THAN_CLOSES = {"volume_5_60", "range_5", "gap", "place_20", "below_250"}
few = settings(max_examples=40, deadline=None)


def one_day(**newest: float) -> Panel:
    """A panel of symbols whose last close differs."""
    days = pd.bdate_range("2020-01-01", periods=2)
    flat = bars(2, tick=50.0, days=days) * 0 + 50.0
    return build_panel({name: flat.assign(close=[50.0, last]) for name, last in newest.items()})


def ret_1(panel: Panel, symbol: str) -> float:
    return float(panel.at(symbol, panel.days[-1].item())[FACTORS.index("ret_1")])


def in_plain_python(frame: pd.DataFrame, t: int) -> list[float]:
    """The factors of bar ``t`` >= 250, by the book."""
    opened, high, low, close, volume = (frame[name].tolist() for name in frame.columns)

    def ret(bar: int) -> float:
        return float(close[bar] / close[bar - 1] - 1)

    low20, high20 = min(low[t - 19 : t + 1]), max(high[t - 19 : t + 1])
    return [
        *(ret(t - n) for n in range(5)),
        *(close[t] / close[t - n] - 1 for n in (10, 20, 60, 120)),
        close[t - 20] / close[t - 250] - 1,
        *(statistics.stdev([ret(bar) for bar in range(t - n + 1, t + 1)]) for n in (20, 60)),
        statistics.fmean(volume[t - 4 : t + 1]) / statistics.fmean(volume[t - 59 : t + 1]),
        statistics.fmean([(high[bar] - low[bar]) / close[bar] for bar in range(t - 4, t + 1)]),
        opened[t] / close[t - 1] - 1,
        (close[t] - low20) / (high20 - low20),
        close[t] / max(high[t - 249 : t + 1]) - 1,
    ]


# ---- factors of one symbol


def test_there_are_17_factors_and_each_says_how_it_is_made() -> None:
    assert len(FACTORS) == 17
    assert all(FORMULAS[name] for name in FACTORS)
    assert list(compute_wide(bars(5)).columns) == list(FACTORS)


@pytest.mark.parametrize("t", [250, 251, 279])
def test_every_factor_equals_its_plain_python_form(t: int) -> None:
    frame = bars(280, seed=3)
    assert compute_wide(frame).iloc[t].tolist() == pytest.approx(in_plain_python(frame, t), abs=1e-9)


def test_factors_are_unknown_until_there_is_history_and_finite_from_then_on() -> None:
    values = compute_wide(bars(260, seed=1))
    for name in FACTORS:
        first = FIRST_KNOWN_BAR[name]
        assert values[name].iloc[:first].isna().all(), name
        assert np.isfinite(values[name].iloc[first:]).all(), name


def test_closes_alone_give_what_needs_closes_and_nothing_else() -> None:
    frame = bars(260, seed=1)
    alone = frame.assign(open=np.nan, high=np.nan, low=np.nan, volume=np.nan)
    values = compute_wide(alone)
    assert set(values.columns[values.isna().all()]) == NEEDS_MORE_THAN_CLOSES
    rest = [name for name in FACTORS if name not in NEEDS_MORE_THAN_CLOSES]
    pd.testing.assert_frame_equal(values[rest], compute_wide(frame)[rest])


def test_a_stock_that_neither_moves_nor_trades_has_no_infinite_factor() -> None:
    frame = bars(260) * 0 + 12.7
    values = compute_wide(frame.assign(volume=0.0)).iloc[-1]
    assert values[["ret_1", "mom_250", "vol_60", "range_5", "gap", "below_250"]].tolist() == [0.0] * 6
    assert values["place_20"] == 0.5
    assert math.isnan(values["volume_5_60"])


# ---- ranks


def test_ranks_are_mean_ranks_within_the_day_brought_between_0_and_1() -> None:
    panel = one_day(A=49.0, B=51.0, C=51.0, D=60.0)
    assert [ret_1(panel, name) for name in "ABCD"] == [0.125, 0.5, 0.5, 0.875]


def test_an_unchanged_price_ties_with_one_that_adjusting_moved_by_the_last_bit() -> None:
    panel = one_day(A=50.0, B=math.nextafter(50.0, 51.0), C=math.nextafter(50.0, 49.0))
    assert [ret_1(panel, name) for name in "ABC"] == [0.5, 0.5, 0.5]


def test_a_symbol_alone_on_a_day_has_no_rank() -> None:
    frames = {"A": bars(30, 1), "B": bars(30, 2).iloc[:20]}
    panel = build_panel(frames)
    assert np.isfinite(panel.values[25, 0, 0])
    assert np.isnan(panel.ranks[25]).all()
    assert np.isfinite(panel.ranks[19, :, 0]).all()


@few
@given(markets())
def test_ranks_stand_where_two_symbols_have_a_value_and_are_centred(frames: Frames) -> None:
    panel = build_panel(frames)
    known = np.isfinite(panel.values)
    assert np.array_equal(np.isfinite(panel.ranks), known & (known.sum(axis=1, keepdims=True) >= 2))
    ranks = np.nan_to_num(panel.ranks, nan=0.5)
    assert ((ranks > 0) & (ranks < 1)).all()
    np.testing.assert_allclose(ranks.mean(axis=1), 0.5, atol=1e-6)


@few
@given(markets())
def test_a_value_stands_only_on_a_day_of_its_own_symbol(frames: Frames) -> None:
    panel = build_panel(frames)
    assert panel.days.tolist() == days_of(frames)
    for column, symbol in enumerate(panel.symbols):
        own = compute_wide(frames[symbol]).to_numpy(dtype=np.float32)
        at = np.isin(panel.days, frames[symbol].index.to_numpy().astype("datetime64[D]"))
        assert np.array_equal(panel.values[at, column], own, equal_nan=True)
        assert np.isnan(panel.values[~at, column]).all()


# ---- letters


@few
@given(markets())
def test_letters_are_17_tokens_that_tell_the_sixteenth_of_the_rank(frames: Frames) -> None:
    panel = build_panel(frames)
    for day in panel.days[::7].tolist():
        for symbol in panel.symbols:
            tokens = panel.letters(symbol, day).split(" ")
            assert len(tokens) == 17
            for token, rank in zip(tokens, panel.at(symbol, day), strict=True):
                assert token == ("-" if np.isnan(rank) else LETTERS[math.floor(rank * 16)])


def test_of_sixteen_symbols_each_has_its_own_letter() -> None:
    panel = one_day(**{f"S{number:02d}": 50.0 + number for number in range(16)})
    day = panel.days[-1].item()
    assert "".join([panel.letters(symbol, day)[0] for symbol in panel.symbols]) == LETTERS


def test_an_unknown_symbol_or_day_is_answered_with_the_next_step() -> None:
    panel = build_panel({"AAPL": bars(5, 1), "MSFT": bars(5, 2)})
    with pytest.raises(DataError, match=r"Did you mean 'AAPL'\? Add it to data.symbols"):
        panel.letters("APPL", date(2020, 1, 2))
    for day in (date(2019, 1, 1), date(2020, 1, 4), date(2021, 1, 1)):
        with pytest.raises(DataError, match=rf"has a bar on {day}; it covers 2020-01-01 .. 2020-01-07.*data check"):
            panel.at("AAPL", day)
    with pytest.raises(DataError, match=r"got none.*data\.symbols"):
        build_panel({})


# ---- nothing from the future, nothing from the price level


@pytest.mark.slow
@few
@given(markets(max_bars=280), st.integers(0, 2**32))
def test_poisoning_the_future_moves_nothing_at_or_before_t(frames: Frames, pick: int) -> None:
    days = days_of(frames)
    t = days[pick % len(days)]
    panel = build_panel(frames)
    rows = int(np.searchsorted(panel.days, np.datetime64(t), side="right"))
    for other in (build_panel(poisoned(frames, t)), build_panel(until(frames, t))):
        kept = np.isin(panel.symbols, other.symbols)
        for name in ("values", "ranks"):
            ours, theirs = getattr(panel, name)[:rows], getattr(other, name)[:rows]
            assert np.array_equal(ours[:, kept], theirs, equal_nan=True)
            assert np.isnan(ours[:, ~kept]).all()
        assert other.digest_as_of(t) == panel.digest_as_of(t)


@few
@given(markets())
def test_the_order_of_symbols_and_columns_changes_nothing(frames: Frames) -> None:
    turned = {symbol: frames[symbol].iloc[:, ::-1] for symbol in reversed(frames)}
    panel, other = build_panel(frames), build_panel(turned)
    assert other.symbols == panel.symbols
    assert np.array_equal(other.ranks, panel.ranks, equal_nan=True)
    assert other.recipe == panel.recipe
    assert other.digest_as_of(date(2099, 1, 1)) == panel.digest_as_of(date(2099, 1, 1))


@few
@given(rescaled())
def test_multiplying_all_prices_moves_no_rank(pair: tuple[Frames, Frames]) -> None:
    panel, other = (build_panel(frames) for frames in pair)
    np.testing.assert_allclose(other.values, panel.values, rtol=1e-6, atol=1e-8)
    assert np.array_equal(other.ranks, panel.ranks, equal_nan=True)


# ---- identity


def test_a_revised_bar_changes_the_digest_from_its_day_on() -> None:
    frames = {"A": bars(30, 1), "B": bars(30, 2)}
    revised = frames["A"].copy()
    revised.iloc[10] *= 1.01
    panel, other = build_panel(frames), build_panel({**frames, "A": revised})
    same = [panel.digest_as_of(day) == other.digest_as_of(day) for day in days_of(frames)]
    assert same == [True] * 10 + [False] * 20


def test_between_two_bars_the_digest_is_that_of_the_earlier_one() -> None:
    panel = build_panel({"A": bars(10, 1), "B": bars(10, 2)})
    assert panel.digest_as_of(date(2019, 12, 31)) == ""
    assert panel.digest_as_of(date(2020, 1, 5)) == panel.digest_as_of(date(2020, 1, 3))
    assert panel.digest_as_of(date(2020, 1, 6)) != panel.digest_as_of(date(2020, 1, 3))


def test_symbols_are_part_of_the_digest_and_of_the_recipe() -> None:
    first, second = bars(10, 1), bars(10, 2)
    panel, renamed = build_panel({"A": first, "B": second}), build_panel({"A": first, "C": second})
    assert panel.digest_as_of(date(2020, 1, 8)) != renamed.digest_as_of(date(2020, 1, 8))
    assert panel.recipe["panel"] == "wide/1"
    assert panel.recipe != renamed.recipe


@pytest.mark.slow
def test_225_symbols_of_3000_days_take_seconds() -> None:
    frame = bars(3000)
    frames = {f"S{number:03d}": frame for number in range(225)}
    start = time.perf_counter()
    panel = build_panel(frames)
    assert time.perf_counter() - start < 10
    assert panel.ranks.shape == (3000, 225, 17)
