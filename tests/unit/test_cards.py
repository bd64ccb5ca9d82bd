"""Cards: what is on them, what is never on them, and that they are the same bytes every time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import largest_card
import pytest
import scorecard_fixture as fixture

from perfhouse import (
    card_figures,
    card_fit,
    card_numbers,
    card_pdf,
    card_view,
    cards,
    scorecards,
)
from perfhouse.month import Month
from perfhouse.scorecards import KpiScore, Scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

MONTH = Month("2026-09")
Con = "duckdb.DuckDBPyConnection"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    made = fixture.make()
    yield made
    made.close()


@pytest.fixture
def changed() -> Iterator[duckdb.DuckDBPyConnection]:
    made = fixture.make(managers=4, names={"M02": fixture.HOSTILE, "E021": fixture.HOSTILE})
    yield made
    made.close()


def page(con: duckdb.DuckDBPyConnection, manager: str, out: Path) -> str:
    cards.render_all(con, MONTH, out, release={"number": 3})
    return (out / f"{manager}.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """The rows of the KPI table, and whether tags close in order."""

    OPEN_ENDED = frozenset({"meta", "link", "input", "html", "th", "td", "tr", "dt", "dd", "li"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.OPEN_ENDED:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.OPEN_ENDED:
            assert self.stack.pop() == tag


def row(text: str, kpi_name: str) -> str:
    found = re.search(rf"<tr class=\w+><th><i>{kpi_name}<.*?(?=<tr|</tbody>)", text, re.DOTALL)
    assert found
    return found.group()


def test_every_manager_gets_a_card_and_the_index_lists_them_by_id(con, tmp_path):
    paths = cards.render_all(con, MONTH, tmp_path / "cards")
    assert [p.name for p in paths] == [f"M{m:02d}.html" for m in range(1, 9)] + ["index.html"]
    index = paths[-1].read_text(encoding="utf-8")
    assert all(f'href="M{m:02d}.html"' in index for m in range(1, 9))
    assert "经理1" not in index


def test_the_same_warehouse_gives_the_same_bytes(con, tmp_path):
    first = cards.render_all(con, MONTH, tmp_path / "a", release={"number": 1})
    again = fixture.make()
    second = cards.render_all(again, MONTH, tmp_path / "b", release={"number": 1})
    again.close()
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_card_is_one_request_without_script_and_small(con, tmp_path):
    for path in cards.render_all(con, MONTH, tmp_path):
        text = path.read_text(encoding="utf-8")
        assert path.stat().st_size <= 40 * 1024
        assert "<script" not in text
        assert not re.search(r"(?:src|href)=\"?(?:https?:)?//|url\(|@import", text)
        assert "default-src 'none'" in text


def test_a_card_is_well_formed_and_every_mark_it_uses_is_defined(con, tmp_path):
    text = page(con, "M01", tmp_path)
    parsed = Page()
    parsed.feed(text)
    assert parsed.stack == []
    ids = {a["id"] for _, a in parsed.tags if a.get("id")}
    used = {str(a["href"])[1:] for tag, a in parsed.tags if tag == "use"}
    labels = {a["for"] for tag, a in parsed.tags if tag == "label"}
    assert used | labels <= ids


def test_hostile_names_are_text_and_never_markup(changed, tmp_path):
    changed.execute(
        "update kpis.kpi_definitions set name_zh = ?, definition_en = ? where kpi_id = 'nps'",
        [fixture.HOSTILE, fixture.HOSTILE],
    )
    text = page(changed, "M02", tmp_path)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 3
    assert "{{ 7*7 }}" in text


def test_a_card_says_everything_twice_once_in_each_language(con, tmp_path):
    text = page(con, "M03", tmp_path)
    assert text.count("<i>") == text.count("<i lang=en>") > 50
    for said in ("客户满意度", "Customer satisfaction", "同岗排名", "Rank in role"):
        assert said in text


def test_too_few_cases_have_a_mark_of_their_own_and_no_bar_and_no_score(con, tmp_path):
    thin = row(page(con, "M01", tmp_path), "净推荐值")
    assert "样本不足" in thin
    assert "Not enough data" in thin
    assert "7 cases, 10 needed" in thin
    assert thin.startswith("<tr class=none>")
    assert "<rect" not in thin
    assert thin.count("<td>—") == 3  # no score, no weight, no points


def test_a_scored_kpi_shows_value_target_sample_score_weight_and_median(con, tmp_path):
    scored = row(page(con, "M01", tmp_path), "客户满意度")
    for shown in ("98.3%", "90%", ">60", ">120<", "15.8%", "15%", "18.9", "<rect width="):
        assert shown in scored


def test_a_value_below_the_floor_is_told_from_a_missing_one(changed, tmp_path):
    changed.execute(
        "update scorecards.scorecard_kpi_months set value = floor - 0.1, score = 0 "
        "where kpi_id = 'csat_rate'"
    )
    below = row(page(changed, "M02", tmp_path), "客户满意度")
    assert "<rect width=0% />" in below
    assert 'd="M9 4v10l-8-5z"' in below
    assert "偏低" in below


def test_an_interval_is_drawn_on_the_score_axis_once_it_is_known(changed, tmp_path):
    assert "<rect class=ci" not in page(changed, "M01", tmp_path)
    changed.execute(
        "update scorecards.scorecard_kpi_months set ci_low = 0.05, ci_high = 0.2 "
        "where kpi_id = 'reopen_rate'"
    )
    text = page(changed, "M01", tmp_path)
    drawn = row(text, "重开率")
    assert "<rect class=ci x=0% width=88.9% />" in drawn
    assert "95% interval" in text


def test_what_was_scored_is_shown_beside_the_plain_value_and_outliers_are_for_review(
    changed, tmp_path
):
    assert "value that was scored" not in page(changed, "M01", tmp_path)
    changed.execute("alter table scorecards.scorecard_kpi_months add column funnel_status varchar")
    changed.execute(
        "update scorecards.scorecard_kpi_months set shrunk_value = 0.0613, "
        "funnel_status = 'worse_998' where kpi_id = 'reopen_rate'"
    )
    text = page(changed, "M01", tmp_path)
    assert "<small>→ 6.1%<br>" in row(text, "重开率")
    assert "unusually poor: review" in row(text, "重开率")
    assert text.count("unusually") == 1
    assert "by their number, for chance" in text


def test_a_change_within_its_error_is_not_shown_as_a_rise_or_a_fall(changed, tmp_path):
    table = "scorecards.scorecard_manager_months"
    before = page(changed, "M01", tmp_path)
    assert "no clear change" not in before
    for column in ("total_low double", "total_high double", "change_status varchar"):
        changed.execute(f"alter table {table} add column {column}")
    changed.execute(
        f"update {table} set total_low = 81.25, total_high = 93.14, change = 3.1, "
        "previous_total_score = 80, change_status = 'no_clear_change'"
    )
    text = page(changed, "M01", tmp_path)
    assert "81.2–93.1" in text
    assert "＝</span> +3.1" in text
    assert "no clear change" in text
    changed.execute(f"update {table} set change_status = 'better'")
    text = page(changed, "M01", tmp_path)
    assert "▲</span> +3.1" in text
    assert "no clear change" not in text


def test_without_enough_weight_there_is_no_total_but_every_score_stands(con, tmp_path):
    text = page(con, "M08", tmp_path)
    assert "不计总分" in text
    assert "Only 35% of the weight has enough data (60% needed)" in text
    assert "<td>117<" in row(text, "客户满意度")
    assert "合计" not in text


def test_a_manager_without_a_team_is_told_so(changed, tmp_path):
    changed.execute("delete from scorecards.scorecard_kpi_months where manager_id = 'M01'")
    changed.execute(
        "update scorecards.scorecard_manager_months set total_score = null, rank = null, "
        "status = 'no_team' where manager_id = 'M01'"
    )
    text = page(changed, "M01", tmp_path)
    assert "No team was assigned this month" in text
    assert "There is no KPI for this month" in text


def test_a_role_without_targets_is_told_so(changed, tmp_path):
    changed.execute(
        "update scorecards.scorecard_kpi_months set weight = null, floor = null, target = null, "
        "stretch = null, score = null, status = 'no_target' where manager_id = 'M01'"
    )
    changed.execute("update scorecards.scorecard_manager_months set total_score = null")
    text = page(changed, "M01", tmp_path)
    assert "No targets are set for this role" in text
    assert "<rect width" not in text[text.index("<table class=k") :]


def test_weights_set_as_12_or_as_a_share_look_alike(changed, tmp_path):
    before = page(changed, "M02", tmp_path / "a")
    changed.execute("update scorecards.scorecard_kpi_months set weight = weight * 80")
    assert page(changed, "M02", tmp_path / "b") == before


def test_ties_show_the_span_of_ranks(changed, tmp_path):
    changed.execute("update scorecards.scorecard_manager_months set rank_low = 1, rank_high = 3")
    text = page(changed, "M01", tmp_path)
    assert "1–3" in text
    assert "并列" in text


def test_the_trend_never_looks_into_later_months(con, tmp_path):
    cards.render_all(con, Month("2026-07"), tmp_path)
    text = (tmp_path / "M01.html").read_text(encoding="utf-8")
    assert "2026-06 89.2; 2026-07 93.9" in text
    assert "26-08" not in text


def test_a_month_without_a_total_is_a_gap_in_the_trend():
    made = fixture.make(managers=4)
    made.execute(
        "update scorecards.scorecard_manager_months set total_score = null "
        "where month = date '2026-07-01'"
    )
    sheet = cards.read_sheet(made, MONTH)
    drawn = card_figures.trend(sheet.history["M01"], sheet.peer_totals)
    made.close()
    assert [m["y"] is None for m in drawn["marks"]] == [False, True, False, False]
    assert [len(line.split()) for line in drawn["lines"]] == [2]
    assert "2026-07 —" in drawn["text"]


def test_the_footer_names_release_gates_versions_and_the_way_to_appeal(con, tmp_path):
    text = page(con, "M01", tmp_path)
    assert "2026-09.r3" in text
    assert re.search(r'raw <span class="met i">.*?\(1 ', text)
    assert "perfhouse explain --month 2026-09 --manager M01 --kpi KPI" in text
    assert "2026-Q3" in text
    sheet = cards.read_sheet(con, MONTH)
    draft = cards.render_card(sheet, sheet.totals[0]).decode()
    assert "Draft, not released" in draft


def test_a_month_without_managers_still_has_an_index(con, tmp_path):
    paths = cards.render_all(con, Month("2030-01"), tmp_path)
    assert [p.name for p in paths] == ["index.html"]
    assert "No manager has a scorecard this month" in paths[0].read_text(encoding="utf-8")


def test_too_few_records_are_said_where_the_sample_itself_would_do(changed, tmp_path):
    table = "scorecards.scorecard_kpi_months"
    for column, value in (("row_count", 2), ("minimum_rows", 5)):
        changed.execute(f"alter table {table} add column {column} integer")
        changed.execute(f"update {table} set {column} = {value} where kpi_id = 'csat_rate'")
    changed.execute(
        f"update {table} set status = 'insufficient_data', score = null, sample_size = 200 "
        "where kpi_id = 'csat_rate'"
    )
    assert "2 records, 5 needed" in row(page(changed, "M02", tmp_path), "客户满意度")


def test_enough_cases_of_too_few_months_are_not_called_too_few_cases(changed, tmp_path):
    table = "scorecards.scorecard_kpi_months"
    for column, value in (("row_count", 88), ("minimum_rows", 1)):
        changed.execute(f"alter table {table} add column {column} integer")
        changed.execute(f"update {table} set {column} = {value}")
    changed.execute(
        f"update {table} set status = 'insufficient_data', score = null, sample_size = 88 "
        "where kpi_id = 'turnover_rate'"
    )
    shown = row(page(changed, "M02", tmp_path), "团队流失率")
    assert "已有数据的月份不足以得出全年数字" in shown
    assert "too few months for a figure of a year" in shown
    assert "月份不足" in shown
    assert "样本不足" not in shown
    assert "Not enough data" not in shown
    sheet = cards.read_sheet(changed, MONTH)
    total = next(t for t in sheet.totals if t.manager_id == "M02")
    said = json.dumps(card_pdf.describe(sheet, total), ensure_ascii=False)
    assert "已有数据的月份不足以得出全年数字" in said


def test_hidden_answers_are_not_called_too_few(changed, tmp_path):
    changed.execute("alter table kpis.kpi_definitions add column is_suppressed boolean")
    changed.execute("update kpis.kpi_definitions set is_suppressed = kpi_id = 'nps'")
    changed.execute(
        "update scorecards.scorecard_kpi_months set status = 'insufficient_data', score = null, "
        "sample_size = null, value = null where kpi_id = 'nps'"
    )
    shown = row(page(changed, "M02", tmp_path), "净推荐值")
    assert "不予显示,以免推算出答卷" in shown
    assert "needed" not in shown


def test_agents_with_few_cases_are_marked_and_not_judged(con, tmp_path):
    text = page(con, "M01", tmp_path)
    table = text[text.index('<table class="t ') :]
    assert "员工1-1" in table
    assert re.search(r"<td class=none>[\d.%−]+ <small>\d+</small>", table)
    assert "经理1" not in table


def test_the_parts_of_a_month_are_a_table_of_who_led_several_teams(con, tmp_path):
    text = page(con, "M03", tmp_path)
    parsed = Page()
    parsed.feed(text)
    assert parsed.stack == []
    table = re.search(r'<table class="t n2">.*?</table>', text, re.DOTALL)
    assert table
    head = table.group()[: table.group().index("</thead>")]
    assert head.index("华东3组 <small>20 ") < head.index("华北9组 <small>10 ")
    nps = re.search(r"净推荐值.*?(?=<tr|</tbody>)", table.group(), re.DOTALL)
    assert nps
    first, second = nps.group().split("<td")[1:]
    assert "<b>" in first
    assert "40 · " in first
    assert "<b>" not in second
    assert "20%" not in second, "a value of too few cases says nothing"
    assert "few cases" in second
    assert second.startswith(" class=none>")
    assert "By team" not in page(con, "M02", tmp_path)


def test_many_teams_leave_the_card_small(changed, tmp_path):
    changed.execute(
        "insert into scorecards.scorecard_team_months by name select * exclude (n) replace "
        "('T' || n as team_id, ? || n as team_name) from (from scorecards.scorecard_team_months, "
        "range(20) as r(n)) where month = ? and team_id = 'T99'",
        [fixture.HOSTILE * 5, MONTH.start],
    )
    paths = {path.name: path for path in cards.render_all(changed, MONTH, tmp_path)}
    text = paths["M03.html"].read_text(encoding="utf-8")
    assert paths["M03.html"].stat().st_size <= 40 * 1024
    assert "<script" not in text
    assert '<table class="t n4">' in text
    assert "18 more teams are not listed" in text


def test_confidential_answers_and_the_teams_own_figures_never_show_single_agents(changed, tmp_path):
    changed.execute("alter table kpis.kpi_definitions add column is_suppressed boolean")
    changed.execute("alter table kpis.kpi_definitions add column credit_to varchar")
    changed.execute("update kpis.kpi_definitions set credit_to = 'employee'")
    changed.execute(
        "update kpis.kpi_definitions set is_suppressed = true where category <> 'result'"
    )
    changed.execute(
        "update kpis.kpi_definitions set credit_to = 'queue' where kpi_id = 'csat_rate'"
    )
    text = page(changed, "M02", tmp_path)
    table = text[text.index('<table class="t ') :]
    head = table[: table.index("</thead>")]
    assert "问题闭环率" in head
    assert "客户满意度" not in head
    assert "平均处理时长" not in head
    assert "重开率" not in head


def test_a_card_too_large_gives_up_words_before_numbers(changed, tmp_path):
    changed.execute("update kpis.kpi_definitions set definition_zh = repeat('长', 600)")
    path = cards.render_all(changed, MONTH, tmp_path)[0]
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size <= 40 * 1024
    assert "长长" not in text
    assert ">Targets</i> 2026-Q3: <code>csat_rate</code> v1 · " in text


@pytest.mark.parametrize(
    ("manager_id", "name"),
    [
        ("M01", "M01.html"),
        ("经理 一", "manager-"),
        ("../up", "manager-"),
        (".hidden", "manager-"),
        ("index", "manager-"),
        ("a/b", "manager-"),
    ],
)
def test_a_file_name_is_safe_whatever_the_id(manager_id, name):
    assert cards.file_names([manager_id])[manager_id].startswith(name)


def test_ids_that_differ_by_case_do_not_share_a_file():
    names = cards.file_names(["m1", "M1", "M2"])
    assert len({n.lower() for n in names.values()}) == 3
    assert names["M2"] == "M2.html"


@pytest.mark.parametrize(
    ("scale", "value", "score"),
    [
        (Scale(0.7, 0.9, 0.95), 0.6, 0.0),
        (Scale(0.7, 0.9, 0.95), 0.8, 50.0),
        (Scale(0.7, 0.9, 0.95), 0.9, 100.0),
        (Scale(0.7, 0.9, 0.95), 0.925, 110.0),
        (Scale(0.7, 0.9, 0.95), 1.0, 120.0),
        (Scale(480, 360, 300), 420, 50.0),
        (Scale(480, 360, 300), 500, 0.0),
        (Scale(480, 360, 300), 330, 110.0),
        (Scale(0.7, 0.9, None), 0.99, 100.0),
    ],
)
def test_the_score_runs_through_floor_target_and_stretch(scale, value, score):
    assert scale.score(value) == pytest.approx(score)


def test_weights_are_shared_inside_the_category_then_across():
    def kpi(kpi_id: str, weight: float, score: float | None) -> KpiScore:
        status = "scored" if score is not None else "insufficient_data"
        nothing = [None] * 9
        return KpiScore("M", kpi_id, "1", *nothing, 1.0, weight, score, status, None, None, None)

    rows = [kpi("a", 0.3, 100.0), kpi("b", 0.2, None), kpi("c", 0.3, 50.0), kpi("d", 0.2, None)]
    shares = scorecards.effective_weights(
        rows, {"a": "result", "b": "result", "c": "quality", "d": "people"}
    )
    assert shares == pytest.approx({"a": 0.625, "c": 0.375})


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "rate", "—"),
        (0.9, "rate", "90%"),
        (1.25, "ratio", "125%"),
        (-0.123, "rate", "−12.3%"),
        (-0.123, "net_rate", "−12.3"),
        (0.42, "net_rate", "42"),
        (426.4, "seconds", "426 s"),
        (3.075, "minutes", "3.08 min"),
        (0.0, "per_head", "0"),
        (100.0, "per_head", "100"),
    ],
)
def test_values_are_written_in_their_unit(value, unit, text):
    assert card_numbers.show(value, unit) == text


def test_a_net_promoter_score_is_points_and_no_page_says_per_cent_of_it(con, tmp_path):
    signed = [kpi for kpi in largest_card.catalogue() if kpi.get("is_signed")]
    assert {kpi["id"]: kpi["unit"] for kpi in signed} == {"nps": "net_rate", "enps": "net_rate"}
    row = re.search(r"净推荐值.*?(?=<tr|</tbody>)", page(con, "M02", tmp_path), re.DOTALL)
    assert row
    value, target = re.findall(r"<td>([^<]*)", row.group())[1:3]
    assert (float(value), target) == (pytest.approx(27.2), "40")
    assert "<div>0<b>40</b><b>60</b></div>" in row.group()
    assert "%" not in re.sub(r"<svg.*?</svg>", "", row.group()).rsplit("<td>", 2)[0]


def test_one_warning_is_one_and_kpis_without_a_target_are_under_no_version(changed, tmp_path):
    changed.execute(
        "update scorecards.scorecard_kpi_months set target_version = null where kpi_id = 'nps'"
    )
    assert "1 <i>项提醒</i><i lang=en>warning</i>" in page(changed, "M01", tmp_path)
    sheet = cards.read_sheet(changed, MONTH)
    view = card_view.card(sheet, sheet.totals[0], 0, with_definitions=False)
    short = cards._page(view, card_fit.Fullness(0, card_fit.NONE), {}).decode()
    assert "No target</i>: <code>nps</code> v1" in short
    assert "Targets</i> —" not in short


def test_the_first_page_of_a_release_tells_thresholds_and_what_was_taken_on(con, tmp_path):
    con.execute("alter table ops.gate_verdicts add column threshold varchar")
    con.execute("alter table ops.gate_verdicts add column agreed_by varchar")
    con.execute("alter table ops.gate_verdicts add column accepted_by varchar")
    con.execute("alter table ops.gate_verdicts add column accepted_reason varchar")
    con.execute(
        "update ops.gate_verdicts set threshold = '2% of rows', agreed_by = 'Data <board>', "
        "observed = '1%' where check_id = 'quarantine'"
    )
    paths = cards.render_all(con, MONTH, tmp_path)
    index = paths[-1].read_text(encoding="utf-8")
    assert (
        "<td>1%<td><i>行数的 2%</i><i lang=en>2% of rows</i> <small>Data &lt;board&gt;</small>"
        in index
    )
    assert ">volume</i><i lang=en>volume</i> <small>volume</small>" in index
    assert "warning</i>" in index
    assert "(1 <i>项提醒</i>" in paths[0].read_text(encoding="utf-8")
    con.execute(
        "update ops.gate_verdicts set accepted_by = 'HR', accepted_reason = 'Fair week' "
        "where check_id = 'volume'"
    )
    paths = cards.render_all(con, MONTH, tmp_path)
    assert "accepted</i> <small>HR: Fair week</small>" in paths[-1].read_text(encoding="utf-8")
    card = paths[0].read_text(encoding="utf-8")
    assert "项提醒" not in card
    assert "accepted by</i> HR]" in card
