"""What makes prices untrustworthy: one rule, one small function; readers and ``ragsignal data check`` share them.

    Sheet ─► SHEET rules (columns) ─► one frame a symbol ─► ROW rules (bars) ─► Problems

Nothing is dropped, filled, sorted or guessed. A Problem names file, symbol, rows and the repair; the repair is done
by whoever knows the data.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
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
class Findings:
    """Bars per symbol as :func:`ragsignal.data.readers.parse_bars` types them, and all that is wrong with them."""

    bars: dict[str, pd.DataFrame] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


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


def inspect_folder(path: Path, symbols: Sequence[str] | None) -> Findings:
    """Read and judge ``SYMBOL.csv`` files."""
    if not path.is_dir():
        return Findings(problems=[_file_problem(path, "no such folder", _WRITE_PATH)])
    present = sorted(file.stem for file in path.glob("*.csv"))
    found = Findings()
    if not present:
        found.problems.append(_file_problem(path, "no CSV file in this folder", "Name each file SYMBOL.csv."))
        return found
    for symbol in present if symbols is None else symbols:
        if symbol in present:
            _inspect_file(csv_path(path, symbol), symbol, found)
        else:
            found.problems.append(_missing_symbol(path, symbol, present))
    return found


def inspect_table(path: Path, symbols: Sequence[str] | None) -> Findings:
    """Read and judge one long table."""
    found = Findings()
    sheet = _open(path, found)
    if sheet is None or not _columns_fit(sheet, ("symbol", *_UNDERSTOOD), found):
        return found
    names = sheet.table["symbol"].astype(object).where(sheet.table["symbol"].notna(), "").astype(str)
    if (names == "").any():
        unnamed = _places(sheet.table.index[names == ""])
        found.problems.append(Problem(str(path), "", "no symbol", unnamed, "Write the symbol into these rows."))
    present = sorted(set(names) - {""})
    wanted = present if symbols is None else list(symbols)
    chosen = sheet.table[names.isin(wanted)]
    groups = dict(iter(parse_bars(chosen).groupby(names[names.isin(wanted)], sort=False)))
    for symbol in wanted:
        if symbol in groups:
            _inspect_bars(path, symbol, groups[symbol], found)
        else:
            found.problems.append(_missing_symbol(path, symbol, present))
    return found


def _inspect_file(path: Path, symbol: str, found: Findings) -> None:
    sheet = _open(path, found)
    if sheet is None or not _columns_fit(sheet, _UNDERSTOOD, found):
        return
    if sheet.tickers and sheet.tickers != (symbol,):
        found.problems.append(
            _file_problem(
                path, f"its Ticker row says {', '.join(sheet.tickers)}", "Name the file after its one ticker."
            )
        )
    _inspect_bars(path, symbol, parse_bars(sheet.table), found)


def _inspect_bars(path: Path, symbol: str, bars: pd.DataFrame, found: Findings) -> None:
    found.bars[symbol] = bars
    for rule in ROW_RULES:
        broken = np.asarray(rule.broken(bars), dtype=bool)
        if broken.any():
            rows = _places(bars.index[broken], bars["date"][broken])
            found.problems.append(Problem(str(path), symbol, rule.name, rows, rule.repair))


def _open(path: Path, found: Findings) -> Sheet | None:
    if not path.is_file():
        found.problems.append(_file_problem(path, "no such file", _WRITE_PATH))
        return None
    try:
        return read_sheet(path)
    except UNREADABLE as error:
        found.problems.append(
            _file_problem(path, f"cannot be read ({error})", "Expected a CSV file or a Parquet table.")
        )
        return None


# ---- the columns of a file


def _columns_fit(sheet: Sheet, understood: Sequence[str], found: Findings) -> bool:
    """Judge a file's columns; False if its rows cannot be understood."""
    if sheet.ragged:
        rows = _places(pd.Index(sheet.ragged, name="line"))
        repair = f"Every line needs {len(sheet.header)} fields, as the header has."
        found.problems.append(Problem(str(sheet.file), "", "lines with too few or too many fields", rows, repair))
    broken = [problem for rule in SHEET_RULES for problem in rule(sheet, understood)]
    found.problems.extend(broken)
    return not broken


def _empty(sheet: Sheet, _: Sequence[str]) -> Iterable[Problem]:
    if sheet.table.empty and not sheet.ragged:
        yield _file_problem(sheet.file, "an empty file", "Download it again, or delete it.")


def _unknown_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[Problem]:
    unknown = [
        f"{name!r}" for name, plain in zip(sheet.header, sheet.table.columns, strict=True) if plain not in understood
    ]
    if unknown:
        repair = f"Delete it; understood are {', '.join(understood)}."
        yield _file_problem(sheet.file, f"unknown column {', '.join(unknown)}", repair)


def _missing_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[Problem]:
    missing = [name for name in understood if name != "adj close" and name not in sheet.table.columns]
    if missing and sheet.header:
        repair = f"The file has {', '.join(sheet.header)}."
        yield _file_problem(sheet.file, f"missing column {', '.join(missing)}", repair)


def _repeated_columns(sheet: Sheet, _: Sequence[str]) -> Iterable[Problem]:
    repeated = sheet.table.columns[sheet.table.columns.duplicated()].unique()
    if len(repeated):
        repair = "Keep one of them: one symbol a file, or one long table with a symbol column."
        yield _file_problem(sheet.file, f"column more than once: {', '.join(repeated)}", repair)


SHEET_RULES: tuple[Callable[[Sheet, Sequence[str]], Iterable[Problem]], ...] = (
    _empty,
    _unknown_columns,
    _missing_columns,
    _repeated_columns,
)


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


def did_you_mean(symbol: str, known: Iterable[str]) -> str:
    """Hint at the nearest known symbol, in any case; else at the first ten."""
    known = list(known)
    upper = {name.upper(): name for name in known}
    near = difflib.get_close_matches(symbol.upper(), list(upper), n=1)
    if near:
        return f"Did you mean {upper[near[0]]!r}?"
    return f"There are {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}."


def _missing_symbol(path: Path, symbol: str, present: Sequence[str]) -> Problem:
    return Problem(str(path), symbol, "no prices for this symbol", (), did_you_mean(symbol, present))


def _file_problem(path: Path, rule: str, repair: str) -> Problem:
    return Problem(str(path), "", rule, (), repair)


def _places(index: pd.Index, dates: pd.Series | None = None) -> tuple[str, ...]:
    named = [f"{index.name} {number}" for number in index[:_ROWS_NAMED]]
    if dates is not None:
        named = [f"{place} ({_short(date)})" for place, date in zip(named, dates.iloc[:_ROWS_NAMED], strict=True)]
    more = len(index) - _ROWS_NAMED
    return (*named, f"and {more} more") if more > 0 else tuple(named)


def _short(date: object) -> str:
    return str(date).removesuffix(" 00:00:00")
