"""The signal store: what goes in comes out, whole batches or nothing, and errors that say what to do."""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.errors import StoreError
from ragsignal.signals.rows import StoredHits
from ragsignal.signals.store import SignalStore
from ragsignal.types import Candidate, Hit, Movement, Prompt, Query, Signal
from ragsignal.utils.digest import json_digest

DAY = date(2021, 1, 8)
QUERY = Query("AA", (date(2021, 1, 7), DAY), (1.0, 2.0))

finite = st.floats(allow_nan=False, allow_infinity=False)  # subnormal, negative and huge ones too
names = st.text(min_size=1, max_size=8)


@st.composite
def candidates(draw: st.DrawFn) -> Candidate:
    days = draw(st.lists(st.dates(), min_size=1, max_size=5))
    windows = st.tuples(*[finite] * len(days))
    return Candidate(
        id=draw(names),
        symbol=draw(names),
        sequence=draw(names),
        dates=tuple(days),
        values=draw(windows),
        scaled=draw(windows),
        movement=draw(st.sampled_from(Movement)),
        outcome=draw(finite),
        available_at=draw(st.dates()),
    )


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    found = draw(st.lists(st.tuples(candidates(), finite), max_size=3))
    return Signal(
        symbol=draw(names),
        as_of=draw(st.dates()),
        value=draw(finite),
        probability=draw(finite),
        abstained=draw(st.none() | st.text()),
        hits=tuple(Hit(candidate, score, rank) for rank, (candidate, score) in enumerate(found)),
        key=draw(names),
        tokens=draw(st.integers(0, 2**40)),
        seconds=draw(finite),
    )


def plain(key: str, value: float = 0.5) -> Signal:
    return Signal("AA", DAY, value, (value + 1) / 2, None, (), key)


def put(store: SignalStore, *those: Signal, text: str = "") -> None:
    store.put("recipe", those, [Prompt(QUERY, (), text)] * len(those))


@settings(deadline=None)
@given(signals())
def test_names_of_stored_hits_are_read_without_making_the_hits(signal: Signal) -> None:
    store = SignalStore(":memory:")
    put(store, signal)
    stored = store.get([signal.key])[signal.key].hits
    assert (list(stored.ids) if isinstance(stored, StoredHits) else []) == [it.candidate.id for it in signal.hits]
    assert "_hits" not in vars(stored) if isinstance(stored, StoredHits) else not signal.hits


@settings(deadline=None)
@given(signals())
def test_a_signal_comes_back_equal_to_the_last_bit_with_all_its_hits(signal: Signal) -> None:
    store = SignalStore(":memory:")
    put(store, signal)
    (found,) = store.get([signal.key]).values()
    assert found == signal
    assert [type(value) for value in (found.value, found.seconds, found.tokens)] == [float, float, int]


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_bulk_read_finds_exactly_what_is_stored_however_many_keys_are_asked(data: st.DataObject) -> None:
    stored = data.draw(st.integers(0, 1_300))
    store = SignalStore(":memory:")
    put(store, *[plain(f"k{number}", number / 2_000) for number in range(stored)])
    asked = [f"k{number}" for number in range(0, 1_600, data.draw(st.integers(1, 3)))]
    found = store.get(asked + asked[:5])
    assert set(found) == {key for key in asked if int(key[1:]) < stored}
    assert all(found[key].value == int(key[1:]) / 2_000 for key in found)
    assert len(store) == stored


def test_nothing_asked_is_nothing_found() -> None:
    assert SignalStore(":memory:").get([]) == {}


def test_a_signal_that_is_already_there_stays_as_it_was(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "s.sqlite")
    put(store, plain("a", 0.25), text="first")
    put(store, plain("a", 0.75), plain("b", 0.75), text="second")
    assert store.get(["a"])["a"].value == 0.25
    assert store.get(["b"])["b"].value == 0.75
    assert store.prompts("ab") == {"a": "first", "b": "second"}


