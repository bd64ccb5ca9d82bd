"""Appeals from HR's form to the restated release: card, export, table, and nobody's words."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny

from perfhouse import warehouse

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
ROOT = Path(__file__).resolve().parents[2]
SEPTEMBER, OCTOBER = "2026-09", "2026-10"
WORDS = "机密XYZZY 张伟 13800000000"
HEADER = (
    "编号,绩效月份,工号,指标,记录编号,记录来源,提交时间,申诉理由,请求,改记工号,更正值,状态,"
    "裁定时间,裁定人,裁定理由,逾期受理人,逾期受理理由,更新时间,说明,裁定说明"
)
# The month may be appealed until the 13th: five working days after the 6th, when it closes.
FORM = [
    "A-1,2026-09.r1,MA,csat_rate,2026-09-5,,2026-10-09 10:00,归属有误,剔除,,,成立,"
    "2026-10-20 09:00,HR-03,归属有误,,,2026-10-20 09:00",
    "A-2,2026-09,MA,csat_rate,2026-09-4,,2026-10-09 10:00,非本人可控,剔除,,,驳回,"
    "2026-10-20 09:00,HR-03,证据不足,,,2026-10-20 09:00",
    "A-3,2026-09,MA,csat_rate,2026-09-1,,2026-10-14 00:30,数据有误,剔除,,,成立,"
    "2026-10-20 09:00,HR-03,数据有误,,,2026-10-20 09:00",
    "A-4,2026-09,MB,reopen_rate,,,2026-10-12 10:00,数据有误,剔除,,,成立,"
    "2026-10-20 09:00,HR-03,数据有误,,,2026-10-20 09:00",
    "A-5,2026-09,MB,csat_rate,2026-09-2,,2026-10-12 10:00,重复记录,剔除,,,待审,,,,,,",
]
WHY = ("--restate", "--reason", "appeals A-1, A-4", "--by", "Head of HR")


@dataclass(frozen=True)
class Place:
    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def restated(self) -> Path:
        return self.home / "published" / SEPTEMBER / "r2"

    def say(self, command: str, *more: str) -> str:
        where = ("--company", self.root / "company", "--data", self.root / "data")
        said = tiny.perfhouse(command, *where, "--home", self.home, *more)
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout + said.stderr

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        with warehouse.connect(self.home / "published/scorecards.duckdb", read_only=True) as con:
            return con.execute(sql).fetchall()

    def card(self, manager: str) -> str:
        return (self.restated / "cards" / f"{manager}.html").read_text(encoding="utf-8")


def documented() -> str:
    """Return the source that docs/appeals.md shows."""
    page = (ROOT / "docs" / "appeals.md").read_text(encoding="utf-8")
    return next(b for b in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[[sources]]" in b)


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, said: dict[str, str]) -> Place:
    """September, released; then October's deliveries with the form, and September restated."""
    made = Place(tmp_path_factory.mktemp("appeals"))
    folder, data = tiny.company(made.root / "company"), made.root / "data"
    file = folder / "perfhouse.toml"
    file.write_text(file.read_text("utf-8") + documented(), encoding="utf-8")
    tiny.deliver(data, SEPTEMBER)
    said["first"] = made.say("run", "--month", SEPTEMBER)
    tiny.deliver(data, OCTOBER)
    form = [f"{line},{WORDS},{WORDS}" for line in FORM]
    tiny.put(data / "appeals" / OCTOBER / "form.csv", HEADER, *form)
    said["ingest"] = made.say("ingest", "--month", OCTOBER)
    said["before"] = made.say("appeals")
    said["restate"] = made.say("run", "--month", SEPTEMBER, "--as-of", OCTOBER, *WHY)
    said["after"] = made.say("appeals", "--month", SEPTEMBER)
    return made


def test_the_list_has_deadlines_and_says_what_to_restate(
    place: Place, said: dict[str, str]
) -> None:
    lines = said["before"].splitlines()
    assert [line.split()[:4] for line in lines[:5]] == [
        ["2026-09", "A-1", "MA", "upheld"],
        ["2026-09", "A-2", "MA", "rejected"],
        ["2026-09", "A-4", "MB", "upheld"],
        ["2026-09", "A-5", "MB", "submitted"],
        ["2026-09", "A-3", "MA", "late"],
    ]
    assert "row 2026-09-5 of csat_rate, decided 2026-10-20 by HR-03: wrong_person" in lines[0]
    assert lines[3].endswith("decide by 2026-10-26: OVERDUE")
    assert lines[4].endswith("raised 2026-10-14, was due by 2026-10-13")
    assert lines[5] == "2026-09: decided and not in 2026-09.r1: A-1, A-2, A-4"
    assert '--as-of 2026-10 --restate --reason "appeals A-1, A-2, A-4" --by NAME' in lines[6]
    after = said["after"].splitlines()
    assert after[0].endswith("wrong_person; in 2026-09.r2")
    assert not any("--restate" in line for line in after)


