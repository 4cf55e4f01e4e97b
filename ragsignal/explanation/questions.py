"""Which signals are to be explained: symbols and a day, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from ragsignal.config import RunSpec, Variant, did_you_mean
from ragsignal.data import calendar_of, cut_query, days_of
from ragsignal.errors import ConfigError, DataError
from ragsignal.study import Study
from ragsignal.types import Query
from ragsignal.utils import day_of, is_intraday, stamp_text, unit_of, upper

ALL = "all"
"""In the place of symbols: every one of the spec's that has a bar on the day."""


def check_variant(spec: RunSpec, variant: Variant) -> None:
    """Refuse a variant whose signals are not made by a reader.

    Raises
    ------
    ConfigError
    """
    if is_explained(variant):
        return
    reason = f"its signal is {variant.signal}, and not made here" if variant.has_signal else "it trades prices alone"
    others = [it.name for it in spec.variants if is_explained(it)]
    repair = f"name one of {others} (--variant)" if others else 'add a [[variant]] with signal = "vote" or "llm"'
    raise ConfigError(f"variant {variant.name!r} has nothing to explain: {reason}; {repair}")


def is_explained(variant: Variant) -> bool:
    """Whether a variant's signals are made by a reader that can be asked again."""
    return variant.is_llm or variant.is_vote or variant.is_classifier


def check_day(spec: RunSpec, on: date) -> None:
    """Refuse a day, or a moment of one, outside the window that a spec trades.

    Raises
    ------
    ConfigError
    """
    day = day_of(on)
    if not spec.data.start <= day <= spec.data.end:
        raise ConfigError(
            f"{day} lies outside the spec's window, {spec.data.start} to {spec.data.end}; name a day within it, or "
            f"move the window: --set data.{'start' if day < spec.data.start else 'end'}={day}"
        )


def bar_on(study: Study, on: date) -> date:
    """The name of a bar: a day; of bars of hours a moment, or of a day its last bar.

    Raises
    ------
    DataError
        If a moment is asked for where bars are of days, or no bar ends on the day.
    """
    intraday = study.prices.clock.intraday
    if unit_of(on) == "m":
        if not intraday:
            day = on.strftime("%Y-%m-%d")
            raise DataError(f"{stamp_text(on)}: the bars are of days; name the day alone, {day}")
        return on
    if not intraday:
        return on
    bars = calendar_of(study.prices.select(study.spec.data.symbols).frames.values())
    last = bars[bars <= upper(on, bars)][-1:].tolist()
    if not last or day_of(last[0]) != on:
        raise DataError(f"no symbol has a bar on {on}; {_nearest(study, study.spec.data.symbols, on)}")
    bar: date = last[0]
    return bar


def named_symbols(study: Study, asked: Sequence[str], on: date) -> list[str]:
    """The symbols that are meant, each once; for ``all`` those of the spec that have a bar on the day.

    Raises
    ------
    ConfigError
        If there is none, one stands twice, ``all`` stands beside others, or one is not the spec's.
    DataError
        If no symbol has a bar on the day.
    """
    known = list(study.spec.data.symbols)
    if list(asked) == [ALL]:
        frames = study.prices.select(known).frames
        there = [symbol for symbol in known if pd.Timestamp(on) in frames[symbol].index]
        if not there:
            raise DataError(
                f"none of the {len(known)} symbols has a bar on {stamp_text(on)}; {_nearest(study, known, on)}"
            )
        return there
    if not asked or ALL in asked:
        raise ConfigError(f"name symbols (--symbol AAPL --symbol IBM), or {ALL} alone; got {list(asked)}")
    twice = sorted({symbol for symbol in asked if list(asked).count(symbol) > 1})
    if twice:
        raise ConfigError(f"{', '.join(twice)} stands twice among the symbols; name each once")
    for symbol in asked:
        if symbol not in known:
            raise ConfigError(
                f"{symbol} is none of the {len(known)} symbols of data.symbols.{did_you_mean(symbol, known)} Name one "
                "of them, or add it to the spec"
            )
    return list(asked)


def queries_on(study: Study, symbols: Sequence[str], on: date) -> list[Query]:
    """The queries of symbols as of the close of a day, from bars up to it.

    Raises
    ------
    DataError
        If a symbol has no bar on the day.
    """
    queries = []
    for symbol, whole in study.prices.select(symbols).frames.items():
        frame = whole.loc[: pd.Timestamp(on)]
        if frame.empty or frame.index[-1] != pd.Timestamp(on):
            raise DataError(f"{symbol} has no bar on {stamp_text(on)}; {_nearest(study, [symbol], on)}")
        recent = frame.iloc[-study.spec.corpus.lookback - 1 :]
        queries.append(
            cut_query(symbol, days_of(recent).tolist(), recent["close"].tolist(), study.spec.corpus.lookback)
        )
    return queries


def _nearest(study: Study, symbols: Sequence[str], on: date) -> str:
    """The bars on both sides of a day."""
    days = np.unique(np.concatenate([days_of(frame) for frame in study.prices.select(symbols).frames.values()]))
    place = int(np.searchsorted(days, np.datetime64(on)))
    around = [stamp_text(days[at].item()) for at in (place - 1, place) if 0 <= at < len(days)]
    what = "bars end at" if is_intraday(days) else "days with one are"
    return f"the nearest {what} {' and '.join(around)}" if around else "there are no prices at all"
