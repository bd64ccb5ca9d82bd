"""The company's configuration as tables of schema `config`, which dbt reads as a source.

This module may not decide anything: it writes what company.py read and calendars.py derived.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from perfhouse import appeal_days, company_monitors
from perfhouse.calendars import business_hours, span, utc_offsets, zones
from perfhouse.company_types import PRIORITIES, Company, Location, ServiceLevels
from perfhouse.month import Month

if TYPE_CHECKING:
    import duckdb

_SECOND = 1_000_000  # Arrow and DuckDB count instants in microseconds

# column -> SQL type, in order; the key of each table is what its rows are sorted by
TABLES: dict[str, dict[str, str]] = {
    "months": {"month": "DATE", "next_month": "DATE", "as_of": "DATE"},
    "utc_offsets": {
        "time_zone": "VARCHAR",
        "from_at": "TIMESTAMPTZ",
        "until_at": "TIMESTAMPTZ",
        "offset_seconds": "BIGINT",
    },
    "locations": {"location": "VARCHAR", "time_zone": "VARCHAR", "calendar": "VARCHAR"},
    "business_hours": {
        "calendar": "VARCHAR",
        "hour_at": "TIMESTAMPTZ",
        "seconds_before": "BIGINT",
        "open_from": "BIGINT",
        "open_until": "BIGINT",
    },
    "targets": {
        "kpi_id": "VARCHAR",
        "role": "VARCHAR",
        "team_id": "VARCHAR",
        "floor": "DOUBLE",
        "target": "DOUBLE",
        "stretch": "DOUBLE",
        "weight": "DOUBLE",
        "valid_from": "DATE",
        "valid_to": "DATE",
        "version": "VARCHAR",
        "announced_on": "DATE",
        "approved_by": "VARCHAR",
        "approved_on": "DATE",
    },
    "kpis": {"kpi_id": "VARCHAR", "minimum_sample": "BIGINT"},
    "chosen_kpis": {"kpi_id": "VARCHAR"},
    "service_levels": {
        "measure": "VARCHAR",
        "priority": "VARCHAR",
        "minutes": "BIGINT",
        "clock": "VARCHAR",
    },
    "grades": {"grade": "VARCHAR", "from_score": "DOUBLE"},
    "queue_owners": {
        "queue_id": "VARCHAR",
        "manager_id": "VARCHAR",
        "valid_from": "DATE",
        "valid_to": "DATE",
    },
    "roles": {
        "position": "BIGINT",
        "role": "VARCHAR",
        "leads": "VARCHAR",
        "job_family": "VARCHAR",
        "team_id": "VARCHAR",
        "position_name": "VARCHAR",
    },
    "identities": {
        "source": "VARCHAR",
        "source_user_id": "VARCHAR",
        "employee_id": "VARCHAR",
        "valid_from": "DATE",
        "valid_to": "DATE",
    },
    "settings": {"name": "VARCHAR", "value": "DOUBLE"},
    "surveys": {
        "survey_id": "VARCHAR",
        "easy_is": "VARCHAR",
        "easy_from": "DOUBLE",
        "satisfied_from": "DOUBLE",
    },
    # A wave is open in [from_at, until_at); the last line of a survey is what comes after all.
    "survey_waves": {
        "survey_id": "VARCHAR",
        "from_at": "TIMESTAMPTZ",
        "until_at": "TIMESTAMPTZ",
        "closes_on": "DATE",
    },
    "routing_codes": {"wrapup_code": "VARCHAR"},
    "monitors": {"monitor": "VARCHAR", "name": "VARCHAR", "value": "DOUBLE"},
    "payroll_bands": {
        "role": "VARCHAR",
        "grade": "VARCHAR",
        "from_score": "DOUBLE",
        "points": "DOUBLE",
        "multiplier": "DOUBLE",
        "valid_from": "DATE",
        "valid_to": "DATE",
        "version": "VARCHAR",
    },
    "appeal_days": {"raised_on": "DATE", "deadline_on": "DATE", "decide_by": "DATE"},
    "released_answers": {
        "kpi_id": "VARCHAR",
        "manager_id": "VARCHAR",
        "team_id": "VARCHAR",
        "release_number": "BIGINT",
        "numerator": "DOUBLE",
        "denominator": "DOUBLE",
    },
}

Row = Sequence[Any]


def write(
    con: duckdb.DuckDBPyConnection,
    company: Company,
    month: Month,
    as_of: Month,
    released: Iterable[Row] = (),
) -> None:
    """Replace the tables of schema `config` with what the company says for a month.

    `months` holds the one month being built; its `as_of` is the first day after the last
    delivery window to be read. `released`: what its releases showed of confidential answers.
    """
    con.execute("create schema if not exists config")
    for name, rows in _rows(company, month, as_of).items():
        _replace(con, name, rows)
    _replace(con, "released_answers", released)


def _rows(company: Company, month: Month, as_of: Month) -> dict[str, list[Row]]:
    scoring, service = company.scoring.on(month.start), company.service.on(month.start)
    return {
        "months": [(month.start, month.end, as_of.end)],
        **_clocks(company, month, as_of),
        "locations": [
            (name, at.time_zone, at.calendar) for name, at in sorted(_locations(company).items())
        ],
        **_kpis(company),
        "grades": [(grade.grade, grade.from_score) for grade in scoring.grades],
        "queue_owners": [
            (owner.queue_id, owner.manager_id, owner.valid_from, owner.valid_to)
            for owner in company.queue_owners
        ],
        "roles": _roles(company),
        "service_levels": _service_levels(service),
        "identities": [
            tuple(getattr(identity, column) for column in TABLES["identities"])
            for identity in company.identities
        ],
        "monitors": [*company_monitors.rows(company.monitors)],
        "surveys": [
            tuple(getattr(survey, column) for column in TABLES["surveys"])
            for survey in company.surveys
        ],
        "survey_waves": [*_waves(company)],
        "payroll_bands": [
            tuple(getattr(band, column) for column in TABLES["payroll_bands"])
            for band in company.payroll_bands
        ],
        "appeal_days": [*appeal_days.days(company, month)],
        "routing_codes": [(code,) for code in company.routing_codes],
        "settings": [
            ("answer_within_seconds", service.answer_within_seconds),
            ("certification_grace_days", company.certification_grace_days),
            ("coverage_minimum", scoring.coverage_minimum),
            ("reopen_days", service.reopen_days),
            ("short_abandon_seconds", service.short_abandon_seconds),
        ],
    }


def _locations(company: Company) -> dict[str, Location]:
    return {"*": Location(company.time_zone, company.default_calendar), **company.locations}


def _clocks(company: Company, month: Month, as_of: Month) -> dict[str, list[Row]]:
    start, end = span(month, as_of)
    offsets = [row for zone in zones(company) for row in utc_offsets(zone, start, end)]
    hours = [
        row
        for name, calendar in sorted(company.calendars.items())
        for row in business_hours(name, calendar, start, end)
    ]
    return {
        "utc_offsets": [
            (row.time_zone, row.from_at * _SECOND, row.until_at * _SECOND, row.offset_seconds)
            for row in offsets
        ],
        "business_hours": [(row[0], row[1] * _SECOND, *row[2:]) for row in hours],
    }


def clock_offsets(company: Company, month: Month, as_of: Month) -> dict[str, list[list[int]]]:
    """Return the UTC offsets of the zones that places use: {zone: [[until, offset], ...]}.

    Epoch seconds and seconds, in the order of time; the company's own zone is under `*`, the others
    under their names. It is what the macro `zone_offsets` reads from config.utc_offsets.
    """
    start, end = span(month, as_of)
    own = _locations(company)
    used = {"*": own["*"].time_zone}
    used |= {zone: zone for zone in sorted(at.time_zone for name, at in own.items() if name != "*")}
    return {
        name: [[row.until_at, row.offset_seconds] for row in utc_offsets(zone, start, end)]
        for name, zone in used.items()
    }


def _waves(company: Company) -> Iterator[Row]:
    """Yield the waves of each survey; a wave's last day ends at midnight in the company's zone."""
    zone = ZoneInfo(company.time_zone)
    for survey in company.surveys:
        begins = 0
        for day in survey.closes_on:
            midnight = datetime.combine(day + timedelta(days=1), time(), zone)
            ends = round(midnight.timestamp()) * _SECOND
            yield (survey.survey_id, begins, ends, day)
            begins = ends
        if survey.closes_on:
            yield (survey.survey_id, begins, None, None)


def _kpis(company: Company) -> dict[str, list[Row]]:
    return {
        "targets": [
            tuple(getattr(target, column) for column in TABLES["targets"])
            for target in company.kpis.targets
        ],
        "kpis": [*sorted(company.kpis.minimum_sample.items())],
        "chosen_kpis": [(kpi_id,) for kpi_id in sorted(company.kpis.choose or ())],
    }


def _roles(company: Company) -> list[Row]:
    """Return one row per rule and combination of what it asks for; '*' means any."""
    rows: list[Row] = [
        (position, rule.role, rule.leads or "*", *asked)
        for position, rule in enumerate(company.roles, start=1)
        for asked in itertools.product(
            rule.job_family or ("*",), rule.team_id or ("*",), rule.position_name or ("*",)
        )
    ]
    return rows


def _service_levels(service: ServiceLevels) -> list[Row]:
    clocks = {
        "complaint": service.complaint,
        "first_reply": service.first_reply,
        "resolution": service.resolution,
    }
    return [
        (measure, priority, clock.minutes[priority], clock.clock)
        for measure, clock in clocks.items()
        for priority in PRIORITIES
    ]


def _replace(con: duckdb.DuckDBPyConnection, name: str, rows: Iterable[Row]) -> None:
    import pyarrow as pa

    types = {
        "DATE": pa.date32(),
        "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
    }
    columns = TABLES[name]
    data = list(rows)
    arrays = [
        pa.array([row[index] for row in data], types[kind])
        for index, kind in enumerate(columns.values())
    ]
    listed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    con.execute(f"create or replace table config.{name} ({listed})")
    con.register("_config_rows", pa.table(dict(zip(columns, arrays, strict=True))))
    con.execute(f"insert into config.{name} select * from _config_rows")
    con.unregister("_config_rows")
