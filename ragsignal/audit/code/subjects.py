"""What can be audited: a Backtrader strategy, a Backtrader indicator, or a plain function of an OHLCV frame.

A subject is a name, and is imported where it is run: each process has its own copy, with nothing in it that an earlier
run has left behind.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import backtrader as bt
import numpy as np
import pandas as pd

from ragsignal.audit.code.cuts import Market
from ragsignal.audit.code.trace import BATCH, Mode, Trace, isolated, trace_strategy, words_of_error
from ragsignal.config import CostSpec, did_you_mean
from ragsignal.errors import ConfigError
from ragsignal.protocols import SignalSource
from ragsignal.trading import RagMomentum, import_here
from ragsignal.types import FloatArray

Kind = Literal["strategy", "indicator", "function"]
_INDICATOR: Any = RagMomentum


@dataclass(frozen=True)
class Subject:
    """Something whose code is audited.

    Parameters
    ----------
    name : str
        ``module:Name``.
    kind : {"strategy", "indicator", "function"}
    params : dict
        For a strategy or an indicator.
    source : SignalSource, optional
        Where it takes a signal: what answers.
    variants : tuple of str
        Variants of the spec that trade it; empty for what was named on the command line.
    folder : Path, optional
        Where its module is looked up first, a spec's; then in the current folder.
    """

    name: str
    kind: Kind
    params: dict[str, Any] = field(default_factory=dict)
    source: SignalSource | None = None
    variants: tuple[str, ...] = ()
    folder: Path | None = None

    @property
    def label(self) -> str:
        """The name, with what it is set to."""
        params = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.name} ({params})" if params else self.name

    def run(self, market: Market, costs: CostSpec, mode: Mode = BATCH) -> Trace:
        """Import the subject and trace it on a market."""
        thing = load(self.name, self.folder)
        if self.kind == "function":
            return trace_function(thing, market)
        params = dict(self.params)
        if self.source is not None and takes_signal(thing) == "signal":
            params["signal"] = functools.partial(_INDICATOR, source=self.source)
        elif self.source is not None:
            params["source"] = self.source
        if self.kind == "indicator":
            params = {"indicator": functools.partial(thing, **params), "feeds": thing._mindatas}
            thing = IndicatorHost
        return trace_strategy(thing, params, market, costs, mode)


class IndicatorHost(bt.Strategy):
    """A strategy that trades nothing and has an indicator, one on each feed."""

    params = (("indicator", None), ("feeds", 1))

    def __init__(self) -> None:
        if self.p.feeds > 1:
            self.indicators = [self.p.indicator(*self.datas[: self.p.feeds])]
        else:
            self.indicators = [self.p.indicator(data) for data in self.datas]


def load(name: str, folder: Path | None = None) -> Any:
    """Import ``module:Name``, looked up in ``folder``, a spec's, and in the current folder.

    Raises
    ------
    ConfigError
        If there is no such module, or nothing of that name in it.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigError(
            f"{name!r} names nothing to audit; write module:Name, such as ragsignal.strategies:TargetBook"
        )
    module = import_here(module_name, f"subject {name!r}", folder)
    if not hasattr(module, attribute):
        public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise ConfigError(f"{module_name} has no {attribute!r}.{did_you_mean(attribute, public)}")
    return getattr(module, attribute)


def kind_of(name: str, folder: Path | None = None) -> Kind:
    """What ``module:Name`` is, looked up as by :func:`load`.

    Raises
    ------
    ConfigError
        If it cannot be imported, or is none of the three kinds.
    """
    thing = load(name, folder)
    if isinstance(thing, type) and issubclass(thing, bt.Strategy):
        return "strategy"
    if isinstance(thing, type) and issubclass(thing, bt.Indicator):
        return "indicator"
    if callable(thing) and not isinstance(thing, type):
        return "function"
    raise ConfigError(
        f"{name} is a {type(thing).__name__}; a Backtrader strategy, a Backtrader indicator, or a function of an OHLCV "
        "DataFrame that returns a Series or a DataFrame was expected"
    )


def takes_signal(thing: Any) -> Literal["signal", "source"] | None:
    """The param by which a strategy or an indicator takes a signal, and has none yet: an indicator, or a source."""
    names = list(thing.params._getkeys()) if hasattr(thing, "params") else []
    for name in ("signal", "source"):
        if name in names and getattr(thing.params, name) is None:
            return name
    return None


def trace_function(function: Callable[[pd.DataFrame], Any], market: Market) -> Trace:
    """Each symbol's bars through a function; a row holds what it says of that day, and of no later one.

    A label between two days, such as the Sunday that pandas gives a week, stands at the next day; one after the last
    day is not known yet, and is left out.
    """
    labels: list[str] = []
    columns: list[FloatArray] = []
    errors: dict[str, str] = {}
    name = getattr(function, "__name__", "value")  # not the Series' own: it is often that of the price it was made from
    for symbol, frame in market.frames.items():
        if not len(frame):
            errors[symbol] = "no bars"
            continue
        try:
            with isolated():
                table = _columns(function(frame.copy()), frame, name)
        except (Exception, SystemExit) as error:
            errors[symbol] = words_of_error(error)
            continue
        labels += [f"{column} of {symbol}" for column in table]
        columns += [_by_day(values, market.days) for values in table.values()]
    absent = {f" of {symbol}": error for symbol, error in errors.items()}
    if not columns:
        reason = next(iter(errors.values()), "it returned no column")
        return Trace((), np.empty((0, 0)), (), reason, absent=absent, raised_by="lines")
    return Trace(tuple(labels), np.column_stack(columns), absent=absent)


def _columns(made: Any, frame: pd.DataFrame, name: str) -> dict[str, pd.Series]:
    """What a function has returned, as columns that are labelled by day."""
    if isinstance(made, pd.Series):
        made = made.to_frame(name)
    elif isinstance(made, (np.ndarray, list)) and len(made) == len(frame):
        made = pd.DataFrame(np.asarray(made).reshape(len(frame), -1), index=frame.index)
    if not isinstance(made, pd.DataFrame):
        raise TypeError(
            f"it returned a {type(made).__name__}; a Series or a DataFrame of the frame's days was expected"
        )
    if not isinstance(made.index, pd.DatetimeIndex):
        if len(made) != len(frame):
            raise TypeError(f"it returned {len(made)} rows without days for {len(frame)} bars: which is of which day?")
        made = made.set_axis(frame.index)
    return {str(column): made.iloc[:, place] for place, column in enumerate(made.columns)}


def _by_day(values: pd.Series, days: pd.DatetimeIndex) -> FloatArray:
    """(n_days,) float64, NaN where nothing is said."""
    by_day = np.full(len(days), np.nan)
    place = days.searchsorted(pd.DatetimeIndex(values.index).as_unit("us"))  # the first day on or after the label
    inside = place < len(days)
    by_day[place[inside]] = _numbers(values)[inside]
    return by_day


def _numbers(values: pd.Series) -> FloatArray:
    """As float64; words, intervals and categories by a digest of their text."""
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.array([np.nan if pd.isna(value) else float(zlib.crc32(str(value).encode())) for value in values])


@dataclass(frozen=True)
class SubjectRunner:
    """Subjects with the bars and the costs that they run on; can be sent to another process, which names a number."""

    market: Market
    costs: CostSpec
    subjects: tuple[Subject, ...]

    def run(self, number: int, market: Market | None = None, mode: Mode = BATCH) -> Trace:
        """Trace a subject; by default on all bars."""
        return self.subjects[number].run(market or self.market, self.costs, mode)
