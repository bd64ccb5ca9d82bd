"""What a company folder alone decides, from the command line to the published scorecard."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from tests.unit.test_kpi_files import GOOD as OWN_KPI

pytestmark = pytest.mark.e2e
MONTH = "2026-09"


def query(home: Path, sql: str) -> str:
    said = tiny.perfhouse("query", "--home", home, sql)
    assert said.returncode == 0, said.stderr
    return said.stdout


def words(root: Path, command: str, *more: str) -> tuple[str | Path, ...]:
    where = ("--company", root / "company", "--data", root / "data", "--home", root / "home")
    return (command, *where, "--month", MONTH, *more)


def test_a_company_adds_a_kpi_by_one_file_and_its_target_row(tmp_path: Path) -> None:
    company = tiny.company(tmp_path / "company")
    tiny.deliver(tmp_path / "data", MONTH)
    (company / "kpis").mkdir()
    (company / "kpis" / "top_score_rate.yml").write_text(OWN_KPI, encoding="utf-8")
    toml = company / "perfhouse.toml"
    chosen = 'choose = ["csat_rate", "reopen_rate"'
    toml.write_text(
        toml.read_text("utf-8").replace(chosen, f'{chosen}, "top_score_rate"'), encoding="utf-8"
    )
    with (company / "targets.csv").open("a", encoding="utf-8") as targets:
        targets.write("top_score_rate,*,*,0.1,0.5,0.9,2,2026-01-01,,1,2025-12-01,HR\n")
    said = tiny.perfhouse(*words(tmp_path, "run"))
    assert said.returncode == 0, said.stdout + said.stderr
    found = query(
        tmp_path / "home",
        "select manager_id, numerator::int as n, denominator::int as d, status, weight::int as w "
        "from scorecard_kpi_months where kpi_id = 'top_score_rate' order by 1",
    )
    # scores 5 4 4 5 3 1 of A1 A2 B1 B2 A1 A2: one top score of four, one of two
    assert [line.split() for line in found.splitlines() if "scored" in line] == [
        ["│", "MA", "│", "1", "│", "4", "│", "scored", "│", "2", "│"],
        ["│", "MB", "│", "1", "│", "2", "│", "scored", "│", "2", "│"],
    ]


def test_a_wrong_kpi_file_is_the_operators_and_names_file_and_field(tmp_path: Path) -> None:
    company = tiny.company(tmp_path / "company")
    (company / "kpis").mkdir()
    wrong = OWN_KPI.replace("to: employee", "to: agent")
    (company / "kpis" / "top_score_rate.yml").write_text(wrong, encoding="utf-8")
    said = tiny.perfhouse(*words(tmp_path, "run"))
    assert said.returncode == 2
    assert "who must act: operator" in said.stderr
    assert "kpis/top_score_rate.yml: metrics[0].config.meta.kpi.credit.to: expected one of " in (
        said.stderr
    )


PACK = 'pack = "e-commerce"'
APPROVED = (
    'pack = { id = "e-commerce", version = "2026.1", approved_by = "Head of service", '
    "announced_on = 2026-08-20 }"
)


def cells(text: str) -> list[list[str]]:
    """Return the rows that a query printed."""
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines()]
    rows = [line for line in lines if line]
    return rows[2:]  # names and types


@pytest.mark.nightly
def test_a_month_under_a_kpi_pack_scores_by_role_once_the_pack_is_approved(tmp_path: Path) -> None:
    company = tiny.company(tmp_path / "company")
    (company / "targets.csv").unlink()
    tiny.deliver(tmp_path / "data", MONTH)
    managers = ("MA,陈静,,DX,cs_manager", "MB,杨磊,,DX,cs_manager", "DX,周敏,,,cs_manager")
    people = [f"{MONTH}-01,{row}" for row in (*tiny.ROSTER, *managers)]
    tiny.put(tmp_path / "data/hr/2026-09.csv", "day,id,name,team,manager,job", *people)
    toml = company / "perfhouse.toml"
    plain = toml.read_text("utf-8")
    toml.write_text(plain.replace("[kpis]", f"[kpis]\n{PACK}"), encoding="utf-8")

    said = tiny.perfhouse(*words(tmp_path, "run"))
    assert said.returncode == 0, said.stdout + said.stderr
    assert "KPI pack e-commerce 2026.1 is a proposal: nobody is scored by it until" in said.stdout
    proposed = query(
        tmp_path / "home",
        "select distinct k.status, m.total_score is null as no_total from scorecard_kpi_months k "
        "join scorecard_manager_months m using (manager_id) where kpi_id = 'csat_rate'",
    )
    assert cells(proposed) == [["no_target", "true"]]

    toml.write_text(plain.replace("[kpis]", f"[kpis]\n{APPROVED}"), encoding="utf-8")
    said = tiny.perfhouse(*words(tmp_path, "run"))
    assert said.returncode == 0, said.stdout + said.stderr
    scored = query(
        tmp_path / "home",
        "select manager_id, role, kpi_id, k.weight::int as w, target_version, k.status, "
        "k.minimum_sample as n, m.total_score is not null as total from scorecard_kpi_months k "
        "join scorecard_manager_months m using (manager_id) order by 1, 3",
    )
    version = "e-commerce 2026.1"
    assert cells(scored) == [
        ["DX", "manager_of_managers", "csat_rate", "16", version, "scored", "1", "true"],
        ["DX", "manager_of_managers", "reopen_rate", "4", version, "scored", "1", "true"],
        ["MA", "front_line", "csat_rate", "18", version, "scored", "1", "true"],
        ["MA", "front_line", "reopen_rate", "4", version, "scored", "1", "true"],
        ["MB", "front_line", "csat_rate", "18", version, "scored", "1", "true"],
        ["MB", "front_line", "reopen_rate", "4", version, "scored", "1", "true"],
    ]


BANDS = """\
role,grade,from_score,points,multiplier,valid_from,valid_to,version,announced_on,approved_by
*,,0,0,0.5,2026-01-01,,1,2025-12-01,Board
*,,80,6,1,2026-01-01,,1,2025-12-01,Board
*,,100,10,1.25,2026-01-01,,1,2025-12-01,Board
"""
RECEIVERS = """
[payroll]
bands = "payroll_bands.csv"
[[exports.hr]]
url = "inbox"
plain = true
mapping = "ihr360"
[[exports.payroll]]
url = "inbox"
plain = true
formats = ["csv"]
"""


@pytest.mark.nightly
def test_a_month_reaches_hr_and_payroll_from_configuration_alone(tmp_path: Path) -> None:
    company = tiny.company(tmp_path / "company")
    toml = company / "perfhouse.toml"
    # what ripens later, as reopened tickets do, would not be paid for yet
    only = toml.read_text("utf-8").replace('"csat_rate", "reopen_rate"]', '"csat_rate"]', 1)
    toml.write_text(only + RECEIVERS, encoding="utf-8")
    (company / "payroll_bands.csv").write_text(BANDS, encoding="utf-8")
    tiny.deliver(tmp_path / "data", MONTH)
    said = tiny.perfhouse(*words(tmp_path, "run"))
    assert said.returncode == 0, said.stdout + said.stderr
    totals = query(
        tmp_path / "home",
        "select manager_id, total_score::double as total from scorecard_manager_months order by 1",
    )
    expected = []
    for manager, total in cells(totals):
        reached = sum(float(total) >= bound for bound in (0, 80, 100))
        points, multiplier = ((0, 0.5), (6, 1), (10, 1.25))[reached - 1]
        expected.append(f"2026-09-01,{manager},{points:.6f},{multiplier:.6f},1")
    inbox = tmp_path / "home" / "inbox"
    inbox.mkdir()
    said = tiny.perfhouse(*words(tmp_path, "deliver"))
    assert said.returncode == 0, said.stdout + said.stderr
    paid = inbox / "payroll_manager_months_2026-09.r1" / "payroll_manager_months_2026-09.csv"
    assert paid.read_text("utf-8-sig").splitlines()[1:] == expected
    lines = (inbox / "ihr360_2026-09.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["MA", "陈静", "2026-09"],
        ["MB", "杨磊", "2026-09"],
    ]
    assert {path.name for path in inbox.glob("*.ready")} == {
        "hr_manager_months_2026-09.r1.ready",
        "payroll_manager_months_2026-09.r1.ready",
    }
