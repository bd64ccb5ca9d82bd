"""The exports gate: may these very files leave the house?

Judges the files of a staged release against what was agreed; it may not look at sources or
change a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from expectations import (
    export_cards,
    export_files,
    export_payroll,
    export_texts,
    export_values,
)
from expectations.export_files import other_types, unguarded
from expectations.rules import CRITICAL, Rule, columns, quoted, rows
from perfhouse.hashing import sha256_of
from perfhouse.lake import file_sha256
from perfhouse.public_tables import PERSONAL_COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

# What HR is promised: names, types, order. A change here is a change of a contract.
HR_COLUMNS = (
    ("month", "DATE"),
    ("employee_number", "VARCHAR"),
    ("display_name", "VARCHAR"),
    ("team_id", "VARCHAR"),
    ("team_name", "VARCHAR"),
    ("role", "VARCHAR"),
    ("total_score", "DECIMAL(18,6)"),
    ("grade", "VARCHAR"),
    ("rank", "INTEGER"),
    ("rank_low", "INTEGER"),
    ("rank_high", "INTEGER"),
    ("peer_count", "INTEGER"),
    ("previous_total_score", "DECIMAL(18,6)"),
    ("change", "DECIMAL(18,6)"),
    ("coverage_rate", "DECIMAL(18,6)"),
    ("status", "VARCHAR"),
    ("result_score", "DECIMAL(18,6)"),
    ("quality_score", "DECIMAL(18,6)"),
    ("efficiency_score", "DECIMAL(18,6)"),
    ("people_score", "DECIMAL(18,6)"),
    ("innovation_score", "DECIMAL(18,6)"),
    ("agent_count", "INTEGER"),
    ("exposure_days", "INTEGER"),
    ("appeals_open", "INTEGER"),
    ("appeals_upheld", "INTEGER"),
    ("appeals_rejected", "INTEGER"),
    ("appeals_late", "INTEGER"),
)
# Words that no published column may hold in its name: people, contacts, free text.
_FORBIDDEN = (
    *("email", "phone", "mobile", "address", "birth", "salary", "gender", "passport"),
    *("comment", "remark", "customer_key", "requester", "raw_", "free_text", "id_card"),
)


def subject(case: Case) -> str:
    """Return the hash of the staged files' bytes, the DuckDB file left out."""
    assert case.staged is not None, "the exports gate judges a staged release"  # noqa: S101
    files = sorted(p for p in case.staged.rglob("*") if p.is_file() and p.suffix != ".duckdb")
    return sha256_of([[p.relative_to(case.staged).as_posix(), file_sha256(p)] for p in files])


def prepare(con: DuckDBPyConnection, case: Case) -> tuple[Rule, ...]:
    """Read the staged files back as any receiver would; return the rules over them."""
    assert case.staged is not None  # noqa: S101
    folder = case.staged / "exports"
    con.execute(f"attach {quoted(case.staged / 'scorecards.duckdb')} as staged (read_only)")
    con.execute("create table hr_table as select * from staged.export_hr_manager_months")
    con.execute(
        "create table published_columns as select table_name, column_name, column_index as place, "
        "data_type from duckdb_columns() where database_name = 'staged'"
    )
    export_values.prepare(con, case, HR_COLUMNS)
    faults = export_files.read(con, folder / "hr", f"hr_manager_months_{case.month}", "hr")
    held = {row[0] for row in con.execute("describe hr_csv").fetchall()}
    of_hr = [name for name, kind in HR_COLUMNS if kind == "VARCHAR" and name in held]
    export_texts.prepare(con, case, of_hr)
    export_cards.prepare(con, case)
    con.execute("detach staged")
    payroll = []
    if case.company.payroll_bands:
        name = f"payroll_manager_months_{case.month}"
        faults += export_files.read(con, folder / "payroll", name, "payroll")
        export_payroll.prepare(con, case)
        payroll = export_payroll.payroll_rules()
    con.execute("create table faults (fault varchar)")
    for fault in faults:
        con.execute("insert into faults values (?)", [fault])
    found: tuple[Rule, ...] = (
        *_column_rules(),
        *export_texts.text_rules(),
        *export_cards.card_rules(),
    )
    if {name for name, _ in HR_COLUMNS} <= held:  # else the columns are what is told
        found = (*found, *_row_rules(), *export_values.value_rules(HR_COLUMNS))
    return (*found, *payroll)


def _column_rules() -> list[Rule]:
    words = " or ".join(f"contains(column_name, '{word}')" for word in _FORBIDDEN)
    personal = ", ".join(quoted(name) for name in sorted(PERSONAL_COLUMNS))
    return [
        columns(
            "hr_columns", CRITICAL, "hr_csv", [name for name, _ in HR_COLUMNS],
            ("The HR file has exactly the agreed columns in the agreed order",
             "人事文件的列与顺序与约定完全一致"),
        ),
        rows(
            "hr_types", CRITICAL, "hr_fields", other_types(HR_COLUMNS),
            ("The HR columns have exactly the agreed types", "人事文件的列类型与约定完全一致"),
        ),
        columns(
            "published_hr_columns", CRITICAL, "hr_table",
            [name for name, _ in HR_COLUMNS if name not in PERSONAL_COLUMNS],
            ("The published table has the agreed columns without names",
             "对外发布表的列与约定一致且不含姓名"),
        ),
        rows(
            "nothing_personal", CRITICAL, "published_columns",
            f"select table_name, column_name from batch where column_name in ({personal}) "
            f"or {words}",
            ("No published table has a column that names or describes a person",
             "对外发布的表不含个人信息列"),
        ),
    ]  # fmt: skip


def _row_rules() -> list[Rule]:
    return [
        rows(
            "files_agree", CRITICAL, "faults", "select fault from batch",
            ("XLSX, CSV, Parquet and Data Package agree, byte by byte and cell by cell",
             "XLSX、CSV、Parquet 与数据包说明逐字节、逐格一致"),
        ),
        rows(
            "hr_rows_are_the_managers", CRITICAL, "hr_csv",
            "select coalesce(r.manager_id, f.id) as manager_id, case when f.id is null then "
            "'missing in the file' else 'not a manager of the month' end as difference "
            f"from (select {unguarded('employee_number')} as id from batch) f "
            "full join managers r on r.manager_id = f.id "
            "where r.manager_id is null or f.id is null",
            ("The HR file has one row for every manager of the month",
             "人事文件对当月每位主管各有一行"),
        ),
        rows(
            "hr_rows_unique", CRITICAL, "hr_csv",
            "select month, employee_number, count(*) as rows from batch "
            "group by month, employee_number having count(*) > 1",
            ("Nobody has two rows", "同一人不出现两行"),
        ),
    ]  # fmt: skip
