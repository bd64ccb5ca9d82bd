"""MySQL and MariaDB: connectorx reads the rows, PyMySQL asks what they are made of.

connectorx ends hard on values that it does not know, so those leave the database as text;
nothing here knows streams.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode

from connectors import sql_query
from connectors.sql_sessions import Reading, Words, check_names

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import URL

    from connectors.sql_query import Bounds

BATCH = 10_000
_TIMESTAMP, _DATE, _DATETIME = 7, 10, 12
_PLAIN = (1, 2, 3, 4, 5, 8, 9, 13)  # whole numbers, floats, years
_TEXTS = (15, 247, 248, 249, 250, 251, 252, 253, 254)  # char, enum, set, text; blobs too
_BINARY = 63  # the character set of what is no text
_NOT_A_DAY = "cast('0001-01-01' as {})"  # year 1 never lands: the row is quarantined
_LOGIN = (1044, 1045, 1049, 1130, 1251, 1698, 2026, 2049, 2054, 2059, 2061)
_BUSY = (
    *(1040, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1927),
    *(2002, 2003, 2005, 2006, 2013, 2014, 2027, 2055),
)
_SLOW = (1969, 3024)
_TLS = ("ssl-mode", "ssl-ca")
_MODES = ("", "DISABLED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")


class MySQL:
    """A session of MySQL or MariaDB in UTC; each query is its own read-only transaction."""

    clock = "select unix_timestamp()"

    def __init__(self, url: URL, words: Words, timeout: float | None) -> None:
        pymysql = _driver()

        self._words = words
        self._url = url
        unknown = sorted(set(url.query) - {*_TLS, "charset"})
        if unknown:
            words.unusable(f"url: expected no option but {', '.join(_TLS)}")
        if _mode(url) not in _MODES:
            words.unusable(f"url: ssl-mode: expected one of{', '.join(_MODES)[1:]}")
        try:
            self._connection: Any = pymysql.connect(
                host=url.host or "127.0.0.1",
                port=url.port or 3306,
                user=url.username or "",
                password=str(url.password or ""),
                database=url.database,
                charset="utf8mb4",
                connect_timeout=15,
                autocommit=True,
                **_tls(url),
            )
        except (pymysql.Error, OSError, ValueError) as error:
            _explain(error, words)
        version = str(self._fetch("select version()")[0][0])
        # where the server offers TLS, PyMySQL takes it unasked, and connectorx shall too
        self._offered = bool(self._fetch("show status like 'Ssl_cipher'")[0][1])
        self._settings = ["set time_zone = '+00:00'", "set session transaction read only"]
        if timeout is not None:
            self._settings.append(_limit(timeout, "mariadb" in version.lower()))
        for statement in self._settings:
            self._fetch(statement)

    def read(self, query: str, bound: Bounds) -> Reading:
        """Run a query; the rows come in batches."""
        import pyarrow as pa

        inner = f"({sql_query.rendered(query, bound, 'mysql')}\n) as q"
        found = self._columns(f"select * from {inner} limit 0")
        check_names([name for name, _, _ in found], self._words)
        picked = ", ".join(f"{_value(*column)} as {_quoted(column[0])}" for column in found)
        reader = self._reader(f"select {picked} from {inner}")
        utc = {name for name, kind, _ in found if kind == _TIMESTAMP}
        schema = pa.schema(
            [
                pa.field(f.name, pa.timestamp("us", "UTC") if f.name in utc else _plain(f.type))
                for f in reader.schema
            ]
        )
        return Reading(schema, self._batches(reader, schema), ahead=True)

    def scalar(self, query: str, bound: Bounds) -> Any:
        """Return the first value of a query's first row, or None; a TIMESTAMP is in UTC."""
        text = sql_query.rendered(query, bound, "mysql")
        rows = self._fetch(text)
        value = rows[0][0] if rows else None
        if isinstance(value, datetime) and self._kind == _TIMESTAMP:
            return value.replace(tzinfo=UTC)
        return value

    def close(self) -> None:
        """Let go of the server."""
        pymysql = _driver()

        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except (pymysql.Error, OSError):
            self._connection = None  # the server is gone already

    def _fetch(self, statement: str) -> Any:
        pymysql = _driver()

        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
                rows = cursor.fetchall()
                self._kind = cursor.description[0][1] if cursor.description else None
        except (pymysql.Error, OSError) as error:
            _explain(error, self._words)
        return rows

    def _columns(self, query: str) -> list[tuple[str, int, bool]]:
        """Return name, type and whether it is binary, of each column of a query."""
        pymysql = _driver()

        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query)
                fields = cursor._result.fields  # the description does not tell the charset
        except (pymysql.Error, OSError) as error:
            _explain(error, self._words)
        return [(str(f.name), int(f.type_code), f.charsetnr == _BINARY) for f in fields]

    def _reader(self, query: str) -> Any:
        import connectorx

        try:
            return connectorx.read_sql(
                _address(self._url, self._offered),
                query,
                return_type="arrow_stream",
                batch_size=BATCH,
                pre_execution_query=self._settings,
            )
        except BaseException as error:  # a panic of Rust is no Exception
            _explain_native(error, self._words)

    def _batches(self, reader: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for batch in reader:
                if batch.num_rows:
                    yield batch.cast(schema)
        except GeneratorExit:
            raise
        except BaseException as error:  # a panic of Rust is no Exception
            _explain_native(error, self._words)


def _driver() -> Any:
    return importlib.import_module("pymysql")


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _value(name: str, kind: int, binary: bool) -> str:
    """Return SQL that gives a column as something connectorx reads and Arrow holds exactly."""
    column = f"q.{_quoted(name)}"
    if kind in _PLAIN:
        return column
    if kind in (_TIMESTAMP, _DATE, _DATETIME):
        form = "date" if kind == _DATE else "datetime"
        return (
            f"case when {column} + 0 = 0 then null when month({column}) = 0 or "
            f"dayofmonth({column}) = 0 then {_NOT_A_DAY.format(form)} else {column} end"
        )
    if kind in _TEXTS:
        return f"lower(hex({column}))" if binary else column
    if kind == 16:
        return f"cast({column} + 0 as char)"
    return f"lower(hex({column}))" if kind == 255 else f"cast({column} as char)"


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    return pa.string() if pa.types.is_large_string(kind) else kind


def _limit(seconds: float, mariadb: bool) -> str:
    if mariadb:
        return f"set max_statement_time = {seconds:g}"
    return f"set max_execution_time = {round(seconds * 1000)}"


def _address(url: URL, offered: bool) -> str:
    """Return the address as connectorx reads it; it leaves out TLS unless it is told."""
    login, password = (quote(str(text or ""), safe="") for text in (url.username, url.password))
    host = f"[{url.host}]" if ":" in (url.host or "") else (url.host or "127.0.0.1")
    tls = {key: str(value) for key, value in url.query.items() if key in _TLS}
    if offered and not _mode(url):
        tls["ssl-mode"] = "REQUIRED"
    query = f"?{urlencode(tls, quote_via=quote)}" if tls else ""
    database = quote(url.database or "", safe="")
    return f"mysql://{login}:{password}@{host}:{url.port or 3306}/{database}{query}"


def _mode(url: URL) -> str:
    return str(url.query.get("ssl-mode") or "").upper()


def _tls(url: URL) -> dict[str, Any]:
    """Return PyMySQL's words for ssl-mode and ssl-ca."""
    mode = _mode(url)
    found: dict[str, Any] = {}
    if url.query.get("ssl-ca"):
        found["ssl_ca"] = str(url.query["ssl-ca"])
    if mode in ("VERIFY_CA", "VERIFY_IDENTITY"):
        found["ssl_verify_cert"] = True
        found["ssl_verify_identity"] = mode == "VERIFY_IDENTITY"
    elif mode == "REQUIRED":
        found["ssl"] = {"check_hostname": False}
    elif mode == "DISABLED":
        found["ssl_disabled"] = True
    return found


def _explain(error: Exception, words: Words) -> NoReturn:
    first = error.args[0] if error.args else None
    code = first if isinstance(first, int) else 0
    message = str(error.args[1]) if len(error.args) > 1 else ""
    if "CERTIFICATE_VERIFY_FAILED" in message:
        words.unusable("the server's certificate is not one of ssl-ca, or names another host")
    _sort(code, message, words)


def _explain_native(error: BaseException, words: Words) -> NoReturn:
    """Sort what connectorx raises: errors and panics whose text holds the server's code."""
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    text = str(error)
    found = re.search(r"ERROR (\d{4})[^:]*: ([^\n}]*)", text)
    if found:
        _sort(int(found[1]), found[2], words)
    lost = any(word in text for word in ("IO error", "IoError", "CodecError", "DriverError"))
    if lost:
        words.unreachable("was lost while it answered")
    words.refused("a value that cannot be read; cast its column to char")


def _sort(code: int, message: str, words: Words) -> NoReturn:
    """Sort an error by its number; only names of the query are quoted, never values or logins."""
    if code in _SLOW:
        words.unreachable("took longer than statement_timeout")
    if code in _BUSY or code == 0:
        words.unreachable("was lost or is busy" + (f" (error {code})" if code else ""))
    if code in _LOGIN:
        words.unusable("login, database or options are refused; see the connection")
    named = {
        1054: r"[Uu]nknown column '([^']*)'",
        1146: r"[Tt]able '([^']*)'",
        1142: r"for table ([`.\w]+)",
        1143: r"for column '([^']*)'",
        1052: r"[Cc]olumn '([^']*)'",
        1060: r"[Cc]olumn name '([^']*)'",
    }.get(code)
    found = re.search(named, message) if named else None
    kinds = {1054: "unknown column", 1146: "no table", 1064: "syntax", 1060: "two columns named"}
    kinds |= dict.fromkeys((1142, 1143), "no permission to read")
    kind = kinds.get(code, "it cannot be run")
    words.refused(f"error {code}: {kind}" + (f" {found[1]}" if found else ""))
