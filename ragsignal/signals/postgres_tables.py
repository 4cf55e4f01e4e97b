"""The tables of a signal store in PostgreSQL, which many machines read and write at once.

They lie in a schema of their own, ``ragsignal_store``, beside which a database may hold anything else. Writers of
different keys do not wait for each other; of the same key the second waits until the first has committed, and leaves
its row out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ragsignal.errors import ConfigError, StoreError
from ragsignal.signals.tables import COLUMNS, SignalTables, TableName
from ragsignal.utils import DatabaseUrl, SharedConnection

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")
VERSION = 1
"""Of the tables; another one is refused."""
_AT_ONCE = 10_000  # keys or rows in one statement
_MAKING_TABLES = 7_265_671_493  # the lock of those who make the tables: any number that nobody else takes
# A key is compared byte by byte, whatever the language of the database. NaN is larger than every other float8.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ragsignal_store.recipes (digest text COLLATE "C" PRIMARY KEY, recipe text NOT NULL);
CREATE TABLE IF NOT EXISTS ragsignal_store.signals (
    key text COLLATE "C" PRIMARY KEY, recipe text NOT NULL, symbol text NOT NULL, as_of text NOT NULL,
    value float8 NOT NULL CHECK (value < 'NaN'), probability float8 NOT NULL CHECK (probability < 'NaN'),
    abstained text, hits text NOT NULL, prompt text NOT NULL, tokens int8 NOT NULL,
    seconds float8 NOT NULL CHECK (seconds < 'NaN'), rank float8 NOT NULL CHECK (rank < 'NaN')
);
CREATE TABLE IF NOT EXISTS ragsignal_store.hit_sets (
    key text COLLATE "C" PRIMARY KEY, known_through text NOT NULL, hits bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS ragsignal_store.market_days (key text COLLATE "C" PRIMARY KEY, record text NOT NULL);
CREATE TABLE IF NOT EXISTS ragsignal_store.scores (
    key text COLLATE "C" PRIMARY KEY, probability float8 NOT NULL CHECK (probability < 'NaN'), tokens int8 NOT NULL
);
CREATE TABLE IF NOT EXISTS ragsignal_store.version (version int PRIMARY KEY);
"""
_COLUMNS = """
SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position)
FROM information_schema.columns WHERE table_schema = 'ragsignal_store' GROUP BY table_name
"""
_FLOATS = {"value", "probability", "seconds", "rank"}


