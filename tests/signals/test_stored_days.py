"""Retrieved days in the store: each set once, equal to what was retrieved, and never silently lost."""

from __future__ import annotations

import gc
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.data import DayHits
from ragsignal.errors import StoreError
from ragsignal.retrieval import NearestDays, RandomDays
from ragsignal.signals.store import SignalStore, StoredDays
from ragsignal.types import Prompt, Query, Signal, known_through
from tests.day_tables import METRIC, day_at, drawn_days

TABLE = drawn_days()
RETRIEVER = NearestDays(TABLE, METRIC, k=20, opposite=10)
DAYS = [day_at(TABLE, row) for row in range(120, 130)]


def signal(day: date, hits: object, symbol: str = "AA") -> Signal:
    return Signal(symbol, day, 0.2, 0.6, None, hits, f"{symbol}/{day}")  # type: ignore[arg-type]


def put(store: SignalStore, *signals: Signal) -> None:
    store.put("recipe", signals, [Prompt(Query(it.symbol, (it.as_of,), (1.0,)), ()) for it in signals])


def count(path: Path, table: str) -> int:
    found: int = sqlite3.connect(path).execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


@settings(max_examples=25, deadline=None)
@given(row=st.integers(75, 149), k=st.integers(1, 80), opposite=st.integers(0, 40), again=st.booleans())
def test_days_come_back_equal_to_the_last_bit(row: int, k: int, opposite: int, again: bool) -> None:
    day, store = day_at(TABLE, row), SignalStore(":memory:")
    hits = NearestDays(TABLE, METRIC, k=k, opposite=opposite).of_day(day)
    put(store, signal(day, hits))
    found = store.get([f"AA/{day}"])[f"AA/{day}"].hits
    if not len(hits):
        assert found == ()
        return
    assert isinstance(found, StoredDays)
    assert (found.digest, len(found), known_through(found)) == (hits.digest, len(hits), hits.known_through)
    assert found.hits == hits.hits  # payoffs, states, scores, ranks
    assert found == hits == found
    assert found == tuple(hits)
    assert hits == tuple(found)
    assert found != tuple(hits)[:-1]
    assert [type(hit.score) for hit in found] == [float] * len(hits)


def test_stocks_of_a_day_share_one_set_and_sets_share_their_days(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "s.sqlite")
    signals = [signal(day, RETRIEVER.of_day(day), symbol) for symbol in ("AA", "BB", "CC") for day in DAYS]
    for batch in (signals[:7], signals[7:], signals):  # in several batches, and once more
        put(store, *batch)
    named = {day for it in signals for day in it.hits.days}  # type: ignore[attr-defined]
    assert [count(tmp_path / "s.sqlite", table) for table in ("signals", "hit_sets", "market_days")] == [
        30,
        len(DAYS),
        len(named),
    ]
    found = SignalStore(tmp_path / "s.sqlite").get([it.key for it in signals])
    assert found == {it.key: it for it in signals}
    assert len({id(it.hits) for it in found.values()}) == len(DAYS)


def test_a_year_of_100_stocks_with_600_days_each_is_some_megabytes(tmp_path: Path) -> None:
    table = drawn_days(1, 1_000)
    retriever, store = RandomDays(table, METRIC, k=400, opposite=200), SignalStore(tmp_path / "s.sqlite")
    days = [day_at(table, row) for row in range(750, 1_000)]
    put(store, *(signal(day, retriever.of_day(day), f"S{number}") for number in range(100) for day in days))
    assert all(len(retriever.of_day(day)) == 600 for day in days)
    assert [count(tmp_path / "s.sqlite", name) for name in ("signals", "hit_sets")] == [25_000, 250]
    del store
    gc.collect()  # the last connection folds the log into the file
    assert (tmp_path / "s.sqlite").stat().st_size < 15e6  # one by one the hits of the signals alone would be 8e9