def test_an_upheld_row_counts_no_more_and_the_restatement_tells_it(place: Place) -> None:
    found = place.ask(
        "select manager_id, kpi_id, numerator::int, denominator::int, status "
        "from scorecard_kpi_months where month = date '2026-09-01' and kpi_id = 'csat_rate' "
        "or status = 'excluded' order by all"
    )
    assert found == [
        ("MA", "csat_rate", 2, 3, "scored"),  # four answers, the last of them excluded
        ("MB", "csat_rate", 2, 2, "scored"),
        ("MB", "reopen_rate", 0, 2, "excluded"),
    ]
    text = (place.restated / "changes" / "changes.csv").read_text("utf-8-sig")
    changed = {
        (row["table_name"], row["row_key"], row["column_name"]): (
            row["old_value"],
            row["new_value"],
        )
        for row in csv.DictReader(text.splitlines())
    }
    of_row = ("scorecard_kpi_months", "MA, csat_rate")
    assert changed[*of_row, "denominator"] == ("4.000000", "3.000000")
    assert changed["scorecard_kpi_months", "MB, reopen_rate", "status"] == ("scored", "excluded")
    assert ("export_hr_manager_months", "MB", "appeals_upheld") in changed
    assert place.ask("select restatement_reason from releases where release = '2026-09.r2'") == [
        ("appeals A-1, A-4",)
    ]


def test_the_table_tells_state_and_outcome_in_codes(place: Place) -> None:
    found = place.ask(
        "select appeal_id, manager_id, kpi_id, state, outcome, row_count, deadline_on::varchar, "
        "reason_code, decision_code from scorecard_appeals order by 1"
    )
    due = "2026-10-13"
    assert found == [
        ("A-1", "MA", "csat_rate", "upheld", "applied", 1, due, "wrong_person", "wrong_person"),
        ("A-2", "MA", "csat_rate", "rejected", "none", 0, due, "outside_control", "no_evidence"),
        ("A-3", "MA", "csat_rate", "late", "none", 0, due, "data_error", "data_error"),
        ("A-4", "MB", "reopen_rate", "upheld", "applied", 0, due, "data_error", "data_error"),
        ("A-5", "MB", "csat_rate", "submitted", "none", 0, due, "duplicate", None),
    ]


def test_card_and_export_show_them(place: Place) -> None:
    card = place.card("MA")
    for words in (
        *("Appeals about this month", "A-1 ·", "2026-09-5", "Upheld", "1 row left out"),
        *(
            "appeal: 1 left out",
            "Rejected",
            "证据不足",
            "Late, not applied",
            "was due by 2026-10-13",
        ),
        "Appeals are open until 2026-10-13.",
        *("restated, was 50%, 0 points", "Restated, was 60.0, grade C"),
        "This month was restated:</i> appeals A-1, A-4",
    ):
        assert words in card, words
    overview = (place.restated / "pages" / "index.html").read_text(encoding="utf-8")
    assert "This month was restated:</i> appeals A-1, A-4" in overview
    assert "the KPI is left out" in place.card("MB")
    assert "decision by 2026-10-26" in place.card("MB")
    assert "Left out by an appeal" in place.card("MB")
    (file,) = (place.restated / "exports" / "hr").glob("*.csv")
    rows = {
        r["employee_number"]: r for r in csv.DictReader(file.read_text("utf-8-sig").splitlines())
    }
    names = ("appeals_open", "appeals_upheld", "appeals_rejected", "appeals_late")
    assert [rows["MA"][name] for name in names] == ["0", "1", "1", "1"]
    assert [rows["MB"][name] for name in names] == ["1", "1", "0", "0"]


def test_nobodys_words_and_no_decider_get_out(place: Place, said: dict[str, str]) -> None:
    said_to_all = {name: text for name, text in said.items() if name not in ("before", "after")}
    assert not any("XYZZY" in text for text in said.values())
    assert not any("HR-03" in text for text in said_to_all.values())
    kept = [p for p in place.home.rglob("*") if p.is_file() and "_archive" not in p.parts]
    assert any("raw" in path.parts for path in kept)
    for path in kept:
        assert b"XYZZY" not in path.read_bytes(), path
    for table in ("scorecard_appeals", "export_hr_manager_months"):
        with warehouse.connect() as con:
            file = str(place.restated / "parquet" / f"{table}.parquet")
            rows = con.execute("select * from read_parquet(?)", [file]).fetchall()
        assert rows
        assert "HR-03" not in str(rows)
    assert not any(b"HR-03" in p.read_bytes() for p in place.restated.rglob("*.html"))
