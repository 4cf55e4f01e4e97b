"""Labels: what is known when, and that time only ever adds knowledge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import Target
from ragsignal.data.labels import bars_until_known, forward_returns, label_tables, movement_of
from ragsignal.data.prices import calendar_of, days_of
from ragsignal.errors import ConfigError

TARGETS: tuple[Target, ...] = ("movement", "open_to_open", "relative")
HORIZONS = (1, 5, 10, 20)
few = settings(max_examples=60, deadline=None)


def frame(closes: list[float], days: list[str] | pd.DatetimeIndex, gap: float = 0.0) -> pd.DataFrame:
    """Bars that open ``gap`` above their close."""
    return pd.DataFrame({"open": np.add(closes, gap), "close": closes}, index=pd.DatetimeIndex(days), dtype=float)


@st.composite
def universes(draw: st.DrawFn) -> dict[str, pd.DataFrame]:
    """Two to five symbols on calendars of their own: some days are missing, some symbols start late or end early."""
    calendar = pd.bdate_range("2020-01-01", periods=draw(st.integers(3, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kept = draw(st.sampled_from([1.0, 0.8, 0.4]))
    out = {}
    for symbol in "ABCDE"[: draw(st.integers(2, 5))]:
        days = calendar[rng.random(len(calendar)) < kept]
        prices = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (len(days), 2)), axis=0))
        out[symbol] = pd.DataFrame(prices, index=days, columns=["open", "close"])
    return out


@few
@given(universes(), st.sampled_from(TARGETS), st.sampled_from(HORIZONS), st.integers(0, 45))
def test_truncating_the_future_only_turns_labels_unknown(
    frames: dict[str, pd.DataFrame], target: Target, horizon: int, day: int
) -> None:
    cut = pd.Timestamp("2020-01-01") + pd.offsets.BDay(day)
    full = forward_returns(frames, target, horizon)
    truncated = forward_returns({symbol: bars.loc[:cut] for symbol, bars in frames.items()}, target, horizon)
    for symbol, labels in full.items():
        seen = labels.loc[:cut]
        expected = seen.where(seen["available_at"] <= cut)
        pd.testing.assert_frame_equal(truncated[symbol], expected, check_exact=True, check_freq=False)


@few
@given(universes(), st.sampled_from(TARGETS), st.sampled_from(HORIZONS))
def test_a_label_is_known_later_than_its_window_and_unknown_only_at_the_end(
    frames: dict[str, pd.DataFrame], target: Target, horizon: int
) -> None:
    wait = horizon + 1 if target == "open_to_open" else horizon
    assert bars_until_known(target, horizon) == wait
    for symbol, labels in forward_returns(frames, target, horizon).items():
        bars = frames[symbol].index
        assert list(labels.columns) == ["outcome", "available_at"]
        assert labels.index.equals(bars)
        assert labels["available_at"].dtype == bars.dtype
        assert list(labels["available_at"].iloc[:-wait]) == list(bars[wait:])
        assert labels["outcome"].iloc[:-wait].notna().all()
        assert labels.iloc[-wait:].isna().all(axis=None)


@few
@given(universes(), st.sampled_from(TARGETS), st.sampled_from(HORIZONS), st.integers(0, 45))
def test_poisoning_the_future_moves_no_label_that_is_known(
    frames: dict[str, pd.DataFrame], target: Target, horizon: int, day: int
) -> None:
    cut = pd.Timestamp("2020-01-01") + pd.offsets.BDay(day)
    poisoned = {
        symbol: pd.concat([bars.loc[:cut], bars[bars.index > cut] * 1e3 + 7]) for symbol, bars in frames.items()
    }
    true, other = (forward_returns(market, target, horizon) for market in (frames, poisoned))
    for symbol, labels in true.items():
        known = labels["available_at"] <= cut
        pd.testing.assert_frame_equal(labels[known], other[symbol][known], check_exact=True)


@few
@given(universes(), st.sampled_from(TARGETS), st.sampled_from(HORIZONS))
def test_tables_hold_the_labels_of_the_frames_on_one_calendar(
    frames: dict[str, pd.DataFrame], target: Target, horizon: int
) -> None:
    days, symbols = calendar_of(frames.values()), tuple(frames)[::-1]
    outcomes, available_at = label_tables(frames, days, symbols, target, horizon)
    assert outcomes.shape == available_at.shape == (len(days), len(symbols))
    for symbol, labels in forward_returns(frames, target, horizon).items():
        rows, column = np.searchsorted(days, days_of(labels)), symbols.index(symbol)
        np.testing.assert_array_equal(outcomes[rows, column], labels["outcome"])
        known = labels["available_at"].to_numpy().astype("datetime64[D]")
        np.testing.assert_array_equal(available_at[rows, column], known)
        assert np.isnan(np.delete(outcomes[:, column], rows)).all()
        assert np.isnat(np.delete(available_at[:, column], rows)).all()


def test_tables_refuse_a_calendar_that_lacks_a_bar() -> None:
    frames = {"A": frame([1, 2, 3], ["2020-01-02", "2020-01-03", "2020-01-06"])}
    for missing in range(3):
        with pytest.raises(ValueError, match="A has bars on days that are not among the 2"):
            label_tables(frames, np.delete(days_of(frames["A"]), missing), ["A"], "movement")


@few
@given(universes(), st.sampled_from(HORIZONS))
def test_half_of_a_days_relative_returns_are_above_zero_and_half_below(
    frames: dict[str, pd.DataFrame], horizon: int
) -> None:
    labels = pd.concat(forward_returns(frames, "relative", horizon).values())
    for _, outcomes in labels.groupby("available_at")["outcome"]:
        assert abs(np.median(outcomes)) < 1e-15


def test_movement_compares_the_next_close_with_this_one() -> None:
    labels = forward_returns({"A": frame([100, 101, 99.99], ["2020-01-02", "2020-01-03", "2020-01-06"])}, "movement")
    np.testing.assert_allclose(labels["A"]["outcome"], [0.01, -0.01, np.nan])
    assert list(labels["A"]["available_at"].dt.day[:2]) == [3, 6]


def test_open_to_open_is_what_a_fill_at_the_next_open_earns() -> None:
    bars = frame([100, 200, 300, 450], ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07"], gap=100)
    labels = forward_returns({"A": bars}, "open_to_open")["A"]  # opens 200, 300, 400, 550
    np.testing.assert_allclose(labels["outcome"], [1 / 3, 0.375, np.nan, np.nan])
    assert list(labels["available_at"].dt.day[:2]) == [6, 7]


def test_a_longer_horizon_counts_bars_of_the_symbol() -> None:
    closes = [100, 101, 102, 103, 104, 110, 121]
    days = ["2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07", "2020-01-08", "2020-01-15", "2020-01-16"]
    bars = {"A": frame(closes, days)}
    moved = forward_returns(bars, "movement", 5)["A"]
    np.testing.assert_allclose(moved["outcome"][:2], [0.1, 121 / 101 - 1])
    assert list(moved["available_at"].dt.day[:2]) == [15, 16]
    opened = forward_returns(bars, "open_to_open", 5)["A"]
    np.testing.assert_allclose(opened["outcome"][:1], [121 / 101 - 1])
    assert list(opened["available_at"].dt.day[:1]) == [16]
    assert opened["outcome"][1:].isna().all()


def test_relative_takes_the_median_over_the_symbols_whose_return_became_known_that_day() -> None:
    days = ["2020-01-02", "2020-01-03", "2020-01-06"]
    frames = {
        "A": frame([100, 101, 101], days),
        "B": frame([100, 102, 102], days),
        "C": frame([100, 107], [days[0], days[2]]),  # did not trade on the 3rd
    }
    labels = forward_returns(frames, "relative")
    np.testing.assert_allclose(labels["A"]["outcome"], [-0.005, 0.0, np.nan], atol=1e-15)
    np.testing.assert_allclose(labels["B"]["outcome"], [0.005, 0.0, np.nan], atol=1e-15)
    np.testing.assert_allclose(labels["C"]["outcome"], [0.07, np.nan])


def test_relative_of_one_symbol_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least two symbols"):
        forward_returns({"A": frame([1, 2], ["2020-01-02", "2020-01-03"])}, "relative")


def test_movement_thresholds_are_the_papers_and_exclusive() -> None:
    returns = [0.0056, 0.0055, 0.0, -0.005, -0.0051, 0.3, -0.3]
    movements = movement_of(returns)
    assert movements.dtype == np.int8
    assert movements.tolist() == [1, 0, 0, 0, -1, 1, -1]
    assert movement_of(np.zeros((2, 3))).shape == (2, 3)


def test_an_unknown_return_has_no_movement() -> None:
    with pytest.raises(ValueError, match="1 of 2 returns are NaN"):
        movement_of([0.1, np.nan])
