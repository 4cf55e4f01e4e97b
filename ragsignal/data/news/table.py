"""A file of news as it stands: CSV or Parquet in, the columns and rows that are wanted out, nothing judged yet."""

from __future__ import annotations

import csv
import difflib
import gzip
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ragsignal.data.check import nearest_symbol
from ragsignal.data.readers import separator_of
from ragsignal.errors import DataError
from ragsignal.types import IntArray
from ragsignal.utils import and_more, first_names

REQUIRED = ("published_at", "symbol", "headline", "id")
_OPTIONAL = ("received_at", "body", "source")
_COLUMNS = (
    "a table of news has the columns published_at, symbol, headline, id, and if need be received_at, body, source"
)
_BLOCK = 1 << 25  # bytes: a record has to fit, however long its body is
_NEAR = 0.8  # received_at and recieved_at
_MARKUP = r"<[A-Za-z/!?]|&[#A-Za-z]"
_TAG = re.compile(r"<(?:!--.*?--|[/!?]?[A-Za-z][^<>]*)>", re.DOTALL)
_ODD = r"[^\P{Z} ]|[\x00-\x1f\x7f-\x{9f}]|  "
_PARTS = re.compile(r"[\s,;|\[\]'\"]+")  # of a list in one cell
_SPACE = r"[\s\x00-\x1f\x7f-\x{9f}\p{Z}]+"  # NUL and other control signs part words


