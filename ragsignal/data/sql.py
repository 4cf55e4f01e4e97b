"""Bars out of a database: a table, or what a query selects, as the sheet that a file would be.

    url ─► connection that only reads ─► chunks of rows ─► columns ─► sorted by date ─► Sheet ─► check.py judges

Values of rows are bound, names are quoted by SQLAlchemy, and the transaction is rolled back. SQLite and PostgreSQL
are opened so that nothing can be written; a moment with a time zone comes as UTC whatever the server's zone is, and
:mod:`ragsignal.data.exchange_day` says which day it means.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from ragsignal.config import did_you_mean
from ragsignal.data.check import nearest_symbol
from ragsignal.data.columns import canonical_header
from ragsignal.data.readers import COLUMNS, Sheet, parse_dates
from ragsignal.errors import ConfigError, DataError
from ragsignal.utils import DatabaseUrl, Progress

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine

CHUNK = 5_000
"""Rows that are fetched at once: of more, Python's collector of garbage takes a third of the time."""
_NEEDED = ("symbol", "date", *COLUMNS)
_READ = (*_NEEDED, "adj close", "time")
_WORDS = ("symbol", "date", "time")  # columns whose values repeat
_ONE_SELECT = (
    "one SELECT of symbol, date, open, high, low, close, volume was expected; it is read in a transaction that cannot "
    "write"
)
_NO_PARAMETERS = "a query takes no parameters: write their values into it"
_REPAIRS = {  # by what SQLite and psycopg say
    "is locked": "another program writes to it: try again when that is done",
    "Incorrect number of bindings": _NO_PARAMETERS,
    "bind message supplies": _NO_PARAMETERS,
    'at or near "%"': _NO_PARAMETERS,
    'at or near ":"': _NO_PARAMETERS,
}


@dataclass(frozen=True)
class SqlSource:
    """Where in a database bars are.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL; ``${NAME}`` is read from the environment.
    table, query : str, optional
        One of them: a table or a view, by its name or as ``schema.name``; or SQL that selects the long table.
    """

    url: str
    table: str | None = None
    query: str | None = None

    @property
    def database(self) -> DatabaseUrl:
        """The database."""
        return DatabaseUrl(self.url, "data.url")

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return f"{self.database} {'data.query' if self.table is None else f'table {self.table}'}"

    @property
    def arguments(self) -> str:
        """What to type after ``ragsignal data check``."""
        return f"'{self.database}' " + ('--query "$QUERY"' if self.table is None else f"--table {self.table}")


@dataclass(frozen=True, eq=False)
class SqlRows:
    """Rows as a sheet; ``others`` are symbols of a table that were not read, looked up where a symbol is missing."""

    sheet: Sheet
    others: tuple[str, ...] = ()


def read_rows(source: SqlSource, symbols: Sequence[str] | None, progress: Progress) -> SqlRows:
    """Read the rows of ``symbols``, of a query all rows.

    Raises
    ------
    DataError
        If the database cannot be reached or read, a column is missing, or there are no rows.
    ConfigError
        If there is no such driver, or ``source.url`` is no URL.
    """
    engine = _engine(source.database)
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with _reading(engine) as connection:
            if source.table is None:
                return _of_query(connection, source, progress)
            return _of_table(connection, source, symbols, progress)
    except SQLAlchemyError as error:
        # from None: what the driver says may show the URL
        raise DataError(_complaint(source, error)) from None


def _complaint(source: SqlSource, error: Exception) -> str:
    from sqlalchemy.exc import DataError as ValueOfNoPython

    said = source.database.words(error)
    if isinstance(error, ValueOfNoPython) and not error.statement:  # rows came, and one cannot be read
        return f"cannot read a value of {source.words}: {said}; leave these rows out in a data.query, or CAST them"
    if getattr(error, "connection_invalidated", False) or not getattr(error, "statement", None):
        return (
            f"cannot read the database {source.database}: {said}; start its server, or correct data.url (host, port, "
            "name, user, and the environment variable with the password)"
        )
    repairs = [repair for words, repair in _REPAIRS.items() if words in said]
    return f"cannot read {source.words}: {said}; {repairs[0] if repairs else _ONE_SELECT}"


# ---- the connection


