"""MetricFlow over the facts against the scorecards: every KPI, every manager, to 1e-9."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import streams
from perfhouse import build, cli, kpi_files, lake, metrics, provenance, settings, warehouse
from perfhouse.company import load_company
from perfhouse.errors import ConfigError, TransientError
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny
from tests.own_kpi import TOP_SCORE_RATE

HERE = Path(__file__).parent
OWN = "top_score_rate"
KPIS = sorted({*kpi_files.catalogue(), OWN})
EXACT = Decimal("1e-9")
Question = tuple[tuple[str, ...], tuple[str, ...]]  # --metrics, --group-by
Key = tuple[str, str]  # manager, month
BY = ("chain__manager", "metric_time__month")
Sums = tuple[Decimal | None, Decimal, Decimal]  # value, numerator, denominator
HIDDEN, ADDED = "employee_satisfaction_denominator", "csat_rate_denominator"


def by_manager(kpi: str) -> Question:
    return (kpi, f"{kpi}_numerator", f"{kpi}_denominator"), BY


OWN_LINE = ["query", "--metrics", OWN, "--group-by", ",".join(BY)]
SHOWN = ((HIDDEN,), ("chain__manager",)), ((HIDDEN,), ())
FINER = [(("enps",), (word,)) for word in ("employee", "team", "metric_time__day")]
SPLIT = [
    ((ADDED,), ("metric_time__month", *more))
    for more in ((), ("team",), ("chain__is_direct",), ("chain__manager", "chain__is_direct"))
]
QUESTIONS: list[Question] = [*(by_manager(kpi) for kpi in KPIS), *SHOWN, *FINER, *SPLIT]


def appeal(name: str, kpi_id: str, row_id: str, **more: str) -> dict[str, str]:
    known = {"appeal_id": name, "scorecard_id": "2026-09", "metric_id": kpi_id, "row_id": row_id}
    known |= {"employee_id": "M1", "raised_at": tiny.at("2026-09-25 10:00"), "status": "upheld"}
    known |= {"decided_at": tiny.at("2026-09-26 10:00"), "decided_by": "HR-03"}
    return {**known, "reason_code": "data_error", **more}


def told_of(manager: str, kind: dict[str, str], scores: Sequence[int], name: str) -> list[Any]:
    when, about = "2026-09-25 10:00", {"subject_employee_id": manager}
    given = enumerate(scores)
    return [tiny.answer(f"{name}{n}", None, s, when, **about, **kind) for n, s in given]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return the tiny company's rows, and what it lacks: appeals, shown and hidden answers."""
    found = TINY_ROWS()
    found["appeals"] = [
        appeal("a1", "csat_rate", "r3", effect="exclude"),
        appeal("a2", "csat_rate", "r1", effect="correct", credited_to="A3"),
        appeal("a3", "ticket_closure_rate", "t2", effect="correct", new_value="1"),
    ]
    found["survey_responses"] = [
        *found["survey_responses"],
        *told_of("M1", tiny.OWN, (5, 4, 1), "more"),
        *told_of("M2", tiny.OWN, (5, 1), "few"),
        *told_of("M1", tiny.ENPS, (9, 10, 8, 2), "enps"),
    ]
    left = {"event_id": "d1", "employee_id": "A5", "event_type": "termination"}
    found["employment_events"] = [{**left, "effective_date": "2026-09-21", "is_voluntary": True}]
    return found


TINY_ROWS = tiny.rows


@dataclass(frozen=True)
class Built:
    home: Home

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with warehouse.connect(self.home.warehouse, read_only=True) as con:
            return con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("metricflow")
    company, home = root / "company", Home(root / "home")
    (company / "kpis").mkdir(parents=True)
    (company / "kpis" / f"{OWN}.yml").write_text(TOP_SCORE_RATE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "rows", rows)
        patch.setattr(lake, "create_raw_views", tiny.raw_tables)
        loaded = tiny.company(company)
        for month in (tiny.AUGUST, tiny.SEPTEMBER):
            build.build(loaded, home, month, month, streams.declarations(), print)
    metrics.prepare(loaded, home)
    return Built(home)


