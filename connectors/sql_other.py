"""Every other database, through SQLAlchemy: values leave Python as the text casting reads back.

SQLite is opened for reading only; of the rest only the account can be kept from writing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, NoReturn

from connectors import sql_query
from connectors.sql_sessions import Reading, Words, check_names

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import URL, Connection

    from connectors.sql_query import Bounds

BATCH = 20_000
TEXT_TIME = "%Y-%m-%d %H:%M:%S"


class Other:
    """A session through SQLAlchemy."""

    clock = ""  # a file has none, and the others each write it their own way

    def __init__(self, url: URL, words: Words) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import SQLAlchemyError

        self._words = words
        try:
            self._engine = create_engine(url)
            self._connection: Connection = self._engine.connect()
            self._texts = url.get_backend_name() == "sqlite"  # it has no type for times
            if self._texts:
                self._connection.exec_driver_sql("pragma query_only = on")
                self._connection.exec_driver_sql("begin")
        except (TypeError, ValueError, ImportError):  # a driver quotes the option it cannot read
            words.unusable("url: expected a SQLAlchemy URL of a known driver and its options")
        except SQLAlchemyError as error:
            self._explain(error)

    def read(self, query: str, bound: Bounds) -> Reading:
        """Run a query; the rows come in batches, every value as text."""
        import pyarrow as pa
        from sqlalchemy.exc import SQLAlchemyError

        try:
            result = self._result(query, bound)
            names = [str(name) for name in result.keys()]  # noqa: SIM118
        except SQLAlchemyError as error:
            self._explain(error)
        check_names(names, self._words)
        schema = pa.schema([(name, pa.string()) for name in names])
        return Reading(schema, self._batches(result, schema))

    def scalar(self, query: str, bound: Bounds) -> Any:
        """Return the first value of a query's first row, or None."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return self._result(query, bound).scalar()
        except SQLAlchemyError as error:
            self._explain(error)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()
        self._engine.dispose()

    def _result(self, query: str, bound: Bounds) -> Any:
        from sqlalchemy import text

        form = bound.form or (TEXT_TIME if self._texts else None)
        values = sql_query.used(query, bound.values())
        known = {
            name: value.strftime(form) if form and isinstance(value, datetime) else value
            for name, value in values.items()
        }
        streaming = self._connection.execution_options(stream_results=True, max_row_buffer=BATCH)
        return streaming.execute(text(sql_query.escaped(query)), known)

    def _batches(self, result: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from sqlalchemy.exc import SQLAlchemyError

        try:
            for rows in result.partitions(BATCH):
                columns = [_column(values) for values in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except SQLAlchemyError as error:
            self._explain(error)

    def _explain(self, error: Any) -> NoReturn:
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

        if not isinstance(error, DBAPIError):
            self._words.unusable(f"the query cannot be run ({type(error).__name__})")
        if self._texts and "decode to UTF-8" in str(error.orig):  # it quotes the text
            self._words.refused("a text that is not UTF-8: mend it at its source")
        lost = isinstance(error, InterfaceError | OperationalError) and (
            error.statement is None or error.connection_invalidated or "locked" in str(error.orig)
        )
        if lost:
            self._words.unreachable()
        detail = f": {error.orig}" if self._texts else ""
        self._words.refused(f"{type(error.orig).__name__}{detail}")


def _column(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid, TypeError):
        return pa.array([as_text(value) for value in values], pa.string())


def as_text(value: Any) -> str | None:
    """Write a database value as the text that casting reads back."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value)
