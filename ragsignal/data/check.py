"""What makes prices untrustworthy: readers and ``ragsignal data check`` judge a file by the same rules.

    Sheet ─► SHEET rules (columns) ─► bars of all symbols ─► ROW rules (rules.py) ─► Problems, one frame a symbol

Nothing is dropped, filled, sorted or guessed. A Problem names file, symbol, rows and the repair; the repair is done
by whoever knows the data.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data.bar_names import AS_DAYS, BarNames, days_in_zone, moments_of
from ragsignal.data.exchange_day import exchange_days, words_of_unclear
from ragsignal.data.readers import COLUMNS, UNREADABLE, Sheet, parse_bars, price_files, read_sheet
from ragsignal.data.rules import ROW_RULES, DroppedBar
from ragsignal.types import IntArray
from ragsignal.utils import and_more

_ROWS_NAMED = 5
_LINES_SHOWN = 20
_WRITE_PATH = "Correct the path; in a spec it is data.path."
_OPTIONAL = ("adj close", "time", "per", "openint")  # the last three are Stooq's; open interest is 0 for stocks
_UNDERSTOOD = ("date", *COLUMNS, *_OPTIONAL)
_UNDERSTOOD_LONG = ("symbol", *_UNDERSTOOD)


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
    level : str
        ``problem``, or ``warning`` for what may be right, and is read all the same.
    """

    file: str
    symbol: str
    rule: str
    rows: tuple[str, ...]
    repair: str
    level: str = "problem"

    def __str__(self) -> str:
        where = " ".join(part for part in (self.file, self.symbol) if part)
        rows = f" at {', '.join(self.rows)}" if self.rows else ""
        return f"{where}: {self.rule}{rows}. {self.repair}"


@dataclass(frozen=True)
class Inspection:
    """Bars per symbol by their day, open to volume and possibly adj close, and all that is wrong with them.

    With ``drop``, bars that break a rule which leaving them out mends are ``dropped`` and are no problems. ``names``
    says what stamps name, ``zoned`` whether any have a zone, or none.
    """

    drop: bool = False
    names: BarNames = AS_DAYS
    bars: dict[str, pd.DataFrame] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    dropped: list[DroppedBar] = field(default_factory=list)
    zoned: set[bool] = field(default_factory=set)

    def report(self, path: Path | str, rule: str, repair: str, symbol: str = "", rows: tuple[str, ...] = ()) -> None:
        """Add a problem."""
        self.problems.append(Problem(str(path), symbol, rule, rows, repair))

    def keep(self, symbols: Sequence[str], bars: pd.DataFrame) -> None:
        """Take in the bars of ``symbols``, each cut out of ``bars``, where the column ``symbol`` is its place."""
        numbers = [name for name in (*COLUMNS, "adj close") if name in bars]
        places = bars["symbol"].to_numpy()
        rows = np.argsort(places, kind="stable")
        table = bars.set_index("day")[numbers].iloc[rows]
        ends = np.cumsum(np.bincount(places, minlength=len(symbols)))
        for place, symbol in enumerate(symbols):
            self.bars[symbol] = table.iloc[ends[place - 1] if place else 0 : ends[place]]

    def report_missing(self, path: Path | str, symbol: str, present: Sequence[str]) -> None:
        """Add the problem that ``path`` has no prices for ``symbol``, but for those that are ``present``."""
        self.report(path, "no prices for this symbol", nearest_symbol(symbol, present), symbol)


def find_problems(path: Path, symbols: Sequence[str] | None = None) -> list[Problem]:
    """All problems of a folder of price files or of one table; an empty list means that it can be read.

    Parameters
    ----------
    path : Path
    symbols : sequence of str, optional
        Only these; by default everything that is there.
    """
    inspect = inspect_folder if Path(path).is_dir() else inspect_table
    return inspect(Path(path), symbols).problems


