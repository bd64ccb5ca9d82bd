"""The exports gate's rules about payroll: the agreed columns, final totals only, approved bands.

Judges what is paid for, never what a result is; the files are read elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations.export_files import other_types, unguarded
from expectations.rules import CRITICAL, Rule, columns, quoted, rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

# What payroll is promised: names, types, order. A change here is a change of a contract.
PAYROLL_COLUMNS = (
    ("month", "DATE"),
    ("employee_number", "VARCHAR"),
    ("points", "DECIMAL(18,6)"),
    ("multiplier", "DECIMAL(18,6)"),
    ("band_version", "VARCHAR"),
)


def prepare(con: DuckDBPyConnection, case: Case) -> None:
    """Make `bands`, those in force, and `final`, the managers whose total is paid for."""
    con.execute(f"attach {quoted(case.home.warehouse)} as warehouse (read_only)")
    con.execute(
        "create table bands as select * from warehouse.config.payroll_bands where valid_from <= "
        f"date '{case.month.start}' and coalesce(valid_to > date '{case.month.start}', true)"
    )
    con.execute(
        "create table final as select * from totals where status = 'scored' and manager_id not in "
        "(select manager_id from warehouse.scorecards.scorecard_kpi_months where is_provisional "
        f"and weight is not null and month = date '{case.month.start}')"
    )
    con.execute("detach warehouse")


def payroll_rules() -> list[Rule]:
    """Return the rules over `payroll_csv` and `payroll_fields`."""
    number = unguarded("employee_number")
    # Bands of a role's own come before those of any role, which then pay nobody of it.
    whose = (
        "(b.role = t.role or (b.role = '*' and not exists "
        "(select 1 from bands o where o.role = t.role)))"
    )
    fits = f"{whose} and (b.grade = t.grade or b.from_score <= p.total)"
    return [
        columns(
            "payroll_columns", CRITICAL, "payroll_csv", [name for name, _ in PAYROLL_COLUMNS],
            ("The payroll file has exactly the agreed columns, and no name",
             "薪酬文件的列与约定完全一致且不含姓名"),
        ),
        rows(
            "payroll_types", CRITICAL, "payroll_fields", other_types(PAYROLL_COLUMNS),
            ("The payroll columns have exactly the agreed types", "薪酬文件的列类型与约定完全一致"),
        ),
        rows(
            "payroll_rows_are_final", CRITICAL, "payroll_csv",
            "select coalesce(t.manager_id, f.id) as manager_id, case when f.id is null then "
            "'has a final total and no band' else 'has no final total' end as difference "
            f"from (select {number} as id from batch) f "
            "full join final t on t.manager_id = f.id where t.manager_id is null or f.id is null",
            ("Payroll gets every manager with a final total, once, and nobody else",
             "薪酬文件仅含总分已确定的主管且每人一行"),
        ),
        rows(
            "payroll_rows_unique", CRITICAL, "payroll_csv",
            "select employee_number as manager_id from batch group by 1 having count(*) > 1",
            ("Nobody is paid twice", "同一人不出现两次"),
        ),
        rows(
            "payroll_fits_bands", CRITICAL, "payroll_csv",
            "select p.manager_id from (select f.*, t.total_score::double as total, t.manager_id, "
            f"t.grade from (select *, {number} as id from batch) f join totals t "
            "on t.manager_id = f.id) p join totals t using (manager_id) where not exists (select 1 "
            f"from bands b where {fits} and b.version = p.band_version "
            "and round(b.points::decimal(28, 10), 6) = try_cast(p.points as decimal(18, 6)) "
            "and round(b.multiplier::decimal(28, 10), 6) = try_cast(p.multiplier as decimal(18, 6))"
            " and not exists (select 1 from bands h where h.role = b.role "
            "and h.from_score > b.from_score and h.from_score <= p.total))",
            ("Points and multipliers are those of the approved band that the result falls in",
             "积分与系数与结果所在的已批准档位一致"),
        ),
    ]  # fmt: skip