class PostgresTables(SignalTables):
    """Tables in a PostgreSQL database, where they are made on first use.

    Parameters
    ----------
    url : DatabaseUrl

    Raises
    ------
    ConfigError
        If ``url`` is none of PostgreSQL, or the extra ``sql`` is not installed.
    StoreError
        If the database cannot be reached, or holds other tables under these names.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        super().__init__(str(url))
        self._url = url
        arguments = _arguments_of(url)
        from psycopg import Error

        self._failures: type[Exception] = Error
        self._shared = self._tried(partial(_Postgres, arguments, str(url)))

    @property
    def repair(self) -> str:
        """What to do if it cannot be used."""
        return (
            f"start its server or correct {self._url.place} (host, port, name, user, password), or unset it: signals "
            "then are in a file of the cache folder"
        )

    def among(self, keys: Sequence[str], columns: str, table: TableName) -> list[tuple[Any, ...]]:
        """Rows of ``keys``."""
        statement = f"SELECT {columns} FROM ragsignal_store.{table} WHERE {COLUMNS[table][0]} = ANY(%s)"
        chunks = [list(keys[start : start + _AT_ONCE]) for start in range(0, len(keys), _AT_ONCE)]
        return self._attempted(lambda it: [row for chunk in chunks for row in _rows(it, statement, [chunk])])

    def add(self, table: TableName, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add rows whose key is not there, all or none."""
        # Sorted, so that two writers of the same keys wait for each other in one order, and never in a circle.
        ordered = sorted(rows, key=lambda row: str(row[0]))
        chunks = [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]
        statement = _insert(table)

        def write(connection: Connection[Any]) -> None:
            with connection.transaction():
                for chunk in chunks:
                    connection.execute(statement, [list(column) for column in zip(*chunk, strict=True)])

        self._attempted(write)

    def count(self, table: TableName) -> int:
        """How many rows a table has."""
        return int(self._attempted(lambda it: _rows(it, f"SELECT count(*) FROM ragsignal_store.{table}", []))[0][0])

    def _attempted(self, work: Callable[[Connection[Any]], T]) -> T:
        """What ``work`` gives; once more if the connection has died: to read or to add rows twice is harmless."""
        return self._tried(lambda: self._shared.attempted(work))

    def _tried(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (self._failures, OSError, UnicodeError) as error:
            # from None: what the driver says may show the password
            raise self.error(self._url.words(error), error) from None


class _Postgres(SharedConnection["Connection[Any]"]):
    """The connection, with the tables in their place."""

    def __init__(self, arguments: Mapping[str, Any], place: str) -> None:
        self._arguments, self._place = arguments, place
        super().__init__()

    def attempted(self, work: Callable[[Connection[Any]], T]) -> T:
        """What ``work`` gives, on a new connection if the one that was open has died."""
        from psycopg import InterfaceError, OperationalError

        with self.connection() as connection:
            try:
                return work(connection)
            except (OperationalError, InterfaceError):
                if not connection.closed:
                    raise
            self.close()
        with self.connection() as connection:
            return work(connection)

    def _open(self) -> Connection[Any]:
        import psycopg

        # no prepared statements: a pooler in between may give every transaction another session
        connection = psycopg.connect(**self._arguments, autocommit=True, prepare_threshold=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: Connection[Any]) -> None:
        ((known,),) = _rows(connection, "SELECT to_regclass('ragsignal_store.version') IS NOT NULL", [])
        if not known:
            with connection.transaction():  # of processes that begin at once one makes the tables, the others wait
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKING_TABLES])
                # not IF NOT EXISTS, for which a right is needed even where the schema is there
                ((made,),) = _rows(connection, "SELECT to_regnamespace('ragsignal_store') IS NOT NULL", [])
                if not made:
                    connection.execute("CREATE SCHEMA ragsignal_store")
                connection.execute(_SCHEMA)
                connection.execute("INSERT INTO ragsignal_store.version VALUES (%s) ON CONFLICT DO NOTHING", [VERSION])
        versions = [version for (version,) in _rows(connection, "SELECT version FROM ragsignal_store.version", [])]
        if versions != [VERSION]:
            raise self._refusal(f"has version {', '.join(map(str, versions)) or 'none'} of its tables, not {VERSION}")
        found = dict(_rows(connection, _COLUMNS, []))
        for table, columns in COLUMNS.items():
            if found.get(table) != list(columns):
                raise self._refusal(f"has under ragsignal_store.{table} other columns than {', '.join(columns)}")

    def _refusal(self, words: str) -> StoreError:
        return StoreError(
            f"the signal store {self._place} {words}: another version of ragsignal, or another program, has made them. "
            "Use that version, or another database, or drop the schema ragsignal_store: signals are then made anew"
        )


def _arguments_of(url: DatabaseUrl) -> Mapping[str, Any]:
    """What psycopg is given to connect."""
    parsed = url.parsed()
    if parsed.drivername != "postgresql+psycopg":
        raise ConfigError(
            f"{url.place} {url}: a signal store is in PostgreSQL, postgresql+psycopg://USER:PASSWORD@HOST/NAME; for a "
            "SQLite file unset it, and set RAGSIGNAL_CACHE to its folder"
        )
    try:
        import psycopg  # noqa: F401 - whether it is there
    except ImportError:
        raise ConfigError(f"{url.place} needs psycopg; run: pip install 'ragsignal[sql]'") from None
    arguments = parsed.get_dialect()().create_connect_args(parsed)[1]
    return {"connect_timeout": 10, **arguments}  # seconds; without it a host that is off takes minutes


def _insert(table: TableName) -> str:
    """A statement that adds rows given as an array a column: one way there and back, however many there are."""
    names = COLUMNS[table]
    kinds = ["float8" if it in _FLOATS else "int8" if it == "tokens" else "text" for it in names]
    if table == "hit_sets":
        kinds[names.index("hits")] = "bytea"
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    return (
        f"INSERT INTO ragsignal_store.{table} ({', '.join(names)}) SELECT * FROM unnest({arrays}) "
        f"ON CONFLICT ({names[0]}) DO NOTHING"
    )


def _rows(connection: Connection[Any], statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(statement, values, binary=True).fetchall()