def _engine(database: DatabaseUrl) -> Engine:
    url = database.parsed()
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    options: dict[str, Any] = {"poolclass": NullPool}
    if url.get_backend_name() == "sqlite":
        options["creator"] = _sqlite_opener(url, database)
    elif url.get_backend_name() == "postgresql" and "connect_timeout" not in url.query:
        options["connect_args"] = {"connect_timeout": 10}  # seconds; without it a host that is off takes minutes
    try:
        return create_engine(url, **options)
    except NoSuchModuleError:
        raise ConfigError(
            f"data.url {database}: unknown driver {url.drivername!r}; write postgresql+psycopg://USER:${{PASSWORD}}@HOST/NAME"
            " or sqlite:///prices.db, which are tested, or the driver of another database that SQLAlchemy knows"
        ) from None
    except ImportError as error:
        raise ConfigError(
            f"data.url {database}: the driver is not installed ({error}); for PostgreSQL run: pip install "
            "'ragsignal[sql]', for another database the package that SQLAlchemy names for it"
        ) from None


def _sqlite_opener(url: URL, database: DatabaseUrl) -> Callable[[], sqlite3.Connection]:
    """A function that opens a file which is there, to read it: SQLite itself would make an empty one."""
    if url.database in (None, "", ":memory:"):
        raise ConfigError(f"data.url {database} names no file; write sqlite:///prices.db, relative to the spec")
    file = Path(str(url.database)).absolute()
    if not file.is_file():
        raise DataError(f"data.url {database}: there is no file {file}; correct the path, relative to the spec")
    return partial(_opened, f"file:{quote(str(file))}?mode=ro")


def _opened(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    # mode=ro is of this file alone: ATTACH and VACUUM INTO would make others
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else 0)
    return connection


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose one transaction writes nothing, and is rolled back."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
            # of the session too: a query could end the transaction
            connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
            connection.exec_driver_sql("SET TIME ZONE 'UTC'")
            _floats_for_numeric(connection)
        yield connection


def _floats_for_numeric(connection: Connection) -> None:
    """Let psycopg read NUMERIC as the nearest float64: the same number as by Decimal, in half the time."""
    driver: Any = connection.connection.driver_connection
    if hasattr(driver, "adapters"):  # not so of psycopg2
        from psycopg.types.numeric import FloatLoader

        driver.adapters.register_loader("numeric", FloatLoader)


# ---- a table, a query


def _of_query(connection: Connection, source: SqlSource, progress: Progress) -> SqlRows:
    # no parameters: a % or a : in the text is what it is
    streamed = {"stream_results": True, "yield_per": CHUNK, "no_parameters": True}
    text = (source.query or "").strip().rstrip(";")
    result = connection.exec_driver_sql(text, execution_options=streamed)
    if not result.returns_rows:
        raise DataError(f"{source.words} selects nothing; {_ONE_SELECT}")
    header = list(result.keys())
    _refuse_missing(source, header)
    sheet = _sheet(source, result, header, lambda done: progress("read bars", done, done))
    if sheet.table.empty:
        raise DataError(f"{source.words} returned no rows; daily bars were expected: correct its WHERE")
    return SqlRows(sheet)


def _of_table(connection: Connection, source: SqlSource, symbols: Sequence[str] | None, progress: Progress) -> SqlRows:
    import sqlalchemy as sql

    schema, name = _split(source.table or "")
    wanted = _wanted(source, _columns_of(connection, source))
    table = sql.table(name, *[sql.column(it) for it in wanted.values()], schema=schema)
    symbol = table.c[wanted["symbol"]]
    # without a type: the database reads a name as what its column holds, a text, a number or one of an enumeration
    names = sql.bindparam("names", [*(symbols or ())], type_=sql.types.NullType(), expanding=True)
    chosen = sql.true() if symbols is None else symbol.in_(names)
    total = connection.scalar(sql.select(sql.func.count()).select_from(table).where(chosen)) or 0
    statement = sql.select(*table.c).where(chosen)
    result = connection.execute(statement, execution_options={"stream_results": True, "yield_per": CHUNK})
    sheet = _sheet(source, result, list(wanted.values()), lambda done: progress("read bars", done, total))
    absent = sorted({*(symbols or ())} - {*sheet.table["symbol"].unique()})
    if not absent and len(sheet.table):
        return SqlRows(sheet)
    others = sorted(f"{it}" for it in connection.scalars(sql.select(symbol).distinct()) if it is not None)
    if not others:
        raise DataError(f"{source.words} has no rows; daily bars were expected")
    if any(it != it.strip() and it.strip() in absent for it in others):
        raise DataError(
            f"{source.words}: no prices for {', '.join(absent)}, but for names with blanks around them; select them "
            f"without in a data.query: SELECT trim({wanted['symbol']}) AS symbol, ..."
        )
    others = [it.rstrip() for it in others]  # of CHAR(n)
    if sheet.table.empty:
        raise DataError(f"{source.words}: no prices for {', '.join(absent)}. {nearest_symbol(absent[0], others)}")
    return SqlRows(sheet, tuple(others))