@dataclass(frozen=True, eq=False)
class NewsRows:
    """The rows of a file that name one of the wanted symbols.

    Parameters
    ----------
    file : Path
    columns : dict of str to ChunkedArray, (n,)
        By their plain names; text where the file is a CSV.
    places : (n,) int64
        Which symbol each row names, as a place in the list of wanted ones.
    rows : (n,) int64
        The number of each row in the file, from 0.
    total, outside, unnamed : int
        Rows of the whole file; those that name another symbol; those that name none.
    other_symbols : int
        How many other symbols there are.
    """

    file: Path
    columns: dict[str, pa.ChunkedArray]
    places: IntArray
    rows: IntArray
    total: int
    outside: int
    unnamed: int
    other_symbols: int

    def named(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        """The first five of these rows as a person finds them: lines of a CSV from 1, rows of Parquet from 0."""
        numbers = self.rows[np.sort(rows)]
        shown, kind = numbers[:5].tolist(), "row"
        if self.file.suffix != ".parquet":
            lines, kind = _lines(self.file), "line"
            shown = [lines[number + 1] for number in shown]
        return and_more([f"{kind} {number}" for number in shown], len(numbers))


def read_rows(path: Path, symbols: Sequence[str], body: bool) -> NewsRows:
    """Read the rows of ``symbols``; bodies only where they are wanted.

    Raises
    ------
    DataError
        If there is no such file, it is no table of news, or no row names one of the symbols.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of news; correct news.path")
    names = _names_of(path)
    wanted = [name for name in (*REQUIRED, *_OPTIONAL) if name in names and (body or name != "body")]
    if body and "body" not in names:
        raise DataError(f"{path}: news.body = true, but there is no column body; {_has(names)}")
    table = _read(path, names, wanted)
    named = pc.utf8_trim_whitespace(pc.fill_null(table["symbol"].cast(pa.string()), ""))
    found = pc.index_in(named, value_set=pa.array(symbols, pa.string()))
    mask = pc.is_valid(found)
    unnamed = int(pc.sum(pc.equal(named, "")).as_py() or 0)
    others = pc.unique(named.filter(pc.invert(mask))).to_pylist()
    rows = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).astype(np.int64)
    if len(rows) == 0:
        raise DataError(
            f"{path}: no row names one of the spec's symbols ({len(table):,} rows). {_nearest(symbols, others)}"
        )
    found_rows = NewsRows(
        file=path,
        columns={name: table[name].filter(mask) for name in wanted if name != "symbol"},
        places=found.filter(mask).to_numpy().astype(np.int64),
        rows=rows,
        total=len(table),
        outside=len(table) - len(rows) - unnamed,
        unnamed=unnamed,
        other_symbols=len({*others} - {""}),
    )
    _refuse_other_spellings(found_rows, symbols, named, others)
    return found_rows


def _refuse_other_spellings(
    rows: NewsRows, symbols: Sequence[str], named: pa.ChunkedArray, others: Sequence[str]
) -> None:
    """Refuse what would be left out as another symbol, and is one of ``symbols``, or several, written otherwise."""
    plain = {_plain(symbol): symbol for symbol in symbols}
    for name in others:
        parts = [it for it in _PARTS.split(name) if it]
        wanted = [_plain(it) in plain for it in parts]
        listed = any(wanted) and (all(wanted) or "," in name or ";" in name) and parts != [name]
        if not listed and _plain(name) not in plain:
            continue
        there = np.flatnonzero(pc.equal(named, name).to_numpy(zero_copy_only=False)).astype(np.int64)
        where = ", ".join(replace(rows, rows=there).named(np.arange(len(there))))
        if listed:
            raise DataError(
                f"{rows.file}: several symbols in one cell, {name!r}, at {where}; an item of several symbols is a row "
                "for each, with one id"
            )
        raise DataError(
            f"{rows.file}: symbol {name!r} at {where} is nearly {plain[_plain(name)]!r}; write it as data.symbols "
            "does, or delete these rows"
        )


def _plain(symbol: str) -> str:
    """A symbol without what vendors write differently: BRK.B and brk-b are one, and so are $AAPL and AAPL."""
    return re.sub(r"[./_ ]", "-", symbol.upper()).removeprefix("$")


def clean(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """Text in NFC, without tags, entities and control signs, and with single spaces: (n,) of str."""
    text = pc.fill_null(column.cast(pa.large_string()), "")  # bodies of a million items are more than 2 GB
    marked = pc.match_substring_regex(text, _MARKUP).to_numpy(zero_copy_only=False)
    words = text.to_numpy(zero_copy_only=False)
    if marked.any():
        words = words.copy()
        words[marked.astype(bool)] = [html.unescape(_TAG.sub(" ", it)) for it in words[marked.astype(bool)]]
        text = pa.chunked_array([pa.array(words, pa.large_string())])
    text = pc.utf8_normalize(text, form="NFC")
    if pc.any(pc.match_substring_regex(text, _ODD)).as_py():  # a look costs a fifth of a replacement
        text = pc.replace_substring_regex(text, _SPACE, " ")
    found: NDArray[np.object_] = pc.utf8_trim_whitespace(text).to_numpy(zero_copy_only=False)
    return found


def _nearest(symbols: Sequence[str], others: Sequence[str]) -> str:
    """The nearest name in the table to one of the spec's, or the first of those that there are."""
    there = {name.upper(): name for name in sorted(others) if name}
    if not there:
        return "Write them into the column symbol."
    for symbol in symbols:
        near = difflib.get_close_matches(symbol.upper(), list(there), n=1)
        if near:
            return f"The spec says {symbol!r}; did you mean {there[near[0]]!r}?"
    return nearest_symbol(symbols[0], list(there.values()))


def _names_of(path: Path) -> dict[str, str]:
    """Plain names of the columns, with those that they have in the file; raises ``DataError`` where some lack."""
    written = _parquet_names(path) if path.suffix == ".parquet" else _csv_names(path)
    plain = [re.sub(r"[\s-]+", "_", name.strip().lower()) for name in written]
    twice = sorted({name for name in plain if name in (*REQUIRED, *_OPTIONAL) and plain.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column more than once: {', '.join(twice)}; keep one of them")
    # an unknown name may stand twice: nobody reads it
    names = {
        name if place == plain.index(name) else f"{name} {place}": written[place] for place, name in enumerate(plain)
    }
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise DataError(f"{path}: missing column {', '.join(missing)}; rename the one that holds it: {_has(names)}")
    for name in [it for it in names if it not in (*REQUIRED, *_OPTIONAL)]:
        near = difflib.get_close_matches(name, [it for it in _OPTIONAL if it not in names], n=1, cutoff=_NEAR)
        near = ["received_at"] if name == "available_at" and "received_at" not in names else near
        if near:
            raise DataError(
                f"{path}: unknown column {names[name]!r}. Did you mean {near[0]!r}? Rename it, or delete it"
            )
    return names


def _has(names: dict[str, str]) -> str:
    return f"{_COLUMNS}; the file has {', '.join(map(repr, names.values()))}"


def _read(path: Path, names: dict[str, str], wanted: Sequence[str]) -> pa.Table:
    if path.suffix == ".parquet":
        try:
            table = pq.read_table(path, columns=[names[name] for name in wanted]).rename_columns(list(wanted))
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from error
        for place, name in enumerate(wanted):
            _refuse_lists(path, name, table[name].type)
            if pa.types.is_string_view(table[name].type):  # Arrow filters no views
                table = table.set_column(place, name, table[name].cast(pa.large_string()))
        return table
    ragged: list[int] = []

    def skip(row: pa_csv.InvalidRow) -> str:
        ragged.append(row.actual_columns)
        return "skip"

    try:
        table = pa_csv.read_csv(
            path,
            read_options=pa_csv.ReadOptions(column_names=list(names), skip_rows=1, block_size=_BLOCK),
            parse_options=pa_csv.ParseOptions(
                delimiter=separator_of(_first_line(path)), newlines_in_values=True, invalid_row_handler=skip
            ),
            convert_options=pa_csv.ConvertOptions(
                include_columns=list(wanted), column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    if ragged:
        raise DataError(f"{path}: {len(ragged):,} lines have too few or too many fields; {_ragged(path, len(names))}")
    return table


def _refuse_lists(path: Path, name: str, kind: pa.DataType) -> None:
    """Refuse what holds several values in one field, or bytes that are no text."""
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(
            f"{path}: column {name!r} holds {kind}; expected one value a row. An item of several symbols is a row for "
            f"each: table.explode({name!r})"
        )


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: cannot be read ({str(error).splitlines()[0]}); expected a CSV file in UTF-8 or a Parquet table"
    )


def _parquet_names(path: Path) -> list[str]:
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _csv_names(path: Path) -> list[str]:
    if path.suffix not in (".csv", ".txt") and not path.name.endswith(".csv.gz"):
        raise DataError(f"{path}: its name ends in none of .parquet, .csv, .csv.gz, .txt; rename it, or convert it")
    line = _first_line(path)
    if not line.strip():
        raise DataError(f"{path}: an empty file; {_COLUMNS}")
    return next(csv.reader([line], delimiter=separator_of(line)))


def _first_line(path: Path) -> str:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            return str(file.readline())
    except (OSError, EOFError, ValueError) as error:
        raise _unreadable(path, error) from error


def _ragged(path: Path, width: int) -> str:
    """Say on which lines records have another number of fields than the header."""
    lines = [str(line) for line, fields in _records(path) if fields != width]
    return f"every record needs {width}, as the header has: line {first_names(lines)}"


def _lines(path: Path) -> list[int]:
    """The line on which each record ends, the header first."""
    return [line for line, _ in _records(path)]


def _records(path: Path) -> list[tuple[int, int]]:
    """The line on which each record begins, and how many fields it has; read again, as only messages need it."""
    limit = csv.field_size_limit(_BLOCK)
    found, begins = [], 1
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=separator_of(_first_line(path)))
            for record in reader:
                if record:
                    found.append((begins, len(record)))
                begins = reader.line_num + 1
    finally:
        csv.field_size_limit(limit)
    return found