def inspect_folder(
    path: Path, symbols: Sequence[str] | None, drop: bool = False, names: BarNames = AS_DAYS
) -> Inspection:
    """Read and judge one file a symbol."""
    inspection = Inspection(drop, names)
    named = price_files(path)
    files = dict(named)
    twice = sorted(symbol for symbol, count in Counter(symbol for symbol, _ in named).items() if count > 1)
    if not path.is_dir():
        inspection.report(path, "no such folder", _WRITE_PATH)
    elif not files:
        inspection.report(path, "no price file in this folder", "Name each file SYMBOL.csv, or symbol.us.txt.")
    else:
        for symbol in files if symbols is None else symbols:
            if symbol in twice:
                inspection.report(path, "more than one file of this symbol", "Keep one of them.", symbol)
            elif symbol in files:
                _inspect_file(files[symbol], symbol, inspection)
            else:
                inspection.report_missing(path, symbol, list(files))
    return inspection


def inspect_table(
    path: Path, symbols: Sequence[str] | None, drop: bool = False, names: BarNames = AS_DAYS
) -> Inspection:
    """Read and judge one long table."""
    inspection = Inspection(drop, names)
    sheet = _open(path, _UNDERSTOOD_LONG, inspection)
    if sheet is not None:
        _inspect_long(path, sheet, symbols, inspection)
    return inspection


def inspect_rows(
    place: str, sheet: Sheet, symbols: Sequence[str] | None, inspection: Inspection, others: Sequence[str] = ()
) -> Inspection:
    """Judge one long table that was read; ``others`` are symbols that ``place`` has besides."""
    if _is_understood(place, sheet, _UNDERSTOOD_LONG, inspection):
        _inspect_long(place, sheet, symbols, inspection, others)
    return inspection


def _inspect_long(
    path: Path | str,
    sheet: Sheet,
    symbols: Sequence[str] | None,
    inspection: Inspection,
    others: Sequence[str] = (),
) -> None:
    places, present = _symbols_of(sheet.table["symbol"])
    if (places < 0).any():
        unnamed = _places(sheet.table.index[places < 0])
        inspection.report(path, "no symbol", "Write the symbol into these rows.", rows=unnamed)
    known = {symbol: place for place, symbol in enumerate(present)}
    for symbol in symbols or ():
        if symbol not in known:
            inspection.report_missing(path, symbol, [*present, *others])
    wanted = [symbol for symbol in (present if symbols is None else symbols) if symbol in known]
    order = np.full(len(present) + 1, -1)  # the last one is for rows without a symbol
    order[[known[symbol] for symbol in wanted]] = np.arange(len(wanted))
    chosen = order[places] >= 0
    bars = parse_bars(sheet.table[chosen], bool(sheet.decimal_comma))
    bars["symbol"] = order[places][chosen]
    _inspect_bars(path, wanted, bars, inspection)


def _symbols_of(column: pd.Series) -> tuple[IntArray, list[str]]:
    """Each row's place in the ascending list of symbols, -1 for a row without one; and that list."""
    codes, values = pd.factorize(column)
    names = [str(value) for value in values]
    present = sorted({*names} - {""})
    places = {symbol: place for place, symbol in enumerate(present)}
    # a missing value has code -1, which is the entry that is added at the end
    return np.array([*(places.get(name, -1) for name in names), -1])[codes], present


def _inspect_file(path: Path, symbol: str, inspection: Inspection) -> None:
    sheet = _open(path, _UNDERSTOOD, inspection)
    if sheet is None:
        return
    if sheet.tickers and sheet.tickers != (symbol,):
        rule = f"its ticker says {', '.join(sheet.tickers)}"
        inspection.report(path, rule, "Name the file after its one ticker.")
    _inspect_bars(path, [symbol], parse_bars(sheet.table, bool(sheet.decimal_comma)).assign(symbol=0), inspection)


