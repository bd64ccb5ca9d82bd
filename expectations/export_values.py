"""The exports gate's rules about values: every cell of the HR file, reached by a second road.

The file comes from the export's model; what it must say is put together here from the published
scorecards, the month's managers and appeals. It may not judge whether a scorecard is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from expectations.export_files import unguarded
from expectations.rules import CRITICAL, Rule, quoted, rows
from perfhouse import formulas

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_CATEGORIES = ("result", "quality", "efficiency", "people", "innovation")
_STATES = {
    "appeals_open": ("submitted", "accepted"),
    "appeals_upheld": ("upheld",),
    "appeals_rejected": ("rejected",),
    "appeals_late": ("late",),
}
_OF_ROSTER = ("display_name", "team_name")
_ROUNDED = 0.000002


def prepare(con: DuckDBPyConnection, case: Case, agreed: Sequence[tuple[str, str]]) -> None:
    """Make `totals`, `shown_categories`, `managers`, `grades`, and `expected` of the HR file.

    The staged database is attached as `staged`.
    """
    con.execute("create table totals as select * from staged.scorecard_manager_months")
    con.execute(
        "create table shown_categories as select manager_id, category, sum(score * weight::double) "
        "/ nullif(sum(weight::double), 0) as score from (select * from "
        "staged.scorecard_kpi_months where status = 'scored') group by manager_id, category"
    )
    con.execute(f"attach {quoted(case.home.warehouse)} as warehouse (read_only)")
    con.execute(
        "create table managers as select manager_id, display_name, team_name "
        f"from warehouse.core.dim_managers where month = date '{case.month.start}'"
    )
    con.execute("create table grades as select grade from warehouse.config.grades")
    con.execute("detach warehouse")
    con.execute(_expected(agreed))


def value_rules(agreed: Sequence[tuple[str, str]]) -> list[Rule]:
    """Return the rules over `hr_csv`, which has the agreed columns."""
    columns_of = ", ".join(f"('{name}', {name}_score)" for name in _CATEGORIES)
    number = unguarded("employee_number")
    wrong = ", ".join(f"case when {_differs(*each)} then '{each[0]}' end" for each in agreed)
    return [
        rows(
            "grades_known", CRITICAL, "hr_csv",
            f"select {number} as manager_id, grade from batch "
            "where grade is not null and grade <> '' and grade not in (select grade from grades)",
            ("Every grade is one of the announced grades", "等级取值在公布的等级之内"),
        ),
        rows(
            "hr_equals_scorecards", CRITICAL, "hr_csv",
            "select manager_id, column_name from (select e.manager_id, "
            f"unnest([{wrong}]) as column_name from batch f "
            f"join expected e on e.manager_id = {unguarded('f.employee_number')}) "
            "where column_name is not null",
            ("Every value in the HR file is that of the scorecards, the roster and the appeals",
             "人事文件的每个值都与绩效卡、花名册及申诉一致"),
        ),
        rows(
            "categories_from_shown", CRITICAL, "hr_csv",
            "select f.id as manager_id, f.category from (select "
            f"{number} as id, unnest([{columns_of}]) as pair, "
            "pair[1] as category, nullif(pair[2], '') as score from batch) f "
            "left join shown_categories s on s.manager_id = f.id and s.category = f.category "
            "where f.score is not null "
            f"and coalesce(abs(try_cast(f.score as double) - s.score), 1) > {_ROUNDED}",
            ("Category scores follow from KPIs that are shown, so none tells of a hidden one",
             "类别得分均由已展示的指标得出，不泄露被隐藏的指标"),
        ),
    ]  # fmt: skip


def _expected(agreed: Sequence[tuple[str, str]]) -> str:
    """Return SQL that makes `expected`: a row per manager, every agreed column by its name."""
    made = {
        "employee_number": "t.manager_id",
        **{f"{name}_score": f"c.{name}_score" for name in _CATEGORIES},
        **{name: f"coalesce(a.{name}, 0)" for name in _STATES},
        **{name: f"m.{name}" for name in _OF_ROSTER},
    }
    picked = ", ".join(
        f"{_written(made.get(name, f't.{name}'), kind)} as {name}" for name, kind in agreed
    )
    categories = ", ".join(
        f"max(score) filter (where category = '{name}') as {name}_score" for name in _CATEGORIES
    )
    counts = ", ".join(
        f"count(*) filter (where state in ({', '.join(map(quoted, states))})) as {name}"
        for name, states in _STATES.items()
    )
    return (
        f"create table expected as select t.manager_id, {picked} from totals t "
        "join managers m on m.manager_id = t.manager_id left join "
        f"(select manager_id, {categories} from shown_categories group by manager_id) c "
        f"on c.manager_id = t.manager_id left join (select manager_id, {counts} from "
        "staged.scorecard_appeals group by manager_id) a on a.manager_id = t.manager_id"
    )


def _written(value: str, kind: str) -> str:
    """Return SQL for a value as the CSV has it; what is counted or measured stays a number."""
    if kind == "VARCHAR":
        return f"coalesce({formulas.guarded_sql(value)}, '')"
    return f"strftime({value}, '%Y-%m-%d')" if kind == "DATE" else value


def _differs(name: str, kind: str) -> str:
    if kind in ("VARCHAR", "DATE"):
        return f"coalesce(f.{name}, '') <> e.{name}"
    found = f"try_cast(nullif(f.{name}, '') as double)"
    return (
        f"(({found} is null) <> (e.{name} is null) or abs({found} - e.{name}) > {_ROUNDED} "
        f"or ({found} is null and coalesce(f.{name}, '') <> ''))"
    )
