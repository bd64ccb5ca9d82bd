"""Where things lie on this machine: the home folder, the project folders, the secrets.

The only module that reads environment variables; it may not know streams, KPIs or databases.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import get_ident
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from perfhouse.errors import ConfigError
from perfhouse.month import Month

_KEY_BYTES = 32
_CONNECTIONS = ("AIRFLOW_CONN_", "PERFHOUSE_URL_")
_CUSTOMER_KEY = "PERFHOUSE_CUSTOMER_KEY"


def cores() -> int:
    """Count the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # which macOS has not
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@dataclass(frozen=True)
class Home:
    """Name the folders of one warehouse home; nothing else knows their layout."""

    root: Path

    @property
    def lineage(self) -> Path:
        """What tasks of Airflow read and made, as OpenLineage's events."""
        return self.root / "lineage"

    @property
    def raw(self) -> Path:
        """Landed Parquet by stream, month and source."""
        return self.root / "raw"

    @property
    def archive(self) -> Path:
        """The original bytes, by month and source."""
        return self.raw / "_archive"

    @property
    def quarantine(self) -> Path:
        """Rows that could not land; protected, for it holds raw text."""
        return self.raw / "_quarantine"

    @property
    def manifests(self) -> Path:
        """One pointer file per month and source: what is landed now."""
        return self.raw / "_manifests"

    @property
    def superseded(self) -> Path:
        """Earlier landings, kept so that past releases stay rebuildable."""
        return self.raw / "_superseded"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that only the build writes."""
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        """Releases, the ledger and the link that readers open."""
        return self.root / "published"

    @property
    def deliveries(self) -> Path:
        """What was handed to whom, and the public key to check it with."""
        return self.root / "deliveries"

    @property
    def gates(self) -> Path:
        """Verdicts by month."""
        return self.root / "gates"

    @property
    def data_docs(self) -> Path:
        """Pages of the verdicts; they name failing rows, so they are no publication."""
        return self.root / "docs" / "gates"

    @property
    def operations(self) -> Path:
        """Pages about releases; they tell of durations and findings, so they are no publication."""
        return self.root / "docs" / "operations"

    @property
    def arrivals(self) -> Path:
        """What lay at a watched place when a month was last ingested from it."""
        return self.root / "arrivals"

    @property
    def processed(self) -> Path:
        """Which deliveries each month was last built and published from, and what stopped it."""
        return self.root / "processed"

    @property
    def configurations(self) -> Path:
        """The settings that releases were made under, by hash."""
        return self.root / "configurations"

    @property
    def metrics(self) -> Path:
        """The folder in which `mf query` runs."""
        return self.root / "metrics"

    @property
    def dbt(self) -> Path:
        """Compiled project and parser state of dbt."""
        return self.root / "dbt"

    @property
    def logs(self) -> Path:
        """Logs of our own."""
        return self.root / "logs"

    @property
    def tmp(self) -> Path:
        """Files in the making, on the same file system as their destination."""
        return self.root / "tmp"

    @property
    def secrets(self) -> Path:
        """Keys that must never leave this machine."""
        return self.root / "secrets"

    def ensure(self) -> Home:
        """Create the folders that must exist; return self.

        Only `published` is for others to read; the rest holds raw rows, keys or samples.
        """
        self.published.mkdir(parents=True, exist_ok=True)
        private = (self.raw, self.archive, self.quarantine, self.manifests, self.gates)
        for folder in (*private, self.dbt, self.logs, self.tmp, self.secrets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.stat()
            if found.st_mode & 0o077 and found.st_uid == os.geteuid():  # of an earlier version
                folder.chmod(0o700)
        return self


class Defaults(NamedTuple):
    """Folders used where the command line names none."""

    company: Path | None
    data: Path | None
    home: Path


def defaults() -> Defaults:
    """Return PERFHOUSE_COMPANY, PERFHOUSE_DATA and PERFHOUSE_HOME or what stands in for them."""
    company, data = os.environ.get("PERFHOUSE_COMPANY"), os.environ.get("PERFHOUSE_DATA")
    return Defaults(
        company=Path(company) if company else None,
        data=Path(data) if data else None,
        home=Path(os.environ.get("PERFHOUSE_HOME") or "data"),
    )


def option(name: str, default: str | None = None) -> str | None:
    """Return the environment variable PERFHOUSE_<NAME>; an empty one counts as absent."""
    return os.environ.get(f"PERFHOUSE_{name.upper()}") or default


def has_lineage_server() -> bool:
    """Say whether OpenLineage's own variables name somebody who takes its events."""
    named = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
    transport = any(key.startswith("OPENLINEAGE__TRANSPORT") for key in os.environ)
    return transport or any(os.environ.get(name) for name in named)


