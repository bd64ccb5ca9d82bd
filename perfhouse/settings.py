"""Where things lie on this machine: the home folder, the project folders, the secrets.

The only module that reads environment variables; it may not know streams, KPIs or databases.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from perfhouse.errors import ConfigError
from perfhouse.month import Month

_KEY_BYTES = 32


@dataclass(frozen=True)
class Home:
    """Name the folders of one warehouse home; nothing else knows their layout."""

    root: Path

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
    def gates(self) -> Path:
        """Verdicts by month."""
        return self.root / "gates"

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

    Comes from PERFHOUSE_CUSTOMER_KEY (hex, or any text of 16 characters or more), else from
    a file made once in the home. Losing it breaks joins with earlier months, nothing else.
    """
    text = os.environ.get("PERFHOUSE_CUSTOMER_KEY")
    if text:
        if len(text) < 16:
            raise ConfigError(["PERFHOUSE_CUSTOMER_KEY: expected 16 characters or more"])
        return text.encode()
    file = home.secrets / "customer.key"
    home.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        _write_once(file, secrets.token_bytes(_KEY_BYTES))
    key = file.read_bytes()
    if len(key) < 16:
        raise ConfigError([f"{file}: expected a key of 16 bytes or more, got {len(key)}"])
    return key


def _write_once(file: Path, content: bytes) -> None:
    """Create a private file complete or not at all; a file another process made first wins."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
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


def connection_url(name: str) -> str:
    """Return the URL of a named connection; the message on failure never holds it."""
    key = name.upper().replace("-", "_")
    own, airflow = f"PERFHOUSE_URL_{key}", f"AIRFLOW_CONN_{key}"
    text = os.environ.get(own) or os.environ.get(airflow)
    if not text:
        raise ConfigError([f"connection {name!r}: expected {airflow} or {own} in the environment"])
    url = _from_json(name, text) if text.lstrip().startswith("{") else text
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError([f"connection {name!r}: expected a URL such as postgresql://host/db"])
    return f"{'postgresql' if scheme == 'postgres' else scheme}://{rest}"


def _from_json(name: str, text: str) -> str:
    """Turn Airflow's JSON form of a connection into a URL."""
    try:
        form = json.loads(text)
        kind = form["conn_type"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError([f"connection {name!r}: expected JSON with a conn_type"]) from None
    login = quote(str(form.get("login") or ""), safe="")
    password = f":{quote(str(form['password']), safe='')}" if form.get("password") else ""
    at = "@" if login or password else ""
    port = f":{form['port']}" if form.get("port") else ""
    extra = form.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    query = f"?{urlencode(extra)}" if extra else ""
    host = form.get("host") or ""
    return f"{kind}://{login}{password}{at}{host}{port}/{form.get('schema') or ''}{query}"


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of the environment with `extra` laid over it, for a child process."""
    return {**os.environ, **(extra or {})}


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
