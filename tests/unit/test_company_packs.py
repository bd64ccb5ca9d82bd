"""KPI packs: what comes with perfhouse is sound, and a company approves, changes or copies one."""

from __future__ import annotations

import csv
import shutil
from collections import defaultdict
from datetime import date
from pathlib import Path

import pytest

from perfhouse import company_packs, provenance
from perfhouse.company import Company, load_company
from perfhouse.errors import ConfigError
from perfhouse.stages import kpi_directions
from tests.unit.test_company import GOOD, HEADER, STREAMS

ROLES = {"front_line", "technical_support", "team_lead", "manager_of_managers"}
VERSION = "2026.1"
APPROVED = (
    f'pack = {{ id = "bank-hotline", version = "{VERSION}", announced_on = 2026-08-20, '
    'approved_by = "Head of service" }'
)


def company(folder: Path, choice: str, *rows: str) -> Company:
    toml = GOOD.replace("minimum_sample = { csat_rate = 10 }", choice)
    (folder / "perfhouse.toml").write_text(toml, encoding="utf-8")
    if rows:
        (folder / "targets.csv").write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return load_company(folder, STREAMS, kpis=kpi_directions())


def problems(folder: Path, choice: str) -> str:
    with pytest.raises(ConfigError) as caught:
        company(folder, choice)
    return "\n".join(caught.value.problems)


def test_three_packs_come_ready() -> None:
    assert company_packs.shipped() == ("bank-hotline", "e-commerce", "it-support")


@pytest.mark.parametrize("pack_id", company_packs.shipped())
def test_a_shipped_pack_loads_and_its_weights_sum_to_100_in_each_role(
    tmp_path: Path, pack_id: str
) -> None:
    pack = company(tmp_path, f'pack = "{pack_id}"').kpis.pack
    assert pack is not None
    assert (pack.id, pack.version) == (pack_id, VERSION)
    weights: dict[str, float] = defaultdict(float)
    for proposal in pack.proposals:
        weights[proposal.role] += proposal.weight
    assert dict(weights) == dict.fromkeys(ROLES, 100)
    assert {p.kpi_id for p in pack.proposals} == set(pack.choose) <= set(kpi_directions())
    assert {r.role for r in pack.roles} == ROLES - {"technical_support"}
    assert pack.minimum_sample