def secret(variable: str) -> str | None:
    """Return a secret variable, or what the file in <VARIABLE>_FILE holds; it is never logged.

    Docker and Kubernetes give secrets as files; a line's end at the end of one is not part of it.

    Raises:
        ConfigError: both are set, or the file cannot be read or is empty (operator).
    """
    text, path = os.environ.get(variable), os.environ.get(f"{variable}_FILE")
    if not path:
        return text or None
    if text:
        raise ConfigError([f"{variable}: expected it or {variable}_FILE, got both"])
    try:
        held = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError([f"{variable}_FILE: cannot read {path}: {why}"]) from None
    if not held:
        raise ConfigError([f"{variable}_FILE: {path} is empty"])
    return held


def threads() -> int | None:
    """Return PERFHOUSE_THREADS, or None to let the engine decide."""
    text = option("threads")
    if text is None:
        return None
    if not text.isdigit() or int(text) < 1:
        raise ConfigError([f"PERFHOUSE_THREADS: expected a whole number from 1, got {text!r}"])
    return int(text)


def customer_key(home: Home) -> bytes:
    """Return the key that customer identifiers are hashed with; it is never logged.

    Comes from PERFHOUSE_CUSTOMER_KEY or PERFHOUSE_CUSTOMER_KEY_FILE (hex, or any text of 16
    characters or more), else from a file made once in the home. Losing it breaks joins with
    earlier months, nothing else.
    """
    text = secret(_CUSTOMER_KEY)
    if text:
        if len(text) < 16:
            raise ConfigError([f"{_CUSTOMER_KEY}: expected 16 characters or more"])
        return text.encode()
    return _kept_key(home, "customer.key")


def evidence_key(home: Home) -> bytes:
    """Return the key that the nonces of published rows come from; it is never logged.

    A file made once in the home. Without it no release can be rebuilt with the same evidence.
    """
    return _kept_key(home, "evidence.key")


def _kept_key(home: Home, name: str) -> bytes:
    file = home.secrets / name
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        write_once(file, secrets.token_bytes(_KEY_BYTES))
    key = file.read_bytes()
    if len(key) < 16:
        raise ConfigError([f"{file}: expected a key of 16 bytes or more, got {len(key)}"])
    return key


def write_once(file: Path, content: bytes) -> None:
    """Create a private file complete or not at all; a file somebody else made first wins."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{get_ident()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _project(variable: str, folder: str) -> Path:
    chosen = os.environ.get(variable)
    here = Path(__file__).resolve().parent
    candidates = [Path(chosen)] if chosen else [here / "_project" / folder, here.parent / folder]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate.resolve()
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise ConfigError([f"{variable}: expected the folder {folder}, found none at {tried}"])


def project_dir() -> Path:
    """Return the dbt project: PERFHOUSE_DBT_PROJECT, the wheel's copy, or the checkout's."""
    return _project("PERFHOUSE_DBT_PROJECT", "dbt_project")


def dags_dir() -> Path:
    """Return the folder of DAG files: PERFHOUSE_DAGS, the wheel's copy, or the checkout's."""
    return _project("PERFHOUSE_DAGS", "dags")


@dataclass(frozen=True, repr=False)
class Connection:
    """A named connection as Airflow describes one; it never shows its secrets.

    Args:
        kind: the URL's scheme or Airflow's conn_type: https, postgresql, sftp, ....
        schema: the URL's path: a database, bucket or folder.
        extra: the URL's query or Airflow's extra.
    """

    name: str
    kind: str
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Name the connection and nothing of it."""
        return f"Connection({self.name!r})"

    def url(self) -> str:
        """Return the connection as one URL, secrets included."""
        login = quote(self.login, safe="")
        password = f":{quote(self.password, safe='')}" if self.password else ""
        at = "@" if login or password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        query = f"?{urlencode(self.extra)}" if self.extra else ""
        return f"{self.kind}://{login}{password}{at}{host}{port}/{self.schema}{query}"


