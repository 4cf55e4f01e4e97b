"""Signals kept by content, in one SQLite file: a cache and an audit trail in one.

A row's key is a digest of everything that decides the signal, so that a hit cannot be stale. With each signal stand
its hits and the prompt that was read; days that all stocks of a day share stand once. Another table keeps what a model
said of a text, under the text and all that decides the answer: a prompt that was read for another signal is not read
again. One writer at a time; readers never wait (write-ahead log). A store serves the process that opened it: SQLite's
locks do not survive a fork.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from ragsignal.errors import StoreError
from ragsignal.types import Candidate, DatedHits, FloatArray, Hit, MarketDay, Movement, Prompt, Recipe, Score, Signal
from ragsignal.utils import Database, canonical_json, disk_is_full, full_disk, json_digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS recipes (digest TEXT PRIMARY KEY, recipe TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signals (
    key TEXT PRIMARY KEY, recipe TEXT NOT NULL, symbol TEXT NOT NULL, as_of TEXT NOT NULL,
    value REAL NOT NULL, probability REAL NOT NULL, abstained TEXT,
    hits TEXT NOT NULL, prompt TEXT NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL, rank REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS hit_sets (key TEXT PRIMARY KEY, known_through TEXT NOT NULL, hits BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS market_days (key TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
    key TEXT PRIMARY KEY, probability REAL NOT NULL, tokens INTEGER NOT NULL
) WITHOUT ROWID;
"""
_COLUMNS = "key, symbol, as_of, value, probability, abstained, hits, tokens, seconds, rank"
_HITS = 6  # the place of hits among them
_SET = "set:"  # begins the hits of a row that shares them with others
_DAY_AND_SCORE = np.dtype([("day", ">u8"), ("score", "<f8")])  # of a set, best first


