"""The exports gate: may these very files leave the house?

Judges the files of a staged release against what was agreed; it may not look at sources or
change a file.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from expectations.rules import CRITICAL, Rule, columns, has_contact, quoted, rows
from perfhouse.lake import file_sha256
from perfhouse.ledger import PERSONAL_COLUMNS, sha256_of

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
    stem = f"hr_manager_months_{case.month}"
    _read_database(con, case.staged / "scorecards.duckdb")
    _read_managers(con, case)
    con.execute(
        f"create table hr_csv as select * from read_csv({quoted(folder / f'{stem}.csv')}, "
        "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', "
        "null_padding = false, strict_mode = true)"
    )
    _read_pages(con, case.staged / "cards")
    con.execute("create table faults (fault varchar)")
    manifest = json.loads((folder / f"{stem}.manifest.json").read_text(encoding="utf-8"))
    faults = [*_file_faults(con, folder, manifest), *_xlsx_faults(con, folder / f"{stem}.xlsx")]
    for fault in faults:
        con.execute("insert into faults values (?)", [fault])
    con.execute("create table manifest_columns (place integer, name varchar, type varchar)")
    for place, column in enumerate(manifest["columns"]):
        con.execute(
            "insert into manifest_columns values (?, ?, ?)", [place, column["name"], column["type"]]
        )
    return (*_column_rules(), *_row_rules(), *_value_rules(), *_page_rules())


def _read_database(con: DuckDBPyConnection, path: Path) -> None:
    con.execute(f"attach {quoted(path)} as staged (read_only)")
    con.execute("create table hr_table as select * from staged.export_hr_manager_months")
    con.execute(
        "create table contacts as select 'gate_verdicts' as place, check_id as name, failing_keys "
        "from staged.gate_verdicts"
    )
    con.execute("create table totals as select * from staged.scorecard_manager_months")
    con.execute(
        "create table published_columns as select table_name, column_name, column_index as place, "
        "data_type from duckdb_columns() where database_name = 'staged'"
    )
    con.execute("detach staged")


def _read_pages(con: DuckDBPyConnection, folder: Path) -> None:
    """Make `cards`, one row a page, and `contacts`, the places where somebody's was found."""
    verdicts = con.execute("select place, name, failing_keys from contacts").fetchall()
    con.execute("create or replace table contacts (place varchar, name varchar)")
    con.execute("create table cards (page varchar)")
    pages = sorted(folder.glob("*.html"))
    con.executemany("insert into cards values (?)", [[p.name] for p in pages] or [[None]])
    con.execute("delete from cards where page is null or page = 'index.html'")
    found = [[place, name] for place, name, keys in verdicts if has_contact(keys or "")]
    # A manager's id may be in a file's name, so a card is told by its place in the list.
    for place, page in enumerate(pages, start=1):
        if has_contact(page.read_text(encoding="utf-8")) or has_contact(page.name):
            found.append(["cards", f"page {place} of {len(pages)} by name"])
    for row in found:
        con.execute("insert into contacts values (?, ?)", row)


def _read_managers(con: DuckDBPyConnection, case: Case) -> None:
    con.execute(f"attach {quoted(case.home.warehouse)} as warehouse (read_only)")
    con.execute(
        "create table managers as select manager_id from warehouse.core.dim_managers "
        f"where month = date '{case.month.start}'"
    )
    con.execute("create table grades as select grade from warehouse.config.grades")
    con.execute("detach warehouse")


def _file_faults(con: DuckDBPyConnection, folder: Path, manifest: dict[str, object]) -> list[str]:
    found = []
    listed = manifest["files"]
    for file in listed if isinstance(listed, list) else []:
        if file_sha256(folder / file["path"]) != file["sha256"]:
            found.append(f"{file['path']} differs from its manifest")
    rows_read = con.execute("select count(*) from hr_csv").fetchall()[0][0]
    if rows_read != manifest["rows"]:
        found.append(f"the CSV holds {rows_read} rows, the manifest says {manifest['rows']}")
    text = next(folder.glob("*.csv")).read_bytes()
    if not text.startswith(b"\xef\xbb\xbf"):
        found.append("the CSV has no byte-order mark, so Excel would garble Chinese")
    return found


