"""The scorecards gate asks about the appeals of a month; what it finds stops nothing."""

from __future__ import annotations

from pathlib import Path

import small_warehouse as small
from small_warehouse import CALLS, MONTH, ROSTER

from expectations import gate
from perfhouse import warehouse


def test_overdue_appeals_and_those_without_effect_are_warnings(tmp_path: Path) -> None:
    home = small.home(tmp_path / "home")
    small.land(home, "hr", {"hr_roster": ROSTER})
    small.land(home, "calls", {"calls": CALLS})
    small.build(home)
    with warehouse.connect(home.warehouse) as con:
        for name, state, outcome, due in (
            ("waits", "submitted", "none", "2026-10-30"),
            ("has time", "accepted", "none", "2026-11-02"),
            ("works", "upheld", "applied", "2026-10-30"),
            ("does nothing", "upheld", "not_own_row", "2026-10-30"),
        ):
            con.execute(
                "insert into scorecards.scorecard_appeals by name select ?::date as month, "
                "'M1' as manager_id, ? as appeal_key, ? as appeal_id, ? as state, "
                "? as outcome, ?::date as decide_by",
                [MONTH.start, name, name, state, outcome, due],
            )
    company = small.company(tmp_path / "company", small.source("hr"), small.source("calls"))

    def keys(as_of: int) -> dict[str, tuple[str, ...]]:
        verdict = gate.run("scorecards", home, company, MONTH, as_of=MONTH.plus(as_of))
        assert verdict.passed
        found = {check.id: check for check in verdict.checks if check.id.startswith("appeals_")}
        assert {check.severity for check in found.values()} == {"warning"}
        return {name: check.failing_keys for name, check in found.items()}

    effect = ("appeal_id=does nothing, outcome=not_own_row",)
    assert keys(0) == {"appeals_overdue": (), "appeals_have_effect": effect}
    waiting = ("appeal_id=waits, decide_by=2026-10-30",)
    assert keys(1) == {"appeals_overdue": waiting, "appeals_have_effect": effect}
