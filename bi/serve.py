"""`make bi`: everything that dashboards need, on this machine or with servers that are named.

It starts what is not named, imports the bundle, gives rights and serves until it is interrupted.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from bi import api, bundle, environment, kept, logins, postgres, rights, superset_server
from bi.rights import Given
from bi.superset_server import ADMIN, Instance
from perfhouse import company, processes, warehouse
from perfhouse.errors import ConfigError
from perfhouse.mart import load, migration, readers
from perfhouse.mart.readers import Reader
from perfhouse.settings import Home, connection_url, secret

Progress = Callable[[str], None]
MART_ADMIN = "perfhouse_mart_admin"
_LOADER, _LOADER_LOGIN = "perfhouse_bi_demo_loader", "perfhouse_loader"
_METADATA = "PERFHOUSE_BI_METADATA"


@dataclass(frozen=True)
class Places:
    """Where the mart lies (host:port/database), and Superset's metadata (a URL)."""

    mart: str
    metadata: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """What a run was asked for."""

    home: Home
    company: Path
    readers: Path | None = None
    language: str = "zh"
    port: int = 8088
    host: str = "127.0.0.1"
    venv: Path | None = None

    @property
    def folder(self) -> Path:
        """Return where Superset, its secrets and a PostgreSQL of our own lie."""
        return self.home.root.resolve() / "bi"


@dataclass(frozen=True)
class Running:
    """A Superset that serves, with the bundle in it and rights given."""

    url: str
    child: processes.Child
    instance: Instance
    places: Places
    people: Sequence[Reader]
    accounts: Path

    def bring_up(self, language: str, progress: Progress) -> list[Given]:
        """Import the bundle and give rights; again changes nothing that is as it should be."""
        with api.Superset(self.url, ADMIN, self.instance.admin_password) as superset:
            progress("Superset: data sets, charts and dashboards")
            packed = bundle.archive(language, self.places.mart)
            superset.upload("assets/import/", packed, {})
        progress(f"Superset: roles, row-level rules and {len(self.people)} users")
        return rights.apply(self.instance, self.people, lambda new: kept.add(self.accounts, new))

    def wait(self) -> None:
        """Wait until Superset ends, which it does not by itself.

        Raises:
            ProcessDied: it did.
        """
        self.child.process.wait()
        processes.check([self.child])


@contextmanager
def running(settings: Settings, progress: Progress) -> Iterator[Running]:
    """Have everything up until the block ends.

    Raises:
        ConfigError: something is not installed, not named or not published (operator).
    """
    named = _named(settings)
    settings.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    programs = environment.ensure(settings.venv or settings.folder / "venv", progress)
    held = kept.secrets_of(settings.folder / "secrets.json")
    with _places(settings, named, progress) as places:
        people = _people(settings)
        progress(f"mart: logins of {len(people)} users")
        logins.make(MART_ADMIN, held["login_key"], people)
        instance = Instance(
            programs,
            settings.folder / "superset",
            places.metadata,
            held["secret_key"],
            held["login_key"],
            held["admin_password"],
            settings.language,
        )
        superset_server.prepare(instance, progress)
        progress("Superset: starting")
        with superset_server.serving(instance, settings.port, settings.host) as served:
            up = Running(*served, instance, places, people, settings.folder / "accounts.csv")
            up.bring_up(settings.language, progress)
            yield up


def serve(settings: Settings, progress: Progress) -> None:
    """Serve until SIGINT or SIGTERM."""
    with processes.stoppable():
        try:
            with running(settings, progress) as up:
                progress(f"dashboards: {up.url}/dashboard/list/")
                progress(f"log in with an account of {up.accounts} (only you may read it)")
                progress(f"administrator: {ADMIN}, password in {settings.folder}/secrets.json")
                progress("Ctrl-C stops it")
                up.wait()
        except KeyboardInterrupt:
            progress("stopped")


