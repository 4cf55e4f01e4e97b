"""Price files as they stand: CSV, text or Parquet in, one shape of table out, nothing judged and nothing repaired.

    download ─► file ─► read_sheet ─► Sheet ─► parse_bars ─► bars ─► check.py judges ─► prices.py adjusts

What cannot be understood becomes NaT or NaN here and a named problem in :mod:`ragsignal.data.check`. Every row keeps
the place it came from in its index: the line of a CSV file (from 1, named "line") or the row of a Parquet table
(from 0, named "row"), so that a message points at what an editor shows.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ragsignal.data.columns import canonical_header, has_decimal_comma, to_numbers
from ragsignal.errors import DataError
from ragsignal.utils import write_file

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume")
UNREADABLE = (OSError, EOFError, ValueError, csv.Error, zlib.error)
"""What :func:`read_sheet` raises on a file that is not what its name says; Unicode and Arrow errors are ValueErrors."""

# The day, the time and the offset stand in the text, so the local calendar day needs no time zone database.
_DATE = (
    r"^(?P<day>\d{4}([-./])\d{2}\2\d{2}|\d{8})"
    r"(?:[T ](?P<clock>(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?|24:00(?::00)?))?"
    r"\s?(?P<offset>Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$"
)
_PLAIN_DAY = len("2020-01-31")
_EPOCH = r"\d{10}(?:\d{3})?"  # seconds or milliseconds since 1970, in UTC
_PEEKED = 20  # records in which a comma within a number shows
_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True, eq=False)
class Sheet:
    """One file, read and not yet understood.

    Parameters
    ----------
    file : Path
    header : tuple of str
        Column names as they stand in the file.
    table : DataFrame
        One row a record; columns have their names of :func:`~ragsignal.data.columns.canonical`; text from CSV, typed
        from Parquet.
    ragged : tuple of int
        Lines whose number of fields is not that of the header; they are not in ``table``.
    tickers : tuple of str
        The symbols that the file says it is of: yfinance in its second header row, Stooq in a column; empty for every
        other form.
    decimal_comma : bool or None
        Whether numbers are written as ``12,5``; None if that cannot be told from thousands.
    """

    file: Path
    header: tuple[str, ...]
    table: pd.DataFrame
    ragged: tuple[int, ...] = ()
    tickers: tuple[str, ...] = ()
    decimal_comma: bool | None = False


def price_files(folder: Path) -> list[tuple[str, Path]]:
    """Symbol and path of each price file of a folder, by symbol: ``SYMBOL.csv``, or BRK-B of ``brk-b.us.txt``."""
    named = [(file.stem, file) for file in folder.glob("*.csv")]
    # a text file that is named after no country, such as a README, holds no prices
    return sorted([*named, *((_plain_ticker(file.stem), file) for file in folder.glob("*.*.txt"))])


def _plain_ticker(ticker: str) -> str:
    """Stooq's ticker in capitals, and without the country if that is the United States."""
    return ticker.strip().upper().removesuffix(".US")


def read_sheet(path: Path) -> Sheet:
    """Read ``*.parquet``, ``*.csv``, ``*.csv.gz`` or ``*.txt``; raises one of :data:`UNREADABLE`."""
    if path.suffix == ".parquet":
        return _read_parquet(path)
    if path.suffix in (".csv", ".txt") or path.name.endswith(".csv.gz"):
        return _read_csv(path)
    raise ValueError("its name ends in none of .parquet, .csv, .csv.gz, .txt")


def _read_parquet(path: Path) -> Sheet:
    table = pd.read_parquet(path)
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    header = tuple(str(name) for name in table.columns)
    table.index = pd.RangeIndex(len(table), name="row")
    return Sheet(path, header, table.set_axis(canonical_header(header), axis=1))