def test_a_batch_with_one_row_that_cannot_be_kept_is_not_kept_at_all() -> None:
    store = SignalStore(":memory:")
    with pytest.raises(StoreError, match="NOT NULL"):  # SQLite has no NaN: it would become NULL
        put(store, plain("a"), plain("b", float("nan")), plain("c"))
    assert len(store) == 0
    put(store, plain("a"))
    assert len(store) == 1


def test_the_prompt_that_was_read_is_kept_with_its_system_turn() -> None:
    store = SignalStore(":memory:")
    asked = [Prompt(QUERY, (), "user\ntext"), Prompt(QUERY, (), "user", system="role"), Prompt(QUERY, ())]
    store.put("recipe", [plain("a"), plain("b"), plain("c")], asked)
    assert store.prompts("abcd") == {"a": "user\ntext", "b": "role\n\nuser", "c": ""}


def test_recipes_are_kept_in_clear_once_under_their_digest(tmp_path: Path) -> None:
    recipe = {"scorer": {"weights": "abc", "since": DAY}, "k": 5}
    store = SignalStore(tmp_path / "s.sqlite")
    digest = store.put_recipe(recipe)
    assert store.put_recipe(dict(reversed(recipe.items()))) == digest == json_digest(recipe)
    assert store.put_recipe({**recipe, "k": 6}) != digest
    store.put(digest, [plain("a")], [Prompt(QUERY, ())])
    rows = sqlite3.connect(tmp_path / "s.sqlite").execute(
        "SELECT r.recipe FROM signals s JOIN recipes r ON s.recipe = r.digest"
    )
    assert [json.loads(text) for (text,) in rows] == [{"scorer": {"weights": "abc", "since": "2021-01-08"}, "k": 5}]


def test_a_new_store_on_the_same_file_finds_everything(tmp_path: Path) -> None:
    put(SignalStore(tmp_path / "deep" / "er" / "s.sqlite"), plain("a", -0.1))
    assert SignalStore(tmp_path / "deep" / "er" / "s.sqlite").get(["a"]) == {"a": plain("a", -0.1)}


