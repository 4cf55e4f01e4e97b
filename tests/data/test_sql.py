"""Prices out of a database: the same bars as from a file, nothing written, no password shown, errors that help."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragsignal.cli.app import app
from ragsignal.config import DataSpec, load_spec
from ragsignal.data import SqlSource, load_prices
from ragsignal.data.prices import Prices, check_prices, read_sql, read_table
from ragsignal.data.synthetic import planted_market
from ragsignal.errors import ConfigError, DataError, RagSignalError
from ragsignal.report.record import record_of
from ragsignal.study import open_store
from ragsignal.trading.engine import run_spec
from tests.postgres import GUARDED, PASSWORD, Server
from tests.specs import write_spec

SYMBOLS = ("AA", "BB", "O'C")
MARKET = planted_market(SYMBOLS, "2020-01-01", "2020-02-28", seed=3)
COLUMNS = ("symbol", "date", "open", "high", "low", "close", "volume")
WINDOW = {"symbols": ["AA"], "start": "2020-01-08", "end": "2020-02-20"}
Row = dict[str, Any]


def rows_of(prices: Prices = MARKET, seed: int = 1) -> pd.DataFrame:
    """The long table of prices, in an order that chance has made."""
    frames = [frame.reset_index().assign(symbol=symbol) for symbol, frame in prices.frames.items()]
    table = pd.concat(frames)[list(COLUMNS)]
    table["date"] = table["date"].dt.strftime("%Y-%m-%d")
    return table.sample(frac=1, random_state=seed)


def sqlite_of(path: Path, table: pd.DataFrame, name: str = "bars") -> str:
    """Write a table into a SQLite file; the URL of the file."""
    with sqlite3.connect(path) as connection:
        table.to_sql(name, connection, index=False)
    connection.close()
    return f"sqlite:///{path}"


def fill(server: Server, table: pd.DataFrame, types: str = "text, date" + ", float8" * 5, name: str = "bars") -> str:
    """Write a table into a new database; the URL of the database."""
    import psycopg

    database = server.new_database()
    typed = ", ".join(f"{column} {kind}" for column, kind in zip(table.columns, types.split(", "), strict=True))
    marks = ", ".join(["%s"] * len(table.columns))
    with psycopg.connect(f"host={server.folder} user=postgres dbname={database}") as connection:
        connection.execute(f"CREATE TABLE {name} ({typed})".encode())
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {name} VALUES ({marks})".encode(), table.to_numpy(dtype=object).tolist())
    return server.url(database)


def of(url: str, **where: Any) -> SqlSource:
    return SqlSource(url, **(where or {"table": "bars"}))


# ---- the same bars


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(1, 40), symbols=st.sets(st.sampled_from("ABCDEF"), min_size=1))
def test_bars_of_sqlite_are_those_of_a_parquet_table_to_the_last_bit(
    seed: int, days: int, symbols: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bars")
    end = pd.bdate_range("2020-01-01", periods=days + 1)[-1].date()
    market = planted_market(sorted(symbols), "2020-01-01", end, seed=seed)
    table = rows_of(market, seed)
    table.sort_values("date").to_parquet(folder / "bars.parquet", index=False)
    expected = read_table(folder / "bars.parquet")
    url = sqlite_of(folder / "bars.db", table)
    assert read_sql(of(url)) == expected == market
    assert read_sql(of(url, query="SELECT * FROM bars WHERE '%a :b' <> '';")) == expected


TYPES = {
    "doubles and days": "text, date, float8, float8, float8, float8, float8",
    "numerics and moments in UTC": "varchar, timestamptz, numeric, numeric, numeric, numeric, numeric",
    "padded names and stamps": "char(12), timestamp, numeric(30,18), numeric, numeric, float8, numeric",
    "text": "text, text, text, text, text, text, text",
}


@pytest.mark.parametrize("types", TYPES.values(), ids=list(TYPES))
def test_bars_of_postgresql_are_the_same_whatever_the_types_of_its_columns(postgres: Server, types: str) -> None:
    table = rows_of()
    if "numeric" in types:  # from a double PostgreSQL would make a number of 15 digits
        table[list(COLUMNS[2:])] = table[list(COLUMNS[2:])].map(lambda price: Decimal(repr(price)))
    url = fill(postgres, table, types)
    assert read_sql(of(url)) == MARKET
    assert read_sql(of(url, query="WITH b AS (SELECT * FROM bars) SELECT * FROM b WHERE date::text > ''")) == MARKET
    assert read_sql(of(url), ["O'C", "AA"]) == MARKET.select(["O'C", "AA"])


def test_a_moment_means_the_exchanges_day_whatever_the_zone_of_the_server(postgres: Server) -> None:
    days = pd.bdate_range("2020-01-01", periods=60)
    midnight = days.tz_localize("Asia/Tokyo")
    frame = MARKET.frames["AA"].iloc[:1].loc[lambda it: it.index.repeat(60)].set_axis(days.rename("date"))
    table = pd.DataFrame(frame.assign(symbol="AA", date=[str(it) for it in midnight])[list(COLUMNS)])
    url = fill(postgres, table, "text, timestamptz" + ", float8" * 5)
    database = url.partition("@/")[2].partition("?")[0]
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        postgres.run(f"ALTER DATABASE {database} SET timezone = '{zone}'")
        assert read_sql(of(url)).frames["AA"].index.equals(days.rename("date").as_unit("us"))


def test_other_columns_of_a_table_are_not_read_and_names_need_no_repair(postgres: Server) -> None:
    table = rows_of().rename(columns={"symbol": '"Ticker"', "date": '"Trade Date"', "volume": '"Vol"'})
    table = table.assign(id=1, note="'); DROP TABLE bars; --")
    types = "text, date, float8, float8, float8, float8, float8, int, text"
    url = fill(postgres, table, types, '"Long Bars"')
    assert read_sql(of(url, table="Long Bars")) == MARKET
    assert read_sql(of(url, table="public.Long Bars"), ["AA"]) == MARKET.select(["AA"])


@pytest.mark.parametrize("kind", ["int", "bigint", "ticker", "citext"])
def test_symbols_may_be_of_any_type(postgres: Server, tmp_path: Path, kind: str) -> None:
    market = planted_market(["7203", "6758"], "2020-01-01", "2020-02-28", seed=3)
    url = fill(postgres, rows_of(market))
    database = url.partition("@/")[2].partition("?")[0]
    made = {"ticker": "CREATE TYPE ticker AS ENUM ('7203', '6758')", "citext": "CREATE DOMAIN citext AS text"}
    changed = f"ALTER TABLE bars ALTER COLUMN symbol TYPE {kind} USING symbol::{kind}"
    postgres.run(made.get(kind, "SELECT 1"), changed, database=database)
    assert read_sql(of(url), ["6758"]) == market.select(["6758"])
    assert read_sql(of(url)) == market
    in_a_file = sqlite_of(tmp_path / "bars.db", rows_of(market).astype({"symbol": int}))
    assert read_sql(of(in_a_file), ["6758"]) == market.select(["6758"])


def test_of_a_table_only_the_symbols_that_are_asked_for_are_read(tmp_path: Path) -> None:
    table = rows_of()
    table.loc[table["symbol"] == "BB", "close"] = -1.0
    url, told = sqlite_of(tmp_path / "bars.db", table), []
    prices = read_sql(of(url), ["AA"], progress=lambda *step: told.append(step))
    assert prices == MARKET.select(["AA"])
    assert told == [("read bars", len(MARKET.frames["AA"]), len(MARKET.frames["AA"]))]
    names = ["AA", "x'); DROP TABLE bars; --"]
    with pytest.raises(DataError, match="no prices for this symbol"):
        read_sql(of(url), names)
    assert len(check_prices(of(url))) == 1  # the table is still there, with its one bad symbol


def test_bad_bars_are_dropped_and_counted_as_of_a_file(tmp_path: Path) -> None:
    table = rows_of()
    table.iloc[3, COLUMNS.index("close")] = np.nan
    table.iloc[9, COLUMNS.index("volume")] = -5.0
    url = sqlite_of(tmp_path / "bars.db", table)
    table.sort_values("date").to_parquet(tmp_path / "bars.parquet", index=False)
    found, expected = read_sql(of(url), drop=True), read_table(tmp_path / "bars.parquet", drop=True)
    assert found == expected
    assert sorted(found.drop_counts) == sorted(expected.drop_counts)
    assert len(found.dropped) == 2


def test_bars_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragsignal.data.sql.CHUNK", 50)
    url, told = sqlite_of(tmp_path / "bars.db", rows_of()), []
    assert read_sql(of(url), progress=lambda *step: told.append(step[1:])) == MARKET
    total = sum(map(len, MARKET.frames.values()))
    assert told == [(min(done, total), total) for done in range(50, total + 50, 50)]


def test_the_record_of_a_run_is_that_of_the_same_bars_from_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Server
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    table = rows_of()
    table.sort_values("date").to_parquet(tmp_path / "bars.parquet", index=False)
    sqlite_of(tmp_path / "bars.db", table)
    monkeypatch.setenv("BARS", fill(postgres, table))
    query = "SELECT symbol, date, open, high, low, close, volume FROM bars"
    places = [
        {"source": "table", "path": "bars.parquet"},
        {"source": "sql", "url": "sqlite:///bars.db", "table": "bars"},
        {"source": "sql", "url": "${BARS}", "query": query},
    ]
    records = []
    for place in places:
        spec = write_spec(tmp_path, data={**WINDOW, "symbols": ["AA", "BB"], **place})
        record = record_of(run_spec(load_spec(spec)))
        written = record["spec"]["data"]
        assert [name for name in ("source", "path", "url", "table", "query") if written.pop(name, None)] == [*place]
        assert record.pop("times")["variants"]["vote"]["asked"] > 0
        records.append((record, len(open_store())))
    assert records[0] == records[1] == records[2]
    assert records[0][1] > 0  # signals, at the same addresses


def test_a_universe_is_picked_and_all_symbols_are_named(tmp_path: Path) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of())
    data = {"source": "sql", "url": url, "table": "bars", **WINDOW, "symbols": "all"}
    assert load_prices(DataSpec.model_validate(data)).symbols == SYMBOLS


# ---- no password is shown, nothing is written


def guarded(server: Server) -> tuple[str, str]:
    """A database whose user needs a password: its name, and the URL with the password in the environment."""
    database = fill(server, rows_of()).partition("@/")[2].partition("?")[0]
    server.run(f"GRANT SELECT ON bars TO {GUARDED}", database=database)
    return database, f"postgresql+psycopg://{GUARDED}:${{DB_PASSWORD}}@/{database}?host={server.folder}"


def test_the_password_is_read_from_the_environment_and_is_in_no_record(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGSIGNAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DB_PASSWORD", quote(PASSWORD, safe=""))
    _, url = guarded(postgres)
    path = write_spec(tmp_path, data={**WINDOW, "symbols": ["AA"], "source": "sql", "url": url, "table": "bars"})
    record = record_of(run_spec(load_spec(path)))
    assert record["spec"]["data"]["url"] == url
    kept = b"".join(it.read_bytes() for it in tmp_path.rglob("*") if it.is_file())  # the store, the ledger of trials
    for secret in (PASSWORD, quote(PASSWORD, safe="")):
        assert secret not in json.dumps(record, ensure_ascii=False) + repr(load_spec(path))
        assert secret.encode() not in kept


@pytest.mark.parametrize("wrong", ["wrong", "", "s3cr%40t", "a:b"])
def test_a_wrong_password_is_not_in_the_message(postgres: Server, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", wrong)
    _, url = guarded(postgres)
    with pytest.raises(DataError, match=r"password authentication failed|no password supplied") as caught:
        read_sql(of(url))
    assert "\n" not in str(caught.value)
    assert not wrong or wrong not in str(caught.value).replace("password", "").replace("wrong user", "")
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql+psycopg://me:hunter2@host:5432/db?sslmode=require",
        "postgresql://me:hun@hunter2@host/db",
        "postgresql://me:hunter2 x@host/db",
        "postgresql://host/db?user=me&password=hunter2",
        "mysql+pymysql://me:${X}hunter2@host/db",
    ],
)
def test_a_password_in_a_spec_is_refused_and_not_shown(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "Y")
    data = {**WINDOW, "source": "sql", "url": url, "table": "bars"}
    with pytest.raises(ConfigError, match=r"holds a password; write \$\{DB_PASSWORD\} in its place") as caught:
        load_spec(write_spec(tmp_path, data=data))
    assert "***" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    good = write_spec(tmp_path, data={**data, "url": "sqlite:///x.db"})
    with pytest.raises(ConfigError) as caught:
        load_spec(good, [f"data.url={url}"])
    assert "hunter2" not in str(caught.value)
    with pytest.raises(RagSignalError) as caught:
        check_prices(of(url.replace("host", "nowhere.invalid").replace("mysql+pymysql", "postgresql")))
    assert "hunter2" not in str(caught.value) + repr(caught.value)


WRITES = {
    "insert": "INSERT INTO bars SELECT * FROM bars",
    "delete": "DELETE FROM bars RETURNING symbol, date, open, high, low, close, volume",
    "drop": "DROP TABLE bars",
    "create": "CREATE TABLE more AS SELECT * FROM bars",
}


@pytest.mark.parametrize("query", WRITES.values(), ids=list(WRITES))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_query_that_writes_is_refused(kind: str, query: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = (
        sqlite_of(tmp_path / "bars.db", rows_of())
        if kind == "sqlite"
        else fill(request.getfixturevalue("postgres"), rows_of())
    )
    with pytest.raises(DataError, match="read in a transaction that cannot write") as caught:
        read_sql(of(url, query=query))
    assert "\n" not in str(caught.value)
    assert read_sql(of(url)) == MARKET


@pytest.mark.parametrize("query", ["ATTACH '{}' AS more", "VACUUM INTO '{}'"])
def test_a_query_makes_no_other_file(query: str, tmp_path: Path) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of())
    with pytest.raises(DataError, match="read in a transaction that cannot write"):
        read_sql(of(url, query=query.format(tmp_path / "more.db")))
    assert [it.name for it in tmp_path.iterdir()] == ["bars.db"]


def test_a_query_cannot_end_the_transaction_and_write(postgres: Server) -> None:
    url = fill(postgres, rows_of())
    with pytest.raises(DataError):
        read_sql(of(url, query="SELECT 1; COMMIT; DROP TABLE bars"))
    assert read_sql(of(url)) == MARKET


# ---- wrong inputs


def _spec(**data: Any) -> None:
    load_prices(DataSpec.model_validate({"source": "sql", "url": "sqlite:///x.db", **WINDOW, **data}))


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no url": ({"url": None, "table": "bars"}, "needs a url, such as"),
    "a path too": ({"table": "bars", "path": "bars.db"}, "reads no path, but data.path is bars.db; delete that line"),
    "table and query": ({"table": "bars", "query": "SELECT 1"}, "needs table = .* or query = .*, and not both"),
    "neither": ({}, "needs table = .* or query = .*, and neither is there"),
    "an empty query": ({"query": "  "}, r"data\.query is empty; name a table, or write a query"),
    "url of a folder": ({"source": "folder", "path": "p"}, r"data\.url belongs to source = \"sql\".*delete that line"),
    "a table of the sample": ({"source": "sample", "url": None, "table": "bars"}, r"data\.table belongs to source"),
}


@pytest.mark.parametrize(("data", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_keys_that_do_not_fit_are_refused(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _spec(**data)


URLS = {
    "no url": ("prices.db", ConfigError, "is no URL of a database; postgresql"),
    "unknown driver": ("oracel://me@host/db", ConfigError, "unknown driver 'oracel'; write postgresql"),
    "no driver": ("mysql://me@host/db", ConfigError, "the driver is not installed .*pip install"),
    "no file": ("sqlite:////nowhere/prices.db", DataError, "there is no file /nowhere/prices.db; correct the path"),
    "in memory": ("sqlite://", ConfigError, "names no file; write sqlite:///prices.db"),
    "not set": ("postgresql://me:${NO_SUCH}@h/db", ConfigError, "NO_SUCH.*not set; type: export NO_SUCH="),
    "not running": ("postgresql://me@localhost:1/db", DataError, "cannot read the database .*start its server"),
    "no port": ("postgresql://me@localhost:port/db", ConfigError, "is no URL of a database"),
}


@pytest.mark.parametrize(("url", "kind", "message"), URLS.values(), ids=list(URLS))
def test_a_database_that_cannot_be_opened_says_what_to_do(url: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        read_sql(of(url))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = write_spec(tmp_path, data={**WINDOW, "source": "sql", "url": "sqlite:///deep/bars.db", "table": "bars"})
    with pytest.raises(DataError, match=f"there is no file {tmp_path}/deep/bars.db"):
        load_prices(load_spec(path).data)
    assert [it.name for it in tmp_path.iterdir()] == [path.name]


def test_a_relative_file_is_relative_to_the_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spec").mkdir()
    sqlite_of(tmp_path / "bars.db", rows_of())
    monkeypatch.setenv("WHERE", "..")
    data = {**WINDOW, "source": "sql", "url": "sqlite:///${WHERE}/bars.db", "table": "bars"}
    assert load_prices(load_spec(write_spec(tmp_path / "spec", data=data)).data) == MARKET.select(["AA"])


Change = Callable[[pd.DataFrame], pd.DataFrame]
TABLES: dict[str, tuple[Change, dict[str, Any], str]] = {
    "no such table": (lambda it: it, {"table": "bar"}, "has no table bar. Did you mean 'bars'"),
    "no such schema": (lambda it: it, {"table": "main.brs"}, "has no table main.brs. Did you mean 'bars'"),
    "no such column": (lambda it: it, {"query": "SELECT smbol FROM bars"}, "no such column: smbol; one SELECT"),
    "no SQL": (lambda it: it, {"query": "give me bars"}, "syntax error; one SELECT"),
    "no rows": (lambda it: it, {"query": "SELECT * FROM bars WHERE close < 0"}, "no rows; .*correct its WHERE"),
    "an empty table": (lambda it: it.iloc[:0], {"table": "bars"}, "table bars has no rows"),
    "a column is missing": (
        lambda it: it.rename(columns={"close": "last_trade"}),
        {"table": "bars"},
        r"missing column close among symbol, .*SELECT \.\.\. AS close",
    ),
    "two are missing in a query": (
        lambda it: it,
        {"query": "SELECT symbol, date, open, high, low FROM bars"},
        "data.query: missing column close, volume among .*names them",
    ),
    "an unknown column in a query": (
        lambda it: it.assign(currency="USD"),
        {"query": "SELECT * FROM bars"},
        "unknown column 'currency'. Delete it",
    ),
    "an adjusted close by another name": (
        lambda it: it.assign(adj_factor=1.0),
        {"table": "bars"},
        "unknown column 'adj_factor'; if it holds the adjusted close, select it AS adj_close",
    ),
    "a column twice": (
        lambda it: it.assign(Ticker="AA"),
        {"table": "bars"},
        "symbol in more than one column; write a data.query",
    ),
    "a day twice": (lambda it: pd.concat([it, it.iloc[:1]]), {"table": "bars"}, "duplicate dates at row"),
    "a day that is none": (
        lambda it: it.assign(date=it["date"].replace(it["date"].iloc[0], "soon")),
        {"table": "bars"},
        r"unreadable dates at row 0 \(soon\)",
    ),
    "no symbol": (lambda it: it.assign(symbol=[None, *it["symbol"][1:]]), {"table": "bars"}, "no symbol at row 0"),
    "no price": (lambda it: it.assign(close=[None, *it["close"][1:]]), {"table": "bars"}, "prices missing .*at row 0"),
}


@pytest.mark.parametrize(("change", "where", "message"), TABLES.values(), ids=list(TABLES))
def test_bars_that_cannot_be_read_say_what_and_where(
    tmp_path: Path, change: Change, where: dict[str, Any], message: str
) -> None:
    url = sqlite_of(tmp_path / "bars.db", change(rows_of()))
    with pytest.raises(DataError, match=message):
        read_sql(of(url, **where))


@pytest.mark.parametrize("parameter", ["?", ":symbol", "@symbol", "$symbol"])
def test_a_query_with_parameters_says_what_to_write(tmp_path: Path, parameter: str) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of())
    with pytest.raises(DataError, match="a query takes no parameters: write their values into it"):
        read_sql(of(url, query=f"SELECT * FROM bars WHERE symbol = {parameter}"))


@pytest.mark.parametrize("parameter", ["$1", "%s", ":symbol"])
def test_a_query_with_parameters_says_so_in_postgresql_too(postgres: Server, parameter: str) -> None:
    url = fill(postgres, rows_of())
    with pytest.raises(DataError, match="a query takes no parameters: write their values into it"):
        read_sql(of(url, query=f"SELECT * FROM bars WHERE symbol = {parameter}"))


def test_a_database_that_another_program_has_locked_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of())
    writer = sqlite3.connect(tmp_path / "bars.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.0))  # of five seconds
    with pytest.raises(DataError, match="database is locked; another program writes to it: try again when that is"):
        read_sql(of(url))
    writer.close()


def test_symbols_that_are_not_there_are_named_with_the_nearest(tmp_path: Path) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of())
    for symbols in (["AAA"], ["AA", "AAA"]):
        with pytest.raises(DataError, match=r"AAA.*Did you mean 'AA'\?"):
            read_sql(of(url), symbols)
    with pytest.raises(DataError, match="no prices for this symbol"):
        read_sql(of(url, query="SELECT * FROM bars"), ["ZZ"])


def test_symbols_with_blanks_around_them_are_told_apart(tmp_path: Path) -> None:
    url = sqlite_of(tmp_path / "bars.db", rows_of().assign(symbol=rows_of()["symbol"] + " "))
    with pytest.raises(DataError, match=r"no prices for AA.*blanks.*trim\(symbol\) AS symbol"):
        read_sql(of(url), ["AA"])


def test_days_in_two_forms_are_sorted_as_days(tmp_path: Path) -> None:
    table = rows_of()
    table["date"] = table["date"].where(table["date"].str[-1] < "5", table["date"].str.replace("-", ""))
    assert read_sql(of(sqlite_of(tmp_path / "bars.db", table))) == MARKET


def test_a_column_of_lists_and_a_day_that_never_comes_are_refused_as_such(postgres: Server) -> None:
    url = fill(postgres, rows_of())
    database = url.partition("@/")[2].partition("?")[0]
    lists = "SELECT symbol, date, open, high, low, ARRAY[close] AS close, volume FROM bars"
    with pytest.raises(DataError, match="column close holds lists"):
        read_sql(of(url, query=lists))
    postgres.run("UPDATE bars SET date = 'infinity' WHERE symbol = 'AA'", database=database)
    with pytest.raises(DataError, match=r"infinity.*leave these rows out in a data\.query"):
        read_sql(of(url))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bars.db").write_text("a shopping list, " * 100)
    with pytest.raises(DataError, match="file is not a database"):
        read_sql(of(f"sqlite:///{tmp_path}/bars.db"))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("close", "'NaN'", "prices missing or not above zero"),
        ("open", "'Infinity'", "prices missing or not above zero"),
        ("volume", "-1", "volume missing or negative"),
        ("date", "'infinity'", "date too large|year"),
        ("date", "NULL", "unreadable dates"),
    ],
)
def test_what_only_postgresql_can_hold_is_refused(postgres: Server, column: str, value: str, message: str) -> None:
    url = fill(postgres, rows_of(), "text, date, numeric, numeric, numeric, numeric, numeric")
    database = url.partition("@/")[2].partition("?")[0]
    first = "(SELECT min(date) FROM bars)"
    postgres.run(f"UPDATE bars SET {column} = {value} WHERE symbol = 'AA' AND date = {first}", database=database)
    with pytest.raises(DataError, match=message):
        read_sql(of(url))


def test_a_user_without_rights_is_told(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", quote(PASSWORD, safe=""))
    database, url = guarded(postgres)
    postgres.run("REVOKE ALL ON bars FROM PUBLIC", f"REVOKE ALL ON bars FROM {GUARDED}", database=database)
    with pytest.raises(DataError, match="permission denied for table bars"):
        read_sql(of(url))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ConfigError, match=r"needs SQLAlchemy; run: pip install 'ragsignal\[sql\]'"):
        read_sql(of("sqlite:///x.db"))


# ---- commands


def _run(words: list[str]) -> Any:
    from typer.testing import CliRunner

    return CliRunner().invoke(app, words)


def test_data_check_reads_a_database(tmp_path: Path) -> None:
    table = rows_of()
    table.loc[table["symbol"] == "BB", "close"] = -1.0
    url = sqlite_of(tmp_path / "bars.db", table)
    done = _run(["data", "check", url, "--table", "bars"])
    assert done.exit_code == 1
    assert "prices missing or not above zero" in done.stdout
    assert _run(["data", "check", url, "--query", "SELECT * FROM bars WHERE close > 0"]).exit_code == 0
    assert isinstance(_run(["data", "check", url]).exception, ConfigError)


def test_init_writes_a_spec_for_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    market = planted_market(["AA", "BB"], "2018-01-01", "2020-06-30", seed=3)
    sqlite_of(tmp_path / "market.db", rows_of(market))
    done = _run(["init", "sqlite:///market.db", "--table", "bars"])
    assert done.exit_code == 0, done.exception
    spec = load_spec(tmp_path / "spec.toml")
    assert (spec.name, spec.data.source, spec.data.table) == ("market", "sql", "bars")
    assert load_prices(spec.data) == market
