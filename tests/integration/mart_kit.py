"""A home with releases whose tables have every column of the contracts, and a mart beside it.

Test material. Values are made to be hard to keep: signs, trailing zeros, Chinese, quotes, nothing.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import publish_in_child as child
import small_warehouse as small
import yaml
from servers.postgres import Postgres
from small_warehouse import CALLS, MONTH, ROSTER

from perfhouse import settings, stages, warehouse
from perfhouse.mart import migration, readers
from perfhouse.mart.readers import Reader
from perfhouse.month import Month
from perfhouse.public_tables import PUBLIC_TABLES, PublicTable
from perfhouse.release import Release
from perfhouse.restatement import Reason
from perfhouse.settings import Home

AUGUST = MONTH.plus(-1)
ADMIN, LOADER = "mart_kit_admin", "mart_kit"
PASSWORD = "p@ss/w:rd"
# Who stands above whom: D1 over all; in August M3 still answers to M1, from September on to M2.
TREE = {
    AUGUST: {"D1": (), "M1": ("D1",), "M2": ("D1",), "M3": ("M1", "D1")},
    MONTH: {"D1": (), "M1": ("D1",), "M2": ("D1",), "M3": ("M2", "D1")},
}
TEXTS = (
    "满意度 😀",
    'it\'s "so"',
    "line\nline",
    "back\\slash\t",
    "",
    "\\N",
    "ä",
    "null",
    "中文；逗号,",
)
KEYS = {
    "kpi_id": ("csat_rate", "接通率"),
    "team_id": ("T1", "-"),
    "kpi_version": ("1", "10", "9"),
    "version": ("1", "2"),
    "stratum": ("-", "voice · 夜班"),
    "appeal_key": ("a1", "a2"),
}
# What queries ask for by name, or join on.
NAMED = {"status": ("scored", "insufficient_data"), "kpi_version": ("1", "2")}


@dataclass(frozen=True)
class Mart:
    """A home, its company, and the server that shows its releases."""

    server: Postgres
    database: str
    home: Home
    ws: stages.Workspace

    def publish(
        self, month: Month, seed: int, reason: Reason | None = None, progress: Any = print
    ) -> Release:
        """Build other numbers and publish them, mart included."""
        build(self.home, month, seed)
        child.judge(self.home, self.ws.company, month)
        return stages.publish(self.ws, month, progress=progress, reason=reason)

    def as_login(self, login: str) -> psycopg.Connection[Any]:
        """Open a session as somebody who reads."""
        return psycopg.connect(
            host=self.server.host, port=self.server.port, dbname=self.database, user=login,
            password=PASSWORD, autocommit=True,
        )  # fmt: skip

    def as_admin(self) -> psycopg.Connection[Any]:
        """Open a session as who may do everything."""
        return self.server.connect(self.database)

    def ask(self, login: str, query: str) -> list[tuple[Any, ...]]:
        """Return what a login gets as answer."""
        with self.as_login(login) as con:
            return con.execute(query).fetchall()


def make(
    root: Path, server: Postgres, patch: Any, months: Sequence[Month] = (AUGUST, MONTH)
) -> Mart:
    """Publish months into a mart that was just made; `patch` is a MonkeyPatch."""
    database = f"mart_{root.name}".lower().replace("-", "_")
    url = server.database(database)
    patch.setenv(f"PERFHOUSE_URL_{ADMIN.upper()}", url)
    login(server, "loader")
    place = f"loader:{psycopg_quoted(PASSWORD)}@{server.host}:{server.port}/{database}"
    patch.setenv(f"PERFHOUSE_URL_{LOADER.upper()}", f"postgresql://{place}")
    migration.migrate(ADMIN)
    readers.grant(ADMIN, [Reader("loader", "publisher")])
    home = small.home(root / "home")
    company = small.company(root / "company", small.source("hr"), small.source("calls"))
    ws = stages.Workspace(replace(company, mart=LOADER), root, home)
    mart = Mart(server, database, home, ws)
    for month in months:
        day, call = f"{month.last_day}", f"{month.key}-10"
        roster = ROSTER.replace("2026-09-30", day)
        small.land(home, "hr", {"hr_roster": roster}, month)
        small.land(home, "calls", {"calls": CALLS.replace("2026-09-10", call)}, month)
        mart.publish(month, seed=month.start.month)
    return mart


def psycopg_quoted(text: str) -> str:
    """Return text as it stands in a URL."""
    from urllib.parse import quote

    return quote(text, safe="")


def login(server: Postgres, name: str, words: str = "") -> None:
    """Make a login that may do nothing."""
    role = psycopg.sql.Identifier(name).as_string()
    with server.connect() as con:
        if not con.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
            con.execute(f"create role {role} login password '{PASSWORD}' {words}")


def build(home: Home, month: Month, seed: int) -> None:
    """Fill the warehouse with a month: the hand-made tables, the public ones by their contracts."""
    con = warehouse.connect(home.warehouse)
    for table in PUBLIC_TABLES:
        con.execute(f"create schema if not exists {table.schema}")
        con.execute(f"drop table if exists {table.relation}")
    con.close()
    small.build(home, month)
    con = warehouse.connect(home.warehouse)
    for table in PUBLIC_TABLES:
        columns = contract(table)
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"create or replace table {table.relation} ({listed})")
        rows = list(rows_of(table, columns, month, seed))
        marks = ", ".join("?" for _ in columns)
        con.executemany(f"insert into {table.relation} values ({marks})", rows)
    con.close()


def contract(table: PublicTable) -> dict[str, str]:
    """Return the columns of a table and their types, names of people included."""
    file = settings.project_dir() / "models" / table.schema / f"{table.name}.yml"
    models = yaml.safe_load(file.read_text(encoding="utf-8"))["models"]
    model = next(m for m in models if m["name"] == table.name)
    return {column["name"]: column["data_type"] for column in model["columns"]}


def rows_of(table: PublicTable, columns: dict[str, str], month: Month, seed: int) -> Any:
    """Yield a row per combination of keys; the same seed makes the same values."""
    random_ = random.Random(f"{table.name} {month} {seed}")
    if table.name == "scorecard_manager_tree":
        for manager, above in TREE[month].items():
            for distance, ancestor in enumerate((manager, *above)):
                yield [month.start, manager, ancestor, distance]
        return
    managers = tuple(TREE[month])
    known = {**KEYS, "month": (month.start,), "manager_id": managers, "employee_number": managers}
    for key in itertools.product(*(known[name] for name in table.key)):
        said = dict(zip(table.key, key, strict=True))
        if "employee_number" in said:
            said["display_name"] = f"=王{said['employee_number']}"
        for name in sorted((NAMED.keys() & columns.keys()) - said.keys()):
            said[name] = random_.choice(NAMED[name])
        yield [said.get(name, value(random_, kind)) for name, kind in columns.items()]


def value(random_: random.Random, kind: str) -> Any:
    """Return some value of a type, nothing now and then."""
    if random_.random() < 0.15:
        return None
    if kind.startswith("numeric"):
        scale = int(kind.rstrip(")").split(",")[1])
        digits = random_.choice((0, 1, 10**scale, random_.randrange(10**12)))
        return Decimal(random_.choice((-1, 1)) * digits).scaleb(-scale)
    made: dict[str, Any] = {
        "varchar": random_.choice(TEXTS),
        "integer": random_.randrange(-(2**31), 2**31),
        "boolean": random_.random() < 0.5,
        "date": date(1970, 1, 1).replace(year=random_.randrange(1900, 2200)),
    }
    return made[kind]