def _inspect_bars(path: Path | str, symbols: Sequence[str], bars: pd.DataFrame, inspection: Inspection) -> None:
    """Judge the bars of ``symbols``; the column ``symbol`` is a place in them."""
    (_find_days if inspection.names.of_exchange_days else _find_names)(path, symbols, bars, inspection)
    found: list[tuple[int, int, tuple[str, ...]]] = []
    causes = np.full(len(bars), -1)  # the first rule by which a row is dropped
    for number, rule in enumerate(ROW_RULES):
        mask = rule.broken(bars)
        if inspection.drop and rule.mended:
            causes[mask & (causes < 0)] = number
            continue
        broken = bars.loc[mask, ["symbol", "date"]]
        for place in np.unique(broken["symbol"]):
            rows = broken[broken["symbol"] == place]
            found.append((int(place), number, _places(rows.index, rows["date"])))
    for place, number, where in sorted(found):
        inspection.report(path, ROW_RULES[number].name, ROW_RULES[number].repair, symbols[place], where)
    lost = bars[causes >= 0]
    days = lost["day"].to_numpy().astype("datetime64[D]").tolist()
    inspection.dropped.extend(
        DroppedBar(symbols[place], ROW_RULES[number].name, day)
        for place, number, day in zip(lost["symbol"], causes[causes >= 0], days, strict=True)
    )
    inspection.keep(symbols, bars[causes < 0])


def _find_days(path: Path | str, symbols: Sequence[str], bars: pd.DataFrame, inspection: Inspection) -> None:
    """Put the exchange's days into ``bars`` where stamps are moments; a problem where they may be of two days."""
    days, clocks = bars["day"].to_numpy(copy=True), bars["clock"].to_numpy(copy=True)
    places, offsets = bars["symbol"].to_numpy(), bars["offset"].to_numpy()
    for place in np.unique(places[clocks > 0.0]):
        rows = np.flatnonzero((places == place) & ~np.isnat(days))
        found = exchange_days(days[rows] + (clocks[rows] * 1e6).astype("timedelta64[us]"), offsets[rows])
        if not found.clear:
            rule, repair = words_of_unclear(found)
            inspection.report(path, rule, repair, symbols[place], _places(bars.index[rows], bars["date"].iloc[rows]))
        elif found.zone:
            days[rows], clocks[rows] = found.days, 0.0
    bars["day"], bars["clock"] = days, clocks


def _find_names(path: Path | str, symbols: Sequence[str], bars: pd.DataFrame, inspection: Inspection) -> None:
    """Put into ``bars`` the moments at which bars of hours end, or the days of a market that never closes."""
    days, clocks = bars["day"].to_numpy(copy=True), bars["clock"].to_numpy()
    places, offsets = bars["symbol"].to_numpy(), bars["offset"].to_numpy()
    find = moments_of if inspection.names.clock.intraday else days_in_zone
    for place in np.unique(places):
        rows = np.flatnonzero((places == place) & ~np.isnat(days))
        if not len(rows):
            continue
        written = days[rows] + np.round(clocks[rows] * 1e6).astype("timedelta64[us]")
        days[rows], fault = find(written, offsets[rows], inspection.names)
        if fault is not None:
            where = _places(bars.index[rows], bars["date"].iloc[rows])
            inspection.report(path, *fault, symbol=symbols[place], rows=where)
    bars["day"], bars["clock"] = days, 0.0
    inspection.zoned.update(np.unique(np.isfinite(offsets)).tolist())
    if inspection.names.clock.intraday and len(inspection.zoned) > 1:
        rule = "stamps with a time zone in some symbols, and without one in others"
        inspection.report(path, rule, "Write all of them with their zone, or all in UTC.")


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
    return sheet if _is_understood(path, sheet, understood, inspection) else None


def _is_understood(path: Path | str, sheet: Sheet, understood: Sequence[str], inspection: Inspection) -> bool:
    """Whether the columns of a sheet break no rule; those that do are reported."""
    broken = [problem for check in SHEET_RULES for problem in check(sheet, understood)]
    for rule, repair in broken:
        inspection.report(path, rule, repair)
    return not broken


