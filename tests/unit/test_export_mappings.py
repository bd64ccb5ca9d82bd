"""Mappings: each system gets its own file; what is wrong with one is named by file and field."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.exports import HR_COLUMNS
from perfhouse import company_mappings, export_columns, export_mappings
from perfhouse.company_exports import read_receivers
from perfhouse.config_reader import Table as Reading
from perfhouse.errors import ConfigError
from perfhouse.export_types import ExportMapping
from perfhouse.exports import Table
from perfhouse.month import Month

MONTH = Month("2026-09")
RELEASE = "2026-09.r1"
KEY = "age1" + "q" * 58
GRADES = ("A", "B", "C", "D")


def table(*people: tuple[str, str, str | None, str | None]) -> Table:
    """Return an HR export of people: number, name, total, grade."""
    rows = []
    for number, name, total, grade in people:
        row: dict[str, Any] = dict.fromkeys(export_columns.EXPORTS["hr"])
        row |= {"month": date(2026, 9, 1), "employee_number": number, "display_name": name}
        row |= {"total_score": Decimal(total) if total else None, "grade": grade, "rank": 1}
        row |= {"peer_count": 2, "coverage_rate": Decimal("0.875000")}
        rows.append(tuple(row.values()))
    return Table(*zip(*HR_COLUMNS, strict=True), tuple(rows))


PEOPLE = table(
    ("007", "王芳", "87.505000", "B"),
    ("M2", "=1+1", "120.000000", "A"),
    ("M3", "李娜", None, None),
)


def read(folder: Path, said: dict[str, Any]) -> tuple[Any, list[str]]:
    problems: list[str] = []
    top = Reading({"exports": said}, "perfhouse.toml: ", problems)
    return read_receivers(folder, top, GRADES), problems


def shipped(name: str) -> ExportMapping:
    found, problems = read(Path(), {"hr": [{"url": "out", "mapping": name, "plain": True}]})
    assert problems == []
    mapping: ExportMapping = found[0].mapping
    return mapping


def lines(mapping: ExportMapping, given: Table = PEOPLE) -> list[str]:
    content, rows = export_mappings.render(mapping, given, MONTH, RELEASE)
    assert content.count(b"\r\n") == rows + 1
    return content.decode(mapping.encoding).split("\r\n")


FILES = {
    "sap_successfactors": (
        "trend_sysOverallPerformance_2026-09.csv",
        [
            "userId,startDate,endDate,rating,label,min,max,name,source",
            "007,09/01/2026,09/30/2026,3,B,1,4,Manager scorecard 2026-09.r1,perfhouse",
            "M2,09/01/2026,09/30/2026,4,A,1,4,Manager scorecard 2026-09.r1,perfhouse",
            "",
        ],
    ),
    "ihr360": (
        "ihr360_2026-09.csv",
        [
            "工号,姓名,考核周期,考核得分,考核等级,备注",
            "007,王芳,2026-09,87.51,B,perfhouse 2026-09.r1",
            "M2,'=1+1,2026-09,120.00,A,perfhouse 2026-09.r1",
            "",
        ],
    ),
    "beisen": (
        "beisen_2026-09.csv",
        [
            "员工工号,员工姓名,考核开始日期,考核结束日期,绩效得分,绩效等级,数据覆盖率",
            "007,王芳,2026/09/01,2026/09/30,87.51,良好,87.5%",
            "M2,'=1+1,2026/09/01,2026/09/30,120.00,优秀,87.5%",
            "",
        ],
    ),
    "feishu": (
        "feishu_2026-09.csv",
        [
            "external_id,reviewee_user_id,item,time,detailed_description",
            "perfhouse-2026-09-007,007,客服主管绩效,2026-09,"
            "总分 87.51，等级 B，同岗排名 1/2（2026-09.r1）",
            "perfhouse-2026-09-M2,M2,客服主管绩效,2026-09,"
            "总分 120.00，等级 A，同岗排名 1/2（2026-09.r1）",
            "",
        ],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_each_system_gets_its_own_file(name: str) -> None:
    file, expected = FILES[name]
    mapping = shipped(name)
    assert export_mappings.file_name(mapping, MONTH, RELEASE) == file
    assert lines(mapping) == expected


def test_every_shipped_mapping_is_an_example_here() -> None:
    assert set(company_mappings.shipped()) == set(FILES)


def test_the_columns_a_mapping_may_read_are_those_of_the_export() -> None:
    assert export_columns.EXPORTS["hr"] == tuple(name for name, _ in HR_COLUMNS)
    kinds = {"DATE": "date", "VARCHAR": "text", "INTEGER": "integer", "DECIMAL(18,6)": "number"}
    for name, kind in HR_COLUMNS:
        assert export_columns.kind(name) == kinds[kind], name


def test_who_has_no_total_is_sent_only_where_the_mapping_wants_it() -> None:
    mapping = replace(shipped("ihr360"), scored_only=False)
    assert lines(mapping)[3] == "M3,李娜,2026-09,,,perfhouse 2026-09.r1"


def test_a_grade_without_a_counterpart_stops_the_file_and_names_it() -> None:
    with pytest.raises(ConfigError, match="column 'rating': values: expected 'S' among them"):
        lines(shipped("sap_successfactors"), table(("M1", "王芳", "100", "S")))


def test_a_name_the_encoding_cannot_write_stops_the_file_and_is_not_told() -> None:
    mapping = replace(shipped("ihr360"), encoding="ascii")
    with pytest.raises(ConfigError, match="a character does not fit ascii") as error:
        export_mappings.render(mapping, PEOPLE, MONTH, RELEASE)
    assert "王芳" not in str(error.value)


OWN = """
system = "Ours"
[file]
name = "ours_{month}.csv"
delimiter = ";"
decimal = ","
[[columns]]
to = "who"
from = "employee_number"
[[columns]]
to = "points"
from = "total_score"
decimals = 1
"""


def own(folder: Path, text: str) -> list[str]:
    (folder / "ours.toml").write_text(text, encoding="utf-8")
    return read(folder, {"hr": [{"url": "out", "mapping": "ours.toml", "plain": True}]})[1]


def test_a_company_brings_its_own_mapping(tmp_path: Path) -> None:
    assert own(tmp_path, OWN) == []
    receivers, _ = read(tmp_path, {"hr": [{"url": "out", "mapping": "ours.toml", "plain": True}]})
    assert lines(receivers[0].mapping)[:2] == ["who;points", "007;87,5"]


WRONG = {
    "an unknown column": ('"total_score"', '"total"', "columns[1].from: expected one of "),
    "two ways": ('to = "who"', 'to = "who"\nvalue = "x"', "exactly one of from, value and text"),
    "a name twice": ('"points"', '"who"', "columns: expected at least one [[columns]] table, each"),
    "days of text": ("decimals = 1", 'format = "%Y"', "columns[1].format: expected a column of da"),
    "an unknown key": ("decimals", "decimal", "columns[1].decimal: unknown key"),
    "a word unknown": ("{month}", "{moth}", "file.name: expected of month, release in braces (did"),
    "no braces": ("{month}", "{month", "file.name: expected braces in pairs"),
    "a folder": ("ours_", "../ours_", "file.name: expected the name of a file without a folder"),
    "the list's name": ("ours_{month}", "withdrawn", "file.name: expected another name: that one"),
    "an encoding": ("[file]", '[file]\nencoding = "latin"', "file.encoding: expected one of gb"),
    "no TOML": ("[file]", "[file", "expected TOML in UTF-8"),
    "another export": ("system =", 'export = "payroll"\nsystem =', "a mapping of the hr export"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_wrong_with_a_mapping_is_named_by_file_and_field(
    tmp_path: Path, fault: str
) -> None:
    before, after, told = WRONG[fault]
    problems = own(tmp_path, OWN.replace(before, after, 1))
    assert any(told in problem for problem in problems), problems
    assert all(p.startswith(("ours.toml: ", "perfhouse.toml: exports.hr[0]")) for p in problems)


def test_a_mapping_must_know_every_grade_of_the_company(tmp_path: Path) -> None:
    said = {"hr": [{"url": "out", "mapping": "sap_successfactors", "plain": True}]}
    top = Reading({"exports": said}, "perfhouse.toml: ", problems := [])
    read_receivers(tmp_path, top, (*GRADES, "S"))
    assert problems == [
        "perfhouse.toml: exports.hr[0].mapping: expected a mapping whose column 'rating' knows "
        "every grade, also ['S'], got 'sap_successfactors'"
    ]


# --- receivers ------------------------------------------------------------------------------


def test_receivers_are_encrypted_unless_it_says_plain(tmp_path: Path) -> None:
    said = {
        "age_recipients": [KEY],
        "hr": [{"url": "out"}, {"id": "sap", "url": "sftp://h/in", "connection": "s", "plain": True,
                                "mapping": "sap_successfactors"}],
        "payroll": [{"url": "s3://b/pay", "formats": ["csv"], "acknowledge_days": 10}],
    }  # fmt: skip
    found, problems = read(tmp_path, said)
    assert problems == []
    assert [(r.id, r.export, r.age_recipients) for r in found] == [
        ("hr", "hr", (KEY,)),
        ("sap", "hr", ()),
        ("payroll", "payroll", (KEY,)),
    ]
    assert [r.acknowledge_days for r in found] == [3, 3, 10]
    assert found[2].formats == ("csv",)


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "nobody to encrypt to": ({"url": "out"}, "hr[0].age_recipients: expected HR's age key, or pl"),
    "a secret key": ({"url": "o", "age_recipients": ["AGE-SECRET-KEY-1QQ"]}, "never a secret one"),
    "a password": ({"url": "sftp://a:b@h/", "plain": True}, "hr[0].url: expected no password"),
    "another scheme": ({"url": "ftp://h/", "plain": True}, "hr[0].url: expected a folder, file"),
    "an unknown mapping": ({"url": "o", "plain": True, "mapping": "sap"}, "[0].mapping: expected"),
    "a file outside": ({"url": "o", "plain": True, "mapping": "../a.toml"}, "hr[0].mapping: expec"),
    "a format": ({"url": "o", "plain": True, "formats": ["pdf"]}, "hr[0].formats[0]: expected one"),
    "formats beside": ({"url": "o", "plain": True, "mapping": "ihr360", "formats": []}, "none"),
    "an unknown key": ({"url": "o", "plain": True, "maping": "x"}, "hr[0].maping: unknown key"),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNFIT)
def test_what_is_wrong_with_a_receiver_is_named(tmp_path: Path, fault: str) -> None:
    said, told = UNFIT[fault]
    problems = read(tmp_path, {"hr": [said]})[1]
    assert any(told in problem for problem in problems), problems
    assert "AGE-SECRET-KEY-1QQ" not in "".join(problems)
    assert "a:b@" not in "".join(problems)


def test_two_receivers_need_two_ids(tmp_path: Path) -> None:
    said = {"hr": [{"url": "a", "plain": True}, {"url": "b", "plain": True}]}
    assert "exports.hr[1].id: expected an id of its own" in read(tmp_path, said)[1][0]
