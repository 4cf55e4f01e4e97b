"""The journal of a live run: every day that was given to the strategies, and the signals that it was traded on.

It is the one truth. Account, positions and open orders follow from it by replaying its days through the engine, and are
kept beside them as a check. A day is one transaction: it is there with all its bars and signals, or not at all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ragsignal.errors import ConfigError, DataError, StoreError
from ragsignal.trading.live.bars import Bar, Event
from ragsignal.types import Signal
from ragsignal.utils import Database, locked

HEARTBEAT = ".jsonl"
"""Ends the name of the file beside a journal into which a run writes that it lives."""

_FORMAT = "1"
_LEAST = 512  # bytes of a SQLite page
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, recorded_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bars (
    day TEXT NOT NULL, symbol TEXT NOT NULL, open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL,
    close REAL NOT NULL, volume REAL NOT NULL, PRIMARY KEY (day, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (
    day TEXT NOT NULL, symbol TEXT NOT NULL, value REAL NOT NULL, probability REAL NOT NULL, abstained TEXT,
    key TEXT NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL, rank REAL NOT NULL, PRIMARY KEY (day, symbol)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (day TEXT PRIMARY KEY, account TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    kind TEXT NOT NULL, symbol TEXT NOT NULL, day TEXT NOT NULL, words TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (kind, symbol, day, words)
) WITHOUT ROWID;
"""

Account = dict[str, Any]
"""Equity, cash, positions and open orders after a day's orders were sent."""


@dataclass(frozen=True)
class LiveDay:
    """One day as it was given to the strategies.

    Parameters
    ----------
    day : date
    bars : mapping of symbol to Bar
        Of the symbols that have one.
    """

    day: date
    bars: Mapping[str, Bar]


