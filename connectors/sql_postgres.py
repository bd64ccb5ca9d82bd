"""PostgreSQL through ADBC: one repeatable-read, read-only transaction for all of a source.

Values that Arrow cannot hold exactly leave the database as text; nothing here knows streams.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode

from connectors import sql_query
from connectors.quoting import literal, quoted
from connectors.sql_sessions import Reading, Words, check_names

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import URL

    from connectors.sql_query import Bounds

# a server that vanished is noticed after two minutes, not after two hours
_OPTIONS = {
    "application_name": "perfhouse",
    "connect_timeout": "15",
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "keepalives_count": "6",
}
_PLAIN = ("bool", "int2", "int4", "int8", "float4", "float8", "time", "text", "varchar", "name")
_INSTANTS = ("date", "timestamp", "timestamptz")  # PostgreSQL has infinite ones; Arrow wraps them
_OPERATORS = (
    *("password authentication failed", "no password supplied", "no pg_hba.conf entry"),
    *("role ", "database ", "invalid URI", "invalid connection option", "certificate", "invalid "),
    *("root certificate file", "SSL", "permission denied for database"),
)


def address(url: URL) -> str:
    """Return a libpq URI; what the URL names as a driver does not matter."""
    login = quote(url.username or "", safe="")
    password = f":{quote(str(url.password), safe='')}" if url.password else ""
    at = "@" if login or password else ""
    host = f"[{url.host}]" if ":" in (url.host or "") else quote(url.host or "", safe="")
    port = f":{url.port}" if url.port else ""
    options = {**_OPTIONS, **{str(k): str(v) for k, v in url.query.items()}}
    database = quote(url.database or "", safe="")
    query = urlencode(options, quote_via=quote)
    return f"postgresql://{login}{password}{at}{host}{port}/{database}?{query}"


class Postgres:
    """A session of PostgreSQL; times without zone are in `zone`, which its session uses too."""

    clock = "select now()"

    def __init__(self, url: URL, words: Words, zone: str, timeout: float | None) -> None:
        from adbc_driver_postgresql import dbapi

        self._words = words
        try:
            self._connection: Any = dbapi.connect(address(url), autocommit=True)
        except dbapi.Error as error:
            _lost_or_wrong(error, words)
        self._cursor = self._connection.cursor()
        self._run("begin isolation level repeatable read read only")
        self._run(f"set local time zone {literal(zone)}")  # local: a pool may part our sessions
        if timeout is not None:
            self._run(f"set local statement_timeout = {round(timeout * 1000)}")

    def read(self, query: str, bound: Bounds) -> Reading:
        """Run a query; the rows come through COPY, batch by batch."""
        import pyarrow as pa

        inner = f"({sql_query.rendered(query, bound, 'postgresql')}\n) as q"
        found = self._schema(f"select * from {inner}")
        check_names([name for name, _ in found], self._words)
        picked = ", ".join(f"{_value(name, kind)} as {quoted(name)}" for name, kind in found)
        self._run(f"select {picked} from {inner}")
        reader = self._cursor._results.reader  # fetch_record_batch() would lose the SQLSTATE
        schema = pa.schema([pa.field(field.name, field.type) for field in reader.schema])
        return Reading(schema, self._batches(reader, schema))

    def scalar(self, query: str, bound: Bounds) -> Any:
        """Return the first value of a query's first row, or None."""
        reading = self.read(query, bound)
        values = [row for batch in reading.batches for row in batch.column(0).to_pylist()]
        return values[0] if values else None

    def close(self) -> None:
        """End the transaction and let go of the server."""
        from adbc_driver_postgresql import dbapi

        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            self._cursor.close()
            connection.close()
        except (dbapi.Error, OSError, RuntimeError):
            self._words = self._words  # the server is gone already

    def _run(self, statement: str) -> None:
        from adbc_driver_postgresql import dbapi

        try:
            self._cursor.execute(statement)
        except (dbapi.Error, OSError) as error:
            _explain(error, self._words)

    def _schema(self, query: str) -> list[tuple[str, str]]:
        """Return names and PostgreSQL types of a query, without running it."""
        from adbc_driver_postgresql import dbapi

        try:
            found = self._cursor.adbc_execute_schema(query)
        except (dbapi.Error, OSError) as error:
            _explain(error, self._words)
        return [(f.name, (f.metadata or {}).get(b"POSTGRESQL:type", b"").decode()) for f in found]

    def _batches(self, reader: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from adbc_driver_postgresql import dbapi

        try:
            for batch in reader:
                yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)
        except (dbapi.Error, OSError, pa.ArrowException) as error:
            _explain(error, self._words)


def _value(name: str, kind: str) -> str:
    """Return SQL that gives a column in a type that Arrow and Parquet hold exactly."""
    column = f"q.{quoted(name)}"
    if kind in _PLAIN or kind == "bpchar":
        return column
    if kind in _INSTANTS:
        return f"case when isfinite({column}) then {column} end"
    if kind == "bytea":
        return f"encode({column}, 'hex')"
    if kind.startswith("_"):
        return f"cast(to_json({column}) as text)"
    return f"cast({column} as text)"


def _lost_or_wrong(error: Exception, words: Words) -> NoReturn:
    """Tell a refused login from an absent server; libpq gives words only, never the password."""
    text = str(error)
    if "starting up" in text or "shutting down" in text or "too many" in text:
        words.unreachable()
    if any(word in text.split("FATAL:")[-1] for word in _OPERATORS):
        words.unusable("login, database or options are refused; see the connection")
    words.unreachable()


def _explain(error: Exception, words: Words) -> NoReturn:
    """Sort an error by its SQLSTATE; only names of the query are quoted, never values."""
    state = str(getattr(error, "sqlstate", None) or "")
    if state == "57014":
        words.unreachable("took longer than statement_timeout")
    if not state or state[:2] in ("08", "40", "53", "55", "57", "58"):
        words.unreachable("was lost or is busy" + (f" (SQLSTATE {state})" if state else ""))
    if state[:2] in ("28", "3D"):
        words.unusable("login or database is refused; see the connection")
    named = re.search(r"ERROR:\s+([^\n]{1,200})", str(error)) if state[:2] == "42" else None
    words.refused(f"SQLSTATE {state}" + (f": {named[1]}" if named else ""))
