"""A manager who changes teams inside a month: each part has its own days, sample and targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors import streams
from perfhouse import build, cards, lake, warehouse
from perfhouse.settings import Home
from tests.integration import tiny_company as tiny

MOVED = "2026-09-16"
ROSTER = [
    *(row for row in tiny.ROSTER if row["employee_id"] not in ("A1", "A2", "A3", "A4", "A5")),
    *(
        tiny.member(who, team, manager, start, source_user_id=account, location=place, **more)
        for who, account, team, before, after, last, place in (
            ("A1", "u1", "T1", "M1", "M3", None, "Shanghai"),
            ("A2", None, "T1", "M1", "M3", None, "Shanghai"),
            ("A3", "u3", "T2", "M2", "M1", None, "Tokyo"),
            ("A4", "u4", "T1", "M1", "M3", None, "Shanghai"),
            ("A5", None, "T1", "M1", "M3", "2026-09-20", "Shanghai"),
        )
        for manager, start, more in (
            (before, "2020-01-01", {"valid_to": MOVED}),
            (after, MOVED, {"last_work_date": last}),
        )
    ),
]
# Of A3, in Tokyo an hour ahead: one satisfied answer for M2, then two of five for M1.
ANSWERS = [
    tiny.answer("before", "u3", 5, "2026-09-15 22:59"),
    *(
        tiny.answer(f"after{n}", "u3", score, f"2026-09-{16 + n} 00:00")
        for n, score in enumerate((5, 5, 1, 1, 2))
    ),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root: Path = tmp_path_factory.mktemp("parts")
    company, home = tiny.company(root / "company"), Home(root / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "create_raw_views", tiny.raw_tables)
        patch.setattr(tiny, "ROSTER", ROSTER)
        patch.setattr(tiny, "SURVEYS", tiny.SURVEYS + ANSWERS)
        month = tiny.SEPTEMBER
        build.build(company, home, month, month, streams.declarations(), print)
    con = warehouse.connect(home.warehouse, read_only=True)
    yield con
    con.close()


def test_each_part_is_scored_by_the_targets_of_its_own_team(built: Any) -> None:
    parts = built.execute(
        "select team_id, exposure_days, sample_size::double, value::double, target::double, "
        "score::double, status from scorecards.scorecard_team_months "
        "where manager_id = 'M1' and kpi_id = 'csat_rate' order by 1"
    ).fetchall()
    assert parts == [
        ("T1", 15, 4, 0.75, 0.8, 87.5, "scored"),  # r1 r2 r6 of r1 r2 r3 r6, from 0.4 to 0.8
        ("T2", 15, 5, 0.4, 0.5, 80, "scored"),  # two of five, from 0 to 0.5
    ]


def test_the_whole_month_is_scored_by_the_larger_team_as_ever(built: Any) -> None:
    whole = built.execute(
        "select value::double, target::double, status from scorecards.scorecard_kpi_months "
        "where manager_id = 'M1' and kpi_id = 'csat_rate'"
    ).fetchall()
    assert whole == [(pytest.approx(5 / 9, abs=1e-6), 0.8, "scored")]


def test_a_part_with_too_few_answers_is_not_scored(built: Any) -> None:
    few = built.execute(
        "select sample_size::double, score, status, minimum_sample "
        "from scorecards.scorecard_team_months where manager_id = 'M2' and kpi_id = 'csat_rate'"
    ).fetchall()
    assert few == [(2, None, "insufficient_data", 3)]  # r8 and the one of the 15th


def test_the_card_lists_the_parts_of_who_had_several_and_of_nobody_else(
    built: Any, tmp_path: Path
) -> None:
    cards.render_all(built, tiny.SEPTEMBER, tmp_path)
    assert "By team" in (tmp_path / "M1.html").read_text(encoding="utf-8")
    assert "By team" not in (tmp_path / "M2.html").read_text(encoding="utf-8")