def _read_csv(path: Path) -> Sheet:
    # Not pandas' reader: it reads the ticker NA as missing, shifts the columns when rows are one field too long
    # and cannot say on which line a record stands.
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        separator = separator_of(head)
        file.seek(0)
        reader = csv.reader(file, delimiter=separator)
        # a spreadsheet writes a row that was cleared as separators alone
        records = [(reader.line_num, record) for record in reader if any(map(str.strip, record))]
    header, tickers, body = _split_header(records)
    whole = [(line, record) for line, record in body if len(record) == len(header)]
    ragged = tuple(line for line, record in body if len(record) != len(header))
    table = pd.DataFrame(
        np.array([record for _, record in whole], dtype=object).reshape(len(whole), len(header)),
        index=pd.Index([line for line, _ in whole], name="line", dtype="int64"),
        columns=canonical_header(header),
    )
    if any(name.startswith("<") for name in header) and list(table.columns).count("symbol") == 1:  # Stooq's form
        table["symbol"] = table["symbol"].map(_plain_ticker)
        tickers = tuple(table["symbol"].unique())
    peeked = body[:_PEEKED] if separator == "," else body
    quoted = any("," in field for _, record in peeked for field in record)
    commas = has_decimal_comma(table.loc[:, ~table.columns.duplicated()], (*PRICES, "adj close")) if quoted else False
    if separator == ",":
        commas = bool(commas)  # in quotes "1,234" is written by those who part thousands so
    return Sheet(path, header, table, ragged, tickers, commas)


def separator_of(header: str) -> str:
    """What parts the fields of a header: the first of those that stand there equally often."""
    return max(_SEPARATORS, key=header.count)


_Records = list[tuple[int, list[str]]]


def _split_header(records: _Records) -> tuple[tuple[str, ...], tuple[str, ...], _Records]:
    """Column names, yfinance's tickers and the body; yfinance writes the rows Price, Ticker and Date as its header."""
    if not records:
        return (), (), []
    if [record[0] for _, record in records[:3]] == ["Price", "Ticker", "Date"]:
        fields, tickers = records[0][1][1:], records[1][1][1:]
        return ("Date", *fields), tuple(dict.fromkeys(tickers)), records[3:]
    return tuple(records[0][1]), (), records[1:]


def parse_bars(table: pd.DataFrame, decimal_comma: bool = False) -> pd.DataFrame:
    """Type the columns of a sheet; a time of day in a column of its own belongs to the date.

    Parameters
    ----------
    table : DataFrame
        Of a :class:`Sheet`.
    decimal_comma : bool, optional

    Returns
    -------
    DataFrame
        Index as in ``table``. ``date``: as written, for messages; ``day``: the calendar day as written, datetime64[us],
        NaT if it is no ISO date; ``clock``: seconds since that day's midnight; ``offset``: minutes from UTC, NaN
        without a time zone; then open, high, low, close, volume and, if given, adj close: float64, NaN where there is
        no number.
    """
    bars = parse_dates(_stamps(table) if "time" in table else table["date"])
    for name in (*COLUMNS, "adj close"):
        if name in table:
            bars[name] = to_numbers(table[name], decimal_comma)
    return bars


def _stamps(table: pd.DataFrame) -> pd.Series:
    """Day and time as one text. Stooq writes 153000 for half past three, and 000000 or 0 for a whole day."""
    clock = table["time"].astype(str).str.strip()
    digits = clock.str.fullmatch(r"\d{1,6}")
    colons = clock.str.zfill(6).str.replace(r"(\d\d)(\d\d)(\d\d)", r"\1:\2:\3", regex=True)
    return table["date"].astype(str).str.strip() + "T" + clock.where(~digits, colons)


def parse_dates(column: pd.Series) -> pd.DataFrame:
    """``date``, ``day``, ``clock`` and ``offset`` of a column of dates or of moments, as :func:`parse_bars` says."""
    if isinstance(column.dtype, pd.DatetimeTZDtype | np.dtype) and column.dtype.kind == "M":
        return _split_timestamps(column)
    # Each text once: a long table repeats every day for every symbol.
    codes, values = pd.factorize(column.astype(object), use_na_sentinel=False)
    text = pd.Series(["" if pd.isna(value) else str(value).strip() for value in values], dtype=object)
    return _parse_texts(text).take(codes).set_axis(column.index, axis=0)


