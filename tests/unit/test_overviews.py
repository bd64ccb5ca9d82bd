"""Overviews of HR and directors: their structure, their numbers, whom they show, what they run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import overview_fixture
import pytest
import scorecard_fixture as fixture

from perfhouse import page_director, page_parts
from perfhouse.month import Month

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

MONTH = Month("2026-09")
VENDOR = Path(page_parts.__file__).parent / "templates" / "vendor" / "echarts"
FIXED = 10  # columns before the KPIs


class Page(HTMLParser):
    """The elements of a page, its scripts, and the cells of the table of all numbers."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.rows: list[list[dict[str, str]]] = []
        self._script = self._in_data = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self.tags.append((tag, said))
        self._script = tag == "script"
        if tag == "script":
            self.scripts.append("")
        if tag == "table":
            self._in_data = said.get("id") == "data"
        if self._in_data and tag == "tr":
            self.rows.append([])
        if self._in_data and tag in ("td", "th"):
            self.rows[-1].append({"": "", **said})

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data
        elif self._in_data and self.rows and self.rows[-1]:
            self.rows[-1][-1][""] += data

    def handle_endtag(self, tag: str) -> None:
        self._script = False
        if tag == "table":
            self._in_data = False

    @property
    def managers(self) -> dict[str, list[dict[str, str]]]:
        return {row[0][""].strip(): row for row in self.rows[2:]}

    @property
    def kpis(self) -> list[str]:
        return [cell["data-k"] for cell in self.rows[1] if "data-k" in cell]


