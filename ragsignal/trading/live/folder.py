"""A folder that is appended to, one CSV file a symbol, as a source of bars.

    SYMBOL.csv ─► whole lines since the last look ─► bars

A line is whole once its newline is there. A file may be appended to, or replaced by a rename; one that was changed
anywhere but at its end is read again from its beginning.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ragsignal.data import canonical_header, csv_path, nearest_symbol, parse_bars
from ragsignal.errors import DataError
from ragsignal.trading.live.bars import Bar, Event, Polled

_NEEDED = ("date", "open", "high", "low", "close", "volume")
_ADJUSTED = "adj close"
_FORM = "Date,Open,High,Low,Close,Volume, with or without Adj Close"
_AT_REST = 60.0  # seconds after which nobody is writing the rest of a line
_KEPT = 256  # bytes before the place that was read up to, by which a file that was rewritten is known

_Line = dict[str, str]


class FolderSource:
    """Polls the files of a folder.

    Parameters
    ----------
    folder : Path
    symbols : sequence of str
        Each has a file ``SYMBOL.csv`` with a header: Date, Open, High, Low, Close, Volume and possibly Adj Close. Where
        there is an adjusted close, prices are multiplied by its ratio to the close.

    Raises
    ------
    DataError
        If the folder or a file is not there.
    """

    def __init__(self, folder: Path, symbols: Sequence[str]) -> None:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; it is data.path of the spec, and holds one SYMBOL.csv a symbol")
        present = sorted(file.stem for file in folder.glob("*.csv"))
        absent = [symbol for symbol in symbols if symbol not in present]
        if not present:
            raise DataError(
                f"{folder}: no price file in this folder; name each file SYMBOL.csv, with the header {_FORM}"
            )
        if absent:
            raise DataError(f"{folder}: no file {absent[0]}.csv. {nearest_symbol(absent[0], present)}")
        self.symbols = tuple(symbols)
        self._files = [_GrowingFile(csv_path(folder, symbol), symbol) for symbol in symbols]

    def poll(self) -> Polled:
        """The bars of all lines that came since the last call.

        Raises
        ------
        DataError
            If a file has no header.
        """
        polled = Polled()
        lines = [line for file in self._files for line in file.read(polled)]
        if lines:
            _parse(lines, polled)
        return polled


class _GrowingFile:
    """One file, and how far it was read."""

    def __init__(self, path: Path, symbol: str) -> None:
        self._path, self._symbol = path, symbol
        self._seen: tuple[int, int, int] | None = None
        self._restart()
        self._gone = self._rests = False

    def _restart(self) -> None:
        self._offset, self._before, self._header = 0, b"", list[str]()

    def read(self, polled: Polled) -> list[_Line]:
        """Whole lines since the last time; all of them, where the file is another one."""
        try:
            status = os.stat(self._path)
            state = (status.st_ino, status.st_size, status.st_mtime_ns)
            if state == self._seen:
                self._tell_of_rest(status, polled)
                return []
            whole = self._whole_bytes(state)
        except OSError as error:
            if not self._gone:
                words = f"cannot be read ({error.strerror}); put it back, its later bars are read then"
                polled.events.append(Event("source", self._symbol, None, f"{self._path} {words}"))
            self._gone = True
            return []
        self._gone, self._seen = False, state
        self._tell_of_rest(status, polled)
        return self._lines(whole, polled)

    def _tell_of_rest(self, status: os.stat_result, polled: Polled) -> None:
        """Tell, once, of a last line that nobody ends."""
        rests = status.st_size > self._offset and time.time() - status.st_mtime > _AT_REST
        if rests and not self._rests:
            words = "ends in a line without a newline, which may be half of one; end it with one, and it is read"
            polled.events.append(Event("source", self._symbol, None, f"{self._path} {words}"))
        self._rests = rests

    def _whole_bytes(self, state: tuple[int, int, int]) -> bytes:
        with self._path.open("rb") as file:
            seen, grown = self._seen, state[1] > self._offset
            if seen is not None:
                file.seek(self._offset - len(self._before))
                if seen[0] != state[0] or not grown or file.read(len(self._before)) != self._before:
                    self._restart()
            file.seek(self._offset)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._before = (self._before + whole)[-_KEPT:]
        return whole

    def _lines(self, whole: bytes, polled: Polled) -> list[_Line]:
        records = [it for it in csv.reader(whole.decode("utf-8-sig", "replace").splitlines()) if it]
        if not self._header and records:
            self._header = canonical_header(records.pop(0))
            self._refuse_header()
        fields = len(self._header)
        for record in [it for it in records if any(it[fields:])]:
            words = f"{','.join(record)!r} has {len(record)} fields, and the header {fields}; correct it at the source"
            polled.events.append(Event("bad", self._symbol, None, f"{words}, and it is read again"))
        # a line that has too few fields keeps its empty ones, and is refused as a bar
        empty = dict.fromkeys(self._header, "")
        whole_lines = [{**empty, **dict(zip(self._header, it, strict=False))} for it in records if not any(it[fields:])]
        return [{**line, "symbol": self._symbol} for line in whole_lines]

    def _refuse_header(self) -> None:
        missing = [name for name in _NEEDED if name not in self._header]
        if missing:
            raise DataError(f"{self._path}: its first line is no header with {', '.join(missing)}; write one: {_FORM}")
        twice = [name for name in (*_NEEDED, _ADJUSTED) if self._header.count(name) > 1]
        if twice:
            raise DataError(f"{self._path}: column more than once: {', '.join(twice)}; keep one of them")


def _parse(lines: list[_Line], polled: Polled) -> None:
    """Turn lines into bars; what has no day becomes an event."""
    names = ("symbol", *_NEEDED, *({_ADJUSTED} if any(_ADJUSTED in line for line in lines) else ()))
    table = pd.DataFrame({name: [line.get(name, "") for line in lines] for name in names})
    bars = parse_bars(table)
    adjusted = bars["close"]
    if _ADJUSTED in table:  # of some files: others are adjusted already
        adjusted = bars[_ADJUSTED].where(np.array([_ADJUSTED in line for line in lines]), adjusted)
    factor = adjusted / bars["close"]
    prices = [(bars[name] * factor).tolist() for name in ("open", "high", "low", "close")]
    volume = (bars["volume"] / factor).tolist()
    # of a time of day nobody knows here whose clock it is, and bars of hours would be taken for one
    days = [
        None if pd.isna(day) or clock else day.date() for day, clock in zip(bars["day"], bars["clock"], strict=True)
    ]
    for symbol, day, written, *values in zip(table["symbol"], days, table["date"], *prices, volume, strict=True):
        if day is None:
            words = f"{written!r} is no day; write it as YYYY-MM-DD, and the line is read again"
            polled.events.append(Event("bad", symbol, None, words))
        else:
            polled.bars.append(Bar(symbol, day, *values))