class SignalStore:
    """A file of signals.

    Parameters
    ----------
    path : Path or ":memory:"
        Created on first use.

    Raises
    ------
    StoreError
        If the file cannot be opened as a store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self._process = os.getpid()
        self._recipes: set[str] = set()
        self._sets: dict[str, StoredDays] = {}
        self._days: dict[str, MarketDay] = {}
        self._named: dict[int, tuple[str, MarketDay]] = {}  # by id; the day is kept, so that its id stays its own
        try:
            self._database = Database(path, _prepare)
            with self._database.connection() as connection:
                self._keys_at_once = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def get(self, keys: Iterable[str]) -> dict[str, Signal]:
        """The stored ones among ``keys``, read in one statement; their hits are decoded when they are looked at."""
        rows = self._among(keys, _COLUMNS, "signals")
        shared = self._hit_sets({row[_HITS] for row in rows if row[_HITS].startswith(_SET)})
        return {row[0]: _signal_of(row, shared.get(row[_HITS])) for row in rows}

    def _hit_sets(self, texts: set[str]) -> dict[str, StoredDays]:
        """The sets of days that rows refer to, each one object however often it is asked for."""
        names = [text.removeprefix(_SET) for text in texts]
        unread = [name for name in names if name not in self._sets]
        for digest, day, size in self._among(unread, "key, known_through, length(hits)", "hit_sets"):
            count = size // _DAY_AND_SCORE.itemsize
            self._sets[digest] = StoredDays(self, digest, date.fromisoformat(day), count)
        for digest in set(names) - self._sets.keys():
            raise self._lost(digest)
        return {_SET + digest: self._sets[digest] for digest in names}

    def days_of(self, digest: str) -> tuple[tuple[MarketDay, ...], FloatArray]:
        """The days of a set, best first, and their scores.

        Raises
        ------
        StoreError
            If the file lost them.
        """
        ((blob,),) = self._read("SELECT hits FROM hit_sets WHERE key = ?", [digest]) or [(b"",)]
        pairs = np.frombuffer(blob, dtype=_DAY_AND_SCORE)
        names = [f"{name:016x}" for name in pairs["day"].tolist()]
        unread = set(names) - self._days.keys()
        self._days |= {name: _day_of(text) for name, text in self._among(unread, "key, record", "market_days")}
        if not names or unread - self._days.keys():
            raise self._lost(digest)
        return tuple(self._days[name] for name in names), pairs["score"].astype(np.float64)

    def _lost(self, digest: str) -> StoreError:
        return StoreError(self._complaint(LookupError(f"it has lost the days {digest}")))

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those among ``keys`` that are not stored."""
        distinct = set(keys)
        return distinct - {key for (key,) in self._among(distinct, "key", "signals")}

    def put(self, recipe: str, signals: Sequence[Signal], prompts: Sequence[Prompt]) -> None:
        """Add a batch in one transaction: all of it or nothing. A signal that is already there stays as it is."""
        rows = [_row_of(recipe, signal, prompt) for signal, prompt in zip(signals, prompts, strict=True)]
        self._put_days({id(signal.hits): signal.hits for signal in signals if isinstance(signal.hits, DatedHits)})
        # not INSERT OR IGNORE, which would also drop a row that breaks NOT NULL (SQLite stores NaN as NULL)
        self._write(
            "INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING", rows
        )

    def _put_days(self, shared: Mapping[int, DatedHits]) -> None:
        """Keep sets of days, before the signals that refer to them."""
        days, sets = dict[str, MarketDay](), []
        for hits in shared.values():
            if hits.known_through is None or hits.digest in self._sets:
                continue
            names = list(map(self._name_of, hits.days))
            days |= dict(zip(names, hits.days, strict=True))
            pairs = np.empty(len(hits), dtype=_DAY_AND_SCORE)
            pairs["day"] = np.frombuffer(bytes.fromhex("".join(names)), dtype=">u8")
            pairs["score"] = hits.scores
            sets.append((hits.digest, f"{hits.known_through}", pairs.tobytes()))
        records = [(name, _day_record(day)) for name, day in days.items()]
        self._write("INSERT INTO market_days VALUES (?, ?) ON CONFLICT (key) DO NOTHING", records)
        self._write("INSERT INTO hit_sets VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", sets)

    def _name_of(self, day: MarketDay) -> str:
        """Digest of all that is known of a day."""
        if id(day) not in self._named:
            self._named[id(day)] = hashlib.sha256(_day_record(day).encode()).hexdigest()[:16], day
        return self._named[id(day)][0]

    def scores(self, keys: Iterable[str]) -> dict[str, Score]:
        """What a model said before, of the texts with these keys; without seconds, as none are spent again."""
        rows = self._among(keys, "key, probability, tokens", "scores")
        return {key: Score(probability, tokens, reused=True) for key, probability, tokens in rows}

    def put_scores(self, scores: Mapping[str, Score]) -> None:
        """Keep what a model said; an answer that is already there stays as it is."""
        rows = [(key, float(score.probability), int(score.tokens)) for key, score in scores.items()]
        self._write("INSERT INTO scores VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", rows)

    def put_recipe(self, recipe: Recipe) -> str:
        """Record a recipe in clear beside its digest; return the digest."""
        digest = json_digest(recipe)
        if digest not in self._recipes:  # a write for each bar would be most of the time of a replay
            row = (digest, canonical_json(recipe))
            self._write("INSERT INTO recipes VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", [row])
            self._recipes.add(digest)
        return digest

    def prompts(self, keys: Iterable[str]) -> dict[str, str]:
        """The texts that were read for the stored ones among ``keys``."""
        return dict(self._among(keys, "key, prompt", "signals"))

    def __len__(self) -> int:
        return int(self._read("SELECT count(*) FROM signals", [])[0][0])

    def _among(self, keys: Iterable[str], columns: str, table: str) -> list[tuple[Any, ...]]:
        """Rows whose first column is one of ``keys``, in one statement unless SQLite takes fewer (often 250,000).

        Not as one JSON list: SQLite's ``json_each`` ends a text at its first NUL.
        """
        wanted, key = list(dict.fromkeys(keys)), columns.partition(",")[0]
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(wanted), self._keys_at_once):
            chunk = wanted[start : start + self._keys_at_once]
            marks = ",".join("?" * len(chunk))
            rows += self._read(f"SELECT {columns} FROM {table} WHERE {key} IN ({marks})", chunk)
        return rows

    def _read(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        self._refuse_other_process()
        try:
            return self._database.read(statement, values)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        self._refuse_other_process()
        try:
            self._database.write((statement, rows))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(self._complaint(error)) from error

    def _refuse_other_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreError(
                f"the signal store {self.path} was opened by another process, and cannot be used after a fork; give "
                'RagMomentum the path of the spec instead of a loaded pipeline: source="shipped:sample"'
            )

    def _complaint(self, error: Exception) -> str:
        if disk_is_full(error):
            return str(full_disk(f"the signal store {self.path}", error))
        return (
            f"cannot use the signal store {self.path}: {error}; if it is damaged, move the file away and run again "
            "(signals are made anew), or set RAGSIGNAL_CACHE to a folder that can be written"
        )


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # With WAL, NORMAL survives a killed process; only a power cut can lose the last batch.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(_SCHEMA)
    _add_rank(connection)


def _add_rank(connection: sqlite3.Connection) -> None:
    """Give a file of before ranks existed its column: what a language model said is worth keeping."""
    columns = [row[1] for row in connection.execute("PRAGMA table_info(signals)")]
    if "rank" not in columns:
        connection.execute("ALTER TABLE signals ADD COLUMN rank REAL NOT NULL DEFAULT 0.0")


def _row_of(recipe: str, signal: Signal, prompt: Prompt) -> tuple[Any, ...]:
    text = f"{prompt.system}\n\n{prompt.text}" if prompt.system else prompt.text
    return (
        signal.key,
        recipe,
        signal.symbol,
        signal.as_of.isoformat(),
        signal.value,
        signal.probability,
        signal.abstained,
        _hits_text(signal.hits),
        text,
        signal.tokens,
        signal.seconds,
        signal.rank,
    )


def _hits_text(hits: Sequence[Hit]) -> str:
    if isinstance(hits, DatedHits):
        return _SET + hits.digest if hits.known_through else "[]"
    return json.dumps([_hit_record(hit) for hit in hits])


class StoredDays(DatedHits):
    """Days as they stand in a file, read on first look.

    To another process goes the place of the file, which must be there when they are looked at.
    """

    def __init__(self, store: SignalStore | Path, digest: str, last: date, count: int) -> None:
        self._store, self._digest, self._last, self._count = store, digest, last, count

    @cached_property
    def _read(self) -> tuple[tuple[MarketDay, ...], FloatArray]:
        store = self._store if isinstance(self._store, SignalStore) else _store_at(self._store, os.getpid())
        return store.days_of(self._digest)

    @property
    def days(self) -> tuple[MarketDay, ...]:
        """The days, best first."""
        return self._read[0]

    @property
    def scores(self) -> FloatArray:
        """Their scores, (k,)."""
        return self._read[1]

    @property
    def digest(self) -> str:
        """As that of the hits that were stored."""
        return self._digest

    @property
    def known_through(self) -> date:
        """The day on which the last of them was known."""
        return self._last

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"StoredDays({self._digest[:16]})"

    def __reduce__(self) -> Any:
        # not the days themselves: a window of hundreds a day would be most of what travels
        place = self._store.path if isinstance(self._store, SignalStore) else self._store
        if place == ":memory:":
            return super().__reduce__()
        return StoredDays, (Path(place), self._digest, self._last, self._count)


@cache
def _store_at(path: Path, process: int) -> SignalStore:  # noqa: ARG001 - a fork must not use its parent's
    """The store of this process on a file that another one wrote."""
    if not path.exists():
        raise StoreError(
            f"the retrieved days lie in {path}, and there is no such file here; look at hits on the machine that "
            "made the signals (without --ray), or set RAGSIGNAL_CACHE to a folder that all machines share"
        )
    return SignalStore(path)


class StoredHits(Sequence[Hit]):
    """Hits as they stand in a row, decoded on first look: a backtest that is replayed reads thousands and needs few.

    Equal to a tuple of the same hits.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def ids(self) -> list[str]:
        """Names of the candidates, read without making them: a table of a long run names millions."""
        # as `_hit_record` writes them: score, name, ...
        return [record[1] for record in json.loads(self._text)]

    @cached_property
    def _hits(self) -> tuple[Hit, ...]:
        return tuple(_hit_of(record, rank) for rank, record in enumerate(json.loads(self._text)))

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Hit]: ...
    def __getitem__(self, at: int | slice) -> Hit | Sequence[Hit]:
        return self._hits[at]

    def __len__(self) -> int:
        return len(self._hits)

    def __eq__(self, other: object) -> bool:
        return self._hits == (other._hits if isinstance(other, StoredHits) else other)

    def __hash__(self) -> int:
        return hash(self._hits)

    def __repr__(self) -> str:
        return repr(self._hits)

    def __reduce__(self) -> Any:
        return StoredHits, (self._text,)


def _signal_of(row: tuple[Any, ...], shared: StoredDays | None) -> Signal:
    key, symbol, as_of, value, probability, abstained, hits, tokens, seconds, rank = row
    return Signal(
        symbol=symbol,
        as_of=date.fromisoformat(as_of),
        value=value,
        probability=probability,
        abstained=abstained,
        hits=shared if shared is not None else (StoredHits(hits) if hits != "[]" else ()),
        key=key,
        tokens=tokens,
        seconds=seconds,
        rank=rank,
    )


def _hit_record(hit: Hit) -> list[Any]:
    candidate = hit.sequence
    return [
        hit.score,
        candidate.id,
        candidate.symbol,
        candidate.sequence,
        [day.isoformat() for day in candidate.dates],
        list(candidate.values),
        list(candidate.scaled),
        int(candidate.movement),
        candidate.outcome,
        candidate.available_at.isoformat(),
    ]


def _hit_of(record: list[Any], rank: int) -> Hit:
    score, name, symbol, sequence, days, values, scaled, movement, outcome, available_at = record
    candidate = Candidate(
        id=name,
        symbol=symbol,
        sequence=sequence,
        dates=tuple(date.fromisoformat(day) for day in days),
        values=tuple(values),
        scaled=tuple(scaled),
        movement=Movement(movement),
        outcome=outcome,
        available_at=date.fromisoformat(available_at),
    )
    return Hit(candidate=candidate, score=score, rank=rank)


def _day_record(day: MarketDay) -> str:
    return json.dumps([day.day.isoformat(), day.state, day.payoffs, day.stocks, day.available_at.isoformat()])


def _day_of(text: str) -> MarketDay:
    day, state, payoffs, stocks, available_at = json.loads(text)
    return MarketDay(date.fromisoformat(day), tuple(state), tuple(payoffs), stocks, date.fromisoformat(available_at))
