"""Faults of a staged release: exports, payroll, cards and the database for analysts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.planting import Fault, Site
from perfhouse.lake import file_sha256

Plant = Callable[[Site], str]
HR, PAY = "exports.export_hr_manager_months", "exports.export_payroll_manager_months"


def _table(*statements: str, named: str = "", table: str = HR) -> Plant:
    """Change an export's table, then write its files as any release does."""

    def plant(site: Site) -> str:
        who = site.ask(f"select min(employee_number) from {table} where month = {{m}}")
        site.sql(*(statement.replace("{who}", who) for statement in statements))
        site.stage()
        return named.replace("{who}", who)

    return plant


def _hr(site: Site, kind: str) -> Path:
    return site.staged / "exports" / "hr" / f"hr_manager_months_{site.month}.{kind}"


def _repacked(changed: Path) -> None:
    """Let the Data Package tell of a changed file what it is now."""
    package = changed.parent / "datapackage.json"
    said = json.loads(package.read_text("utf-8"))
    for each in said["resources"]:
        if each["path"] == changed.name:
            each["hash"] = f"sha256:{file_sha256(changed)}"
    package.write_text(json.dumps(said), encoding="utf-8")


def _formula_for_payroll(site: Site) -> str:
    """Hide a formula behind a sign that nobody sees."""
    file = site.staged / "exports" / "payroll" / f"payroll_manager_months_{site.month}.csv"
    before = file.read_bytes()
    after = before.replace(b"-01,", "-01,\u200b=1+".encode(), 1)
    assert after != before
    file.write_bytes(after)
    _repacked(file)
    return f"file=exports/payroll/{file.name}, file_row=1, column_name=employee_number"


def _team_of(site: Site) -> str:
    leader = site.ask("select min(display_name) from core.dim_managers where month = {m}")
    site.published(f"update scorecard_team_months set team_name = '{leader}组'")
    return "place=scorecard_team_months, column_name=team_name, of_what="


def _csv(change: Callable[[bytes], bytes], named: str, *, repacked: bool = True) -> Plant:
    def plant(site: Site) -> str:
        file = _hr(site, "csv")
        before = file.read_bytes()
        after = change(before)
        assert after != before
        file.write_bytes(after)
        if repacked:
            _repacked(file)
        return named

    return plant


def _without_last_row(content: bytes) -> bytes:
    return b"\r\n".join(content.split(b"\r\n")[:-2]) + b"\r\n"


def _other_parquet(site: Site) -> str:
    with _hr(site, "parquet").open("ab") as handle:
        handle.write(b" ")
    return "differs from datapackage.json"


def _other_xlsx(site: Site) -> str:
    from openpyxl import load_workbook

    file = _hr(site, "xlsx")
    book = load_workbook(file)
    book.worksheets[0]["C2"] = "=1+1"
    book.save(file)
    _repacked(file)
    return "holds a formula"


def _unlocked(site: Site) -> str:
    from openpyxl import load_workbook

    file = _hr(site, "xlsx")
    book = load_workbook(file)
    book.worksheets[0].protection.sheet = False
    book.save(file)
    _repacked(file)
    return "not locked"


def _one_file_more(site: Site) -> str:
    (site.staged / "exports" / "hr" / "notes.txt").write_text("hello", encoding="utf-8")
    return "notes.txt"


def _one_file_less(site: Site) -> str:
    _hr(site, "xlsx").unlink()
    return ".xlsx: not agreed"


def _card_missing(site: Site) -> str:
    _cards(site)[0].unlink()
    return "cards="


def _paper_missing(site: Site) -> str:
    paper = _papers(site)[0]
    paper.unlink()
    return f"card={paper.stem}, fault=missing"


def _papers_swapped(site: Site) -> str:
    first, second = _papers(site)[:2]
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    return f"card={second.stem}, fault=of another manager"


def _paper_cut(site: Site) -> str:
    paper = _papers(site)[0]
    paper.write_bytes(paper.read_bytes()[:-2_000])
    return f"card={paper.stem}, fault=not whole"


def _papers(site: Site) -> list[Path]:
    return sorted((site.staged / "cards").glob("*.pdf"))


def _cards(site: Site) -> list[Path]:
    return sorted(p for p in (site.staged / "cards").glob("*.html") if p.name != "index.html")


def _on_a_card(text: str) -> Plant:
    def plant(site: Site) -> str:
        with _cards(site)[0].open("a", encoding="utf-8") as handle:
            handle.write(f"<p>{text}</p>")
        return "place=cards"

    return plant


def _published(statement: str, named: str) -> Plant:
    def plant(site: Site) -> str:
        site.published(statement)
        return named

    return plant


def _contact_in_verdict(site: Site) -> str:
    site.published(
        "insert into gate_verdicts by name select date '2026-07-01' as month, 'raw' as gate, "
        "'people_known' as check_id, 'person_id=li@example.com' as failing_keys"
    )
    return "place=gate_verdicts"


