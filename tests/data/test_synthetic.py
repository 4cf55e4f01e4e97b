"""The planted market can be learned from analogues and from nothing simpler; the noise market not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from ragsignal.data.labels import forward_returns
from ragsignal.data.prices import Prices
from ragsignal.data.synthetic import DAILY_SIGMA, SHAPE_CLOSES, direction, noise_market, planted_market, prototypes
from ragsignal.errors import ConfigError

Floats = NDArray[np.float64]
SYMBOLS = ("AA", "BB", "CC", "DD")
SPAN = ("2010-01-01", "2013-12-31")


@dataclass(frozen=True)
class Windows:
    """All labelled windows of a market, pooled over its symbols: shapes (n, 5), returns (n, 4), the rest (n,)."""

    shapes: Floats
    returns: Floats
    ends: NDArray[np.datetime64]
    known: NDArray[np.datetime64]
    open_to_open: Floats
    close_to_close: Floats


def cut(prices: Prices) -> Windows:
    parts = []
    tradable, plain = forward_returns(prices.frames, "open_to_open"), forward_returns(prices.frames, "movement")
    for symbol, frame in prices.frames.items():
        closes = np.lib.stride_tricks.sliding_window_view(frame["close"].to_numpy(), SHAPE_CLOSES)[:-2]
        rows = slice(SHAPE_CLOSES - 1, -2)
        shapes = (closes - closes.mean(axis=1, keepdims=True)) / closes.std(axis=1, keepdims=True)
        labels = tradable[symbol].iloc[rows]
        columns = (labels.index, labels["available_at"], labels["outcome"], plain[symbol]["outcome"].iloc[rows])
        parts.append((shapes, np.diff(np.log(closes), axis=1), *(column.to_numpy() for column in columns)))
    return Windows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def late(windows: Windows) -> NDArray[np.bool_]:
    """Windows of the last two years: the ones that are predicted."""
    return windows.ends >= np.datetime64("2012-01-01")


def vote(windows: Windows, k: int = 25) -> Floats:
    """Sign of the vote of the k nearest shapes whose outcome was known when the window ended."""
    queries = late(windows)
    similarity = windows.shapes[queries] @ windows.shapes.T
    similarity[windows.known[None, :] > windows.ends[queries][:, None]] = -np.inf
    nearest = np.argpartition(-similarity, k, axis=1)[:, :k]
    votes: Floats = np.sign(windows.open_to_open[nearest]).sum(axis=1)
    return np.sign(votes)


def hit_rate(prediction: Floats, outcome: Floats) -> float:
    return float(np.mean(np.sign(prediction) == np.sign(outcome)))


@pytest.fixture(scope="module")
def planted() -> Windows:
    return cut(planted_market(SYMBOLS, *SPAN))


def test_in_the_planted_market_similar_windows_foretell_what_a_next_open_fill_earns(planted: Windows) -> None:
    queries, predicted = late(planted), vote(planted)
    assert queries.sum() > 2000  # so that a rate has a standard error of 0.011
    assert hit_rate(predicted, planted.open_to_open[queries]) > 0.58
    assert hit_rate(predicted, planted.close_to_close[queries]) > 0.58


def test_in_the_noise_market_similar_windows_foretell_nothing() -> None:
    noise = cut(noise_market(SYMBOLS, *SPAN))
    assert abs(hit_rate(vote(noise), noise.open_to_open[late(noise)]) - 0.5) < 0.033  # three standard errors


def test_straight_line_rules_earn_next_to_nothing_in_the_planted_market(planted: Windows) -> None:
    queries = late(planted)
    momentum = planted.returns[queries].sum(axis=1)
    design = np.column_stack([np.ones(len(queries)), planted.returns])
    weights = np.linalg.lstsq(design[~queries], planted.open_to_open[~queries])[0]
    for prediction in (momentum, planted.returns[queries][:, -1], design[queries] @ weights):
        assert abs(hit_rate(prediction, planted.open_to_open[queries]) - 0.5) < 0.033


def test_the_push_comes_between_the_open_and_the_close_of_the_next_bar() -> None:
    frame = planted_market(["AA"], "2000-01-01", "2019-12-31", strength=0.5).frames["AA"]
    opens, closes = np.log(frame["open"].to_numpy()), np.log(frame["close"].to_numpy())
    moves = np.lib.stride_tricks.sliding_window_view(np.diff(closes), SHAPE_CLOSES - 1)[:-1]
    push = direction(moves, prototypes(0))
    session, gap = (closes - opens)[SHAPE_CLOSES:], (opens[1:] - closes[:-1])[SHAPE_CLOSES - 1 :]
    error = DAILY_SIGMA / np.sqrt(len(push))
    assert abs(np.mean(push * session) - 0.5 * DAILY_SIGMA) < 4 * error
    assert abs(np.mean(push * gap)) < 4 * error


def test_the_direction_is_that_of_the_shape_alone_and_of_its_mirror_image() -> None:
    windows = np.random.default_rng(1).standard_normal((1000, SHAPE_CLOSES - 1))
    axes = prototypes(3)
    signs = direction(windows, axes)
    assert set(signs) == {-1.0, 1.0}
    np.testing.assert_array_equal(direction(0.01 * windows, axes), signs)
    np.testing.assert_array_equal(direction(-windows, axes), signs)
    np.testing.assert_allclose(axes @ axes.T, np.eye(4), atol=1e-12)
    assert not np.allclose(prototypes(4), axes)


@pytest.mark.parametrize("make", [planted_market, noise_market])
def test_bars_are_plausible(make: object) -> None:
    assert callable(make)
    prices = make([f"S{i}" for i in range(20)], *SPAN)
    returns = []
    for frame in prices.frames.values():
        assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
        assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
        assert (frame["low"] > 0).all()
        assert (frame["volume"] > 0).all()
        assert (frame["volume"] == frame["volume"].round()).all()
        assert frame.index.equals(pd.bdate_range(*SPAN, name="date").as_unit("us"))
        gap = frame["open"] / frame["close"].shift() - 1
        assert 0.003 < gap.std() < 0.006
        returns.append(frame["close"].pct_change().iloc[1:])
    pooled = np.concatenate(returns)
    assert pooled.std() == pytest.approx(DAILY_SIGMA, rel=0.03)
    # Buying and holding: a daily mean within three standard errors (0.025 % = 6 % a year) of nothing.
    assert abs(pooled.mean()) < 3 * DAILY_SIGMA / np.sqrt(len(pooled))


def test_a_market_is_decided_by_its_seed() -> None:
    assert planted_market(SYMBOLS, *SPAN, seed=5) == planted_market(SYMBOLS, *SPAN, seed=5)
    assert planted_market(SYMBOLS, *SPAN, seed=5) != planted_market(SYMBOLS, *SPAN, seed=6)


def test_other_symbols_and_a_later_end_change_no_bar() -> None:
    alone = planted_market(["BB"], *SPAN).frames["BB"]
    pd.testing.assert_frame_equal(planted_market(["AA", "BB"], *SPAN).frames["BB"], alone, check_exact=True)
    longer = planted_market(["BB"], SPAN[0], "2014-06-30").frames["BB"]
    pd.testing.assert_frame_equal(longer.loc[: SPAN[1]], alone, check_exact=True, check_freq=False)
    assert len(longer) > len(alone)


def test_impossible_markets_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"strength 1\.0 is not in"):
        planted_market(SYMBOLS, *SPAN, strength=1.0)
    with pytest.raises(ConfigError, match="no business day"):
        noise_market(SYMBOLS, "2020-01-04", "2020-01-05")