class LiveJournal:
    """A SQLite file. Open one with :meth:`opened`.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StoreError
        From here and from every method, if the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._readable():
            if path.is_file() and 0 < path.stat().st_size < _LEAST:
                raise OSError(f"it is cut off after {path.stat().st_size} bytes")  # which SQLite takes for a new file
            self._database = Database(path, _prepare)

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[LiveJournal]:
        """Open a journal for one process alone, and close it in the end.

        Raises
        ------
        ConfigError
            If another process has it, or its name is that of a heartbeat.
        StoreError
            If its folder cannot be written to.
        """
        if path.suffix == HEARTBEAT:
            raise ConfigError(f"the journal {path} would lie where its heartbeat does; name it {path.stem}.sqlite")
        lock = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.touch()
        except OSError as error:
            raise StoreError(
                f"no journal can be written at {path}: {error}; name another place: --journal FILE"
            ) from error
        # not the file itself: who closes a second handle of a SQLite file gives up SQLite's own locks
        with locked(lock, alone=True, wait=False) as ours:
            if not ours:
                raise ConfigError(
                    f"the journal {path} is in use by another process; stop that one (SIGTERM), or take another "
                    "file: --journal FILE"
                )
            journal = cls(path)
            try:
                yield journal
            finally:
                journal._database.close()

    def begin(self, about: Mapping[str, Any]) -> None:
        """Say what the journal is of; the first time it is written, later compared.

        Raises
        ------
        ConfigError
            If it is of something else; names the first key that differs.
        """
        wanted = {"format": _FORMAT, **{name: json.dumps(value, sort_keys=True) for name, value in about.items()}}
        found = dict(self._read("SELECT name, value FROM about"))
        if not found:
            self._write(("INSERT INTO about VALUES (?, ?)", list(wanted.items())))
            return
        self._compare(wanted, found)

    def keep(self, more: Mapping[str, str]) -> None:
        """As :meth:`begin`, for what is known only later: what is not there yet is written."""
        found = dict(self._read("SELECT name, value FROM about"))
        wanted = {name: json.dumps(value) for name, value in more.items()}
        new = [(name, value) for name, value in wanted.items() if name not in found]
        self._compare({name: value for name, value in wanted.items() if name in found}, found)
        self._write(("INSERT INTO about VALUES (?, ?)", new))

    def _compare(self, wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
        for name, value in wanted.items():
            if found.get(name) != value:
                place, before, now = _difference("", found.get(name), value)
                raise ConfigError(
                    f"the journal {self.path} is of another run: its {name} is {f'another at {place}: ' * bool(place)}"
                    f"{_short(before)}, and now {_short(now)}; its account cannot go on with that. Take back the "
                    "change, or begin a new journal: --journal FILE"
                )

    def about(self) -> dict[str, Any]:
        """What :meth:`begin` wrote; empty for a new journal."""
        with self._readable():
            found = dict(self._read("SELECT name, value FROM about WHERE name <> 'format'"))
            return {name: json.loads(value) for name, value in found.items()}

    def days(self) -> list[LiveDay]:
        """All days, oldest first, those before the first traded one included."""
        with self._readable():
            days: dict[str, dict[str, Bar]] = {day: {} for (day,) in self._read("SELECT day FROM days ORDER BY day")}
            for text, symbol, *values in self._read("SELECT day, symbol, open, high, low, close, volume FROM bars"):
                days[text][symbol] = Bar(symbol, date.fromisoformat(text), *values)
            return [LiveDay(date.fromisoformat(text), bars) for text, bars in days.items()]

    def signals(self) -> list[Signal]:
        """The signals of all days, without their hits."""
        columns = "symbol, day, value, probability, abstained, key, tokens, seconds, rank"
        with self._readable():
            return [
                Signal(symbol, date.fromisoformat(day), value, probability, abstained, (), *rest)
                for symbol, day, value, probability, abstained, *rest in self._read(f"SELECT {columns} FROM signals")
            ]

    def last_recorded(self) -> datetime | None:
        """When the last day was written, in UTC."""
        with self._readable():
            ((text,),) = self._read("SELECT max(recorded_at) FROM days")
            return None if text is None else datetime.fromisoformat(text)

    def record(self, days: Sequence[LiveDay], signals: Sequence[Signal], now: datetime) -> None:
        """Add days, with the signals of their bars, in one transaction."""
        at = now.isoformat(timespec="seconds")
        bars = [(day.day.isoformat(), bar.symbol, *bar.values) for day in days for bar in day.bars.values()]
        rows = [
            (str(it.as_of), it.symbol, it.value, it.probability, it.abstained, it.key, it.tokens, it.seconds, it.rank)
            for it in signals
        ]
        self._write(
            ("INSERT INTO days VALUES (?, ?)", [(day.day.isoformat(), at) for day in days]),
            ("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?)", bars),
            ("INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows),
        )

    def accounts(self) -> dict[date, str]:
        """Each day's account, as JSON."""
        with self._readable():
            found = self._read("SELECT day, account FROM accounts")
            return {date.fromisoformat(day): account for day, account in found if json.loads(account)}

    def record_account(self, day: date, account: str) -> None:
        """Keep what an account was after a day."""
        self._write(("INSERT INTO accounts VALUES (?, ?)", [(day.isoformat(), account)]))

    def note(self, events: Sequence[Event], now: datetime) -> list[Event]:
        """Keep events; returns those that were not known."""
        new = []
        for event in events:
            row = (event.kind, event.symbol, str(event.day or ""), event.words)
            where = "kind = ? AND symbol = ? AND day = ? AND words = ?"
            if not self._read(f"SELECT 1 FROM events WHERE {where}", row):
                self._write(("INSERT INTO events VALUES (?, ?, ?, ?, ?)", [(*row, now.isoformat(timespec="seconds"))]))
                new.append(event)
        return new

    def events(self) -> list[Event]:
        """All events by day."""
        rows = self._read("SELECT kind, symbol, day, words FROM events ORDER BY at, day, symbol, kind")
        return [
            Event(kind, symbol, date.fromisoformat(day) if day else None, words) for kind, symbol, day, words in rows
        ]

    def _read(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._readable():
            return self._database.read(statement, values)

    def _write(self, *steps: tuple[str, Sequence[tuple[Any, ...]]]) -> None:
        with self._readable():
            self._database.write(*steps)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError, KeyError, TypeError) as error:  # the last of rows that are damaged
            reason = str(error) or type(error).__name__
            raise StoreError(
                f"cannot use the journal {self.path}: {reason}; it holds the account: if the disk is full make room, "
                "if the file is damaged put back a copy of it, or begin a new one: --journal FILE"
            ) from error


def check_replayed(path: Path, day: date, recorded: str, now: str) -> None:
    """Raise ``DataError`` if a replayed day does not end as it did when it was live."""
    if recorded == now:
        return
    before, after = json.loads(recorded), json.loads(now)
    name = next((name for name in before if before[name] != after.get(name)), "account")
    raise DataError(
        f"replaying the journal {path} gives another {name} on {day}: {_short(json.dumps(after.get(name)))}, and it "
        f"was {_short(json.dumps(before.get(name)))}. The strategy or a library works otherwise than when the day was "
        "traded: take back that change, or begin a new journal: --journal FILE"
    )


def _difference(place: str, before: str | None, now: str | None) -> tuple[str, str | None, str | None]:
    """The first place within two JSON texts at which they differ, ``retrieval.k``, and what stands there."""
    old, new = (_parts(it) for it in (before, now))
    name = next((it for it in (*old, *new) if old.get(it) != new.get(it)), None)
    if not old or not new or name is None:
        return place, before, now
    return _difference(f"{place}.{name}".lstrip("."), old.get(name), new.get(name))


def _parts(text: str | None) -> dict[str, str]:
    """The values of a JSON object or list as texts, by name or number; nothing of any other text."""
    whole = json.loads(text) if text is not None and text[:1] in ("{", "[") else {}
    named = whole.items() if isinstance(whole, dict) else enumerate(whole)
    return {str(name): json.dumps(value, sort_keys=True) for name, value in named}


def _short(text: str | None) -> str:
    return "nothing" if text is None else text if len(text) <= 60 else text[:57] + "..."


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a day that was traded must survive a power cut
    connection.executescript(_SCHEMA)
