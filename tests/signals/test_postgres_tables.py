"""The signal store on PostgreSQL: what goes in comes out, as from a file, and errors say what to do."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.config import load_spec
from ragsignal.errors import ConfigError, RagSignalError, StoreError
from ragsignal.report.record import record_of
from ragsignal.signals.opened import STORE
from ragsignal.signals.store import SignalStore, StoredDays
from ragsignal.study import load_pipeline, open_store
from ragsignal.trading.engine import run_spec
from ragsignal.types import Prompt, Score, Signal
from tests.fakes import corpus_of, every_query, market, pipeline_of
from tests.postgres import GUARDED, PASSWORD, Server, running
from tests.signals.test_store import QUERY, plain, put, signals
from tests.signals.test_stored_days import DAYS, RETRIEVER, signal
from tests.signals.test_stored_days import put as put_days
from tests.specs import write_spec

ROOT = Path(__file__).parents[2]
NUMBERS = count()


@pytest.fixture(scope="module")
def url(postgres: Server) -> str:
    """A database that all tests here share, each with keys of its own."""
    return postgres.url(postgres.new_database())


@pytest.fixture
def database(postgres: Server) -> str:
    """An empty database."""
    return postgres.new_database()


# ---- what goes in comes out


@settings(max_examples=60, deadline=None)
@given(drawn=st.lists(signals(), min_size=1, max_size=3))
def test_signals_come_back_equal_to_the_last_bit_with_all_their_hits(url: str, drawn: list[Signal]) -> None:
    store = _known(url)
    those = [replace(it, key=f"{next(NUMBERS)}/{it.key}") for it in drawn]
    odd = [it for it in those if not _can_be_kept(it)]
    if odd:
        with pytest.raises(StoreError, match=r"NUL|surrogates"):
            put(store, *those)
        assert store.missing([it.key for it in those if it not in odd]) == {it.key for it in those if it not in odd}
        return
    put(store, *those)
    found = store.get([it.key for it in those])
    assert found == {it.key: it for it in those}
    assert {type(value) for it in found.values() for value in (it.value, it.seconds)} == {float}


def _can_be_kept(it: Signal) -> bool:
    text = f"{it.key}{it.symbol}{it.abstained or ''}"
    return "\0" not in text and not any("\ud800" <= sign <= "\udfff" for sign in text)


_STORES: dict[str, SignalStore] = {}


def _known(url: str) -> SignalStore:
    return _STORES.setdefault(url, SignalStore(url))


def test_a_bulk_of_25_000_is_read_and_written_in_chunks(url: str) -> None:
    store, begin = _known(url), next(NUMBERS)
    keys = [f"{begin}/{number}" for number in range(25_000)]
    put(store, *[plain(key, (number % 100) / 200) for number, key in enumerate(keys)])
    asked = [*keys[::2], *keys[:10], "not there"]
    found = store.get(asked)
    assert set(found) == set(keys[::2]) | set(keys[:10])
    assert all(found[key].value == (int(key.partition("/")[2]) % 100) / 200 for key in found)
    assert store.missing(asked) == {"not there"}


def test_a_key_twice_in_a_batch_is_kept_once_and_the_first_stays(url: str) -> None:
    store, key = _known(url), str(next(NUMBERS))
    put(store, plain(key, 0.25), plain(key, 0.75), text="first")
    put(store, plain(key, 0.5), text="second")
    assert store.get([key])[key].value == 0.25
    assert store.prompts([key]) == {key: "first"}


def test_a_batch_with_one_row_that_cannot_be_kept_is_not_kept_at_all(url: str) -> None:
    store, keys = _known(url), [str(next(NUMBERS)) for _ in range(3)]
    with pytest.raises(StoreError, match="violates check constraint"):
        put(store, plain(keys[0]), plain(keys[1], float("nan")), plain(keys[2]))
    assert store.missing(keys) == set(keys)
    put(store, plain(keys[0]))  # the connection is as good as before
    assert store.missing(keys) == set(keys[1:])


def test_recipes_and_scores_are_kept_once(url: str) -> None:
    store = _known(url)
    assert store.put_recipe({"a": 1}) == SignalStore(url).put_recipe({"a": 1})
    store.put_scores({"text": Score(0.1 + 0.2, 7)})
    store.put_scores({"text": Score(0.9, 8)})
    assert SignalStore(url).scores(["text", "other"]) == {"text": Score(0.1 + 0.2, 7, reused=True)}


def test_days_come_back_equal_and_travel_without_a_password(
    postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres.run(f"GRANT CREATE ON DATABASE {database} TO {GUARDED}")
    secret = quote(PASSWORD, safe="")
    where = f"postgresql+psycopg://{GUARDED}:{secret}@/{database}?host={postgres.folder}"
    monkeypatch.setenv(STORE, where)
    those = [signal(day, RETRIEVER.of_day(day), symbol) for symbol in ("AA", "BB") for day in DAYS]
    store = open_store()
    put_days(store, *those)
    found = SignalStore(where).get([it.key for it in those])
    assert found == {it.key: it for it in those}
    sent = pickle.dumps(list(found.values()))
    assert secret.encode() not in sent
    assert secret not in f"{store.place}"
    travelled = pickle.loads(sent)
    assert isinstance(travelled[0].hits, StoredDays)
    assert [it.hits.hits for it in travelled] == [it.hits.hits for it in those]  # type: ignore[attr-defined]
    monkeypatch.setenv(STORE, "postgresql://elsewhere/db")
    lost = pickle.loads(sent.replace(database.encode(), b"x" * len(database)))
    with pytest.raises(StoreError, match=r"RAGSIGNAL_STORE is postgresql://elsewhere/db here; set it to that database"):
        tuple(lost[0].hits)


def test_days_that_are_lost_are_an_error(postgres: Server, database: str) -> None:
    put_days(SignalStore(postgres.url(database)), signal(DAYS[0], RETRIEVER.of_day(DAYS[0])))
    postgres.run("DELETE FROM ragsignal_store.market_days", database=database)
    (found,) = SignalStore(postgres.url(database)).get([f"AA/{DAYS[0]}"]).values()
    with pytest.raises(StoreError, match=r"it has lost the days [0-9a-f]{64}"):
        tuple(found.hits)


# ---- replay: the same signals, the same record, no model call


def test_a_second_pipeline_makes_no_model_call_and_gives_the_same_signals(url: str) -> None:
    frames = market()
    queries = every_query(frames)
    alone = pipeline_of(corpus_of(frames)).signals(queries)
    first, second = (pipeline_of(corpus_of(frames), store=SignalStore(url)) for _ in range(2))
    assert first.signals(queries) == alone == second.signals(queries)
    assert first.cost.model_calls > 0
    assert second.cost.model_calls == 0
    assert second.missing(queries) == {}


def test_the_record_of_a_run_is_the_same_with_either_store(
    postgres: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(write_spec(tmp_path, data={"end": "2015-03-31"}))
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "one"))
    records = [record_of(run_spec(spec))]
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "two"))
    monkeypatch.setenv(STORE, postgres.url(database))
    records += [record_of(run_spec(spec)) for _ in range(2)]
    costs = [record.pop("times")["variants"]["vote"] for record in records]
    assert records[0] == records[1] == records[2]
    made = len(SignalStore(tmp_path / "one" / "signals.sqlite"))
    assert len(open_store()) == made > 0
    assert [cost["found"] for cost in costs] == [0, 0, costs[2]["asked"] - 10]  # two symbols have five bars too few
    assert not (tmp_path / "two" / "signals.sqlite").exists()


def test_another_store_is_another_pipeline(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_spec(tmp_path)
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    in_a_file = load_pipeline(path)
    monkeypatch.setenv(STORE, url)
    assert load_pipeline(path) is not in_a_file
    assert load_pipeline(path) is load_pipeline(path)


# ---- a connection that dies


def test_a_connection_that_died_is_made_anew_once_for_reads_and_for_rows(postgres: Server, database: str) -> None:
    store = SignalStore(postgres.url(database))
    put(store, plain("a"))
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    postgres.run(kill)
    assert set(store.get(["a"])) == {"a"}
    postgres.run(kill)
    put(store, plain("a", 0.9), plain("b"))
    assert store.get(["a"])["a"].value == 0.5
    assert len(store) == 2


def test_a_server_that_went_away_is_a_clear_error() -> None:
    with running() as server:
        place = server.url(server.new_database())
        store = SignalStore(place)
        put(store, plain("a"))
    for use in (
        lambda: store.get(["a"]),
        lambda: put(store, plain("b")),
        lambda: len(store),
        lambda: SignalStore(place),
    ):
        with pytest.raises(
            StoreError, match=r"connection (failed|is bad).*start its server or correct RAGSIGNAL_STORE"
        ) as caught:
            use()
        assert "\n" not in str(caught.value)


# ---- tables


def test_eight_processes_that_begin_at_once_make_the_tables_once(postgres: Server, database: str) -> None:
    program = f"""
    import os
    import psycopg, sqlalchemy
    from ragsignal.signals.store import SignalStore
    gate = os.pipe()
    def begin():
        os.close(gate[1])
        os.read(gate[0], 1)
        try:
            SignalStore({postgres.url(database)!r}).put_recipe({{}})
        except BaseException as error:
            print(error)
            os._exit(1)
        os._exit(0)
    children = [os.fork() or begin() for _ in range(8)]
    os.close(gate[1])
    raise SystemExit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=True, timeout=120)
    assert postgres.run("SELECT version FROM ragsignal_store.version", database=database) == [(1,)]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE ragsignal_store.version SET version = 2", "has version 2 of its tables, not 1.*Use that version"),
        ("INSERT INTO ragsignal_store.version VALUES (2)", "has version 1, 2 of its tables"),
        ("DELETE FROM ragsignal_store.version", "has version none of its tables"),
        ("ALTER TABLE ragsignal_store.signals ADD COLUMN colour text", r"under ragsignal_store\.signals other columns"),
        (
            "ALTER TABLE ragsignal_store.scores RENAME COLUMN tokens TO t",
            r"under ragsignal_store\.scores other columns",
        ),
        ("DROP TABLE ragsignal_store.hit_sets", r"under ragsignal_store\.hit_sets other columns"),
    ],
)
def test_tables_of_another_version_or_program_are_refused(
    postgres: Server, database: str, statement: str, message: str
) -> None:
    SignalStore(postgres.url(database))
    postgres.run(statement, database=database)
    with pytest.raises(StoreError, match=f"{message}.*drop the schema ragsignal_store: signals are then made anew"):
        SignalStore(postgres.url(database))


