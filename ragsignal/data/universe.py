"""The symbols of a spec by name: all of a source, or those that were the most traded as of a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from ragsignal.config import EVERY, DataSpec, UniverseSpec
from ragsignal.data.prices import Prices
from ragsignal.data.sources import load_prices
from ragsignal.errors import ConfigError
from ragsignal.utils import Progress, silent

_STALE = timedelta(days=10)  # longer than any exchange was closed in these decades: a stock without a bar has gone


def name_symbols(
    spec: DataSpec, extra_symbols: Sequence[str] = (), progress: Progress = silent
) -> tuple[DataSpec, Prices]:
    """``spec`` with the symbols that it means by name, and the prices of these and of ``extra_symbols``.

    Prices are read once, for the choice and for the run.

    Raises
    ------
    ConfigError
        If the source cannot say which symbols it has, or too few of them can be picked.
    DataError
        If prices are missing or cannot be trusted; of every symbol that could be picked.
    """
    prices = load_prices(spec, extra_symbols, progress)
    candidates = prices.symbols if spec.symbols == EVERY else spec.symbols
    symbols = candidates if spec.universe is None else pick(prices.select(candidates), spec.universe)
    named = spec.model_copy(update={"symbols": symbols, "picked_from": spec.symbols})
    return named, prices.select(dict.fromkeys((*symbols, *extra_symbols)))


def pick(prices: Prices, universe: UniverseSpec) -> tuple[str, ...]:
    """The ``universe.top`` symbols with the largest median of close times volume; no bar after ``as_of`` is looked at.

    A symbol with fewer than ``bars`` bars up to ``as_of``, with none in the ten days before it, or without volume is
    not picked. Of two with the same median the first by name is taken.

    Parameters
    ----------
    prices : Prices
        Of all that can be picked.
    universe : UniverseSpec

    Returns
    -------
    tuple of str
        In the order of ``prices``.

    Raises
    ------
    ConfigError
        If fewer than ``top`` symbols can be picked.
    """
    traded = {symbol: _dollar_volume(frame, universe) for symbol, frame in prices.frames.items()}
    known = [symbol for symbol, volume in traded.items() if np.isfinite(volume)]
    if len(known) < universe.top:
        raise ConfigError(
            f"data.universe: {len(known)} of {len(traded)} symbols have volume and {universe.bars} bars up to as_of "
            f"{universe.as_of}, the last of them within {_STALE.days} days of it, but top = {universe.top}; lower top "
            "or bars, or choose a later as_of"
        )
    best = sorted(known, key=lambda symbol: (-traded[symbol], symbol))[: universe.top]
    return tuple(symbol for symbol in prices.symbols if symbol in {*best})


def _dollar_volume(frame: pd.DataFrame, universe: UniverseSpec) -> float:
    """Median over the last bars up to ``as_of``, in the currency of the prices; NaN where it is not known."""
    as_of = pd.Timestamp(universe.as_of)
    known = int(frame.index.searchsorted(as_of, side="right"))
    if known < universe.bars or frame.index[known - 1] < as_of - _STALE:
        return float("nan")
    last = frame.iloc[known - universe.bars : known]
    return float(np.median(last["close"].to_numpy() * last["volume"].to_numpy()))