def test_readers_do_not_wait_for_a_writer_and_see_whole_transactions(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    early = SignalStore(path)
    put(early, plain("a"))
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO signals SELECT 'b', recipe, symbol, as_of, 9, 9, NULL, hits, '', 0, 0, 0 FROM signals")
    began = time.perf_counter()
    late = SignalStore(path)  # opens while the other writes
    assert [set(store.get(["a", "b"])) for store in (early, late)] == [{"a"}, {"a"}]
    assert time.perf_counter() - began < 5.0  # a lock would be waited for 60 seconds
    writer.execute("COMMIT")
    assert [set(store.get(["a", "b"])) for store in (early, late)] == [{"a", "b"}, {"a", "b"}]
    put(late, plain("c"))
    put(early, plain("d"))
    assert len(early) == len(late) == 4


def test_a_reader_that_takes_its_time_does_not_hold_up_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = SignalStore(path)
    put(store, *[plain(f"k{number}") for number in range(2_000)])
    reading = sqlite3.connect(path).execute("SELECT key FROM signals")
    next(reading)
    began = time.perf_counter()
    put(store, plain("new"))
    assert time.perf_counter() - began < 5.0
    assert len(reading.fetchall()) == 1_999  # the state in which it began


def test_a_file_that_is_no_store_says_to_move_it_away(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"this is a shopping list, and a long one: " * 100)
    with pytest.raises(StoreError, match=r"s\.sqlite: .*not a database.*move the file away"):
        SignalStore(path)
    assert path.read_bytes().startswith(b"this is a shopping list")


def test_a_file_damaged_inside_says_to_move_it_away(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = SignalStore(path)
    put(store, *[plain(f"k{number}") for number in range(2_000)])
    del store
    gc.collect()  # the last connection folds the log into the file
    with path.open("r+b") as file:
        file.seek(4096)  # after the first page, which holds the schema
        file.write(b"\xff" * (path.stat().st_size - 4096))
    damaged = SignalStore(path)
    with pytest.raises(StoreError, match=r"s\.sqlite: .*move the file away"):
        damaged.get(["k7"])
    with pytest.raises(StoreError, match="move the file away"):
        put(damaged, plain("new"))


def test_tables_of_another_program_raise_at_the_first_read(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "s.sqlite").execute("CREATE TABLE signals (key TEXT, colour TEXT)")
    with pytest.raises(StoreError, match="no such column"):
        SignalStore(tmp_path / "s.sqlite").get(["a"])


@pytest.mark.parametrize("place", ["file/s.sqlite", "file/deep/s.sqlite", "."])
def test_a_place_that_cannot_hold_a_store_says_which_variable_to_set(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="set RAGSIGNAL_CACHE to a folder that can be written"):
        SignalStore(tmp_path / place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_says_which_variable_to_set(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="set RAGSIGNAL_CACHE"):
        SignalStore(tmp_path / "s.sqlite")


def test_an_error_at_the_commit_is_a_store_error_too(tmp_path: Path) -> None:
    store = SignalStore(tmp_path / "s.sqlite")
    # a constraint that SQLite checks at COMMIT only, as it may notice a full disk there only
    with store._tables._database.connection() as connection:
        connection.executescript(
            "PRAGMA foreign_keys = ON; DROP TABLE signals; CREATE TABLE signals (key TEXT PRIMARY KEY, recipe TEXT "
            "REFERENCES recipes (digest) DEFERRABLE INITIALLY DEFERRED, symbol, as_of, value, probability, abstained, "
            "hits, prompt, tokens, seconds, rank);"
        )
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        put(store, plain("a"))
    assert len(store) == 0


def test_a_fork_may_not_use_the_store_of_its_parent(tmp_path: Path) -> None:
    # in a process of its own: this one may hold threads, and a fork with threads is a warning, that is, an error
    program = f"""
    import os
    from ragsignal.errors import StoreError
    from ragsignal.signals.store import SignalStore
    store = SignalStore({str(tmp_path / "s.sqlite")!r})
    if os.fork() == 0:
        for use in (lambda: store.get(["a"]), lambda: store.put_recipe({{}}), lambda: len(store)):
            try:
                use()
            except StoreError as error:
                assert "opened by another process" in str(error) and "path of the spec" in str(error)
            else:
                os._exit(1)
        os._exit(0)
    status = os.wait()[1]
    store.put_recipe({{}})  # the parent goes on
    raise SystemExit(os.waitstatus_to_exitcode(status))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)


def test_a_file_of_before_there_were_ranks_opens_and_keeps_its_signals(tmp_path: Path) -> None:
    path = tmp_path / "signals.sqlite"
    signal = Signal("AA", DAY, 0.2, 0.6, None, (), "key", tokens=3)
    store = SignalStore(path)
    store.put(store.put_recipe({"signal": 1}), [signal], [Prompt(QUERY, ())])
    del store
    gc.collect()
    with sqlite3.connect(path) as file:
        file.execute("ALTER TABLE signals DROP COLUMN rank")
    old = SignalStore(path)
    assert old.get(["key"]) == {"key": signal}
    old.put(old.put_recipe({"signal": 1}), [replace(signal, key="new", rank=-0.5)], [Prompt(QUERY, ())])
    again = SignalStore(path)  # the column is added once
    assert again.get(["key", "new"])["new"].rank == -0.5
    assert len(again) == 2


def test_signals_that_differ_in_one_field_are_told_apart() -> None:
    store = SignalStore(":memory:")
    put(store, plain("a"), replace(plain("b"), abstained=""), replace(plain("c"), abstained="too few bars"))
    assert [store.get([key])[key].abstained for key in "abc"] == [None, "", "too few bars"]