def _xlsx_faults(con: DuckDBPyConnection, path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode("utf-8")
    found = []
    expected = con.execute("select count(*) from hr_csv").fetchall()[0][0]
    held = sheet.count("<row ") - 1
    if held != expected:
        found.append(f"the XLSX holds {held} rows, the CSV {expected}")
    if "<f>" in sheet or "<f " in sheet:
        found.append("the XLSX holds a formula")
    return found


def _column_rules() -> list[Rule]:
    wanted = ", ".join(f"({i}, '{n}', '{t}')" for i, (n, t) in enumerate(HR_COLUMNS))
    words = " or ".join(f"contains(column_name, '{word}')" for word in _FORBIDDEN)
    personal = ", ".join(quoted(name) for name in sorted(PERSONAL_COLUMNS))
    return [
        columns(
            "hr_columns", CRITICAL, "hr_csv", [name for name, _ in HR_COLUMNS],
            ("The HR file has exactly the agreed columns in the agreed order",
             "人事文件的列与顺序与约定完全一致"),
        ),
        rows(
            "hr_types", CRITICAL, "manifest_columns",
            "select coalesce(f.name, w.name) as column_name, f.type as found, w.type as agreed "
            f"from batch f full join (values {wanted}) w(place, name, type) "
            "on f.place = w.place where f.name is distinct from w.name "
            "or f.type is distinct from w.type",
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
            "files_fit_manifest", CRITICAL, "faults", "select fault from batch",
            ("XLSX, CSV and manifest agree, byte by byte and row by row",
             "XLSX、CSV 与清单逐字节、逐行一致"),
        ),
        rows(
            "hr_rows_are_the_managers", CRITICAL, "hr_csv",
            "select coalesce(r.manager_id, f.id) as manager_id, case when f.id is null then "
            "'missing in the file' else 'not a manager of the month' end as difference "
            f"from (select {_plain('employee_number')} as id from batch) f "
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


def _value_rules() -> list[Rule]:
    texts = [name for name, kind in HR_COLUMNS if kind == "VARCHAR"]
    risky = " or ".join(
        f"regexp_matches({name}, '^[ \u00a0]*[=+@\\t\\r\\n＝＋－＠-]')" for name in texts
    )
    return [
        rows(
            "grades_known", CRITICAL, "hr_csv",
            f"select {_plain('employee_number')} as manager_id, grade from batch "
            "where grade is not null and grade <> '' and grade not in (select grade from grades)",
            ("Every grade is one of the announced grades", "等级取值在公布的等级之内"),
        ),
        rows(
            "hr_equals_scorecards", CRITICAL, "hr_csv",
            f"select f.id as manager_id, f.total_score, t.total_score as scorecard from (select "
            f"{_plain('employee_number')} as id, nullif(total_score, '') as total_score, "
            "nullif(grade, '') as grade from batch) f "
            "left join totals t on t.manager_id = f.id "
            "where try_cast(f.total_score as decimal(18, 6)) is distinct from t.total_score "
            "or f.grade is distinct from t.grade",
            ("Totals and grades in the HR file are those of the scorecards",
             "人事文件的总分与等级与绩效卡一致"),
        ),
        rows(
            "no_formula", CRITICAL, "hr_csv",
            f"select {_plain('employee_number')} as manager_id from batch where {risky}",
            ("No text cell would run as a formula in a spreadsheet",
             "文本单元格不会被表格软件当作公式执行"),
        ),
    ]  # fmt: skip


def _page_rules() -> list[Rule]:
    return [
        rows(
            "cards_are_the_managers", CRITICAL, "cards",
            "select cards, managers from (select count(*) as cards, "
            "(select count(*) from managers) as managers from batch) where cards <> managers",
            ("There is one card for every manager of the month", "当月每位主管各有一张绩效卡页面"),
        ),
        rows(
            "no_contacts", CRITICAL, "contacts", "select place, name from batch",
            ("No card and no evidence holds an e-mail address or a phone number",
             "绩效卡页面与检查记录不含邮箱或手机号"),
        ),
    ]  # fmt: skip


def _plain(column: str) -> str:
    """Return SQL for a text cell without the quote that guards it."""
    return f"case when starts_with({column}, '''') then substr({column}, 2) else {column} end"