def connection(name: str) -> Connection:
    """Return a named connection: AIRFLOW_CONN_<NAME> (URI or JSON) or PERFHOUSE_URL_<NAME>.

    PERFHOUSE_URL_<NAME>_FILE names a file that holds either form. Where the environment has none,
    Airflow's own store is asked, if Airflow runs us.

    Raises:
        ConfigError: there is none, or it cannot be read; the message never holds it (operator).
    """
    text = _environment_text(name)
    if text is None:
        return _provided(name)
    try:
        if text.lstrip().startswith("{"):
            return _from_json(name, json.loads(text))
        return _from_url(name, text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            [f"connection {name!r}: expected a URL, or JSON with conn_type"]
        ) from None


def connection_url(name: str) -> str:
    """Return the URL of a named connection; the message on failure never holds it."""
    text = _environment_text(name)
    if text is None or text.lstrip().startswith("{") or "__extra__=" in text:
        return connection(name).url()  # no database knows how Airflow writes an extra
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ConfigError([f"connection {name!r}: expected a URL such as postgresql://host/db"])
    return f"{_scheme(scheme)}://{rest}"


_stores: list[Callable[[str], Connection | None]] = []


def ask_for_connections(store: Callable[[str], Connection | None]) -> None:
    """Let connections also come from a store, asked after the environment; once is enough."""
    if store not in _stores:
        _stores.append(store)


def _variables(name: str) -> tuple[str, str]:
    key = name.upper().replace("-", "_")
    return f"AIRFLOW_CONN_{key}", f"PERFHOUSE_URL_{key}"


def _environment_text(name: str) -> str | None:
    airflow, own = _variables(name)
    return secret(own) or os.environ.get(airflow) or None


def _provided(name: str) -> Connection:
    for store in _stores:
        found = store(name)
        if found is not None:
            return replace(found, kind=_scheme(found.kind))
    raise ConfigError(
        [f"connection {name!r}: expected {' or '.join(_variables(name))} in the environment"]
    )


def _scheme(text: str) -> str:
    return "postgresql" if text == "postgres" else text


def _from_url(name: str, text: str) -> Connection:
    """Read Airflow's URI form; what its query holds is the connection's extra."""
    parts = urlsplit(text)
    if not parts.scheme or "://" not in text:
        raise ValueError
    return Connection(
        name=name,
        kind=_scheme(parts.scheme),
        host=unquote(parts.hostname or ""),
        port=parts.port,
        schema=unquote(parts.path.removeprefix("/")),
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        extra=_extra({key: values[-1] for key, values in parse_qs(parts.query).items()}),
    )


def _from_json(name: str, form: Mapping[str, Any]) -> Connection:
    """Read Airflow's JSON form of a connection."""
    return Connection(
        name=name,
        kind=_scheme(str(form["conn_type"])),
        host=str(form.get("host") or ""),
        port=int(form["port"]) if form.get("port") else None,
        schema=str(form.get("schema") or ""),
        login=str(form.get("login") or ""),
        password=str(form.get("password") or ""),
        extra=_extra(form.get("extra") or {}),
    )


def _extra(given: Any) -> dict[str, str]:
    """Return extra as texts; Airflow's URI form may keep it as JSON under `__extra__`."""
    found = json.loads(given) if isinstance(given, str) else given
    if "__extra__" in found:
        found = json.loads(found["__extra__"])
    return {str(k): v if isinstance(v, str) else json.dumps(v) for k, v in found.items()}


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of the environment with `extra` laid over it, for a child process."""
    return {**os.environ, **(extra or {})}


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables without connections and keys, for a process that needs none."""
    return {
        name: value
        for name, value in variables.items()
        if not name.startswith((*_CONNECTIONS, _CUSTOMER_KEY))
    }


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the time of a block, then put back what was there.

    Not for use from two threads at once: the environment belongs to the process.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def dbt_environment(
    home: Home, month: Month, as_of: Month | None = None, extra: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Give dbt its month and places by environment, for a changed --vars costs a full parse.

    PERFHOUSE_MONTH_START and PERFHOUSE_MONTH_END are ISO days, the end excluded.
    """
    window = as_of or month
    values = {
        "PERFHOUSE_MONTH": month.key,
        "PERFHOUSE_MONTH_START": month.start.isoformat(),
        "PERFHOUSE_MONTH_END": month.end.isoformat(),
        "PERFHOUSE_AS_OF": window.key,
        "PERFHOUSE_WAREHOUSE": str(home.warehouse.resolve()),
        "PERFHOUSE_HOME": str(home.root.resolve()),
        "DBT_TARGET_PATH": str((home.dbt / "target").resolve()),
        "DBT_LOG_PATH": str((home.dbt / "logs").resolve()),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        **(extra or {}),
    }
    with environment(values):
        yield
