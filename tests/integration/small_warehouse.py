"""A hand-made home: two managers, two KPIs, one roster, small enough to check by eye.

Test material; the tables have the columns and types of the dbt project's contracts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from expectations.fact_shapes import SHAPES
from expectations.readings import READINGS
from perfhouse import lake, provenance, warehouse
from perfhouse.company_types import (
    Calendar,
    Clock,
    Company,
    Grade,
    KpiChoice,
    Location,
    Scoring,
    ServiceLevels,
    Source,
)
from perfhouse.config_tables import TABLES
from perfhouse.month import Month
from perfhouse.settings import Home

MONTH = Month("2026-09")
MEASURE = "decimal(18,6)"
_CLOCK = Clock("calendar", dict.fromkeys(("low", "normal", "high", "urgent"), 60))


def company(
    folder: Path, *sources: Source, gates: Mapping[str, Mapping[str, float]] | None = None
) -> Company:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "perfhouse.toml").write_text('[company]\nid = "small"\n', encoding="utf-8")
    return Company(
        folder=folder,
        id="small",
        name_en="Small",
        name_zh="小公司",
        time_zone="Asia/Shanghai",
        close_grace_days=5,
        default_calendar="always",
        locations={"*": Location("Asia/Shanghai", "always")},
        calendars={"always": Calendar("Asia/Shanghai", {}, frozenset())},
        kpis=KpiChoice(None, (), {}),
        scoring=Scoring(0.6, (Grade("A", 100), Grade("B", 80), Grade("C", 0))),
        service=ServiceLevels(5, 20, 7, _CLOCK, _CLOCK, _CLOCK),
        queue_owners=(),
        gates=gates or {},
        sources=sources,
    )


def source(id: str, *, required: bool = True) -> Source:
    return Source(
        id=id,
        connector="files",
        owner=f"{id} desk",
        schedule="0 3 1 * *",
        required=required,
        time_zone="UTC",
        options={},
        streams=(),
    )


def home(root: Path) -> Home:
    return Home(root).ensure()


# --- a landed month -------------------------------------------------------------------------


def land(
    home: Home, source_id: str, streams: Mapping[str, str], month: Month = MONTH, **counts: Any
) -> lake.Manifest:
    """Land streams given as SQL; `counts` override what the manifest says of every stream."""
    landings = {name: _landed(home, source_id, month, name, sql) for name, sql in streams.items()}
    landings = {name: replace(landing, **counts) for name, landing in landings.items()}
    digest = hashlib.sha256(repr(sorted(landings.items())).encode()).hexdigest()
    manifest = lake.Manifest(
        source=source_id,
        connector="files",
        month=month.key,
        mapping_sha256="0" * 64,
        archive_sha256=digest,
        archive=(),
        streams=landings,
        landed_at="2026-10-01T00:00:00+00:00",
        key_fingerprint="",
    )
    return lake.commit(home, manifest, {})


def _landed(home: Home, source_id: str, month: Month, name: str, sql: str) -> lake.StreamLanding:
    relative = Path("raw") / name / lake.partition(month, source_id) / "000000000000.parquet"
    path = home.root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    con = warehouse.connect()
    con.execute(
        f"copy (select *, '{source_id}' as _source, 'upsert' as _op, null::timestamptz as "
        "source_updated_at, null::bigint as source_seq, 'a.csv' as _file, 'x' as _row_hash, "
        f"'{month}' as _window, "
        f"row_number() over () as _row_number from ({sql})) to '{path}' (format parquet)"
    )
    rows = con.execute(f"select count(*) from '{path}'").fetchall()[0][0]
    con.close()
    file = lake.LandedFile(relative.as_posix(), lake.file_sha256(path), rows)
    return lake.StreamLanding(
        files=(file,),
        rows_read=rows,
        outside_window=0,
        rows_in=rows,
        landed=rows,
        duplicates=0,
        quarantined=0,
        unknown={},
        undeclared_fields=(),
        late_rows={},
        quarantine_file=None,
        reasons={},
    )


ROSTER = """
    select date '2026-09-30' as snapshot_date, e as employee_id, null::varchar as source_user_id,
        null::varchar as work_email_hash,
        'D1' as department_id, 'T1' as team_id, j as job_family, m as manager_employee_id,
        j = 'cs_manager' as is_people_manager, 'active' as employment_status,
        date '2020-01-01' as hire_date, null::date as last_work_date,
        null::date as termination_date, date '2026-01-01' as valid_from, null::date as valid_to,
        '名' || e as display_name, 'full' as employment_type
    from (values ('M1', 'cs_manager', null), ('M2', 'cs_manager', 'M1'),
        ('E1', 'agent', 'M1'), ('E2', 'agent', 'M2')) t(e, j, m)
