"""Made-up sums of managers, scored by the product's own models and nothing else.

Fills the tables that the scorecard models read, lets dbt run those models, gives back what they
made; the fairness benchmark and the fairness tests stand on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from perfhouse import build, settings, warehouse
from perfhouse.month import Month
from perfhouse.settings import Home

MODELS = (
    *("kpi_references", "kpi_reliabilities", "kpi_manager_months", "kpi_confidential_cells"),
    *("scorecard_kpi_months", "scorecard_manager_months"),
)
STRATA = (
    *("month", "kpi_id", "manager_id", "stratum", "numerator", "denominator"),
    *("numerator_squares", "products", "denominator_squares"),
)
_TABLES = """
create schema kpis; create schema core; create schema config; create schema scorecards;
create table kpis.kpi_definitions (kpi_id varchar, version varchar, category varchar,
    direction varchar, kind varchar, unit varchar, minimum_sample integer, is_suppressed boolean,
    maturity_days integer, first_month varchar, last_month varchar, minimum_rows integer,
    is_signed boolean);
create table kpis.kpi_manager_strata (month date, kpi_id varchar, kpi_version varchar,
    manager_id varchar, is_direct boolean, stratum varchar, numerator decimal(28, 10),
    denominator decimal(28, 10), numerator_squares decimal(38, 12), products decimal(38, 12),
    denominator_squares decimal(38, 12), row_count integer);
create table kpis.kpi_shared_answers (month date, kpi_id varchar, kpi_version varchar,
    manager_id varchar, management_path varchar);
create view kpis.kpi_employee_months as select month, kpi_id, kpi_version, manager_id,
    null::varchar as team_id, null::varchar as employee_id, numerator, denominator
    from kpis.kpi_manager_strata where is_direct;
create view kpis.kpi_stratum_months as select month, kpi_id, kpi_version, manager_id,
    null::varchar as management_path, null::varchar as team_id, numerator, denominator,
    denominator_squares, row_count
    from kpis.kpi_manager_strata where is_direct;
create table core.dim_months (month date, next_month date, as_of_on date);
create table core.dim_manager_tree (month date, management_path varchar, ancestor_id varchar,
    distance integer);
create table config.released_answers (kpi_id varchar, manager_id varchar, team_id varchar,
    release_number bigint, numerator double, denominator double);
create table scorecards.scorecard_appeals (month date, manager_id varchar, kpi_id varchar,
    outcome varchar, is_row boolean);
create table core.dim_managers (month date, manager_id varchar, role varchar, team_id varchar,
    agent_count integer, exposure_days integer);
create table config.kpis (kpi_id varchar, minimum_sample bigint);
create table config.chosen_kpis (kpi_id varchar);
create table config.targets (kpi_id varchar, role varchar, team_id varchar, floor double,
    target double, stretch double, weight double, valid_from date, valid_to date,
    version varchar, announced_on date, approved_by varchar);
create table config.grades (grade varchar, from_score double);
create table config.settings (name varchar, value double);
insert into config.grades values ('A', 0);
insert into config.settings values ('coverage_minimum', 0.5);
"""


@dataclass(frozen=True)
class Kpi:
    """A KPI as its definition and target say it; the defaults judge a rate between 0 and 1."""

    kpi_id: str
    kind: str = "proportion"
    direction: str = "up"
    minimum_sample: int = 1
    is_suppressed: bool = False
    unit: str = "seconds"
    is_signed: bool = False
    floor: float = 0.0
    target: float = 0.5
    stretch: float | None = 1.0
    weight: float = 1.0
    role: str = "*"


class NotScored(RuntimeError):
    """A model failed; the message is dbt's."""


def fill(
    root: Path, kpis: Iterable[Kpi], strata: pa.Table, roles: Mapping[str, str] | None = None
) -> Home:
    """Write a warehouse that holds what the scorecard models read; `strata` has STRATA's columns.

    Every manager of `strata` is one of the role 'lead', or of `roles`, in every month.
    """
    home = Home(root).ensure()
    con = warehouse.connect(home.warehouse)
    try:
        con.execute(_TABLES)
        for kpi in kpis:
            con.execute(
                "insert into kpis.kpi_definitions values "
                "(?, '1', 'result', ?, ?, ?, ?, ?, 0, '1970-01', '9999-12', 1, ?)",
                [
                    *(kpi.kpi_id, kpi.direction, kpi.kind, kpi.unit, kpi.minimum_sample),
                    *(kpi.is_suppressed, kpi.is_signed),
                ],
            )
            con.execute(
                "insert into config.targets values (?, ?, '*', ?, ?, ?, ?, '2000-01-01', null, "
                "'1', '1999-12-01', 'HR')",
                [kpi.kpi_id, kpi.role, kpi.floor, kpi.target, kpi.stretch, kpi.weight],
            )
        con.register("given", strata)
        con.execute(
            "insert into kpis.kpi_manager_strata by name "
            f"select {', '.join(STRATA)}, '1' as kpi_version, true as is_direct, "
            "cast(ceil(denominator) as integer) as row_count from given"
        )
        named = {"manager_id": list(roles or ()), "role": list((roles or {}).values())}
        con.register("roles", pa.table(named, pa.schema(dict.fromkeys(named, pa.string()))))
        con.execute(
            "insert into core.dim_managers select distinct month, manager_id, "
            "coalesce(role, 'lead'), null::varchar, 1, 30 "
            "from given left join roles using (manager_id)"
        )
    finally:
        con.close()
    return home


def score(home: Home, month: Month) -> None:
    """Run the models of a month, as a build does.

    Raises:
        NotScored: a model failed.
    """
    extra = {"PERFHOUSE_COMPANY_KPIS": "company_kpis"}
    with settings.dbt_environment(home, month, month, extra):
        runs, failure = build.run_dbt(["run", "--select", *MODELS])
    wrong = [f"{run.name}: {run.message}" for run in runs if run.status != "success"]
    if failure or wrong or len(runs) != len(MODELS):
        raise NotScored(failure or "\n".join(wrong) or f"ran {[run.name for run in runs]}")


def query(home: Home, sql: str) -> list[tuple[Any, ...]]:
    """Ask the warehouse."""
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


def columns(home: Home, sql: str) -> dict[str, Any]:
    """Ask the warehouse; columns come as arrays by name."""
    con = warehouse.connect(home.warehouse, read_only=True)
    try:
        return dict(con.execute(sql).fetchnumpy())
    finally:
        con.close()


def table(rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Make a table of STRATA's columns from rows."""
    return pa.table(
        {name: list(values) for name, values in zip(STRATA, zip(*rows, strict=True), strict=True)}
    )
