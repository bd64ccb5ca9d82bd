"""The exports gate: may these very files leave the house?

Judges the files of a staged release against what was agreed; it may not look at sources or
change a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from expectations import export_files
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
    ("appeals_open", "INTEGER"),
    ("appeals_upheld", "INTEGER"),
    ("appeals_rejected", "INTEGER"),
    ("appeals_late", "INTEGER"),
)
PAYROLL_COLUMNS = (
    ("month", "DATE"),
    ("employee_number", "VARCHAR"),
    ("points", "DECIMAL(18,6)"),
    ("multiplier", "DECIMAL(18,6)"),
    ("band_version", "VARCHAR"),
)
_LONGEST = 100  # a name or a code is shorter, a remark longer
_NAMES = ("display_name", "team_name")
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
    _read_database(con, case.staged / "scorecards.duckdb")
    _read_managers(con, case)
    folder = case.staged / "exports"
    faults = export_files.read(con, folder / "hr", f"hr_manager_months_{case.month}", "hr")
    payroll = []
    if case.company.payroll_bands:
        name = f"payroll_manager_months_{case.month}"
        faults += export_files.read(con, folder / "payroll", name, "payroll")
        _read_bands(con, case)
        payroll = _payroll_rules()
    con.execute("create table faults (fault varchar)")
    for fault in faults:
        con.execute("insert into faults values (?)", [fault])
    _read_pages(con, case.staged / "cards")
    _read_texts(con)
    of_hr: tuple[Rule, ...] = tuple(_column_rules())
    if _has_all(con, "hr_csv", HR_COLUMNS):  # else the columns are what is told
        of_hr = (*of_hr, *_row_rules(), *_value_rules(), *_text_rules())
    return (*of_hr, *payroll, *_page_rules())


def _read_database(con: DuckDBPyConnection, path: Path) -> None:
    con.execute(f"attach {quoted(path)} as staged (read_only)")
    con.execute("create table hr_table as select * from staged.export_hr_manager_months")
    con.execute(
        "create table contacts as select 'gate_verdicts' as place, check_id as name, failing_keys "
        "from staged.gate_verdicts"
    )
    con.execute("create table totals as select * from staged.scorecard_manager_months")
    con.execute(
        "create table shown_categories as select manager_id, category, sum(score * weight::double) "
        "/ nullif(sum(weight::double), 0) as score from (select * from "
        "staged.scorecard_kpi_months where status = 'scored') group by manager_id, category"
    )
    con.execute(
        "create table published_columns as select table_name, column_name, column_index as place, "
        "data_type from duckdb_columns() where database_name = 'staged'"
    )
    _read_published_texts(con)
    con.execute("detach staged")


def _read_published_texts(con: DuckDBPyConnection) -> None:
    """Add to `contacts` every published text that may be an address or a number; ids are none."""
    found = con.execute(
        "select table_name, column_name from published_columns where data_type = 'VARCHAR' "
        "and not ends_with(column_name, '_id') and column_name not in ('employee_number', "
        "'failing_keys') order by all"
    ).fetchall()
    for table, column in found:
        con.execute(
            f'insert into contacts select distinct ?, ?, text from (select "{column}" as text from '
            f"staged.\"{table}\") where contains(text, '@') "
            "or regexp_matches(text, '1[3-9][0-9]{9}')",
            [table, column],
        )


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


def _read_bands(con: DuckDBPyConnection, case: Case) -> None:
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


def _read_texts(con: DuckDBPyConnection) -> None:
    """Make `texts`: where a text of the HR file is free text or somebody's contact."""
    con.execute("create table texts (file_row bigint, column_name varchar)")
    names = [name for name, kind in HR_COLUMNS if kind == "VARCHAR"]
    held = {row[0] for row in con.execute("describe hr_csv").fetchall()}
    for name in [name for name in names if name in held]:
        for number, (text,) in enumerate(con.execute(f"select {name} from hr_csv").fetchall(), 1):
            said = text or ""
            if len(said) > _LONGEST or "\n" in said or (name in _NAMES and has_contact(said)):
                con.execute("insert into texts values (?, ?)", [number, name])


def _has_all(con: DuckDBPyConnection, table: str, agreed: tuple[tuple[str, str], ...]) -> bool:
    held = {row[0] for row in con.execute(f"describe {table}").fetchall()}
    return {name for name, _ in agreed} <= held


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
            "hr_types", CRITICAL, "hr_fields", _other_types(HR_COLUMNS),
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


def _other_types(agreed: tuple[tuple[str, str], ...]) -> str:
    wanted = ", ".join(f"({i}, '{n}', '{t}')" for i, (n, t) in enumerate(agreed))
    return (
        "select coalesce(f.name, w.name) as column_name, f.type as found, w.type as agreed "
        f"from batch f full join (values {wanted}) w(place, name, type) "
        "on f.place = w.place where f.name is distinct from w.name "
        "or f.type is distinct from w.type"
    )


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


def _text_rules() -> list[Rule]:
    categories = ("result", "quality", "efficiency", "people", "innovation")
    columns_of = ", ".join(f"('{name}', {name}_score)" for name in categories)
    return [
        rows(
            "no_free_text", CRITICAL, "texts", "select file_row, column_name from batch",
            ("No text of the HR file is long, has lines, or holds a contact",
             "人事文件的文本不长、不换行且不含联系方式"),
        ),
        rows(
            "categories_from_shown", CRITICAL, "hr_csv",
            "select f.id as manager_id, f.category from (select "
            f"{_plain('employee_number')} as id, unnest([{columns_of}]) as pair, "
            "pair[1] as category, nullif(pair[2], '') as score from batch) f "
            "left join shown_categories s on s.manager_id = f.id and s.category = f.category "
            "where f.score is not null "
            "and coalesce(abs(try_cast(f.score as double) - s.score), 1) > 0.000002",
            ("Category scores follow from KPIs that are shown, so none tells of a hidden one",
             "类别得分均由已展示的指标得出，不泄露被隐藏的指标"),
        ),
    ]  # fmt: skip


def _payroll_rules() -> list[Rule]:
    number = _plain("employee_number")
    fits = "(b.role = '*' or b.role = t.role) and (b.grade = t.grade or b.from_score <= p.total)"
    return [
        columns(
            "payroll_columns", CRITICAL, "payroll_csv", [name for name, _ in PAYROLL_COLUMNS],
            ("The payroll file has exactly the agreed columns, and no name",
             "薪酬文件的列与约定完全一致且不含姓名"),
        ),
        rows(
            "payroll_types", CRITICAL, "payroll_fields", _other_types(PAYROLL_COLUMNS),
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
            ("No card, no published text and no evidence holds an e-mail address or a phone number",
             "绩效卡页面、对外发布的文本与检查记录不含邮箱或手机号"),
        ),
    ]  # fmt: skip


def _plain(column: str) -> str:
    """Return SQL for a text cell without the quote that guards it."""
    return f"case when starts_with({column}, '''') then substr({column}, 2) else {column} end"
