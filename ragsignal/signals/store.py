"""Signals kept by content, in one SQLite file or in PostgreSQL: a cache and an audit trail in one.

A row's key is a digest of everything that decides the signal, so that a hit cannot be stale. With each signal stand
its hits and the prompt that was read; days that all stocks of a day share stand once. Another table keeps what a model
said of a text, under the text and all that decides the answer: a prompt that was read for another signal is not read
again. Of two that write the same key the first one stays, and both succeed. A store serves the process that opened
it: locks and sockets do not survive a fork. What differs between databases is in :mod:`ragsignal.signals.tables`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ragsignal.errors import StoreError
from ragsignal.signals.opened import STORE, open_tables
from ragsignal.signals.rows import HITS_PLACE, SHARED, SIGNAL_COLUMNS, day_of, day_record, row_of, signal_of
from ragsignal.signals.tables import TableName
from ragsignal.types import DatedHits, FloatArray, MarketDay, Prompt, Recipe, Score, Signal
from ragsignal.utils import canonical_json, json_digest, masked

_DAY_AND_SCORE = np.dtype([("day", ">u8"), ("score", "<f8")])  # of a set, best first


class SignalStore:
    """Signals, what they were made of, and what models said of texts.

    Parameters
    ----------
    place : Path, ":memory:" or URL
        A SQLite file, created on first use; or a PostgreSQL database, ``postgresql+psycopg://...``, in which a schema
        is made on first use.

    Raises
    ------
    StoreError
        If it cannot be opened as a store.
    ConfigError
        If a URL is none of PostgreSQL, or the extra ``sql`` is not installed.
    """

    def __init__(self, place: Path | str) -> None:
        self._tables = open_tables(place)
        self._process = os.getpid()
        self._recipes: set[str] = set()
        self._sets: dict[str, StoredDays] = {}
        self._days: dict[str, MarketDay] = {}
        self._named: dict[int, tuple[str, MarketDay]] = {}  # by id; the day is kept, so that its id stays its own

    @property
    def place(self) -> Path | str:
        """Where it is, to be told: of a URL without the password."""
        return self._tables.place

    def get(self, keys: Iterable[str]) -> dict[str, Signal]:
        """The stored ones among ``keys``, read in one statement; their hits are decoded when they are looked at."""
        rows = self._among(keys, SIGNAL_COLUMNS, "signals")
        shared = self._hit_sets({row[HITS_PLACE] for row in rows if row[HITS_PLACE].startswith(SHARED)})
        return {row[0]: signal_of(row, shared.get(row[HITS_PLACE])) for row in rows}

    def _hit_sets(self, texts: set[str]) -> dict[str, StoredDays]:
        """The sets of days that rows refer to, each one object however often it is asked for."""
        names = [text.removeprefix(SHARED) for text in texts]
        unread = [name for name in names if name not in self._sets]
        for digest, day, size in self._among(unread, "key, known_through, length(hits)", "hit_sets"):
            count = size // _DAY_AND_SCORE.itemsize
            self._sets[digest] = StoredDays(self, digest, date.fromisoformat(day), count)
        for digest in set(names) - self._sets.keys():
            raise self._lost(digest)
        return {SHARED + digest: self._sets[digest] for digest in names}

    def days_of(self, digest: str) -> tuple[tuple[MarketDay, ...], FloatArray]:
        """The days of a set, best first, and their scores.

        Raises
        ------
        StoreError
            If the store lost them.
        """
        ((_, blob),) = self._among([digest], "key, hits", "hit_sets") or [(digest, b"")]
        pairs = np.frombuffer(blob, dtype=_DAY_AND_SCORE)
        names = [f"{name:016x}" for name in pairs["day"].tolist()]
        unread = set(names) - self._days.keys()
        self._days |= {name: day_of(text) for name, text in self._among(unread, "key, record", "market_days")}
        if not names or unread - self._days.keys():
            raise self._lost(digest)
        return tuple(self._days[name] for name in names), pairs["score"].astype(np.float64)

    def _lost(self, digest: str) -> StoreError:
        return self._tables.error(f"it has lost the days {digest}")

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those among ``keys`` that are not stored."""
        distinct = set(keys)
        return distinct - {key for (key,) in self._among(distinct, "key", "signals")}

    def put(self, recipe: str, signals: Sequence[Signal], prompts: Sequence[Prompt]) -> None:
        """Add a batch in one transaction: all of it or nothing. A signal that is already there stays as it is."""
        rows = [row_of(recipe, signal, prompt) for signal, prompt in zip(signals, prompts, strict=True)]
        self._put_days({id(signal.hits): signal.hits for signal in signals if isinstance(signal.hits, DatedHits)})
        self._add("signals", rows)

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
        records = [(name, day_record(day)) for name, day in days.items()]
        self._add("market_days", records)
        self._add("hit_sets", sets)

    def _name_of(self, day: MarketDay) -> str:
        """Digest of all that is known of a day."""
        if id(day) not in self._named:
            self._named[id(day)] = hashlib.sha256(day_record(day).encode()).hexdigest()[:16], day
        return self._named[id(day)][0]

    def scores(self, keys: Iterable[str]) -> dict[str, Score]:
        """What a model said before, of the texts with these keys; without seconds, as none are spent again."""
        rows = self._among(keys, "key, probability, tokens", "scores")
        return {key: Score(probability, tokens, reused=True) for key, probability, tokens in rows}

    def put_scores(self, scores: Mapping[str, Score]) -> None:
        """Keep what a model said; an answer that is already there stays as it is."""
        rows = [(key, float(score.probability), int(score.tokens)) for key, score in scores.items()]
        self._add("scores", rows)

    def put_recipe(self, recipe: Recipe) -> str:
        """Record a recipe in clear beside its digest; return the digest."""
        digest = json_digest(recipe)
        if digest not in self._recipes:  # a write for each bar would be most of the time of a replay
            row = (digest, canonical_json(recipe))
            self._add("recipes", [row])
            self._recipes.add(digest)
        return digest

    def prompts(self, keys: Iterable[str]) -> dict[str, str]:
        """The texts that were read for the stored ones among ``keys``."""
        return dict(self._among(keys, "key, prompt", "signals"))

    def __len__(self) -> int:
        self._refuse_other_process()
        return self._tables.count("signals")

    def _among(self, keys: Iterable[str], columns: str, table: TableName) -> list[tuple[Any, ...]]:
        """Rows whose key is one of ``keys``."""
        self._refuse_other_process()
        wanted = list(dict.fromkeys(keys))
        return self._tables.among(wanted, columns, table) if wanted else []

    def _add(self, table: TableName, rows: Sequence[tuple[Any, ...]]) -> None:
        self._refuse_other_process()
        if rows:
            self._tables.add(table, rows)

    def _refuse_other_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreError(
                f"the signal store {self.place} was opened by another process, and cannot be used after a fork; give "
                'RagMomentum the path of the spec instead of a loaded pipeline: source="shipped:sample"'
            )


class StoredDays(DatedHits):
    """Days as they stand in a store, read on first look.

    To another process goes the place of the store, which must be there when they are looked at.
    """

    def __init__(self, store: SignalStore | Path | str, digest: str, last: date, count: int) -> None:
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
        place = self._store.place if isinstance(self._store, SignalStore) else self._store
        if place == ":memory:":
            return super().__reduce__()
        return StoredDays, (place, self._digest, self._last, self._count)


@cache
def _store_at(place: Path | str, process: int) -> SignalStore:  # noqa: ARG001 - a fork must not use its parent's
    """The store of this process where another one wrote; a URL came without its password, which is looked up here."""
    url = os.environ.get(STORE, "")
    if isinstance(place, str) and masked(url) != place:
        raise StoreError(
            f"the retrieved days lie in {place}, and {STORE} is {masked(url) or 'not set'} here; set it to that "
            "database on all machines"
        )
    if isinstance(place, Path) and not place.exists():
        raise StoreError(
            f"the retrieved days lie in {place}, and there is no such file here; look at hits on the machine that "
            f"made the signals (without --ray), or set {STORE} to a database that all machines share"
        )
    return SignalStore(url if isinstance(place, str) else place)