def pages(con: duckdb.DuckDBPyConnection, out: Path) -> dict[str, str]:
    paths = page_director.render_all(con, MONTH, out, release={"number": 3})
    return {path.stem: path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    made = overview_fixture.make()
    yield made
    made.close()


@pytest.fixture(scope="module")
def made(con, tmp_path_factory) -> dict[str, str]:
    return pages(con, tmp_path_factory.mktemp("pages"))


def test_there_is_a_page_for_hr_and_one_for_everybody_with_managers_below(made):
    assert list(made) == ["index", "M01"]


def test_a_restated_release_says_so_with_its_reason_and_how_many_differ(con, tmp_path, made):
    was = {name: {None: {"total_score": "70"}} for name in ("M02", "M07")}
    said = {"number": 2, "reason": "Late <answers>\nof a desk", "restated": was}
    page_director.render_all(con, MONTH, tmp_path, release=said)
    for name, zh, en in (
        ("index", "本页 8 位经理中 2 位", "2 of the 8 managers here"),
        ("M01", "本页 5 位经理中 1 位", "1 of the 5 managers here"),
    ):
        page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        note = page[page.index("<p class=note>") : page.index("<form")]
        for words in ("本月已更正,原因:", "restated:</i> Late &lt;answers&gt; of a desk", zh, en):
            assert words in note
    assert "已更正" not in made["index"]


def test_the_structure_of_a_page_is_the_one_agreed(made):
    page = Page(made["index"])
    tags = Counter(tag for tag, _ in page.tags)
    ids = [said["id"] for _, said in page.tags if "id" in said]
    charts = ["heat", "spread", "moves", "funnel", "sorts"]
    assert {name: tags[name] for name in ("main", "h1", "section", "table", "script")} == {
        "main": 1, "h1": 1, "section": 6, "table": 6, "script": 2,
    }  # fmt: skip
    assert [i for i in ids if i.startswith("c-")] == [f"c-{name}" for name in charts]
    assert [i for i in ids if i.startswith("t-")] == [f"t-{name}" for name in charts]
    assert [said["id"] for tag, said in page.tags if tag == "select"] == [
        "place", "role", "team", "kpi", "sort",
    ]  # fmt: skip
    assert [said["id"] for tag, said in page.tags if tag == "button"] == ["reset", "prev", "next"]
    assert len(ids) == len(set(ids))
    assert [len(row) for row in page.rows[1:]] == [FIXED + len(fixture.KPIS)] * 9
    assert [cell["data-c"] for cell in page.rows[0] if "data-c" in cell] == [
        "result", "quality", "efficiency", "people", "innovation",
    ]  # fmt: skip


def test_every_chart_is_an_image_with_a_name_a_description_and_a_table(made):
    page = Page(made["index"])
    ids = {said["id"] for _, said in page.tags if "id" in said}
    charts = [said for _, said in page.tags if said.get("role") == "img"]
    assert len(charts) == 5
    for said in charts:
        assert {said["aria-labelledby"], said["aria-describedby"]} <= ids
        assert "t-" + said["id"][2:] in ids
    named = [said["aria-labelledby"] for _, said in page.tags if "aria-labelledby" in said]
    assert set(named) <= ids
    assert len([tag for tag, _ in page.tags if tag == "summary"]) == 6


def test_numbers_are_those_of_the_tables(con, made):
    page = Page(made["index"])
    for manager, total, change, rank in con.execute(
        "select manager_id, cast(total_score as double), cast(change as double), rank "
        "from scorecards.scorecard_manager_months where month = ?", [MONTH.start]
    ).fetchall():  # fmt: skip
        row = page.managers[manager]
        assert number(row[5], "data-s") == pytest.approx(total, abs=1e-6)
        assert number(row[8], "data-s") == pytest.approx(change, abs=1e-6)
        assert row[7][""].strip().split("/")[0] == ("—" if rank is None else str(rank))
    found = con.execute(
        "select manager_id, kpi_id, status, cast(score as double), cast(adjusted_value as double), "
        "sample_size, funnel_status, is_provisional, effective_weight "
        "from scorecards.scorecard_kpi_months where month = ?", [MONTH.start]
    ).fetchall()  # fmt: skip
    assert len(found) == 8 * len(fixture.KPIS)
    for manager, kpi, status, score, value, cases, funnel, provisional, weight in found:
        cell = page.managers[manager][FIXED + page.kpis.index(kpi)]
        assert number(cell, "data-s") == pytest.approx(score, abs=1e-6)
        assert number(cell, "data-v") == pytest.approx(value, abs=1e-6)
        assert number(cell, "data-n") == cases
        assert number(cell, "data-w") == pytest.approx(weight, abs=1e-6)
        assert ("data-p" in cell) == provisional
        assert ("data-x" in cell) == (status != "scored")
        assert cell.get("data-f") == {
            None: None, "inside": "0", "better_998": "B", "worse_95": "w",
        }[funnel]  # fmt: skip


def test_a_total_has_its_interval_and_a_rank_its_ties_as_on_the_card(tmp_path):
    con = overview_fixture.make()
    table = "scorecards.scorecard_manager_months"
    for column, value in (("total_low", 80.11), ("total_high", 99.99)):
        con.execute(f"alter table {table} add column {column} double")
        con.execute(f"update {table} set {column} = {value} where manager_id = 'M02'")
    con.execute(f"update {table} set rank_low = 1, rank_high = 5 where manager_id = 'M02'")
    managers = Page(pages(con, tmp_path)["index"]).managers
    con.close()
    assert managers["M02"][5][""].strip().endswith("80.1–100.0")
    assert managers["M02"][7][""].split()[-1] == "1–5"
    assert "tied" in managers["M02"][7][""]
    assert "–" not in managers["M03"][5][""] + managers["M03"][7][""]


def test_the_head_says_how_many_kpis_may_still_change(made):
    assert "1 KPI provisional" in made["index"]  # reopen_rate
    assert "1 项指标暂定" in made["M01"]


def number(cell: dict[str, str], name: str) -> float | None:
    return float(cell[name]) if name in cell else None


def test_best_totals_come_first_and_who_has_none_comes_last(con, made):
    wanted = con.execute(
        "select manager_id from scorecards.scorecard_manager_months where month = ? "
        "order by total_score desc nulls last, manager_id", [MONTH.start]
    ).fetchall()  # fmt: skip
    assert list(Page(made["index"]).managers) == [name for (name,) in wanted]


def test_what_is_missing_has_a_mark_and_nothing_is_zero_but_zero(made):
    page = Page(made["index"])
    thin = page.managers["M01"][FIXED + page.kpis.index("nps")]
    zero = page.managers["M02"][FIXED + page.kpis.index("csat_rate")]
    assert (thin[""].strip(), thin["data-x"], "data-s" in thin) == ("—", "i", False)
    assert (zero[""].strip(), zero["data-s"], "data-x" in zero) == ("0", "0", False)
    late = page.managers["M02"][FIXED + page.kpis.index("reopen_rate")]
    assert re.fullmatch(r"\d+\*", late[""].strip())
    marks = [mark for mark, _, _ in page_director.MARKS.values()]
    assert len(set(marks)) == len(marks) == 6
    assert not any(mark.isdigit() for mark in marks)


def test_what_there_is_too_little_of_is_told_apart_with_its_words(tmp_path):
    con = overview_fixture.make()
    table = "scorecards.scorecard_kpi_months"
    for column in ("row_count", "minimum_rows"):
        con.execute(f"alter table {table} add column {column} double")
    con.execute("alter table kpis.kpi_definitions add column is_suppressed boolean")
    con.execute("update kpis.kpi_definitions set is_suppressed = kpi_id = 'nps'")
    thin = f"update {table} set status = 'insufficient_data', score = null, "
    for kpi, change in {
        "csat_rate": "sample_size = 3",
        "reopen_rate": "sample_size = 99, row_count = 4, minimum_rows = 5",
        "turnover_rate": "sample_size = 99, row_count = 9, minimum_rows = 5",
        "nps": "sample_size = null, value = null",
    }.items():
        con.execute(f"{thin} {change} where manager_id = 'M02' and kpi_id = '{kpi}'")
    con.execute(f"delete from {table} where manager_id = 'M02' and kpi_id = 'abandonment_rate'")
    text = pages(con, tmp_path)["index"]
    con.close()
    page = Page(text)
    row = dict(zip(page.kpis, page.managers["M02"][FIXED:], strict=True))
    found = {kpi: (row[kpi][""].strip(), row[kpi].get("data-x")) for kpi in row}
    assert found["csat_rate"] == found["reopen_rate"] == ("—", "i")
    assert found["turnover_rate"] == ("◔", "m")
    assert found["nps"] == ("■", "h")
    assert found["abandonment_rate"] == ("·", None)
    words = re.sub(r"<[^>]*>", " ", text.partition("<details id=all")[0].rpartition("<h2")[2])
    for mark, zh, en in page_director.MARKS.values():
        assert re.search(rf"{mark}\s+{zh}\s+{en}", words), mark


def test_hidden_answers_leave_no_number_on_a_page(tmp_path):
    con = overview_fixture.make()
    con.execute(
        "update scorecards.scorecard_kpi_months set status = 'insufficient_data', score = null, "
        "value = null, adjusted_value = null, sample_size = null, funnel_status = null, "
        "effective_weight = null where manager_id = 'M02' and kpi_id = 'nps'"
    )
    con.execute("alter table kpis.kpi_definitions add column is_suppressed boolean")
    con.execute("update kpis.kpi_definitions set is_suppressed = kpi_id = 'nps'")
    page = Page(pages(con, tmp_path)["M01"])
    con.close()
    cell = page.managers["M02"][FIXED + page.kpis.index("nps")]
    assert cell == {"": "■", "data-x": "h"}


def test_a_director_sees_the_own_subtree_and_nobody_else(made):
    page = Page(made["M01"])
    assert set(page.managers) == set(overview_fixture.SUBTREE)
    said = made["M01"].partition("<script")[0]
    for other in ("M06", "M07", "M08", "经理6", "经理7", "经理8", "华东6组"):
        assert other not in said
    assert set(Page(made["index"]).managers) > set(page.managers)


def test_a_page_names_no_kpi_that_nobody_on_it_is_judged_by(tmp_path):
    con = overview_fixture.make()
    con.execute(
        "delete from scorecards.scorecard_kpi_months "
        "where kpi_id = 'nps' and manager_id in ('M01', 'M02', 'M03', 'M04', 'M05')"
    )
    con.execute(
        "update scorecards.scorecard_kpi_months set status = 'no_target', score = null "
        "where kpi_id = 'qa_score' or kpi_id = 'turnover_rate'"
    )
    found = {name: Page(text).kpis for name, text in pages(con, tmp_path).items()}
    con.close()
    assert "nps" in found["index"]
    assert "nps" not in found["M01"]
    assert "turnover_rate" not in found["index"]


def test_a_row_links_to_the_card_and_a_director_to_the_own_page(made):
    links = [said["href"] for tag, said in Page(made["index"]).tags if tag == "a"]
    assert sorted(link for link in links if link.startswith("../")) == [
        f"../cards/M0{m}.html" for m in range(1, 9)
    ]
    assert [link for link in links if not link.startswith("../")] == ["M01.html"]
    assert 'href="M01.html"' not in made["M01"]


def test_hostile_texts_are_text_on_a_line_of_their_own(tmp_path):
    con = overview_fixture.make(names={"M02": fixture.HOSTILE, "M03": "two\nlines</td>"})
    con.execute("update core.dim_managers set team_name = ?", [fixture.HOSTILE])
    con.execute("update core.dim_employees set location = ?", [fixture.HOSTILE])
    con.execute("update scorecards.scorecard_manager_months set role = ?", [fixture.HOSTILE])
    con.execute("update kpis.kpi_definitions set name_zh = ?", ["</script>" + fixture.HOSTILE])
    text = pages(con, tmp_path)["index"]
    con.close()
    page = Page(text)
    assert len(page.scripts) == 2
    assert "alert(1)" not in "".join(page.scripts)
    assert page.managers["M02"][1][""].strip() == fixture.HOSTILE
    assert page.managers["M02"][2]["data-id"] == fixture.HOSTILE
    lines = [line for line in text.splitlines() if line.startswith("<tr><th scope=row>")]
    assert len(lines) == 8
    assert all(re.match(r'<tr><th scope=row><a href="[^"]*">M0\d</a><td', line) for line in lines)


def test_a_page_runs_its_two_scripts_by_their_hashes_and_loads_nothing(made):
    for text in made.values():
        page = Page(text)
        policy = next(s["content"] for tag, s in page.tags if "http-equiv" in s)
        data, ours = page.scripts
        charts = gzip.decompress(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))
        hashes = [hashlib.sha256(script).digest() for script in (charts, ours.encode())]
        allowed = " ".join(f"'sha256-{base64.b64encode(h).decode()}'" for h in hashes)
        assert f"default-src 'none'; script-src {allowed}; style-src" in policy
        assert "unsafe-eval" not in policy
        assert all("src" not in said for _, said in page.tags)
        assert not re.search(r"url\(|@import|https?:", text.partition("<script")[0])


