"""Appeals and months: one text is about one month at most, by one rule, said in SQL and in dbt."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment

from expectations.readings import READ
from perfhouse import appeal_month, settings, warehouse

ABOUT = {
    "2026-09": "2026-09",
    "2026-09.r1": "2026-09",
    "M1/2026-09": "2026-09",
    "2026-09.r1 (2026-10-12 提交)": "2026-09",
    "2026-10-12 提交：2026-09.r2": "2026-09",
    "2026-09.r1, 2026-09.r2": "2026-09",
    "2026-09, raised 2026-09-30": "2026-09",
    "2026年9月": None,
    "2026-09 (2026-10-12 提交)": None,
    "2026-09.r1 and 2026-10.r1": None,
    "2026-13": None,
    "": None,
}


@pytest.mark.parametrize("text", ABOUT)
def test_an_appeal_is_about_the_one_month_that_it_names(text: str) -> None:
    with warehouse.connect() as con:
        asked = f"select {appeal_month.about_sql('t')} from (select ?::varchar as t)"
        assert con.execute(asked, [text]).fetchall() == [(ABOUT[text],)]


def test_the_models_and_the_reconciliation_go_by_the_same_rule() -> None:
    text = (settings.project_dir() / "macros" / "appeals.sql").read_text(encoding="utf-8")
    module: Any = Environment(autoescape=False).from_string(text).module
    macro = module.appeal_month
    assert " ".join(macro("x").split()) == appeal_month.about_sql("x")
    reasons = dict(READ["appeals"].reasons)
    about = appeal_month.about_sql("r.scorecard_id")
    assert reasons == {"no_month": f"{about} is null", "other_month": f"{about} <> '{{month}}'"}