def test_a_file_of_another_version_is_refused_and_ours_has_none(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "signals.sqlite"
    put(SignalStore(path), plain("a"))
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (0,)
        file.execute("PRAGMA user_version = 3")
    file.close()
    with pytest.raises(StoreError, match=r"has version 3 of its tables.*set RAGSIGNAL_CACHE to another folder"):
        SignalStore(path)


# ---- wrong inputs

WRONG: dict[str, tuple[str, type[RagSignalError], str]] = {
    "another database": ("mysql://me@host/db", ConfigError, "a signal store is in PostgreSQL, postgresql"),
    "a file": ("sqlite:///signals.db", ConfigError, "for a SQLite file unset it, and set RAGSIGNAL_CACHE"),
    "another driver": ("postgresql+pg8000://me@host/db", ConfigError, "a signal store is in PostgreSQL, postgresql"),
    "no URL": ("me:hunter2@host/db", ConfigError, "holds no URL of a database; expected was postgresql"),
    "half a URL": ("://me@host/db", ConfigError, "is no URL of a database"),
    "no port": ("postgresql://me:hunter2@host:port/db", ConfigError, "is no URL of a database"),
    "an @ in a password": ("postgresql://me:hunter2@x@host/db", ConfigError, "write an @ of the password as %40"),
    "not set": ("postgresql://me:${NO_SUCH}@host/db", ConfigError, r"\$\{NO_SUCH\}, which is not set; type: export"),
    "not running": (
        "postgresql://me:hunter2@localhost:1/db",
        StoreError,
        "connection (failed|is bad).*start its server",
    ),
    "no such host": (
        "postgresql://me:hunter2@nowhere.invalid/db",
        StoreError,
        "nowhere.invalid.*correct RAGSIGNAL_STORE",
    ),
    "no such socket": ("postgresql://me:hunter2@/db?host=/nowhere", StoreError, "/nowhere/.*start its server"),
    "no such option": ("postgresql://me:hunter2@/db?color=red", StoreError, "invalid connection option"),
}


@pytest.mark.parametrize(("where", "kind", "message"), WRONG.values(), ids=list(WRONG))
def test_a_store_that_cannot_be_opened_says_why_in_one_line_and_without_the_password(
    where: str, kind: type[RagSignalError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORE, where)
    with pytest.raises(kind, match=message) as caught:
        open_store()
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.fixture
def no_rights(postgres: Server, database: str) -> Any:
    """The URL of a user who may do nothing, for a password."""
    postgres.run(f"REVOKE CREATE ON DATABASE {database} FROM PUBLIC")
    return lambda password: f"postgresql://{GUARDED}:{password}@/{database}?host={postgres.folder}"


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (quote(PASSWORD, safe=""), "permission denied for database"),
        ("hunter2", "password authentication failed"),
        ("guarded", "password authentication failed"),
        ("", "no password supplied"),
    ],
)
def test_a_user_who_may_not_is_told_without_the_password(no_rights: Any, password: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        SignalStore(no_rights(password))
    assert not password or password not in str(caught.value).replace(f"//{GUARDED}:", "//:")
    assert "\n" not in str(caught.value)


def test_few_rights_are_enough(postgres: Server, database: str, no_rights: Any) -> None:
    mine, theirs = no_rights(quote(PASSWORD, safe="")), postgres.new_database()
    postgres.run(f"CREATE SCHEMA ragsignal_store AUTHORIZATION {GUARDED}", database=database)
    put(SignalStore(mine), plain("a"))  # a schema that is there and empty: no right on the database
    put(SignalStore(postgres.url(theirs)), plain("a"))  # tables that somebody else has made: to read and to add
    postgres.run(
        f"GRANT USAGE ON SCHEMA ragsignal_store TO {GUARDED}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA ragsignal_store TO {GUARDED}",
        database=theirs,
    )
    store = SignalStore(mine.replace(f"/{database}?", f"/{theirs}?"))
    put(store, plain("a", 0.9), plain("b"))
    assert {key: it.value for key, it in store.get("ab").items()} == {"a": 0.5, "b": 0.5}


def test_a_database_that_is_not_there_is_named(postgres: Server) -> None:
    with pytest.raises(StoreError, match='database "nosuch" does not exist'):
        SignalStore(postgres.url("nosuch"))


@pytest.mark.parametrize(("module", "words"), [("sqlalchemy", "needs SQLAlchemy"), ("psycopg", "needs psycopg")])
def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, words: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"RAGSIGNAL_STORE {words}; run: pip install 'ragsignal\[sql\]'"):
        SignalStore("postgresql+psycopg://me@host/db")


def test_a_prompt_with_a_nul_is_refused_and_the_store_goes_on(url: str) -> None:
    store, key = _known(url), str(next(NUMBERS))
    with pytest.raises(StoreError, match="NUL"):
        store.put("recipe", [plain(key)], [Prompt(QUERY, (), "a\0b")])
    put(store, plain(key))
    assert set(store.get([key])) == {key}
