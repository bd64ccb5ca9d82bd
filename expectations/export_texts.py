"""The exports gate's rules about texts: no contact, no formula, no free text, nobody's name.

Reads every text that is to leave, as any receiver would; where one is found it tells the place,
never the text.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.rules import CRITICAL, WARNING, Rule, rows
from perfhouse import roster_names, warehouse
from perfhouse.company_look_back import months_back
from perfhouse.contacts import has_contact, may_have_contact_sql
from perfhouse.formulas import is_number, is_risky

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_LONGEST = 100  # a name or a code is shorter, a remark longer
_NAMES = ("display_name", "team_name")
_TABLES = {
    "contacts": "place varchar, name varchar",
    "formulas": "file varchar, file_row bigint, column_name varchar",
    "texts": "file_row bigint, column_name varchar",
    "named": "place varchar, column_name varchar, of_what varchar",
}
# Texts that people typed and analysts read, with what tells their place. Who accepted something
# may sign by name, and was told then who reads it.
_TYPED = (
    ("scorecard_team_months", "team_name", "team_id"),
    ("export_hr_manager_months", "team_name", "team_id"),
    ("gate_verdicts", "agreed_by", "check_id"),
    ("gate_verdicts", "agreed_reason", "check_id"),
    ("gate_verdicts", "accepted_reason", "check_id"),
    ("releases", "restatement_reason", "release"),
)


def prepare(con: DuckDBPyConnection, case: Case, of_hr: Sequence[str]) -> None:
    """Make `contacts`, `formulas`, `texts` and `named`: where what was found.

    The staged database is attached as `staged`, its columns are listed in `published_columns`;
    `of_hr` are the text columns of `hr_csv`.
    """
    assert case.staged is not None  # noqa: S101
    pages = sorted((case.staged / "cards").glob("*.html"))
    overviews = sorted((case.staged / "pages").glob("*.html"))
    found: dict[str, list[tuple[Any, ...]]] = {
        "contacts": [
            *_contacts(con),
            *_on_pages("cards", pages),
            *_on_pages("pages", overviews),
        ],
        "formulas": [
            cell for file in _sheets(case.staged) for cell in _formulas(case.staged, file)
        ],
        "texts": [*_texts(con, of_hr)],
        "named": [*_named(con, case)],
    }
    for table, columns in _TABLES.items():
        con.execute(f"create table {table} ({columns})")
        warehouse.insert(con, table, found[table])


def text_rules() -> list[Rule]:
    """Return the rules over the tables of `prepare`."""
    return [
        rows(
            "no_formula", CRITICAL, "formulas", "select file, file_row, column_name from batch",
            ("No cell of any CSV file or workbook would run as a formula in a spreadsheet",
             "所有 CSV 文件与工作簿的单元格均不会被表格软件当作公式执行"),
        ),
        rows(
            "no_free_text", CRITICAL, "texts", "select file_row, column_name from batch",
            ("No text of the HR file is long, has lines, or holds a contact",
             "人事文件的文本不长、不换行且不含联系方式"),
        ),
        rows(
            "no_contacts", CRITICAL, "contacts", "select place, name from batch",
            ("No page, no published text and no evidence holds a mail address or a phone number",
             "页面、对外发布的文本与检查记录不含邮箱或电话号码"),
        ),
        rows(
            "texts_name_nobody", WARNING, "named", "select place, column_name, of_what from batch",
            ("No name of a team, no reason and no agreement that analysts read names somebody of "
             "the roster", "分析人员可见的团队名称、理由与约定不含花名册中的人名"),
        ),
    ]  # fmt: skip


def _contacts(con: DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Yield table and column of published texts with a contact; ids are none.

    Of a verdict's failing keys, the check.
    """
    columns = con.execute(
        "select table_name, column_name from published_columns where data_type = 'VARCHAR' "
        "and not ends_with(column_name, '_id') and column_name <> 'employee_number' order by all"
    ).fetchall()
    for table, column in columns:
        name = "check_id" if column == "failing_keys" else "?"
        given = [] if column == "failing_keys" else [column]
        asked = con.execute(
            f'select distinct {name}, text from (select *, "{column}" as text from '
            f'staged."{table}") where {may_have_contact_sql("text")} order by all',
            given,
        ).fetchall()
        yield from dict.fromkeys((table, name) for name, text in asked if has_contact(text))


def _on_pages(folder: str, pages: Sequence[Path]) -> Iterator[tuple[str, str]]:
    # A manager's id may be in a file's name, so a page is told by its place in the list.
    for place, page in enumerate(pages, start=1):
        said, _, _ = page.read_text(encoding="utf-8").partition("<script")  # ours, and long
        if has_contact(said) or has_contact(page.name):
            yield folder, f"page {place} of {len(pages)} by name"


def _sheets(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".csv", ".xlsx"))


def _formulas(folder: Path, file: Path) -> Iterator[tuple[str, int | None, str]]:
    """Yield file, row (of a header 0) and column of cells that a spreadsheet would run."""
    name = file.relative_to(folder).as_posix()
    if file.suffix == ".xlsx":
        with zipfile.ZipFile(file) as book:
            parts = [part for part in book.namelist() if part.startswith("xl/worksheets/")]
            yield from ((name, None, part) for part in parts if _holds_formula(book.read(part)))
        return
    header: list[str] = []
    with file.open(encoding="utf-8-sig", newline="") as handle:
        for number, line in enumerate(csv.reader(handle)):
            header = header or line
            for at, text in enumerate(line):
                if is_risky(text) and not is_number(text):
                    yield name, number, header[at] if number and at < len(header) else f"{at + 1}"


def _holds_formula(sheet: bytes) -> bool:
    return b"<f>" in sheet or b"<f " in sheet


def _texts(con: DuckDBPyConnection, columns: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield row and column of texts of the HR file that are free text or somebody's contact."""
    for name in columns:
        for number, (text,) in enumerate(con.execute(f"select {name} from hr_csv").fetchall(), 1):
            said = text or ""
            if len(said) > _LONGEST or "\n" in said or (name in _NAMES and has_contact(said)):
                yield number, name


def _named(con: DuckDBPyConnection, case: Case) -> Iterator[tuple[str, str, str]]:
    """Yield where a typed text names somebody whom the rosters of this build hold."""
    first = case.month.plus(-months_back("hr_roster", case.company.look_back))
    names = roster_names.known(case.home, since=first, until=case.as_of)
    held = set(con.execute("select table_name, column_name from published_columns").fetchall())
    for table, column, key in _TYPED:
        if (table, column) not in held:
            continue
        texts = con.execute(
            f"select distinct {column}, {key} from staged.{table} where {column} is not null "
            "order by all"
        ).fetchall()
        for text, of_what in texts:
            if roster_names.names_somebody(text, names):
                yield table, column, str(of_what)