def _split(table: str) -> tuple[str | None, str]:
    """Schema and name of ``schema.name``, or of a name alone."""
    schema, point, name = table.rpartition(".")
    return (schema, name) if point else (None, table)


def _columns_of(connection: Connection, source: SqlSource) -> list[str]:
    """Names of the columns of a table or a view."""
    from sqlalchemy import inspect
    from sqlalchemy.exc import NoSuchTableError

    schema, name = _split(source.table or "")
    inspector = inspect(connection)
    try:
        return [column["name"] for column in inspector.get_columns(name, schema)]
    except NoSuchTableError:
        there = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
        near = did_you_mean(name, there) if there else " There is no table."
        raise DataError(f"{source.database} has no table {source.table}.{near} Correct data.table") from None


def _wanted(source: SqlSource, names: Sequence[str]) -> dict[str, str]:
    """The columns of a table that are read, by what they are; what else there is stays where it is."""
    _refuse_missing(source, names)
    plain = canonical_header(names)
    adjusted = [name for name, it in zip(names, plain, strict=True) if it not in _READ and "adj" in it]
    if adjusted:  # ignored, it would leave prices unadjusted in silence
        raise DataError(
            f"{source.words}: unknown column {adjusted[0]!r}; if it holds the adjusted close, select it AS adj_close "
            "in data.query, else write a query without it"
        )
    twice = sorted({it for it in plain if it in _READ and plain.count(it) > 1})
    if twice:
        raise DataError(f"{source.words}: {twice[0]} in more than one column; write a data.query that selects one")
    return {it: name for it, name in zip(plain, names, strict=True) if it in _READ}


def _refuse_missing(source: SqlSource, names: Sequence[str]) -> None:
    plain = canonical_header(names)
    missing = [it for it in _NEEDED if it not in plain]
    if missing:
        raise DataError(
            f"{source.words}: missing column {', '.join(missing)} among {', '.join(names)}; write a data.query that "
            f"names {'it' if len(missing) == 1 else 'them'}: SELECT ... AS {missing[0]}"
        )


# ---- rows to columns


def _sheet(
    source: SqlSource, result: CursorResult[Any], header: Sequence[str], progress: Callable[[int], None]
) -> Sheet:
    """All rows of a result, chunk by chunk, sorted by date: rows of a database have no order of their own."""
    plain, parts, done = canonical_header(header), list[list[Any]](), 0
    with closing(result):
        for chunk in result.partitions(CHUNK):
            columns = list(zip(*chunk, strict=True))
            _refuse_lists(source, header, columns)
            parts.append([_column(it, values) for it, values in zip(plain, columns, strict=True)])
            done += len(chunk)
            progress(done)
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    data = dict(enumerate(joined)) or {place: np.empty(0, dtype=object) for place in range(len(plain))}
    table = pd.DataFrame(data, index=pd.RangeIndex(done, name="row")).set_axis(plain, axis=1)
    return Sheet(Path(), tuple(header), _by_date(table))


def _refuse_lists(source: SqlSource, header: Sequence[str], columns: Sequence[tuple[Any, ...]]) -> None:
    for name, values in zip(header, columns, strict=True):
        if any(isinstance(value, list | dict) for value in values[:1]):
            raise DataError(
                f"{source.words}: column {name} holds lists; one value a row was expected: select one in a data.query"
            )


def _column(name: str, values: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """A column of a chunk: float64 if it can be; of words, each distinct one kept once."""
    if name in _WORDS:
        found = np.empty(len(values), dtype=object)
        found[:] = values
        codes, distinct = pd.factorize(found)
        words = np.empty(len(distinct) + 1, dtype=object)  # the last one is for a value that is missing
        words[:-1] = [it.rstrip() if isinstance(it, str) else it for it in distinct]  # CHAR(n) is padded
        return words[codes]
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):  # text, as vendors write numbers
        return np.array(values, dtype=object)


def _by_date(table: pd.DataFrame) -> pd.DataFrame:
    if list(table.columns).count("date") != 1:  # a rule of check.py
        return table
    codes, values = pd.factorize(table["date"])
    places = np.empty(len(values) + 1, dtype=np.int64)
    found = parse_dates(pd.Series(values, dtype=object))
    moments = (
        found["day"] + pd.to_timedelta(found["clock"], unit="s") - pd.to_timedelta(found["offset"].fillna(0), "min")
    )
    days = pd.DataFrame({"moment": moments, "text": [str(it) for it in values]}).sort_values(["moment", "text"])
    places[days.index.to_numpy()] = np.arange(len(values))
    places[-1] = len(values)  # rows without a date
    return table.iloc[np.argsort(places[codes], kind="stable")]
