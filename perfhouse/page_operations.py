"""The operations page of a release: rows in and out, gates, timings, lineage, what is late.

It tells of durations and days, which differ from run to run, so it lies beside the release and no
hash covers it. It names no person and no key of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from perfhouse import (
    card_gates,
    lake,
    lateness,
    months,
    page_lineage,
    page_parts,
    quarantine_words,
    scorecards,
    step_times,
    warehouse,
)
from perfhouse.company_types import Company
from perfhouse.gate_words import FATES, GATES
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    import duckdb

_GATES = ("raw", "facts", "scorecards", "exports")
_SLOWEST = 15
_RECONCILED: scorecards.Columns = {
    "stream": "varchar",
    "source": "varchar",
    "reason": "varchar",
    "in_facts": "boolean",
    "rows": "bigint",
}
_RUN: scorecards.Columns = {"kind": "varchar", "name": "varchar", "seconds": "double"}
ON_TIME, LATE, MISSING, NOT_KEPT = "on_time", "late", "missing", "not_kept"


def write(home: Home, company: Company, month: Month, release: str, folder: Path) -> Path:
    """Write the page of a published release, by its name; return its path.

    Args:
        home: where what was landed, judged and built is told of.
        company: whose sources and close date they are.
        month: of the release.
        release: the release's name, such as `2026-09.r1`.
        folder: the release.
    """
    said = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    with warehouse.connect(home.warehouse, read_only=True) as con:
        more = {"name": release, "provisional": months.provisional(folder)}
        page = render(home, company, month, con, {**said, **more})
    home.operations.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home.operations / f"{release}.html"
    path.write_bytes(page)
    return path


def render(
    home: Home,
    company: Company,
    month: Month,
    con: duckdb.DuckDBPyConnection,
    said: Mapping[str, Any],
) -> bytes:
    """Render the page; `said` is release.json with the `name` and what is `provisional`."""
    landed = lake.manifests(home, month, month)
    lineage = _lineage(home, con, month, landed)
    flow = list(_flow(con, month, landed))
    template = page_parts.environment().get_template("operations.html")
    return template.render(
        month=str(month),
        release=said["name"],
        as_of=said["as_of"],
        closes_on=said["closes_on"],
        sha256=said["release_sha256"],
        tables=said["tables"],
        flow=flow,
        totals={name: sum(row[name] for row in flow) for name in _COUNTS},
        reasons=list(_reasons(landed)),
        left_out=_left_out(con, month),
        fates=FATES,
        gate_names=GATES,
        gates=card_gates.read(con, month, _GATES),
        verdicts={name: said["gates"].get(name) for name in _GATES if name in said["gates"]},
        sources=[_source(home, company, month, source.id, source) for source in company.sources],
        late_rows=list(_late_rows(landed)),
        provisional=said["provisional"],
        timings=_timings(con, month),
        steps=_steps(home, month),
        picture=page_lineage.picture(lineage),
        lineage=page_lineage.rows(lineage),
        css=page_parts.style("page.css"),
        policy=page_parts.policy(),
    ).encode()


# ---------------------------------------------------------------- rows

_COUNTS = (
    *("rows_read", "outside_window", "rows_in", "landed", "duplicates", "quarantined"),
    "in_facts",
)


def _flow(
    con: duckdb.DuckDBPyConnection, month: Month, landed: Sequence[Manifest]
) -> Iterator[dict[str, Any]]:
    """Yield what became of the rows of every source and stream that delivered the month."""
    used: dict[tuple[str, str], int] = {}
    for stream, source, _, in_facts, rows in _reconciled(con, month):
        used[source, stream] = used.get((source, stream), 0) + (rows if in_facts else 0)
    for manifest in landed:
        for stream, at in sorted(manifest.streams.items()):
            counts = {name: getattr(at, name) for name in _COUNTS if name != "in_facts"}
            yield {
                "source": manifest.source,
                "stream": stream,
                **counts,
                "in_facts": used.get((manifest.source, stream), 0),
                "refused": at.refused,
                "undeclared": len(at.undeclared_fields),
            }


def _reasons(landed: Sequence[Manifest]) -> Iterator[tuple[str, str, tuple[str, str], int]]:
    """Yield why rows were quarantined, in Chinese and English, by source and stream."""
    for manifest in landed:
        for stream, at in sorted(manifest.streams.items()):
            for reason, rows in sorted(at.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
                yield manifest.source, stream, (quarantine_words.chinese(reason), reason), rows


def _reconciled(con: duckdb.DuckDBPyConnection, month: Month) -> list[tuple[Any, ...]]:
    """Read what became of the rows that were delivered for the month itself."""
    where = "month = ? and delivered = ?"
    return scorecards.read(con, "ops.reconciliation", _RECONCILED, where, [month.start, month.key])


def _left_out(con: duckdb.DuckDBPyConnection, month: Month) -> list[tuple[Any, ...]]:
    """List the landed rows that are in no fact, by stream, source and reason."""
    return [
        (stream, source, reason, rows)
        for stream, source, reason, in_facts, rows in _reconciled(con, month)
        if not in_facts
    ]


# ---------------------------------------------------------------- what is late


def _source(home: Home, company: Company, month: Month, name: str, said: Any) -> dict[str, Any]:
    """Say whether a source delivered the month, and whether before it was due."""
    manifest = lake.read_manifest(home, name, month)
    taken = _taken_on(home, company, manifest) if manifest else None
    due = lateness.due_on(company, home, said, month)
    state = MISSING
    if manifest is not None:
        state = NOT_KEPT if taken is None else ON_TIME if taken < due else LATE
    return {
        "source": name,
        "owner": said.owner,
        "required": said.required,
        "taken": taken,
        "state": state,
    }


def _taken_on(home: Home, company: Company, manifest: Manifest) -> date | None:
    at = lake.extracted_at(home, manifest.source, manifest.month, manifest.archive_sha256)
    return at.astimezone(ZoneInfo(company.time_zone)).date() if at else None


def _late_rows(landed: Sequence[Manifest]) -> Iterator[tuple[str, str, str, int]]:
    """Yield rows of earlier months that came with this delivery."""
    for manifest in landed:
        for stream, at in sorted(manifest.streams.items()):
            for of, rows in sorted(at.late_rows.items()):
                yield manifest.source, stream, of, rows


# ---------------------------------------------------------------- timings and lineage


def _timings(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, Any]:
    """Sum the seconds of the last build by kind, and name the slowest nodes."""
    runs = scorecards.read(con, "ops.model_runs", _RUN, "month = ?", [month.start])
    kinds = {kind: [r for r in runs if r[0] == kind] for kind in ("model", "test")}
    slowest = sorted(runs, key=lambda r: (-r[2], r[1]))[:_SLOWEST]
    most = slowest[0][2] if slowest and slowest[0][2] else 1.0
    return {
        "kinds": [
            (kind, len(own), f"{sum(r[2] for r in own):.1f}") for kind, own in kinds.items() if own
        ],
        "total": f"{sum(r[2] for r in runs):.1f}",
        "slowest": [(r[1], f"{r[2]:.2f}", round(r[2] / most * 100)) for r in slowest],
    }


def _steps(home: Home, month: Month) -> dict[str, Any]:
    """Return how long each step took when it ran last, and what lay between arrival and release."""
    steps = step_times.of(home, month)
    waited = step_times.since_arrival(steps)
    return {
        "rows": [
            (s.name, s.source, f"{s.seconds:.1f}", f"{s.cpu_seconds:.1f}", s.is_done) for s in steps
        ],
        "whole": f"{waited[0]:.0f}" if waited else "",
        "worked": f"{waited[1]:.0f}" if waited else "",
    }


def _lineage(
    home: Home, con: duckdb.DuckDBPyConnection, month: Month, landed: Sequence[Manifest]
) -> page_lineage.Lineage:
    rows = scorecards.read(
        *(con, "scorecards.scorecard_kpi_months", {"kpi_id": "varchar"}),
        *("month = ? and status = 'scored'", [month.start]),
    )
    facts = dict(
        scorecards.read(con, "kpis.kpi_definitions", {"kpi_id": "varchar", "fact": "varchar"})
    )
    scored = {kpi: facts[kpi] for (kpi,) in rows if facts.get(kpi)}
    streams = {manifest.source: sorted(manifest.streams) for manifest in landed}
    return page_lineage.trace(streams, _parents(home), scored)


def _parents(home: Home) -> Mapping[str, Sequence[str]]:
    """Return dbt's map of parents as the last build left it; empty before any."""
    file = home.dbt / "target" / "manifest.json"
    if not file.exists():
        return {}
    found: Mapping[str, Sequence[str]] = json.loads(file.read_bytes())["parent_map"]
    return found