def test_the_script_of_ours_asks_for_nothing_and_writes_no_markup():
    text = page_parts.script(*page_director.SCRIPT)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(", text
    )
    assert not re.search(r"fetch\(|XMLHttp|WebSocket|import\(|localStorage|cookie", text)
    assert not re.search(r"new Date|Date\.now|Math\.random", text)


def test_the_same_warehouse_gives_the_same_bytes(made, tmp_path):
    again = overview_fixture.make()
    assert pages(again, tmp_path) == made
    again.close()


def test_a_month_without_managers_has_a_page_that_says_so(tmp_path):
    con = overview_fixture.make()
    con.execute("delete from scorecards.scorecard_manager_months")
    made = pages(con, tmp_path)
    con.close()
    assert list(made) == ["index"]
    assert "No manager this month." in made["index"]


def test_the_chart_library_is_the_one_recorded_and_bears_its_licences():
    lines = (VENDOR / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    said = {name: sha256 for sha256, name in (line.split() for line in lines)}
    packed = (VENDOR / "echarts.min.js.gz").read_bytes()
    content = gzip.decompress(packed)
    assert said == {
        "echarts.min.js": hashlib.sha256(content).hexdigest(),
        "echarts.min.js.gz": hashlib.sha256(packed).hexdigest(),
    }
    assert content.startswith(b"/*! Apache ECharts 6.1.0")
    assert "Apache License" in (VENDOR / "LICENSE").read_text(encoding="utf-8")
    assert "Apache Software Foundation" in (VENDOR / "NOTICE").read_text(encoding="utf-8")
    for other in ("LICENSE-d3", "LICENSE-zrender"):
        assert "Redistribution and use" in (VENDOR / other).read_text(encoding="utf-8")


def test_a_script_that_would_end_its_element_is_refused(tmp_path, monkeypatch):
    (tmp_path / "x.js").write_text("a = '</SCRIPT >'", encoding="utf-8")
    monkeypatch.setattr(page_parts, "_templates", lambda: tmp_path)
    with pytest.raises(ValueError, match=r"x\.js"):
        page_parts.script("x.js")
