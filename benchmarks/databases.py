"""Reading a million bars from Parquet, SQLite and PostgreSQL; keeping and finding 100,000 signals in either store.

    python -m benchmarks.databases

PostgreSQL is started by the benchmark itself where its package is installed; else its rows are left out.
"""

from __future__ import annotations

import hashlib
import sqlite3
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness import Measure, in_turn, main
from ragsignal.data import SqlSource
from ragsignal.data.prices import read_sql, read_table
from ragsignal.signals import SignalStore
from ragsignal.types import Prompt, Query, Signal
from tests.postgres import Server, binaries, running

COMMAND = "python -m benchmarks.databases"
SYMBOLS, DAYS = 400, 2_500
SIGNALS, BATCH = 100_000, 32
ROUNDS = 3


def measures() -> list[Measure]:
    """Seconds of each side, and its ratio to the file."""
    with tempfile.TemporaryDirectory() as place, _server() as server:
        return [*_reading(Path(place), server), *_keeping(Path(place), server)]


@contextmanager
def _server() -> Iterator[Server | None]:
    if binaries() is None:
        yield None
        return
    with running() as server:
        yield server


def _bars() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2010-01-04", periods=DAYS).strftime("%Y-%m-%d")
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (SYMBOLS, DAYS)), axis=1)).ravel().round(4)
    prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    names = np.repeat([f"S{number:03d}" for number in range(SYMBOLS)], DAYS)
    volume = rng.integers(0, 10**9, SYMBOLS * DAYS).astype(float)
    return pd.DataFrame({"symbol": names, "date": np.tile(days, SYMBOLS), **prices, "volume": volume})


def _reading(folder: Path, server: Server | None) -> Iterator[Measure]:
    table = _bars()
    table.to_parquet(folder / "bars.parquet", index=False)
    with sqlite3.connect(folder / "bars.db") as connection:
        table.to_sql("bars", connection, index=False)
    sqlite = SqlSource(f"sqlite:///{folder}/bars.db", "bars")
    sides = {"Parquet": lambda: read_table(folder / "bars.parquet"), "SQLite": lambda: read_sql(sqlite)}
    if server is not None:
        for kind in ("float8", "numeric"):
            source = SqlSource(_copied(server, table, kind), "bars")
            sides[f"PostgreSQL, {kind}"] = lambda source=source: read_sql(source)
    expected = sides["Parquet"]()
    assert all(read() == expected for read in sides.values())
    taken = {name: statistics.median(it) for name, it in in_turn(sides, ROUNDS, warm=False).items()}
    for name in [*taken][1:]:
        yield _slower(f"reading {len(table):,} bars out of {name}", taken[name], taken["Parquet"], "Parquet")


def _copied(server: Server, table: pd.DataFrame, kind: str) -> str:
    import psycopg

    database = server.new_database()
    server.run(f"CREATE TABLE bars (symbol text, date date, {', '.join(f'{it} {kind}' for it in table.columns[2:])})",
               database=database)  # fmt: skip
    with (
        psycopg.connect(f"host={server.folder} user=postgres dbname={database}") as connection,
        connection.cursor().copy("COPY bars FROM STDIN (FORMAT csv)") as copy,
    ):
        copy.write(table.to_csv(index=False, header=False))
    return server.url(database)


def _keeping(folder: Path, server: Server | None) -> Iterator[Measure]:
    day = date(2020, 1, 2)
    signals = [Signal("AA", day, 0.1, 0.55, None, (), _key(number), tokens=44) for number in range(SIGNALS)]
    prompts = [Prompt(Query("AA", (day,), (1.0,)), (), "A B C D E F G H " * 5)] * SIGNALS
    numbers, places = count(), [it for it in ("SQLite", "PostgreSQL") if it == "SQLite" or server is not None]
    stores: dict[str, SignalStore] = {}

    def put(name: str, size: int, total: int) -> None:
        fresh = folder / f"{next(numbers)}.sqlite"
        stores[name] = SignalStore(fresh if server is None or name == "SQLite" else server.url(server.new_database()))
        for start in range(0, total, size):
            stores[name].put("recipe", signals[start : start + size], prompts[start : start + size])

    works = {
        f"keeping {SIGNALS // 10:,} signals, {BATCH} at a time": lambda name: put(name, BATCH, SIGNALS // 10),
        f"keeping {SIGNALS:,} signals at once": lambda name: put(name, SIGNALS, SIGNALS),
        f"finding {SIGNALS:,} signals": lambda name: stores[name].get([it.key for it in signals]),
    }
    for what, work in works.items():
        taken = in_turn({name: lambda name=name, work=work: work(name) for name in places}, ROUNDS, warm=False)
        if server is not None:
            ours, rival = (statistics.median(taken[name]) for name in ("PostgreSQL", "SQLite"))
            yield _slower(f"{what} in PostgreSQL", ours, rival, "SQLite")


def _key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def _slower(name: str, ours: float, rival: float, against: str) -> Measure:
    return Measure(f"{name}: seconds, a multiple of {against}'s", ours / rival, "x", against, "", COMMAND,
                   {"ours_s": ours, "rival_s": rival, "rounds": ROUNDS})  # fmt: skip


if __name__ == "__main__":
    main(measures)