@pytest.fixture(scope="module")
def told(built: Built) -> dict[Question, Any]:
    """What MetricFlow says to every question, asked as `mf query` does, but of one process."""
    line = ["metrics", "--home", built.home.root, *OWN_LINE, "--csv", built.home.root / "own.csv"]
    done = subprocess.run(
        [sys.executable, HERE / "mf_in_child.py", *line], input=json.dumps(QUESTIONS),
        cwd=built.home.metrics, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[{")))
    return dict(zip(QUESTIONS, found, strict=True))


def table_of(told: dict[Question, Any], question: Question) -> list[dict[str, str | None]]:
    said = told[question]
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


@pytest.fixture(scope="module")
def answers(told: dict[Question, Any]) -> dict[str, dict[Key, Sums]]:
    """What MetricFlow says of every KPI: its value and the two sums, by manager and month."""
    return {
        kpi: {
            (str(row["chain__manager"]), str(row["metric_time__month"])[:10]): _sums(row, kpi)
            for row in table_of(told, by_manager(kpi))
            if row["chain__manager"] is not None
        }
        for kpi in KPIS
    }


def _sums(row: dict[str, str | None], kpi: str) -> Sums:
    value, above, below = (row[name] for name in (kpi, f"{kpi}_numerator", f"{kpi}_denominator"))
    return None if value is None else Decimal(value), Decimal(above or 0), Decimal(below or 0)


def published(value: Decimal | None) -> Decimal | None:
    """Return a value as scorecards print it: six decimals, of ten."""
    if value is None:
        return None
    ten = value.quantize(Decimal("1e-10"), ROUND_HALF_UP)
    return ten.quantize(Decimal("1e-6"), ROUND_HALF_UP)


def test_every_kpi_is_asked_and_has_a_value_that_is_compared(
    answers: dict[str, dict[Key, Sums]], built: Built
) -> None:
    defined = {kpi for (kpi,) in built.query("select kpi_id from kpis.kpi_definitions")}
    assert set(answers) == defined == set(KPIS)
    valued = "select kpi_id from scorecards.scorecard_kpi_months where value is not null"
    assert {kpi for (kpi,) in built.query(valued)} == defined


@pytest.mark.parametrize("kpi", KPIS)
def test_mf_query_equals_the_scorecards(
    kpi: str, answers: dict[str, dict[Key, Sums]], built: Built
) -> None:
    found = built.query(
        "select manager_id, month, value, numerator, denominator "
        f"from scorecards.scorecard_kpi_months where kpi_id = '{kpi}'"
    )
    assert found
    for manager, month, value, above, below in found:
        said = answers[kpi].get((manager, str(month)))
        if below is None:  # hidden: MetricFlow does not tell it either
            assert said is None
            continue
        mine, numerator, denominator = said or (None, Decimal(0), Decimal(0))
        assert published(numerator) == above, (manager, month)
        assert published(denominator) == below, (manager, month)
        assert (mine is None) == (value is None), (manager, month)
        if mine is not None:
            assert abs(mine - numerator / denominator) <= EXACT, (manager, month)
            assert published(mine) == value, (manager, month)


@pytest.mark.parametrize("kpi", KPIS)
def test_mf_query_knows_no_other_managers_and_drops_no_decimal(
    kpi: str, answers: dict[str, dict[Key, Sums]], built: Built
) -> None:
    found = built.query(
        "select s.manager_id, s.month, s.numerator, s.denominator "
        "from kpis.kpi_manager_months as s "
        "left join kpis.kpi_confidential_cells as h on h.team_id = '*' and h.month = s.month "
        "and h.kpi_id = s.kpi_id and h.manager_id = s.manager_id "
        f"where s.kpi_id = '{kpi}' and not coalesce(h.is_hidden, false)"
    )
    expected = {(manager, str(month)): (above, below) for manager, month, above, below in found}
    assert answers[kpi].keys() == expected.keys()
    for key, (_, above, below) in answers[kpi].items():
        assert abs(above - expected[key][0]) <= EXACT
        assert abs(below - expected[key][1]) <= EXACT


def test_whatever_a_kpi_may_be_counted_from_metricflow_may_ask() -> None:
    project = settings.project_dir()
    facts = re.compile(r"^-- depends_on: \{\{ ref\('(fct_\w+)'\) \}\}", re.MULTILINE)
    files = "models/kpis/kpi_stratum_months.sql", "analyses/semantic_layer.sql"
    counted, asked = (set(facts.findall((project / f).read_text("utf-8"))) for f in files)
    assert len(counted) > 10
    assert counted == asked


def test_upheld_appeals_count_in_both(built: Built, answers: dict[str, dict[Key, Sums]]) -> None:
    applied = built.query("select count(*) from kpis.kpi_appeal_rows where is_applied")
    assert applied == [(3,)]
    september = "2026-09-01"
    # r1 went to A3 of the other team, r3 went out: r2 r6 of M1, r1 r7 r8 of M2.
    assert answers["csat_rate"]["M1", september] == (1, 2, 2)
    assert answers["csat_rate"]["M2", september][1:] == (2, 3)
    assert answers["ticket_closure_rate"]["M1", september][1:] == (3, 5)


def test_hidden_answers_are_in_no_answer_and_in_no_total(
    built: Built, told: dict[Question, Any]
) -> None:
    hidden = built.query(
        "select manager_id from kpis.kpi_confidential_cells "
        "where kpi_id = 'employee_satisfaction' and team_id = '*' and is_hidden"
    )
    assert hidden == [("M2",)]
    shown, total = (table_of(told, question) for question in SHOWN)
    assert [row["chain__manager"] for row in shown] == ["M1"]
    assert total == [{HIDDEN: shown[0][HIDDEN]}]


@pytest.mark.parametrize("question", FINER, ids=lambda question: question[1][0])
def test_confidential_answers_have_nothing_finer_than_a_managers_month(
    question: Question, told: dict[Question, Any]
) -> None:
    assert "does not match any of the available" in told[question]["refused"]


def test_a_row_counts_once_for_the_company_and_once_for_each_who_answers(
    built: Built, told: dict[Question, Any]
) -> None:
    counted = built.query(
        "select month, sum(denominator) from kpis.kpi_employee_months "
        "where kpi_id = 'csat_rate' group by month having sum(denominator) <> 0 order by month"
    )
    expected = {str(month): denominator for month, denominator in counted}
    total, by_team, by_reach, by_manager = (table_of(told, question) for question in SPLIT)
    assert summed(total) == summed(by_team) == expected
    assert summed([row for row in by_reach if row["chain__is_direct"] != "False"]) == expected
    above = [
        r for r in by_manager if (r["chain__manager"], r["chain__is_direct"]) == ("D1", "False")
    ]
    below = [r for r in by_manager if r["chain__manager"] in ("M1", "M2")]
    assert summed(above) == summed(below) != {}


def summed(rows: list[dict[str, str | None]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for row in rows:
        month = str(row["metric_time__month"])[:10]
        found[month] = found.get(month, Decimal(0)) + Decimal(str(row[ADDED]))
    return found


def test_a_companys_own_kpi_answers_by_the_line_that_the_page_shows(
    built: Built, told: dict[Question, Any]
) -> None:
    assert by_key(built.home.root / "own.csv") == expected_of(built, OWN)
    # A question may name people: only `mf` itself, asked below, keeps a log of questions.
    assert not (built.home.metrics / "logs" / "metricflow.log").exists()


def test_mf_itself_answers_in_the_folder_without_a_network(built: Built, tmp_path: Path) -> None:
    table = tmp_path / "answer.csv"
    nowhere = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        [Path(sys.executable).with_name("mf"), "query", "--metrics", "csat_rate",
         "--group-by", ",".join(BY), "--csv", table],
        cwd=built.home.metrics, capture_output=True, text=True, check=False,
        env={**os.environ, **nowhere, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert by_key(table) == expected_of(built, "csat_rate")


def by_key(table: Path) -> dict[Key, Decimal | None]:
    with table.open(encoding="utf-8", newline="") as file:
        names, *found = list(csv.reader(file))
    at = {name.lower(): place for place, name in enumerate(names)}
    manager, month = at.pop("chain__manager"), at.pop("metric_time__month")
    (value,) = at.values()
    return {
        (row[manager], row[month][:10]): published(Decimal(row[value]))
        for row in found
        if row[manager] and row[value]
    }


def expected_of(built: Built, kpi: str) -> dict[Key, Decimal]:
    found = built.query(
        "select manager_id, month, value from scorecards.scorecard_kpi_months "
        f"where kpi_id = '{kpi}' and value is not null"
    )
    assert len(found) > 1
    return {(manager, str(month)): value for manager, month, value in found}


@pytest.mark.parametrize("is_read", [True, False])
def test_a_build_and_a_question_do_not_meet(is_read: bool, built: Built) -> None:
    holds = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'True')\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", holds, built.home.warehouse, str(is_read)]
    company = load_company(built.home.root.parent / "company")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TransientError, match="in use by another build or by somebody's"):
            build.build(company, built.home, tiny.SEPTEMBER, tiny.SEPTEMBER, {}, print)
        if not is_read:
            with pytest.raises(TransientError, match="in use by another build"):
                metrics.ask(built.home, ["query"])
            with pytest.raises(TransientError, match="in use by another build"):
                metrics.prepare(company, built.home)
            with pytest.raises(TransientError, match="in use by another build"):
                provenance.read(built.home, tiny.SEPTEMBER)  # notices ask it beside a build


def test_words_that_are_none_of_ours_and_a_missing_folder_are_said(
    built: Built, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="expected one of query, list"):
        metrics.ask(built.home, ["tutorial"])
    with pytest.raises(ConfigError, match="`perfhouse metrics` writes it"):
        metrics.ask(Home(tmp_path), ["query"])
    assert cli.main(["metrics", "--home", str(tmp_path), "query"]) == ConfigError.exit_code