def _named(settings: Settings) -> Places | None:
    """Return the servers that the environment names; None where one is to be started here."""
    metadata = secret(_METADATA)
    admin = connection_url(MART_ADMIN) if any(map(os.environ.get, _variables(MART_ADMIN))) else None
    if metadata and admin:
        return Places(_place(admin), metadata)
    if metadata or admin:
        raise ConfigError(
            [
                f"bi: expected both {_METADATA} (Superset's own database) and "
                f"{_variables(MART_ADMIN)[0]} (the mart), or neither: then one is started here"
            ]
        )
    if not (settings.home.published / "scorecards.duckdb").exists():
        raise ConfigError([f"bi: nothing is published in {settings.home.root}; run `make run`"])
    return None


@contextmanager
def _places(settings: Settings, named: Places | None, progress: Progress) -> Iterator[Places]:
    if named is None:
        with _own(settings, progress) as places:
            yield places
    else:
        progress("PostgreSQL: the servers that are named")
        _database(named.metadata)
        yield named


@contextmanager
def _own(settings: Settings, progress: Progress) -> Iterator[Places]:
    """Start a PostgreSQL with a mart of what this home has published."""
    progress("PostgreSQL: starting one of our own")
    with postgres.running(settings.folder / "postgres") as server:
        metadata = server.database("superset")
        admin = server.database("perfhouse_mart")
        loader = secrets.token_hex(16)
        _login(admin, _LOADER_LOGIN, loader)
        os.environ[_variables(MART_ADMIN)[1]] = admin
        url = server.url("perfhouse_mart", _LOADER_LOGIN, loader)
        os.environ[_variables(_LOADER)[1]] = url
        migration.migrate(MART_ADMIN)
        readers.grant(MART_ADMIN, [Reader(_LOADER_LOGIN, "publisher")])
        told = company.load_company(settings.company)
        load.load(settings.home, told.id, _LOADER, progress=progress)
        yield Places(_place(admin), metadata)


def _variables(connection: str) -> tuple[str, str, str]:
    name = connection.upper()
    return f"AIRFLOW_CONN_{name}", f"PERFHOUSE_URL_{name}", f"PERFHOUSE_URL_{name}_FILE"


def _place(url: str) -> str:
    """Return host:port/database of a URL, with what follows it; never a login or a password."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}{query}"


def _database(url: str) -> None:
    """Make Superset's own database where the server has none of that name.

    Raises:
        ConfigError: the login may not, or the server refuses it (operator).
    """
    try:
        with psycopg.connect(url, connect_timeout=10):
            return
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise ConfigError([f"bi: {_METADATA}: the server does not answer this login"]) from None
    parts = urlsplit(url)
    name = parts.path.strip("/")
    try:
        with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as con:
            con.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        kind = type(error).__name__
        raise ConfigError(
            [f"bi: {_METADATA}: expected the database {name!r}; `create database` first ({kind})"]
        ) from None


def _login(url: str, name: str, password: str) -> None:
    with psycopg.connect(url, autocommit=True) as con:
        row = con.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone()
        statement = sql.SQL(f"{'alter' if row else 'create'} role {{}} login password {{}}")
        con.execute(statement.format(sql.Identifier(name), sql.Literal(password)))


def _people(settings: Settings) -> list[Reader]:
    """Return the users of the file, or some to try with: HR, an analyst, every manager."""
    if settings.readers is not None:
        return readers.read(settings.readers)
    published = (settings.home.published / "scorecards.duckdb").resolve()
    if not published.exists():
        raise ConfigError(["bi: expected --readers, a CSV with login, role and manager_id"])
    with warehouse.connect(published, read_only=True) as con:
        rows = con.execute(
            "select distinct manager_id from scorecard_manager_months where month = "
            "(select max(month) from scorecard_manager_months) order by manager_id"
        ).fetchall()
    known = [Reader("hr", "hr"), Reader("analyst", "analyst")]
    return known + [Reader(manager, "manager", (manager,)) for (manager,) in rows]