def test_no_hit_is_decoded_before_it_is_looked_at(tmp_path: Path) -> None:
    put(SignalStore(tmp_path / "s.sqlite"), *(signal(day, RETRIEVER.of_day(day)) for day in DAYS))
    store = SignalStore(tmp_path / "s.sqlite")
    found = [it.hits for it in store.get([f"AA/{day}" for day in DAYS]).values()]
    assert [(len(hits), known_through(hits)) for hits in found] == [
        (30, RETRIEVER.of_day(day).known_through) for day in DAYS
    ]
    assert store._days == {}
    assert found[0][0] == RETRIEVER.of_day(DAYS[0])[0]
    assert len(store._days) == 30


def test_signals_travel_to_another_process_by_the_place_of_their_days(tmp_path: Path) -> None:
    signals = [signal(day, RETRIEVER.of_day(day), symbol) for symbol in ("AA", "BB") for day in DAYS]
    store = SignalStore(tmp_path / "s.sqlite")
    put(store, *signals)
    stored = list(store.get([it.key for it in signals]).values())
    with ThreadPoolExecutor(1) as pool:  # in a thread, as a pool of processes pickles what it sends
        sent = pool.submit(pickle.dumps, stored).result()
    assert len(sent) < 6_000
    travelled = pickle.loads(sent)
    assert store._days == {}  # nothing was decoded on the way
    assert [it.hits.digest for it in travelled] == [it.hits.digest for it in stored]
    assert [known_through(it.hits) for it in travelled] == [known_through(it.hits) for it in signals]
    assert [it.hits.hits for it in travelled] == [it.hits.hits for it in signals]  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(travelled)) == signals
    (tmp_path / "s.sqlite").rename(tmp_path / "elsewhere")
    lost = pickle.loads(sent.replace(b"s.sqlite", b"t.sqlite"))
    with pytest.raises(StoreError, match=r"lie in .*t\.sqlite, and there is no such file here; .*share"):
        tuple(lost[0].hits)


def test_signals_of_no_file_travel_with_their_days() -> None:
    one, store = signal(DAYS[0], RETRIEVER.of_day(DAYS[0])), SignalStore(":memory:")
    put(store, one)
    for it in (one, store.get([one.key])[one.key]):
        assert pickle.loads(pickle.dumps(it)) == one
        assert pickle.loads(pickle.dumps(it)).hits == one.hits.hits  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement", ["DELETE FROM hit_sets", "DELETE FROM market_days", "UPDATE hit_sets SET hits = x''"]
)
def test_days_that_are_lost_are_an_error_and_not_an_empty_list(tmp_path: Path, statement: str) -> None:
    path, day = tmp_path / "s.sqlite", DAYS[0]
    put(SignalStore(path), signal(day, RETRIEVER.of_day(day)))
    gc.collect()
    with sqlite3.connect(path) as file:
        file.execute(statement)
    with pytest.raises(StoreError, match=r"s\.sqlite: it has lost the days [0-9a-f]{64}; .*move the file away"):
        tuple(SignalStore(path).get([f"AA/{day}"])[f"AA/{day}"].hits)


def test_a_set_is_written_again_after_a_write_that_failed(tmp_path: Path) -> None:
    path, day = tmp_path / "s.sqlite", DAYS[0]
    store = SignalStore(path)
    store._tables._database.write(("ALTER TABLE hit_sets RENAME TO elsewhere", [()]))
    with pytest.raises(StoreError, match="hit_sets"):
        put(store, signal(day, RETRIEVER.of_day(day)))
    assert len(store) == 0
    store._tables._database.write(("ALTER TABLE elsewhere RENAME TO hit_sets", [()]))
    put(store, signal(day, RETRIEVER.of_day(day)))
    assert tuple(store.get([f"AA/{day}"])[f"AA/{day}"].hits) == tuple(RETRIEVER.of_day(day))


def test_no_days_are_no_set(tmp_path: Path) -> None:
    store, none = SignalStore(tmp_path / "s.sqlite"), DayHits(TABLE, np.empty(0, dtype=np.int64), np.empty(0))
    put(store, signal(DAYS[0], none))
    assert count(tmp_path / "s.sqlite", "hit_sets") == 0
    assert store.get([f"AA/{DAYS[0]}"])[f"AA/{DAYS[0]}"].hits == ()
