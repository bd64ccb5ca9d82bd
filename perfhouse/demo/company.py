"""The demo company's folder: perfhouse.toml, its targets and a README, from templates.

Levels and calendars come from the plan, so that the generator and the warehouse agree.
"""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from importlib.resources import files
from itertools import product
from pathlib import Path

from perfhouse.demo.plan import (
    ANSWER_WITHIN_SECONDS,
    COMPLAINT,
    FIRST_REPLY,
    REOPEN_DAYS,
    RESOLUTION,
    SETTLE_DAYS,
    SHORT_ABANDON_SECONDS,
    SITES,
    Plan,
    Site,
    holidays,
    made_up,
    write_text,
)

# kpi, floor, target, stretch, weight: set once, never derived from the managers' values.
TARGETS = (
    ("csat_rate", 0.52, 0.80, 0.88, 12),
    ("complaint_on_time_rate", 0.36, 0.72, 0.86, 8),
    ("ticket_closure_rate", 0.80, 0.91, 0.96, 6),
    ("sla_met_rate", 0.48, 0.78, 0.90, 8),
    ("nps", -0.10, 0.38, 0.52, 6),
    ("service_attitude_score", 0.70, 0.85, 0.91, 5),
    ("reopen_rate", 0.15, 0.05, 0.03, 6),
    ("first_reply_on_time_rate", 0.62, 0.88, 0.95, 8),
    ("resolution_on_time_rate", 0.48, 0.78, 0.90, 6),
    ("average_handle_time", 360.0, 230.0, 200.0, 6),
    ("speed_of_answer", 36.0, 16.0, 11.0, 5),
    ("abandonment_rate", 0.10, 0.045, 0.03, 4),
    ("transfer_rate", 0.13, 0.05, 0.035, 4),
    ("training_completion_rate", 0.50, 0.88, 0.97, 6),
    ("turnover_rate", 0.80, 0.20, 0.05, 4),
    ("kb_contributions", 0.05, 0.45, 0.75, 6),
)
ROLES = ("cs_manager", "manager_of_managers")
_HEADER = (
    "kpi_id", "role", "team_id", "floor", "target", "stretch", "weight", "valid_from", "valid_to",
    "version", "announced_on", "approved_by",
)  # fmt: skip
_DAYS = ("mon", "tue", "wed", "thu", "fri")


def write(plan: Plan, folder: Path) -> None:
    """Write the company folder."""
    template = files("perfhouse.demo").joinpath("company.toml").read_text(encoding="utf-8")
    write_text(folder / "perfhouse.toml", fill_in(plan, template))
    write_text(folder / "targets.csv", targets(plan))
    write_text(folder / "README.md", _README)


def fill_in(plan: Plan, template: str) -> str:
    """Return the configuration with the plan's calendars and service levels."""
    words = {
        "CALENDARS": "\n".join(_calendar(plan, site) for site in SITES),
        "SHORT": str(SHORT_ABANDON_SECONDS),
        "WITHIN": str(ANSWER_WITHIN_SECONDS),
        "REOPEN": str(REOPEN_DAYS),
        "SETTLE": str(SETTLE_DAYS),
        "FIRST_REPLY": _inline(FIRST_REPLY),
        "RESOLUTION": _inline(RESOLUTION),
        "COMPLAINT": _inline(COMPLAINT),
    }
    for word, text in words.items():
        template = template.replace(f"@{word}@", text)
    return template


def targets(plan: Plan) -> str:
    """Return targets.csv: in force from the first month, announced before it."""
    start = plan.first.start
    announced = start - timedelta(days=20)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    since, version = start.isoformat(), f"{start.year}-v1"
    for role, (kpi_id, *marks) in product(ROLES, TARGETS):
        writer.writerow((kpi_id, role, "*", *marks, since, "", version, announced.isoformat(),
                         "客服委员会"))  # fmt: skip
    return text.getvalue()


def _inline(minutes: dict[str, int]) -> str:
    return "{ " + ", ".join(f"{name} = {value}" for name, value in minutes.items()) + " }"


def _calendar(plan: Plan, site: Site) -> str:
    first, last = plan.first.plus(-13).start, plan.last.plus(3).last_day
    days = ", ".join(f'"{day.isoformat()}"' for day in holidays(site, first, last))
    hours = ", ".join(f'"{start}-{end}"' for start, end in site.openings)
    lines = [f"[calendars.{site.calendar}]", f'time_zone = "{site.time_zone}"']
    lines += [f"holidays = [{days}]", f"[calendars.{site.calendar}.hours]"]
    lines += [f"{day} = [{hours}]" for day in _DAYS]
    extra = [f'"{day.isoformat()}" = [{hours}]' for day in made_up(site, first, last)]
    lines += [f"[calendars.{site.calendar}.days]", *extra] if extra else []
    return "\n".join(lines) + "\n"


_README = """# The demo company

Invented by `perfhouse demo`; nobody here exists. `perfhouse.toml` says where each source is and how
its columns are read; `targets.csv` holds floor, target, stretch and weight of each KPI. The sources
lie in `../sources`, what really happened in `../truth`.

    perfhouse run --company company --data sources --month MONTH
"""
