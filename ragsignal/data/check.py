"""What makes prices untrustworthy: one rule, one small function; readers and ``ragsignal data check`` share them.

    Sheet ─► SHEET rules (columns) ─► one frame a symbol ─► ROW rules (bars) ─► Problems

Nothing is dropped, filled, sorted or guessed. A Problem names file, symbol, rows and the repair; the repair is done
by whoever knows the data.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data.readers import COLUMNS, PRICES, UNREADABLE, Sheet, csv_path, parse_bars, read_sheet

CLOSE_TOLERANCE = 1e-3
"""Open and close may lie outside [low, high] by this fraction: vendors round each of the four on its own."""

_ROWS_NAMED = 5
_LINES_SHOWN = 20
_WRITE_PATH = "Correct the path; in a spec it is data.path."
_UNDERSTOOD = ("date", *COLUMNS, "adj close")


@dataclass(frozen=True)
class Problem:
    """One rule that one symbol of one file breaks.

    Parameters
    ----------
    file : str
    symbol : str
        Empty if the whole file is meant.
    rule : str
        What was found.
    rows : tuple of str
        Where: ``line N (date)`` in a CSV file, counted from 1 as an editor does, or ``row N (date)`` in a Parquet
        table, counted from 0 as ``DataFrame.iloc`` does. At most five, then ``and N more``.
    repair : str
        What to do about it.
    """

    file: str
    symbol: str
    rule: str
    rows: tuple[str, ...]
    repair: str

    def __str__(self) -> str:
        where = " ".join(part for part in (self.file, self.symbol) if part)
        rows = f" at {', '.join(self.rows)}" if self.rows else ""
        return f"{where}: {self.rule}{rows}. {self.repair}"


@dataclass(frozen=True)
class Inspection:
    """Bars per symbol as :func:`ragsignal.data.readers.parse_bars` types them, and all that is wrong with them."""

    bars: dict[str, pd.DataFrame] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, rule: str, repair: str, symbol: str = "", rows: tuple[str, ...] = ()) -> None:
        """Add a problem."""
        self.problems.append(Problem(str(path), symbol, rule, rows, repair))

    def report_missing(self, path: Path, symbol: str, present: Sequence[str]) -> None:
        """Add the problem that ``path`` has no prices for ``symbol``, but for those that are ``present``."""
        self.report(path, "no prices for this symbol", nearest_symbol(symbol, present), symbol)


def find_problems(path: Path, symbols: Sequence[str] | None = None) -> list[Problem]:
    """All problems of a folder of CSV files or of one table; an empty list means that it can be read.

    Parameters
    ----------
    path : Path
    symbols : sequence of str, optional
        Only these; by default everything that is there.
    """
    inspect = inspect_folder if Path(path).is_dir() else inspect_table
    return inspect(Path(path), symbols).problems


def inspect_folder(path: Path, symbols: Sequence[str] | None) -> Inspection:
    """Read and judge ``SYMBOL.csv`` files."""
    inspection = Inspection()
    present = sorted(file.stem for file in path.glob("*.csv"))
    if not path.is_dir():
        inspection.report(path, "no such folder", _WRITE_PATH)
    elif not present:
        inspection.report(path, "no CSV file in this folder", "Name each file SYMBOL.csv.")
    else:
        for symbol in present if symbols is None else symbols:
            if symbol in present:
                _inspect_file(csv_path(path, symbol), symbol, inspection)
            else:
                inspection.report_missing(path, symbol, present)
    return inspection


def inspect_table(path: Path, symbols: Sequence[str] | None) -> Inspection:
    """Read and judge one long table."""
    inspection = Inspection()
    sheet = _open(path, ("symbol", *_UNDERSTOOD), inspection)
    if sheet is None:
        return inspection
    names = sheet.table["symbol"].astype(object).where(sheet.table["symbol"].notna(), "").astype(str)
    if (names == "").any():
        unnamed = _places(sheet.table.index[names == ""])
        inspection.report(path, "no symbol", "Write the symbol into these rows.", rows=unnamed)
    present = sorted(set(names) - {""})
    chosen = names.isin(present if symbols is None else symbols)
    groups = dict(iter(parse_bars(sheet.table[chosen]).groupby(names[chosen], sort=False)))
    for symbol in present if symbols is None else symbols:
        if symbol in groups:
            _inspect_bars(path, symbol, groups[symbol], inspection)
        else:
            inspection.report_missing(path, symbol, present)
    return inspection


def _inspect_file(path: Path, symbol: str, inspection: Inspection) -> None:
    sheet = _open(path, _UNDERSTOOD, inspection)
    if sheet is None:
        return
    if sheet.tickers and sheet.tickers != (symbol,):
        rule = f"its Ticker row says {', '.join(sheet.tickers)}"
        inspection.report(path, rule, "Name the file after its one ticker.")
    _inspect_bars(path, symbol, parse_bars(sheet.table), inspection)


def _inspect_bars(path: Path, symbol: str, bars: pd.DataFrame, inspection: Inspection) -> None:
    inspection.bars[symbol] = bars
    for rule in ROW_RULES:
        broken = np.asarray(rule.broken(bars), dtype=bool)
        if broken.any():
            rows = _places(bars.index[broken], bars["date"][broken])
            inspection.report(path, rule.name, rule.repair, symbol, rows)


def _open(path: Path, understood: Sequence[str], inspection: Inspection) -> Sheet | None:
    """Read a file and judge its columns; None if its rows cannot be understood."""
    if not path.is_file():
        inspection.report(path, "no such file", _WRITE_PATH)
        return None
    try:
        sheet = read_sheet(path)
    except UNREADABLE as error:
        inspection.report(path, f"cannot be read ({error})", "Expected a CSV file or a Parquet table.")
        return None
    if sheet.ragged:
        rows = _places(pd.Index(sheet.ragged, name="line"))
        repair = f"Every line needs {len(sheet.header)} fields, as the header has."
        inspection.report(path, "lines with too few or too many fields", repair, rows=rows)
    broken = [problem for check in SHEET_RULES for problem in check(sheet, understood)]
    for rule, repair in broken:
        inspection.report(path, rule, repair)
    return None if broken else sheet


# ---- the columns of a file: each check yields rules that are broken, with the repair


def _empty(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    if sheet.table.empty and not sheet.ragged:
        yield "an empty file", "Download it again, or delete it."


def _unknown_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[tuple[str, str]]:
    names = zip(sheet.header, sheet.table.columns, strict=True)
    unknown = [f"{name!r}" for name, plain in names if plain not in understood]
    if unknown:
        yield f"unknown column {', '.join(unknown)}", f"Delete it; understood are {', '.join(understood)}."


def _missing_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[tuple[str, str]]:
    missing = [name for name in understood if name != "adj close" and name not in sheet.table.columns]
    if missing and sheet.header:
        yield f"missing column {', '.join(missing)}", f"The file has {', '.join(sheet.header)}."


def _repeated_columns(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    repeated = sheet.table.columns[sheet.table.columns.duplicated()].unique()
    if len(repeated):
        repair = "Keep one of them: one symbol a file, or one long table with a symbol column."
        yield f"column more than once: {', '.join(repeated)}", repair


SHEET_RULES = (_empty, _unknown_columns, _missing_columns, _repeated_columns)


# ---- the bars of a symbol


def _unreadable_date(bars: pd.DataFrame) -> pd.Series:
    return bars["day"].isna()


def _mixed_zones(bars: pd.DataFrame) -> pd.Series:
    """One zone has one offset, or two that daylight saving sets an hour apart; anything else is a mixture."""
    readable = bars["day"].notna()
    first = float(bars["offset"][readable].iloc[:1].mean())  # NaN without a zone, or without a readable date
    differs = bars["offset"].isna() != math.isnan(first)
    return readable & (differs | ((bars["offset"] - first).abs() > 60))


def _intraday(bars: pd.DataFrame) -> pd.Series:
    readable = bars["day"].notna()
    usual = bars["clock"][readable].mode()
    return readable & ~bars["clock"].isin(usual[:1])


def _duplicate_dates(bars: pd.DataFrame) -> pd.Series:
    return bars["day"].notna() & bars["day"].duplicated(keep=False)


def _unsorted_dates(bars: pd.DataFrame) -> pd.Series:
    return bars["day"] < bars["day"].cummax()


def _no_price(bars: pd.DataFrame) -> pd.Series:
    prices = bars[[name for name in (*PRICES, "adj close") if name in bars]]
    return ~(prices.gt(0) & prices.lt(np.inf)).all(axis=1)


def _no_volume(bars: pd.DataFrame) -> pd.Series:
    return ~(bars["volume"].ge(0) & bars["volume"].lt(np.inf))


def _high_below_low(bars: pd.DataFrame) -> pd.Series:
    return (bars["high"] < bars["low"]) & ~_no_price(bars)


def _outside_range(bars: pd.DataFrame) -> pd.Series:
    ends = bars[["open", "close"]]
    above = ends.max(axis=1) > bars["high"] * (1 + CLOSE_TOLERANCE)
    below = ends.min(axis=1) < bars["low"] * (1 - CLOSE_TOLERANCE)
    return (above | below) & ~_no_price(bars) & ~_high_below_low(bars)


@dataclass(frozen=True)
class RowRule:
    """A mask of the rows that break it, its name, and what to do then."""

    name: str
    broken: Callable[[pd.DataFrame], pd.Series]
    repair: str


ROW_RULES = (
    RowRule("unreadable dates", _unreadable_date, "Write days as YYYY-MM-DD."),
    RowRule("mixed time zones", _mixed_zones, "Convert all rows to the exchange's time zone."),
    RowRule("intraday bars", _intraday, "Aggregate to one bar a day, all at one local time of day."),
    RowRule("duplicate dates", _duplicate_dates, "Keep the one right bar of each day."),
    RowRule("unsorted dates", _unsorted_dates, "Sort the rows by date, oldest first."),
    RowRule(
        "prices missing or not above zero", _no_price, "Correct these prices or delete the rows; no gap is filled."
    ),
    RowRule("volume missing or negative", _no_volume, "Correct it, or write 0 where nothing was traded."),
    RowRule("high below low", _high_below_low, "Correct both, or delete the rows."),
    RowRule("open or close outside low..high", _outside_range, "Widen high and low to hold them, or delete the rows."),
)


# ---- words


def explain(path: Path, problems: Sequence[Problem]) -> str:
    """All problems of ``path`` as one message, at most 20 lines of them."""
    lines = [f"{path}: {len(problems)} problem(s)", *(f"  {problem}" for problem in problems[:_LINES_SHOWN])]
    if len(problems) > _LINES_SHOWN:
        lines.append(f"  and {len(problems) - _LINES_SHOWN} more; for all of them run: ragsignal data check {path}")
    return "\n".join(lines)


def nearest_symbol(symbol: str, symbols: Collection[str]) -> str:
    """Hint at the nearest of ``symbols``, in any case; else at the first ten."""
    by_upper = {name.upper(): name for name in symbols}
    near = difflib.get_close_matches(symbol.upper(), list(by_upper), n=1)
    if near:
        return f"Did you mean {by_upper[near[0]]!r}?"
    names = list(symbols)
    return f"There are {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}."


def _places(index: pd.Index, dates: pd.Series | None = None) -> tuple[str, ...]:
    named = [f"{index.name} {number}" for number in index[:_ROWS_NAMED]]
    if dates is not None:
        named = [f"{place} ({_short(date)})" for place, date in zip(named, dates.iloc[:_ROWS_NAMED], strict=True)]
    more = len(index) - _ROWS_NAMED
    return (*named, f"and {more} more") if more > 0 else tuple(named)


def _short(date: object) -> str:
    return str(date).removesuffix(" 00:00:00")