"""
CALLS = """
    select 'L' || i as leg_id, 'I' || i as interaction_id, 'E' || (1 + i % 2) as agent_id,
        timestamptz '2026-09-10 01:00:00+00' + to_minutes(i) as started_at,
        timestamptz '2026-09-10 01:00:10+00' + to_minutes(i) as answered_at,
        timestamptz '2026-09-10 01:05:00+00' + to_minutes(i) as ended_at,
        'voice' as media, 'inbound' as direction, 'answered' as disposition,
        null::varchar as transfer_type, null::varchar as hangup_party
    from range(100) r(i)
"""


# --- a built month --------------------------------------------------------------------------

_KPI_MONTHS = f"""
    month date, manager_id varchar, kpi_id varchar, kpi_version integer, numerator {MEASURE},
    denominator {MEASURE}, sample_size {MEASURE}, value {MEASURE}, adjusted_value {MEASURE},
    shrunk_value {MEASURE}, reliability {MEASURE}, ci_low {MEASURE}, ci_high {MEASURE},
    floor {MEASURE}, target {MEASURE}, stretch {MEASURE}, weight {MEASURE}, score {MEASURE},
    status varchar, category varchar, effective_weight {MEASURE}, minimum_sample integer,
    target_version varchar, row_count integer, minimum_rows integer
"""
_MANAGER_MONTHS = f"""
    month date, manager_id varchar, role varchar, team_id varchar, total_score {MEASURE},
    grade varchar, rank integer, rank_low integer, rank_high integer, peer_count integer,
    coverage_rate {MEASURE}, change {MEASURE}, previous_total_score {MEASURE}, agent_count integer,
    exposure_days integer, scored_kpi_count integer, kpi_count integer, status varchar
"""
_TEAM_MONTHS = f"""
    month date, team_id varchar, manager_id varchar, kpi_id varchar, kpi_version integer,
    team_name varchar, numerator {MEASURE}, denominator {MEASURE}, sample_size {MEASURE},
    value {MEASURE}, agent_count integer, exposure_days integer, floor {MEASURE}, target {MEASURE},
    stretch {MEASURE}, weight {MEASURE}, score {MEASURE}, status varchar, minimum_sample integer,
    target_version varchar, row_count integer, minimum_rows integer
"""
_EXPLANATIONS = f"""
    month date, manager_id varchar, kpi_id varchar, kpi_version integer, value_change {MEASURE},
    rate_effect {MEASURE}, mix_effect {MEASURE}, sentence_en varchar, sentence_zh varchar
"""
_MANAGER_TREE = """
    month date, manager_id varchar, ancestor_id varchar, distance integer
"""
_EXPORT = f"""
    month date, employee_number varchar, display_name varchar, team_id varchar, team_name varchar,
    role varchar, total_score {MEASURE}, grade varchar, rank integer, rank_low integer,
    rank_high integer, peer_count integer, previous_total_score {MEASURE}, change {MEASURE},
    coverage_rate {MEASURE}, status varchar, result_score {MEASURE}, quality_score {MEASURE},
    efficiency_score {MEASURE}, people_score {MEASURE}, innovation_score {MEASURE},
    agent_count integer, exposure_days integer, appeals_open integer, appeals_upheld integer,
    appeals_rejected integer, appeals_late integer
"""
_APPEALS = """
    month date, manager_id varchar, appeal_key varchar, appeal_id varchar, kpi_id varchar,
    is_row boolean, effect varchar, state varchar, outcome varchar, row_count integer,
    is_late boolean, is_admitted boolean, raised_on date, deadline_on date, decide_by date,
    decided_on date, reason_code varchar, decision_code varchar
"""
_EMPLOYEE_MONTHS = f"""
    month date, kpi_id varchar, kpi_version integer, manager_id varchar, team_id varchar,
    employee_id varchar, numerator {MEASURE}, denominator {MEASURE}, management_path varchar
"""
_DEFINITIONS = """
    kpi_id varchar, version integer, name_en varchar, name_zh varchar, definition_en varchar,
    definition_zh varchar, category varchar, unit varchar, direction varchar,
    minimum_sample integer, row_sql varchar, kind varchar, is_signed boolean