# ---- the columns of a file: each check yields rules that are broken, with the repair


def _empty(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    if sheet.table.empty and not sheet.ragged:
        yield "an empty file", "Download it again, or delete it."


def _unknown_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[tuple[str, str]]:
    names = zip(sheet.header, sheet.table.columns, strict=True)
    known = {*understood, "symbol"} if sheet.tickers else {*understood}
    unknown = {name: plain for name, plain in names if plain not in known}
    if unknown:
        repair = _repair_of_unknown(unknown, sheet, _missing(sheet, understood))
        yield f"unknown column {', '.join(map(repr, unknown))}", f"{repair}; understood are {', '.join(understood)}."


def _repair_of_unknown(unknown: Mapping[str, str], sheet: Sheet, missing: Sequence[str]) -> str:
    if "symbol" in unknown.values() and sheet.table["symbol"].nunique() > 1:
        return 'A file of several symbols is a long table: write data.source = "table" and its path'
    adjusted = "adj close" in sheet.table.columns
    holds = [*missing, *(["adj close"] if not adjusted and any("adj" in name.lower() for name in unknown) else [])]
    if holds:
        hold = "one of them holds" if len(unknown) > 1 else "it holds"
        return f"If {hold} {' or '.join(holds)}, rename it to that; delete it else"
    if not adjusted and any(re.search(r"split|\bdiv|factor", name.lower()) for name in unknown):
        return "Delete it if the prices are adjusted by it already; else write an adjusted close, adj close, first"
    return "Delete it"


def _missing_columns(sheet: Sheet, understood: Sequence[str]) -> Iterable[tuple[str, str]]:
    missing = _missing(sheet, understood)
    if missing and sheet.header:
        yield f"missing column {', '.join(missing)}", f"Add it, or rename the one that holds it: {_header(sheet)}."


def _missing(sheet: Sheet, understood: Sequence[str]) -> list[str]:
    return [name for name in understood if name not in _OPTIONAL and name not in sheet.table.columns]


def _header(sheet: Sheet) -> str:
    return f"the file has {', '.join(map(repr, sheet.header))}"


def _unclear_commas(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    if sheet.decimal_comma is None:
        yield "a comma in prices that may part decimals or thousands", "Write decimals after a point, as in 12.345."


def _repeated_columns(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    repeated = sheet.table.columns[sheet.table.columns.duplicated()].unique()
    if len(repeated):
        repair = "Keep one of them: one symbol a file, or one long table with a symbol column."
        yield f"column more than once: {', '.join(repeated)}", repair


def _other_periods(sheet: Sheet, _: Sequence[str]) -> Iterable[tuple[str, str]]:
    if list(sheet.table.columns).count("per") == 1:
        others = sorted({*sheet.table["per"].astype(str).str.strip()} - {"D"})
        if others:
            yield f"bars of the period {', '.join(others[:_ROWS_NAMED])}", "Keep the daily bars, whose period is D."


SHEET_RULES = (_empty, _unknown_columns, _missing_columns, _repeated_columns, _other_periods, _unclear_commas)


# ---- words


def explain(path: Path | str, problems: Sequence[Problem], arguments: str = "") -> str:
    """All problems of ``path`` as one message, at most 20 lines of them; ``data check`` finds it by ``arguments``."""
    lines = [f"{path}: {len(problems)} problem(s)", *(f"  {problem}" for problem in problems[:_LINES_SHOWN])]
    if len(problems) > _LINES_SHOWN:
        lines.append(
            f"  and {len(problems) - _LINES_SHOWN} more; for all of them run: ragsignal data check {arguments or path}"
        )
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
    return and_more(named, len(index))


def _short(date: object) -> str:
    return str(date).removesuffix(" 00:00:00")