@pytest.mark.parametrize("pack_id", company_packs.shipped())
def test_no_role_of_a_shipped_pack_is_judged_mainly_by_speed(pack_id: str) -> None:
    with (company_packs._SHIPPED / pack_id / "targets.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    fast = [float(r["weight"]) for r in rows if r["kpi_id"] == "average_handle_time"]
    assert all(weight <= 5 for weight in fast)


def test_one_line_chooses_a_pack_whose_targets_do_not_count_before_they_are_approved(
    tmp_path: Path,
) -> None:
    kpis = company(tmp_path, 'pack = "bank-hotline"').kpis
    assert kpis.targets == ()
    assert kpis.choose is not None
    assert "service_level" in kpis.choose
    assert kpis.minimum_sample["service_level"] == 200


def test_an_approved_pack_counts_from_the_month_after_its_announcement(tmp_path: Path) -> None:
    chosen = company(tmp_path, APPROVED)
    targets = chosen.kpis.targets
    assert {t.valid_from for t in targets} == {date(2026, 9, 1)}
    assert {(t.version, t.approved_by) for t in targets} == {
        (f"bank-hotline {VERSION}", "Head of service")
    }
    assert [rule.role for rule in chosen.roles] == [
        "manager_of_managers", "team_lead", "front_line",
    ]  # fmt: skip


def test_a_pack_announced_in_december_counts_from_january(tmp_path: Path) -> None:
    chosen = company(tmp_path, APPROVED.replace("2026-08-20", "2026-12-31"))
    assert {t.valid_from for t in chosen.kpis.targets} == {date(2027, 1, 1)}


def test_a_line_of_the_company_ends_what_it_covers_of_the_pack(tmp_path: Path) -> None:
    own = (
        "csat_rate,front_line,*,0.5,0.6,0.7,9,2026-11-01,,own,2026-10-01,HR",
        "service_level,*,*,0.5,0.6,0.7,9,2026-09-01,,own,2026-08-01,HR",
        "csat_rate,team_lead,T9,0.5,0.6,0.7,9,2026-09-01,,own,2026-08-01,HR",
    )
    targets = company(tmp_path, APPROVED, *own).kpis.targets
    found = {
        (t.kpi_id, t.role, t.team_id, t.version): (t.valid_from, t.valid_to)
        for t in targets
        if t.kpi_id in ("csat_rate", "service_level")
    }
    pack, start = f"bank-hotline {VERSION}", date(2026, 9, 1)
    assert found == {
        ("csat_rate", "front_line", "*", pack): (start, date(2026, 11, 1)),
        ("csat_rate", "front_line", "*", "own"): (date(2026, 11, 1), None),
        ("csat_rate", "technical_support", "*", pack): (start, None),
        ("csat_rate", "team_lead", "*", pack): (start, None),
        ("csat_rate", "team_lead", "T9", "own"): (start, None),
        ("csat_rate", "manager_of_managers", "*", pack): (start, None),
        ("service_level", "*", "*", "own"): (start, None),
    }


def test_what_the_company_says_itself_goes_before_the_pack(tmp_path: Path) -> None:
    choice = f'{APPROVED}\nchoose = ["csat_rate"]\nminimum_sample = {{ csat_rate = 7 }}'
    kpis = company(tmp_path, choice).kpis
    assert kpis.choose == ("csat_rate",)
    assert (kpis.minimum_sample["csat_rate"], kpis.minimum_sample["nps"]) == (7, 30)


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        ('pack = "bank-hotlin"', "kpis.pack: expected one of bank-hotline, e-commerce, it-support "
         "(did you mean 'bank-hotline'?), or a folder such as packs/ours that holds pack.toml"),
        (APPROVED.replace(VERSION, "2025.9"), "kpis.pack.version: expected '2026.1', for this is "
         "the pack now: announce it anew, or keep a copy of it, got '2025.9'"),
        (APPROVED.replace('approved_by = "Head of service"', "approved_on = 2026-08-20"),
         "kpis.pack.approved_by: expected text, got nothing"),
        (APPROVED.replace("announced_on = 2026-08-20, ", ""),
         "kpis.pack.announced_on: expected the day on which the targets were announced"),
        (APPROVED.replace("approved_by", "approved_on = 2026-08-21, approved_by"),
         "kpis.pack.approved_on: expected a day not after 2026-08-20"),
        (APPROVED.replace("approved_by", "aproved_by"), "kpis.pack.aproved_by: unknown key"),
        ('pack = "packs/none"', "kpis.pack: expected one of"),
    ],
)  # fmt: skip
def test_a_wrong_choice_is_told(tmp_path: Path, choice: str, problem: str) -> None:
    assert problem in problems(tmp_path, choice)


def test_a_company_keeps_a_pack_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "packs" / "ours"
    shutil.copytree(company_packs._SHIPPED / "it-support", own)
    toml = (own / "pack.toml").read_text("utf-8").replace('id = "it-support"', 'id = "ours"')
    (own / "pack.toml").write_text(toml.replace('"csat_rate",', '"csat_rat",'), encoding="utf-8")
    (own / "targets.csv").write_text("kpi_id,role,floor,target,stretch\nnps,*,0,1,2\n", "utf-8")
    said = problems(tmp_path, 'pack = "packs/ours"')
    assert "pack ours: pack.toml: choose[0]: expected a known KPI" in said
    assert "pack ours: targets.csv: header: expected also weight" in said
    (own / "pack.toml").write_text(toml, encoding="utf-8")
    (own / "targets.csv").write_text(
        "kpi_id,role,floor,target,stretch,weight\ncsat_rate,*,0.9,0.8,0.95,1\n", "utf-8"
    )
    assert "targets.csv: line 2: expected floor < target" in problems(
        tmp_path, 'pack = "packs/ours"'
    )


def test_a_change_of_the_pack_is_a_change_of_the_configuration(tmp_path: Path) -> None:
    own = tmp_path / "packs" / "ours"
    shutil.copytree(company_packs._SHIPPED / "it-support", own)
    chosen = company(tmp_path, 'pack = "packs/ours"')
    before = provenance.configuration_sha256(chosen)
    targets = own / "targets.csv"
    targets.write_text(targets.read_text("utf-8").replace("0.88", "0.87"), encoding="utf-8")
    assert provenance.configuration_sha256(chosen) != before