def _parse_texts(text: pd.Series) -> pd.DataFrame:
    if (text.map(len) == _PLAIN_DAY).all():
        days = pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")
        if days.notna().all():  # most files: ten times as fast
            return pd.DataFrame({"date": text, "day": days.astype("datetime64[us]"), "clock": 0.0, "offset": np.nan})
    written = text
    epoch = text.str.fullmatch(_EPOCH)
    if epoch.any():
        thousandths = text[epoch].str.ljust(13, "0").astype("int64")
        moments = pd.to_datetime(thousandths, unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        text = text.where(~epoch, moments)
    parts = text.str.extract(_DATE)
    offsets = {text: _minutes(text) for text in parts["offset"].dropna().unique()}
    days = pd.to_datetime(parts["day"].str.replace(r"[-./]", "", regex=True), format="%Y%m%d", errors="coerce")
    clocks = {text: _seconds(text) for text in parts["clock"].dropna().unique()}
    return pd.DataFrame(
        {
            "date": written,
            "day": days.astype("datetime64[us]"),
            "clock": parts["clock"].map(clocks).fillna(0.0).astype("float64"),
            "offset": parts["offset"].map(offsets).astype("float64"),
        }
    )


def _split_timestamps(column: pd.Series) -> pd.DataFrame:
    aware = isinstance(column.dtype, pd.DatetimeTZDtype)
    local = cast("pd.Series[pd.Timestamp]", column.dt.tz_localize(None) if aware else column)
    day = local.dt.normalize()
    offset = (local - column.dt.tz_convert("UTC").dt.tz_localize(None)).dt.total_seconds() / 60 if aware else np.nan
    return pd.DataFrame(
        {
            "date": local,
            "day": day.astype("datetime64[us]"),
            "clock": (local - day).dt.total_seconds(),
            "offset": np.asarray(offset, dtype=np.float64) if aware else np.full(len(local), np.nan),
        }
    )


def _seconds(clock: str) -> float:
    hours, minutes, *rest = clock.split(":")
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(rest[0] if rest else 0.0)


def _minutes(offset: str) -> float:
    if offset == "Z":
        return 0.0
    sign = -1.0 if offset[0] == "-" else 1.0
    return sign * (60 * int(offset[1:3]) + int(offset[-2:]))


def download(symbols: Sequence[str], start: date, end: date, folder: str | Path) -> list[Path]:
    """Download daily bars from Yahoo into ``folder/SYMBOL.csv``, which :func:`read_folder` reads.

    A file appears whole or not at all, and replaces what was there.

    Parameters
    ----------
    symbols : sequence of str
    start, end : date
        Both inclusive.
    folder : str or Path
        Made if need be.

    Returns
    -------
    list of Path
        In the order of ``symbols``.

    Raises
    ------
    DataError
        If yfinance is not installed, or after all downloads if there were symbols without any bar.
    """
    try:
        import yfinance
    except ImportError:
        raise DataError("downloading needs yfinance; run: pip install yfinance") from None
    files = {symbol: csv_path(Path(folder), symbol) for symbol in symbols}
    Path(folder).mkdir(parents=True, exist_ok=True)
    empty = []
    for symbol, file in files.items():
        # One at a time: yfinance joins several on the union of their days, and the gaps then look like bad bars.
        bars = yfinance.download(
            symbol,
            start=start,
            end=end + timedelta(days=1),  # yfinance leaves the last day out
            auto_adjust=False,
            multi_level_index=False,
            progress=False,
        )
        if bars is None or bars.empty:
            empty.append(symbol)
        else:
            _write_csv(bars, file)
    if empty:
        raise DataError(
            f"Yahoo has no bars of {', '.join(empty)} from {start} to {end}; check the spelling and the connection"
        )
    return list(files.values())


def csv_path(folder: Path, symbol: str) -> Path:
    """``folder/SYMBOL.csv``; raises ``DataError`` if a symbol such as ``../x`` would leave the folder."""
    if symbol != Path(symbol).name:
        raise DataError(f"symbol {symbol!r} cannot be a file name")
    return folder / f"{symbol}.csv"


def _write_csv(bars: pd.DataFrame, file: Path) -> None:
    yahoo = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    dated = bars[yahoo].set_axis(pd.DatetimeIndex(bars.index).strftime("%Y-%m-%d"), axis=0)
    write_file(file, lambda draft: dated.to_csv(draft, index_label="Date"))
