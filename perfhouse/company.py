"""The company folder: perfhouse.toml and its targets, read and checked in one go.

Standard library only; what streams, connectors and KPIs exist is handed in, never imported.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from perfhouse.company_appeals import read_appeals
from perfhouse.company_arrivals import read_arrivals
from perfhouse.company_calendars import read_calendars
from perfhouse.company_cards import read_cards
from perfhouse.company_deadlines import read_deadlines
from perfhouse.company_exports import read_receivers
from perfhouse.company_gates import read_gates
from perfhouse.company_identities import read_identities
from perfhouse.company_look_back import read_look_back
from perfhouse.company_monitors import read_monitors
from perfhouse.company_notices import read_notices
from perfhouse.company_packs import TARGETS, effective, read_pack, read_roles, read_samples
from perfhouse.company_payroll import read_bands
from perfhouse.company_retention import read_retention
from perfhouse.company_sign_off import read_sign_off
from perfhouse.company_sources import ID, ConnectorKeys, Known, read_sources
from perfhouse.company_surveys import (
    read_certification_grace,
    read_routing_codes,
    read_surveys,
)
from perfhouse.company_targets import read_targets
from perfhouse.company_types import (
    PRIORITIES,
    Calendar,
    Change,
    Clock,
    ColumnMapping,
    Company,
    Grade,
    Identity,
    KpiChoice,
    Location,
    QueueOwner,
    Scoring,
    ServiceLevels,
    Source,
    StreamMapping,
    Target,
)
from perfhouse.config_reader import Table, did_you_mean
from perfhouse.errors import ConfigError

__all__ = [
    "PRIORITIES",
    "Calendar",
    "Clock",
    "ColumnMapping",
    "Company",
    "Grade",
    "Identity",
    "KpiChoice",
    "Location",
    "QueueOwner",
    "Scoring",
    "ServiceLevels",
    "Source",
    "StreamMapping",
    "Target",
    "load_company",
    "mapping_sha256",
]

FILE = "perfhouse.toml"
_CLOCKS = ("business", "calendar")
_PLACES = ("url", "connection", "max_loss")  # options that make no other rows of the same bytes
_TARGETS_NAME = re.compile(r"^[^/\\]+\.csv$")
_GRADES = (Grade("A", 100), Grade("B", 80), Grade("C", 60), Grade("D", 0))
_SERVICE = ServiceLevels(
    short_abandon_seconds=5,
    answer_within_seconds=20,
    reopen_days=7,
    first_reply=Clock("business", {"low": 480, "normal": 240, "high": 60, "urgent": 30}),
    resolution=Clock("business", {"low": 2880, "normal": 1440, "high": 480, "urgent": 240}),
    complaint=Clock("calendar", {"low": 4320, "normal": 4320, "high": 2880, "urgent": 1440}),
)


def load_company(
    folder: Path,
    streams: Mapping[str, Collection[str]] | None = None,
    *,
    required: Mapping[str, Collection[str]] | None = None,
    connectors: Mapping[str, ConnectorKeys] | None = None,
    kpis: Mapping[str, str] | None = None,
    thresholds: Mapping[str, Collection[str]] | None = None,
    problems: Collection[str] = (),
) -> Company:
    """Read and check a company folder.

    Args:
        folder: Holds perfhouse.toml and the targets file.
        streams: Column names by stream; None leaves stream and column names unchecked.
        required: Columns a stream cannot land without, by stream.
        connectors: What each connector that exists adds to the words of a source.
        kpis: The KPIs that exist, and whether 'up' or 'down' is better.
        thresholds: Names of the thresholds each gate knows.
        problems: What was found wrong before, to be told with the rest.

    Raises:
        ConfigError: Names every problem at once: key path, expected, got. The operator acts.
    """
    data = _parse(folder)
    found = list(problems)
    known = Known(streams, required or {}, connectors, kpis, thresholds)
    company = _company(Path(folder), Table(data, f"{FILE}: ", found), known)
    if found:
        raise ConfigError(list(dict.fromkeys(found)))
    return company


def mapping_sha256(source: Source) -> str:
    """Return the hash of everything that decides how delivered bytes become rows.

    Owner, schedule and the place of the source are no part of it.
    """
    what = {
        "connector": source.connector,
        "time_zone": source.time_zone,
        "streams": [asdict(stream) for stream in source.streams],
        "options": {k: v for k, v in source.options.items() if k not in _PLACES},
    }
    text = json.dumps(what, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _parse(folder: Path) -> dict[str, Any]:
    file = Path(folder) / FILE
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        problem = f"--company: expected a folder with {FILE}, found none at {file}"
    except UnicodeDecodeError:
        problem = f"{FILE}: expected UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"{FILE}: expected TOML, got {error}"
    raise ConfigError([problem])


def _company(folder: Path, top: Table, known: Known) -> Company:
    about = top.table("company")
    name_en = about.text("name_en")
    zone = about.zone("time_zone")
    calendars = read_calendars(top)
    sources = read_sources(top, zone, known)
    kpis = _kpis(folder, top, known)
    scoring = _scoring(top.table("scoring"))
    gates, agreements = read_gates(top, known.thresholds)
    result = Company(
        folder=folder,
        id=about.text("id", pattern=ID, expected="an id of a-z, 0-9, _ and - such as demo"),
        name_en=name_en,
        name_zh=about.text("name_zh", name_en),
        time_zone=zone,
        close_grace_days=about.whole("close_grace_days", 5),
        default_calendar=about.one_of("default_calendar", calendars),
        locations=_locations(top, calendars),
        calendars=calendars,
        kpis=kpis,
        scoring=scoring,
        service=_service(top.table("service_levels")),
        queue_owners=_queue_owners(top),
        gates=gates,
        agreements=agreements,
        sources=sources,
        monitors=read_monitors(top),
        surveys=read_surveys(top),
        certification_grace_days=read_certification_grace(top),
        routing_codes=read_routing_codes(top),
        clocks_stop_at=about.instant("clocks_stop_at"),
        identities=read_identities(folder, top.problems, [source.id for source in sources]),
        payroll_bands=read_bands(folder, top, _grades(scoring)),
        receivers=read_receivers(folder, top, _grades(scoring)),
        roles=(*read_roles(top), *(kpis.pack.roles if kpis.pack else ())),
        appeals=read_appeals(top),
        retention=read_retention(top),
        look_back=read_look_back(top, known.streams),
        cards=read_cards(top),
        notices=read_notices(top),
        arrivals=read_arrivals(top),
        deadlines=read_deadlines(top),
        sign_off=read_sign_off(top),
        mart=_mart(top),
    )
    about.finish()
    top.finish()
    return result


def _mart(top: Table) -> str | None:
    if top.take("mart") is None:
        return None
    table = top.table("mart")
    name = table.text("connection", pattern=ID, expected="a connection such as perfhouse_mart")
    table.finish()
    return name


def _locations(top: Table, calendars: Collection[str]) -> dict[str, Location]:
    nested = top.table("locations")
    locations = {}
    for name in nested.data:
        table = nested.table(name)
        locations[name] = Location(table.zone("time_zone"), table.one_of("calendar", calendars))
        table.finish()
    return locations


def _kpis(folder: Path, top: Table, known: Known) -> KpiChoice:
    table = top.table("kpis")
    pack = read_pack(folder, table, known.kpis)
    choose = table.texts("choose") if table.take("choose") is not None else None
    if known.kpis is not None:
        for index, kpi_id in enumerate(choose or ()):
            if kpi_id not in known.kpis:
                hint = did_you_mean(kpi_id, known.kpis)
                table.problem(f"choose[{index}]", f"a known KPI{hint}", kpi_id)
    minimum = read_samples(table, known.kpis)
    file = folder / table.text(
        # What decides numbers lies in the folder itself: its tables are hashed and kept.
        *("targets", TARGETS),
        pattern=_TARGETS_NAME,
        expected="the name of a .csv file in the company folder itself",
    )
    needed = table.take("targets") is not None or table.take("pack") is None
    own = read_targets(file, top.problems, known.kpis) if needed or file.exists() else ()
    table.finish()
    if pack is None:
        return KpiChoice(choose, own, minimum)
    chosen = pack.choose if choose is None else choose
    return KpiChoice(chosen, effective(pack, own), {**pack.minimum_sample, **minimum}, pack)


def _scoring(table: Table) -> Scoring:
    first = _scoring_rules(table, Scoring(0.6, _GRADES))
    later: list[Scoring] = []
    for entry in table.tables("changes"):
        change = _change(entry, [each.change for each in later])
        later.append(replace(_scoring_rules(entry, [first, *later][-1]), change=change))
        entry.finish()
    table.finish()
    return replace(first, later=tuple(later))


def _grades(scoring: Scoring) -> frozenset[str]:
    """Return every grade that a total can have, now or later."""
    return frozenset(each.grade for rules in (scoring, *scoring.later) for each in rules.grades)


def _scoring_rules(table: Table, before: Scoring) -> Scoring:
    """Return the rules of a table; what it leaves out is as before."""
    coverage = table.number("coverage_minimum", before.coverage_minimum, 0, 1)
    grades = []
    for entry in table.tables("grades"):
        grades.append(Grade(entry.text("grade"), entry.number("from", 0, 0, 120)))
        entry.finish()
    starts = [grade.from_score for grade in grades]
    if len(set(starts)) < len(starts) or len({grade.grade for grade in grades}) < len(grades):
        table.problem("grades", "each grade and each start once", starts)
    if grades and 0 not in starts:
        table.problem("grades", "a grade from 0, so that every total has one", starts)
    ordered = tuple(sorted(grades, key=lambda grade: -grade.from_score)) or before.grades
    return Scoring(coverage, ordered)


def _change(entry: Table, before: Sequence[Change | None]) -> Change:
    """Return when a rule begins; it is announced before, and changes come in their order."""
    valid_from, announced_on = entry.day("valid_from"), entry.day("announced_on")
    if valid_from is None or valid_from.day != 1:
        what = "the first day of a month such as 2026-09-01"
        entry.problem("valid_from", what, str(valid_from) if valid_from else None)
        valid_from = date.min
    elif announced_on is None or announced_on >= valid_from:
        what = f"a day before {valid_from}, for a rule set inside a month applies from the next"
        entry.problem("announced_on", what, str(announced_on) if announced_on else None)
    if before and before[-1] and valid_from <= before[-1].valid_from:
        what = f"a month after {before[-1].valid_from}, when the change before it begins"
        entry.problem("valid_from", what, str(valid_from))
    return Change(valid_from, announced_on or date.min, entry.text("approved_by"))


def _service(table: Table) -> ServiceLevels:
    first = _service_rules(table, _SERVICE)
    later: list[ServiceLevels] = []
    for entry in table.tables("changes"):
        change = _change(entry, [each.change for each in later])
        later.append(replace(_service_rules(entry, [first, *later][-1]), change=change))
        entry.finish()
    table.finish()
    return replace(first, later=tuple(later))


def _service_rules(table: Table, before: ServiceLevels) -> ServiceLevels:
    return ServiceLevels(
        short_abandon_seconds=table.whole("short_abandon_seconds", before.short_abandon_seconds),
        answer_within_seconds=table.whole(
            "answer_within_seconds", before.answer_within_seconds, low=1
        ),
        reopen_days=table.whole("reopen_days", before.reopen_days, low=1),
        first_reply=_limit(table, "first_reply", before.first_reply),
        resolution=_limit(table, "resolution", before.resolution),
        complaint=_limit(table, "complaint", before.complaint),
    )


def _limit(table: Table, key: str, default: Clock) -> Clock:
    if table.take(key) is None:
        return default
    entry = table.table(key)
    clock = entry.one_of("clock", _CLOCKS, default.clock)
    minutes = entry.table("minutes")
    for name in PRIORITIES:
        if name not in minutes.data:
            minutes.problem(name, "minutes for each of low, normal, high and urgent")
    limits = {name: minutes.whole(name, default.minutes[name], low=1) for name in PRIORITIES}
    minutes.finish()
    entry.finish()
    return Clock(clock, limits)


def _queue_owners(top: Table) -> tuple[QueueOwner, ...]:
    owners: list[QueueOwner] = []
    for table in top.tables("queue_owners"):
        owner = QueueOwner(
            queue_id=table.text("queue_id"),
            manager_id=table.text("manager_id"),
            valid_from=table.day("valid_from") or date(1970, 1, 1),
            valid_to=table.day("valid_to"),
        )
        table.finish()
        if owner.valid_to is not None and owner.valid_to <= owner.valid_from:
            table.problem("valid_to", f"a day after {owner.valid_from}", str(owner.valid_to))
        for other in owners:
            if other.queue_id == owner.queue_id and _together(owner, other):
                what = f"one owner of queue {owner.queue_id} at a time"
                table.problem("valid_from", what, str(owner.valid_from))
        owners.append(owner)
    return tuple(sorted(owners, key=lambda owner: (owner.queue_id, owner.valid_from)))


def _together(one: QueueOwner, other: QueueOwner) -> bool:
    return one.valid_from < (other.valid_to or date.max) and other.valid_from < (
        one.valid_to or date.max
    )