_OTHER = (
    f"(select max(employee_number) from {HR} where month = {{m}})"  # never the first of several
)
_SWAPPED = (
    f"update {HR} set {{column}} = case employee_number when '{{who}}' then (select {{column}} "
    f"from {HR} where month = {{m}} and employee_number = {_OTHER}) else (select {{column}} from "
    f"{HR} where month = {{m}} and employee_number = '{{who}}') end where month = {{m}} "
    f"and employee_number in ('{{who}}', {_OTHER})"
)
_NAME = "update " + HR + " set display_name = {text} where employee_number = '{who}'"
_PAID = "where month = {m} and employee_number = '{who}'"

FAULTS = (
    Fault("E01", "a column more than agreed", "exports", "exports", "hr_columns", "critical",
          _table(f"alter table {HR} add column remark varchar", named="column_name=remark")),
    Fault("E02", "an agreed column is missing", "exports", "exports", "hr_columns", "critical",
          _table(f"alter table {HR} drop column coverage_rate", named="column_name=coverage_rate")),
    Fault("E03", "an agreed column has another name", "exports", "exports", "hr_columns",
          "critical", _table(f"alter table {HR} rename column grade to rating",
                             named="column_name=rating")),
    Fault("E04", "a column has another type", "exports", "exports", "hr_types", "critical",
          _table(f"alter table {HR} alter column rank type varchar", named="column_name=rank")),
    Fault("E05", "a manager's row is missing", "exports", "exports", "hr_rows_are_the_managers",
          "critical", _table(f"delete from {HR} {_PAID}", named="manager_id={who}")),
    Fault("E06", "a row of somebody who is no manager", "exports", "exports",
          "hr_rows_are_the_managers", "critical",
          _table(f"insert into {HR} select * replace ('X0001' as employee_number) from {HR} "
                 f"{_PAID}", named="manager_id=X0001")),
    Fault("E07", "a manager has two rows", "exports", "exports", "hr_rows_unique", "critical",
          _table(f"create table t as select * from {HR}", f"drop table {HR}",
                 f"create table {HR} as select * from t union all select * from t {_PAID}",
                 named="employee_number={who}")),
    Fault("E08", "a grade nobody announced", "exports", "exports", "grades_known", "critical",
          _table(f"update {HR} set grade = 'Z' {_PAID}", named="manager_id={who}")),
    Fault("E09", "a total that is not the scorecard's", "exports", "exports",
          "hr_equals_scorecards", "critical",
          _table(f"update {HR} set total_score = coalesce(total_score, 0) + 1 {_PAID}",
                 named="manager_id={who}")),
    Fault("E10", "a remark in the column of names", "exports", "exports", "no_free_text",
          "critical", _table(_NAME.replace("{text}", "repeat('Good work this month. ', 10)"),
                             named="column_name=display_name")),
    Fault("E11", "an address in the column of names", "exports", "exports", "no_free_text",
          "critical", _table(_NAME.replace("{text}", "'li.na@example.com'"),
                             named="column_name=display_name")),
    Fault("E12", "a phone number in the column of teams", "exports", "exports", "no_free_text",
          "critical", _table(f"update {HR} set team_name = '热线 13800138000' {_PAID}",
                             named="column_name=team_name")),
    Fault("E13", "a category's score tells of a KPI of too few people", "exports", "exports",
          "categories_from_shown", "critical",
          _table(f"update {HR} set people_score = coalesce(people_score, 0) + 5 {_PAID}",
                 named="manager_id={who}")),
    Fault("E14", "a cell that a spreadsheet would run", "exports", "exports", "no_formula",
          "critical",
          _csv(lambda c: c.replace(b"\r\n2026-07-01,", b"\r\n2026-07-01,=1+", 1),
               ".csv, file_row=1, column_name=employee_number")),
    Fault("E15", "a cell of the CSV differs from the workbook", "exports", "exports",
          "files_agree", "critical",
          _csv(lambda c: c.replace(b",cs_manager,", b",cs_managers,", 1), "differs from the CSV")),
    Fault("E16", "a row of the CSV is missing", "exports", "exports", "files_agree", "critical",
          _csv(_without_last_row, "rows, the CSV holds")),
    Fault("E17", "no byte-order mark, so that Excel shows names wrong", "exports", "exports",
          "files_agree", "critical", _csv(lambda c: c[3:], "no byte-order mark")),
    Fault("E18", "the CSV was changed after it was packed", "exports", "exports", "files_agree",
          "critical", _csv(lambda c: c.replace(b",cs_manager,", b",cs_managers,", 1),
                           "differs from datapackage.json", repacked=False)),
    Fault("E19", "bytes of the Parquet file are not those that were packed", "exports", "exports",
          "files_agree", "critical", _other_parquet),
    Fault("E20", "a formula in the workbook", "exports", "exports", "files_agree", "critical",
          _other_xlsx),
    Fault("E21", "the workbook's sheet is not locked", "exports", "exports", "files_agree",
          "critical", _unlocked),
    Fault("E22", "a file nobody agreed on", "exports", "exports", "files_agree", "critical",
          _one_file_more),
    Fault("E23", "the workbook is missing", "exports", "exports", "files_agree", "critical",
          _one_file_less),
    Fault("E24", "names in the table for analysts", "exports", "exports", "nothing_personal",
          "critical", _published("alter table scorecard_kpi_months add column display_name varchar",
                                 "column_name=display_name")),
    Fault("E25", "customers' addresses in the table for analysts", "exports", "exports",
          "nothing_personal", "critical",
          _published("alter table scorecard_kpi_months add column customer_email varchar",
                     "column_name=customer_email")),
    Fault("E26", "an address as a category of tickets, published as a stratum", "exports",
          "exports", "no_contacts", "critical",
          _published("update kpi_references set stratum = 'mail li.na@example.com' "
                     "where stratum is not null", "place=kpi_references")),
    Fault("E27", "an address among the keys of a verdict", "exports", "exports", "no_contacts",
          "critical", _contact_in_verdict),
    Fault("E28", "a manager has no card", "exports", "exports", "cards_are_the_managers",
          "critical", _card_missing),
    Fault("E29", "an address on a card", "exports", "exports", "no_contacts", "critical",
          _on_a_card("li.na@example.com")),
    Fault("E30", "a phone number on a card", "exports", "exports", "no_contacts", "critical",
          _on_a_card("电话 13800138000")),
    Fault("E31", "a column more in the payroll file", "exports", "exports", "payroll_columns",
          "critical", _table(f"alter table {PAY} add column display_name varchar",
                             named="column_name=display_name", table=PAY)),
    Fault("E32", "points without decimals", "exports", "exports", "payroll_types", "critical",
          _table(f"alter table {PAY} alter column points type integer", named="column_name=points",
                 table=PAY)),
    Fault("E33", "a manager with a final total is not paid", "exports", "exports",
          "payroll_rows_are_final", "critical",
          _table(f"delete from {PAY} {_PAID}", named="manager_id={who}", table=PAY)),
    Fault("E34", "a bonus before the total is final", "exports", "exports",
          "payroll_rows_are_final", "critical",
          _table("update scorecards.scorecard_kpi_months set is_provisional = true "
                 "where month = {m} and manager_id = '{who}'", named="manager_id={who}",
                 table=PAY)),
    Fault("E35", "a manager is paid twice", "exports", "exports", "payroll_rows_unique",
          "critical",
          _table(f"create table t as select * from {PAY}", f"drop table {PAY}",
                 f"create table {PAY} as select * from t union all select * from t {_PAID}",
                 named="manager_id={who}", table=PAY)),
    Fault("E36", "a multiplier that the approved band does not give", "exports", "exports",
          "payroll_fits_bands", "critical",
          _table(f"update {PAY} set multiplier = multiplier + 0.1 {_PAID}",
                 named="manager_id={who}", table=PAY)),
    Fault("E37", "a role with bands of its own is paid by those of any role", "exports", "exports",
          "payroll_fits_bands", "critical",
          _table("insert into config.payroll_bands by name select b.* replace (t.role as role, "
                 "b.multiplier + 1 as multiplier) from config.payroll_bands b, "
                 "scorecards.scorecard_manager_months t where b.role = '*' and t.month = {m} "
                 "and t.manager_id = '{who}'", named="manager_id={who}", table=PAY)),
    Fault("E38", "the names of two managers are swapped", "exports", "exports",
          "hr_equals_scorecards", "critical",
          _table(_SWAPPED.replace("{column}", "display_name"),
                 named="manager_id={who}, column_name=display_name")),
    Fault("E39", "a rank that is not the scorecard's", "exports", "exports",
          "hr_equals_scorecards", "critical",
          _table(f"update {HR} set rank = coalesce(rank, 0) + 1 {_PAID}",
                 named="manager_id={who}, column_name=rank")),
    Fault("E40", "an upheld appeal is not told to HR", "exports", "exports",
          "hr_equals_scorecards", "critical",
          _table(f"update {HR} set appeals_upheld = appeals_upheld + 1 {_PAID}",
                 named="manager_id={who}, column_name=appeals_upheld")),
    Fault("E41", "a formula behind an unseen sign, for payroll", "exports", "exports",
          "no_formula", "critical", _formula_for_payroll),
    Fault("E42", "a landline on a card", "exports", "exports", "no_contacts", "critical",
          _on_a_card("电话 010-6552 9988")),
    Fault("E43", "a team has its leader's name, for analysts to read", "exports", "exports",
          "texts_name_nobody", "warning", _team_of),
    Fault("E44", "a manager's card is not there as PDF", "exports", "exports",
          "papers_are_the_cards", "critical", _paper_missing),
    Fault("E45", "two managers' cards as PDF are swapped", "exports", "exports",
          "papers_are_the_cards", "critical", _papers_swapped),
    Fault("E46", "a card as PDF is cut short", "exports", "exports",
          "papers_are_the_cards", "critical", _paper_cut),
)  # fmt: skip
