"""Prices that can be trusted: read, checked by rules that raise, and back-adjusted in one way.

    file ─► readers ─► check ─► back_adjust ─► Prices

Everything right of here (sequences, windows, fills) sees a :class:`Prices` and nothing else. Bad input raises one
``DataError`` that lists every problem with file, rows and repair; no reader fills or sorts anything, or drops what it
was not told to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ragsignal.data.bar_names import AS_DAYS, BarNames
from ragsignal.data.check import (
    Inspection,
    Problem,
    explain,
    inspect_folder,
    inspect_rows,
    inspect_table,
    nearest_symbol,
)
from ragsignal.data.price_warnings import PriceWarning, price_warnings
from ragsignal.data.readers import COLUMNS, PRICES
from ragsignal.data.rules import DroppedBar
from ragsignal.data.sql import SqlSource, read_rows
from ragsignal.errors import DataError
from ragsignal.utils import DAILY, Clock, Progress, array_digest, clock_named, json_digest, lower, silent, upper

_SAMPLE = Path(__file__).with_name("sample.parquet")


@dataclass(frozen=True, eq=False, repr=False)
class Prices:
    """Bars of some symbols, all of one clock. Equal if symbols, days and values are.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Per symbol: index naive DatetimeIndex of days at midnight, strictly increasing, datetime64[us], named
        "date"; columns open, high, low, close (adjusted, the symbol's currency) and volume (adjusted shares), all
        float64; of a symbol that only has closes, the other four are NaN. Symbols need not share days. A frame may be
        empty after :meth:`between`. Of another clock the index is named after it, and of bars of a few hours it holds
        the moments at which they end, on whole minutes (:class:`ragsignal.utils.Clock`).
    dropped : tuple of DroppedBar
        Bars of these symbols and days that were left out because they could not be trusted.
    in_utc : bool
        Whether bars of a few hours are named by moments in UTC; else by a clock that nobody has told.

    Raises
    ------
    DataError
        If a frame has another form.
    """

    frames: Mapping[str, pd.DataFrame]
    dropped: tuple[DroppedBar, ...] = ()
    in_utc: bool = False

    def __post_init__(self) -> None:
        frames = {symbol: _canonical_form(symbol, frame) for symbol, frame in self.frames.items()}
        object.__setattr__(self, "frames", frames)

    @property
    def symbols(self) -> tuple[str, ...]:
        """In the order they were asked for."""
        return tuple(self.frames)

    def select(self, symbols: Iterable[str]) -> Prices:
        """Only ``symbols``, in their order.

        Raises
        ------
        DataError
            If there is no such symbol.
        """
        symbols = tuple(symbols)
        missing = [symbol for symbol in symbols if symbol not in self.frames]
        if missing:
            raise DataError(f"no prices for {', '.join(missing)}. {nearest_symbol(missing[0], self.symbols)}")
        return self._part({symbol: self.frames[symbol] for symbol in symbols})

    def between(self, start: date | None, end: date | None) -> Prices:
        """Bars from ``start`` to ``end``, both inclusive; a symbol without a bar there keeps an empty frame."""
        like = np.empty(0, dtype=f"datetime64[{self.clock.unit}]")
        bounds = slice(
            pd.Timestamp(lower(start, like)) if start else None, pd.Timestamp(upper(end, like)) if end else None
        )
        frames = {symbol: frame.loc[bounds] for symbol, frame in self.frames.items()}
        return self._part(frames, start or date.min, end or date.max)

    @property
    def clock(self) -> Clock:
        """How long a bar is, and how it is named."""
        return next((clock_of(frame) for frame in self.frames.values()), DAILY)

    @property
    def drop_counts(self) -> dict[str, dict[str, int]]:
        """How many bars were left out, by symbol and by the rule that they broke."""
        counts: dict[str, dict[str, int]] = {}
        for bar in self.dropped:
            of_symbol = counts.setdefault(bar.symbol, {})
            of_symbol[bar.rule] = of_symbol.get(bar.rule, 0) + 1
        return counts

    def _part(self, frames: Mapping[str, pd.DataFrame], first: date = date.min, last: date = date.max) -> Prices:
        """Parts of these frames, which need not be judged again: of a thousand symbols that takes half a second."""
        dropped = tuple(bar for bar in self.dropped if bar.symbol in frames and first <= bar.day <= last)
        part = object.__new__(Prices)
        object.__setattr__(part, "frames", frames)
        object.__setattr__(part, "dropped", dropped)
        object.__setattr__(part, "in_utc", self.in_utc)
        return part

    @cached_property
    def warnings(self) -> tuple[PriceWarning, ...]:
        """What looks wrong and may be right: splits that are not adjusted, long holes, odd weeks."""
        return tuple(price_warnings(self.frames))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of symbols, days and values; the order of the symbols does not matter."""
        return json_digest({symbol: _digests(frame) for symbol, frame in self.frames.items()})

    def __eq__(self, other: object) -> bool:
        return self.digest == other.digest if isinstance(other, Prices) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Prices({len(self.frames)} symbols, {sum(map(len, self.frames.values()))} bars)"


def _canonical_form(symbol: str, frame: pd.DataFrame) -> pd.DataFrame:
    index, clock = frame.index, clock_of(frame)
    if not isinstance(index, pd.DatetimeIndex) or index.tz is not None:
        raise DataError(f"{symbol}: the index must be naive days at midnight, got {index.dtype}")
    if not (index == (index.floor("min") if clock.intraday else index.normalize())).all():
        whole = "moments on whole minutes" if clock.intraday else "naive days at midnight"
        raise DataError(
            f"{symbol}: the index of {clock.words} must be {whole}, got {index[index != index.floor('D')][0]}"
        )
    if not (index.is_monotonic_increasing and index.is_unique):
        raise DataError(f"{symbol}: the days must be strictly increasing; sort them and keep one bar a day")
    if tuple(frame.columns) != COLUMNS or not (frame.dtypes == "float64").all():
        raise DataError(f"{symbol}: the columns must be float64 {', '.join(COLUMNS)}, got {dict(frame.dtypes)}")
    # One unit for all: pandas 2 makes ns, pandas 3 us, and Parquet does not know s.
    return frame.set_axis(index.as_unit("us").rename(clock.name), axis=0)


def _digests(frame: pd.DataFrame) -> list[str]:
    return [array_digest(days_of(frame).astype("<i8")), array_digest(frame.to_numpy(dtype="<f8"))]


def days_of(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    """Days of the rows of ``frame``: (n_rows,) datetime64[D]; of bars of a few hours their ends, datetime64[m]."""
    return frame.index.to_numpy().astype(f"datetime64[{clock_of(frame).unit}]")


def clock_of(frame: pd.DataFrame) -> Clock:
    """The clock that the index of ``frame`` is named after."""
    name = frame.index.name
    return clock_named(name if isinstance(name, str) else None)


def calendar_of(frames: Iterable[pd.DataFrame]) -> NDArray[np.datetime64]:
    """Every day (or moment) on which any of ``frames`` has a bar, ascending: (n_days,), as of :func:`days_of`."""
    return np.unique(np.concatenate([days_of(frame) for frame in frames]))


def back_adjust(bars: pd.DataFrame) -> pd.DataFrame:
    """Multiply the four prices by ``adj close / close`` and divide the volume by it.

    So returns are those of the adjusted close, ratios within a bar are as traded, and price times volume is the money
    that was traded. Bars without an ``adj close`` column are taken as adjusted already.

    Parameters
    ----------
    bars : DataFrame, (n_bars, 5 or 6) float64
        open, high, low, close, volume and possibly adj close.

    Returns
    -------
    DataFrame, (n_bars, 5) float64
    """
    adjusted = bars[list(COLUMNS)].copy()
    if "adj close" in bars:
        factor = bars["adj close"] / bars["close"]
        adjusted[list(PRICES)] = adjusted[list(PRICES)].mul(factor, axis=0)
        adjusted["volume"] = adjusted["volume"] / factor
    return adjusted


def load_sample(symbols: Sequence[str] | None = None) -> Prices:
    """Read the bundled prices: 100 US stocks, 2009-06-01 to 2014-12-31; sample.md beside them says where from.

    Raises
    ------
    DataError
        If a symbol is not among them.
    """
    return read_table(_SAMPLE, symbols)


def read_folder(
    path: str | Path, symbols: Sequence[str] | None = None, *, drop: bool = False, names: BarNames = AS_DAYS
) -> Prices:
    """Read one file a symbol: ``SYMBOL.csv``, or Stooq's ``symbol.us.txt``.

    Understood are the form of Yahoo Finance (Date, Open, High, Low, Close, Adj Close, Volume in any order) and that of
    ``yfinance.download(...).to_csv()`` with its three header rows. A uniform time zone is fine: the local calendar day
    counts. Text files are in Stooq's form of a stock (``Date,Open,High,Low,Close,Volume,OpenInt``) or of its bulk
    download (``<TICKER>,<PER>,<DATE>,...``, days as YYYYMMDD); their prices count as adjusted already.

    Parameters
    ----------
    path : str or Path
    symbols : sequence of str, optional
        By default one for each file.
    drop : bool, optional
        Whether bars whose prices or volume break a rule are left out and counted, in place of being a problem.
    names : BarNames, optional
        What the stamps name; by default the days of an exchange.

    Raises
    ------
    DataError
        Lists every problem of every file that was asked for.
    """
    return _adjusted(Path(path), inspect_folder(Path(path), symbols, drop, names))


def read_table(
    path: str | Path, symbols: Sequence[str] | None = None, *, drop: bool = False, names: BarNames = AS_DAYS
) -> Prices:
    """Read one long table, ``.parquet``, ``.csv``, ``.csv.gz`` or ``.txt``, sorted by date within each symbol.

    Columns are symbol or ticker, date, open, high, low, close, volume and possibly adj close; case does not matter,
    nor whether a space or an underscore is in it. Stooq's bulk form is understood too.

    Parameters
    ----------
    path : str or Path
    symbols : sequence of str, optional
        Only these are read and judged; by default all.
    drop, names : optional
        As of :func:`read_folder`.

    Raises
    ------
    DataError
        Lists every problem of the file.
    """
    return _adjusted(Path(path), inspect_table(Path(path), symbols, drop, names))


def read_sql(
    source: SqlSource,
    symbols: Sequence[str] | None = None,
    *,
    drop: bool = False,
    names: BarNames = AS_DAYS,
    progress: Progress = silent,
) -> Prices:
    """Read the long table that a database has, or that a query makes; columns as of :func:`read_table`.

    Rows of a database have no order, so they are sorted by date here.

    Parameters
    ----------
    source : SqlSource
    symbols : sequence of str, optional
        Only these are judged, and of a table only these are read; by default all.
    drop, names : optional
        As of :func:`read_folder`.
    progress : callable, optional
        Told how many rows were read.

    Raises
    ------
    DataError
        If the database cannot be read, and with every problem of the bars.
    ConfigError
        If there is no such driver, or ``source.url`` is no URL.
    """
    inspection = _inspect_sql(source, symbols, Inspection(drop, names), progress)
    return _adjusted(source.words, inspection, source.arguments)


def _inspect_sql(
    source: SqlSource, symbols: Sequence[str] | None, inspection: Inspection, progress: Progress = silent
) -> Inspection:
    rows = read_rows(source, symbols, progress)
    return inspect_rows(source.words, rows.sheet, symbols, inspection, rows.others)


def check_prices(path: str | Path | SqlSource) -> list[Problem]:
    """All problems of a folder of price files, a table or a database, then what only looks wrong, at level "warning".

    Symbols that have problems get no warnings.
    """
    if isinstance(path, SqlSource):
        inspection, path = _inspect_sql(path, None, Inspection(False)), path.words
    else:
        path = Path(path)
        inspection = (inspect_folder if path.is_dir() else inspect_table)(path, None)
    broken = {problem.symbol for problem in inspection.problems}
    frames = {symbol: back_adjust(bars) for symbol, bars in inspection.bars.items() if symbol not in broken}
    warnings = [
        Problem(str(path), it.symbol, f"{it.kind}: {it.short}", (str(it.day),), it.repair, level="warning")
        for it in price_warnings(frames)
    ]
    return [*inspection.problems, *warnings]


def _adjusted(path: Path | str, inspection: Inspection, arguments: str = "") -> Prices:
    if inspection.problems:
        raise DataError(explain(path, inspection.problems, arguments))
    name = inspection.names.clock.name
    frames = {symbol: back_adjust(bars).rename_axis(name) for symbol, bars in inspection.bars.items()}
    return Prices(frames, tuple(inspection.dropped), inspection.names.clock.intraday and inspection.zoned == {True})
