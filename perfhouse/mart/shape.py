"""What the mart holds and who may read which rows: tables, columns, keys, meanings, policies.

Read from the dbt project's contracts and from `tables.yml`; it may not talk to a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from perfhouse import hashing, settings
from perfhouse.public_tables import PERSONAL_COLUMNS, PUBLIC_TABLES

SCHEMA = "perfhouse"
NEXT = "perfhouse_next"
PRIVATE = "perfhouse_private"
NAMES = "hr_manager_names"
OWNER, PUBLISHER = "perfhouse_owner", "perfhouse_publisher"
HR, ANALYST, MANAGER = "perfhouse_hr", "perfhouse_analyst", "perfhouse_manager"
# What the command line calls the groups.
ROLES = {"hr": HR, "analyst": ANALYST, "manager": MANAGER, "publisher": PUBLISHER}

_OWN_IDS = f"(select r.manager_id from {PRIVATE}.readers as r)"
_BELOW = f"(select t.month, t.manager_id from {SCHEMA}.scorecard_manager_tree as t)"


def _own(column: str) -> str:
    """Return the rows of a manager: their own, and those of who was below them that month.

    Both subqueries run under the reader's own rights, so each gives their part only.
    """
    return f"(month, {column}) in {_BELOW} or {column} in {_OWN_IDS}"


# The rows that a manager may read; a table that is not here has none for them.
_OF_MANAGERS = {
    "scorecard_kpi_months": _own("manager_id"),
    "scorecard_manager_months": _own("manager_id"),
    "scorecard_team_months": _own("manager_id"),
    "scorecard_explanations": _own("manager_id"),
    "scorecard_appeals": _own("manager_id"),
    "export_hr_manager_months": _own("employee_number"),
    "scorecard_manager_tree": f"ancestor_id in {_OWN_IDS}",
    "kpi_definitions": "true",
    "releases": "true",
}
# What else analysts read; a table that is in neither is for HR alone until somebody says so.
_OF_STAFF = frozenset(("kpi_references", "kpi_reliabilities", "gate_verdicts", "reconciliation"))
_POSTGRES = {"varchar": "text"}


@dataclass(frozen=True)
class Column:
    """A column with its type in the words of the contract, such as `numeric(18,6)`."""

    name: str
    type: str
    description: str

    @property
    def postgres_type(self) -> str:
        """Return the type in the mart, as PostgreSQL itself writes it."""
        return _POSTGRES.get(self.type, self.type)


@dataclass(frozen=True)
class Table:
    """A table of the mart; `policies` maps a group to the condition of the rows it reads."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    policies: Mapping[str, str]

    @property
    def by_month(self) -> bool:
        """Say whether its rows belong to months."""
        return "month" in self.key

    @property
    def manager_column(self) -> str | None:
        """Return the column that tells whose row it is."""
        names = [column.name for column in self.columns]
        return next((name for name in ("manager_id", "employee_number") if name in names), None)


@cache
def tables() -> tuple[Table, ...]:
    """Return every table of the mart, those of the dbt project first."""
    models = settings.project_dir() / "models"
    public = []
    for table in PUBLIC_TABLES:
        said = _models(models / table.schema / f"{table.name}.yml")[table.name]
        public.append(_table(said, table.key, PERSONAL_COLUMNS))
    own = _models(Path(__file__).with_name("tables.yml"))
    return (*public, *(_table(said, _key(said)) for said in own.values()))


@cache
def version() -> str:
    """Return the hash of everything that `migrate` must have made for a load to fit."""
    return hashing.sha256_of(
        [
            [
                t.name,
                [[c.name, c.postgres_type] for c in t.columns],
                t.key,
                sorted(t.policies.items()),
            ]
            for t in tables()
        ]
    )


def _models(file: Path) -> dict[str, Any]:
    said = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {model["name"]: model for model in said["models"]}


def _key(model: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(model["constraints"][0]["columns"])


def _table(
    model: Mapping[str, Any], key: tuple[str, ...], hidden: frozenset[str] = frozenset()
) -> Table:
    columns = tuple(
        Column(each["name"], each["data_type"], each["description"].strip())
        for each in model["columns"]
        if each["name"] not in hidden
    )
    name = model["name"]
    return Table(name, model["description"].strip(), columns, key, _policies(name))


def _policies(name: str) -> dict[str, str]:
    found = {PUBLISHER: "true", HR: "true"}
    if name in _OF_MANAGERS or name in _OF_STAFF:
        found[ANALYST] = "true"
    if name in _OF_MANAGERS:
        found[MANAGER] = _OF_MANAGERS[name]
    return found
