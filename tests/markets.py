"""Small made-up markets: random bars on calendars of their own, with flat days and ties, and futures to poison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from ragsignal.data.windows import cut_query
from ragsignal.types import Query

Frames = dict[str, pd.DataFrame]


def bars(n_bars: int, seed: int = 0, tick: float = 0.01, days: pd.DatetimeIndex | None = None) -> pd.DataFrame:
    """Bars near 50, on business days from 2020; a coarse ``tick`` makes equal prices, flat windows and idle days."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2020-01-01", periods=n_bars) if days is None else days
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, n_bars)))
    opened = close * np.exp(rng.normal(0, 0.01, n_bars))
    prices = np.column_stack([opened, np.maximum(opened, close), np.minimum(opened, close), close])
    prices *= np.exp(np.abs(rng.normal(0, 0.005, (n_bars, 1))) * [0, 1, -1, 0])
    prices = np.maximum(np.round(prices / tick), 1) * tick
    table = pd.DataFrame(prices, columns=["open", "high", "low", "close"], index=index.as_unit("us"))
    return table.assign(volume=rng.integers(0, 10, n_bars) * 1e5)


@st.composite
def markets(draw: st.DrawFn, ticks: Sequence[float] = (0.01, 1.0), max_bars: int = 60) -> Frames:
    """One to three symbols; some miss days, some start late, each trades in one of the ticks."""
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    calendar = pd.bdate_range("2020-01-01", periods=draw(st.integers(30, max_bars)))
    frames = {}
    for number, symbol in enumerate(draw(st.sampled_from([("A",), ("B", "A"), ("A", "A-B", "C")]))):
        days = calendar[rng.random(len(calendar)) < rng.choice([1.0, 0.85])][rng.choice([0, 10]) :]
        frames[symbol] = bars(len(days), seed + number, float(rng.choice(ticks)), days)
    return frames


@st.composite
def rescaled(draw: st.DrawFn) -> tuple[Frames, Frames]:
    """Two markets that differ by a factor on all prices.

    Where prices tie, a formula's threshold may be met exactly (``alpha046`` compares with 0.25), and only a power of
    two leaves it so; any other factor is for prices that do not tie.
    """
    powers, factors = st.integers(-10, 10).map(lambda power: 2.0**power), st.floats(1e-3, 1e3)
    ticks, factor = draw(st.tuples(st.just((0.01, 1.0)), powers) | st.tuples(st.just((1e-9,)), factors))
    frames = draw(markets(ticks))
    return frames, {symbol: frame * [factor, factor, factor, factor, 1.0] for symbol, frame in frames.items()}


def until(frames: Mapping[str, pd.DataFrame], day: date) -> Frames:
    """Bars up to and including ``day``; symbols that had not begun yet are left out."""
    past = {symbol: frame.loc[: pd.Timestamp(day)] for symbol, frame in frames.items()}
    return {symbol: frame for symbol, frame in past.items() if len(frame)}


def poisoned(frames: Mapping[str, pd.DataFrame], after: date, seed: int = 99) -> Frames:
    """The same past, and another market at 1,000 times the price in the place of all later bars."""
    out = {}
    for symbol, frame in frames.items():
        future = frame.index > pd.Timestamp(after)
        other = bars(len(frame), seed, days=pd.DatetimeIndex(frame.index)) * 1_000
        out[symbol] = pd.concat([frame[~future], other[future]])
    return out


def days_of(frames: Mapping[str, pd.DataFrame]) -> list[date]:
    """Every day on which a symbol traded, in order."""
    return sorted({day.date() for frame in frames.values() for day in frame.index})


def queries_of(frames: Mapping[str, pd.DataFrame], symbol: str, every: int = 1, lookback: int = 5) -> list[Query]:
    """The queries of every ``every``-th bar of a symbol that has enough past."""
    frame = frames[symbol]
    days, closes = [day.date() for day in frame.index], frame["close"].tolist()
    return [
        cut_query(symbol, days[: end + 1], closes[: end + 1], lookback) for end in range(lookback, len(frame), every)
    ]