"""
_REFERENCES = """
    month date, kpi_id varchar, kpi_version varchar, stratum varchar,
    reference_month_count integer, numerator decimal(28, 10), denominator decimal(28, 10),
    reference_value decimal(28, 12), relative_rate decimal(28, 12)
"""
_RELIABILITIES = """
    month date, kpi_id varchar, kpi_version varchar, method varchar,
    reference_month_count integer, manager_month_count integer, manager_count integer,
    reference_denominator decimal(18, 6), reference_value decimal(28, 12),
    within_variance decimal(28, 12), between_variance decimal(28, 12),
    shrinkage_constant decimal(28, 12)
"""
_MANAGERS = """
    month date, manager_id varchar, display_name varchar, role varchar, team_id varchar,
    team_name varchar, agent_count integer, exposure_days integer, is_in_roster boolean
"""


def build(home: Home, month: Month = MONTH, *, csat: int = 82, as_of: Month | None = None) -> None:
    """Fill the warehouse with a month: M1 answers csat of 100 well, M2 always 75 of 100."""
    settings = company(home.root.parent / "company")
    provenance.write(home, month, provenance.origin(settings, home, month, as_of or month))
    con = warehouse.connect(home.warehouse)
    for schema in ("scorecards", "exports", "kpis", "core", "config", "ops"):
        con.execute(f"create schema if not exists {schema}")
    tables = {
        "scorecards.scorecard_kpi_months": _KPI_MONTHS,
        "scorecards.scorecard_manager_months": _MANAGER_MONTHS,
        "scorecards.scorecard_team_months": _TEAM_MONTHS,
        "scorecards.scorecard_explanations": _EXPLANATIONS,
        "scorecards.scorecard_appeals": _APPEALS,
        "scorecards.scorecard_manager_tree": _MANAGER_TREE,
        "exports.export_hr_manager_months": _EXPORT,
        "kpis.kpi_employee_months": _EMPLOYEE_MONTHS,
        "kpis.kpi_references": _REFERENCES,
        "kpis.kpi_reliabilities": _RELIABILITIES,
        "core.dim_managers": _MANAGERS,
    }
    for name, columns in tables.items():
        con.execute(f"create table if not exists {name} ({columns})")
        con.execute(f"delete from {name} where month = ?", [month.start])
    con.execute(f"create or replace table kpis.kpi_definitions ({_DEFINITIONS})")
    con.execute(
        "insert into kpis.kpi_definitions values ('csat_rate', 1, 'CSAT', '满意度', 'd', '定义', "
        "'result', 'rate', 'up', 10, 'select 1', 'proportion', false), "
        "('reopen_rate', 1, 'Reopened', '重开率', 'd', "
        "'定义', 'quality', 'rate', 'down', 10, 'select 1', 'proportion', false)"
    )
    con.execute("create or replace table config.grades (grade varchar, from_score double)")
    con.execute("insert into config.grades values ('A', 100), ('B', 80), ('C', 0)")
    waves = ", ".join(f"{name} {kind}" for name, kind in TABLES["survey_waves"].items())
    con.execute(f"create or replace table config.survey_waves ({waves})")
    _fill(con, month.start, {"M1": csat, "M2": 75})
    _facts(con, home, month)
    con.close()


def _facts(con: Any, home: Home, month: Month) -> None:
    """Make the facts that the gates read, and fill two of them with what landed for the month."""
    tables = {
        **{f"core.{fact}": columns for fact, columns in _fact_columns().items()},
        "core.dim_months": ("month", "as_of_at"),
        "core.dim_identities": ("month", "employee_id"),
        "core.dim_employees": ("month", "employee_id"),
    }
    for name, columns in tables.items():
        con.execute(f"create table if not exists {name} ({', '.join(map(_typed, columns))})")
        con.execute(f"delete from {name} where month = ?", [month.start])
    for manifest in lake.manifests(home, month, month):
        for stream, landing in manifest.streams.items():
            files = [str(home.root / file.path) for file in landing.files]
            if stream in _FROM_LANDED:
                con.execute(_FROM_LANDED[stream].format(files=files, month=f"date '{month.start}'"))


_FROM_LANDED = {
    "calls": "insert into core.fct_calls by name select {month} as month, "
    "_source, leg_id, null as agent_employee_id, started_at, answered_at, ended_at, "
    "cast(timezone('Asia/Shanghai', ended_at) as date) as ended_on, _file, _row_number "
    "from read_parquet({files}) where date_trunc('month', ended_on) = {month}",
    "hr_roster": "insert into core.fct_headcount_spans by name select {month} as month, "
    "employee_id as assignment_key, employee_id, {month} as counted_on, _source, _file, "
    "_row_number from read_parquet({files})",
}


def _fact_columns() -> dict[str, tuple[str, ...]]:
    """Return every column that the facts gate reads of a fact."""
    found = {
        fact: dict.fromkeys(
            (
                *("month", "_source", "_file", "_row_number", *shape.key, *shape.shown),
                *(*shape.days, *shape.spans, *shape.people),
                *(name for pair in (*shape.ordered, *shape.told) for name in pair),
                *(column for column, _, _ in shape.refers),
            )
        )
        for fact, shape in SHAPES.items()
    }
    for reading in READINGS:
        for fact in reading.facts:
            found[fact.table] |= dict.fromkeys(column for _, column in fact.on)
    found["fct_ticket_lifecycles"] |= {"comment_count": None}
    return {fact: tuple(columns) for fact, columns in found.items()}


def _typed(column: str) -> str:
    kinds = {
        **dict.fromkeys(("month", "valid_from", "valid_to"), "date"),
        **dict.fromkeys(("_row_number", "comment_count", "employed_days"), "bigint"),
    }
    ends = {"at": "timestamptz", "on": "date", "minutes": MEASURE, "seconds": MEASURE}
    ends |= {"days": "bigint", "count": "bigint", "no": "integer", "headcount": MEASURE}
    return f"{column} {kinds.get(column) or ends.get(column.rsplit('_', 1)[-1], 'varchar')}"


def _fill(con: Any, month: date, satisfied: Mapping[str, int]) -> None:
    totals, scores = {}, {}
    for manager, good in satisfied.items():
        csat, reopened = round((good / 100 - 0.70) / 0.12 * 100, 6), 50.0
        csat = csat if good <= 82 else round(100 + 20 * (good / 100 - 0.82) / 0.08, 6)
        scores[manager] = (csat, reopened)
        totals[manager] = round(0.75 * csat + 0.25 * reopened, 6)
        rows = [
            ("csat_rate", good, 100, 0.70, 0.82, 0.90, 0.75, csat, "result"),
            ("reopen_rate", 6, 100, 0.10, 0.02, 0.0, 0.25, reopened, "quality"),
        ]
        for kpi, top, bottom, floor, target, stretch, weight, score, category in rows:
            con.execute(
                "insert into scorecards.scorecard_kpi_months values (?, ?, ?, 1, ?, ?, ?, ?, null, "
                "null, null, null, null, ?, ?, ?, ?, ?, 'scored', ?, ?, 10, '2026.1', "
                "100, 1)",
                [
                    *(month, manager, kpi, top, bottom, bottom, top / bottom, floor, target),
                    *(stretch, weight, score, category, weight),
                ],
            )
            con.execute(
                "insert into kpis.kpi_employee_months values (?, ?, 1, ?, 'T1', ?, ?, ?, null)",
                [month, kpi, manager, f"E{manager[1]}", top, bottom],
            )
            con.execute(
                "insert into scorecards.scorecard_team_months values (?, 'T1', ?, ?, 1, 'Team 1', "
                "?, ?, ?, ?, 1, 30, ?, ?, ?, ?, ?, 'scored', 10, '2026.1', 100, 1)",
                [
                    *(month, manager, kpi, top, bottom, bottom, top / bottom),
                    *(floor, target, stretch, weight, score),
                ],
            )
    for rank, manager in enumerate(sorted(totals, key=lambda m: -totals[m]), start=1):
        total = totals[manager]
        grade = "A" if total >= 100 else "B" if total >= 80 else "C"
        con.execute(
            "insert into scorecards.scorecard_manager_months values (?, ?, 'cs_manager', 'T1', ?, "
            "?, ?, ?, ?, 2, 1, null, null, 1, 30, 2, 2, 'scored')",
            [month, manager, total, grade, rank, rank, rank],
        )
        con.execute(
            "insert into exports.export_hr_manager_months values (?, ?, ?, 'T1', 'Team 1', "
            "'cs_manager', ?, ?, ?, ?, ?, 2, null, null, 1, 'scored', ?, ?, null, null, "
            "null, 1, 30, 0, 0, 0, 0)",
            [month, manager, f"王{manager}", total, grade, rank, rank, rank, *scores[manager]],
        )
        con.execute(
            "insert into core.dim_managers values (?, ?, ?, 'cs_manager', 'T1', 'Team 1', 1, 30, "
            "true)",
            [month, manager, f"王{manager}"],
        )
