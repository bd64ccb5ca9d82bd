"""The managers' cards: one self-contained HTML page per manager and month, and their index.

Reads a warehouse connection and writes files; it may not judge, publish or know the clock, so
the same warehouse gives the same bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse import card_appeals, card_gates, scorecards
from perfhouse.card_figures import Band
from perfhouse.card_sheet import AgentResult, Person, Sheet
from perfhouse.card_view import card
from perfhouse.month import Month

if TYPE_CHECKING:
    import duckdb
    from jinja2 import Environment

    from perfhouse.evidence import Proof

SIZE_LIMIT = 40 * 1024
# How much a card shows, richest first: agents listed, KPI definitions spelled out.
_FULLNESS = ((12, True), (8, True), (12, False), (5, False), (4, False), (2, False), (0, False))
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RUN_BEFORE_CARDS = ("raw", "facts", "scorecards")


def render_all(
    con: duckdb.DuckDBPyConnection,
    month: Month,
    out_dir: Path,
    *,
    release: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write every manager's card of a month and `index.html`; return their paths, cards first.

    Args:
        con: the warehouse, read only.
        month: months before it are read for the trend, later ones never.
        out_dir: created when missing; cards that lie there are replaced.
        release: what the page is published as; only its `number` is shown.
    """
    sheet = read_sheet(con, month, release)
    names = file_names(total.manager_id for total in sheet.totals)
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = []
    for total in sheet.totals:
        path = out_dir / names[total.manager_id]
        path.write_bytes(render_card(sheet, total))
        paths.append(path)
    index = out_dir / "index.html"
    gates = card_gates.read(con, month, _RUN_BEFORE_CARDS)
    index.write_bytes(_render_index(sheet, names, gates))
    return [*paths, index]


def render_card(sheet: Sheet, total: scorecards.Total) -> bytes:
    """Render one card; one that would pass 40 KiB leaves agents and definitions out.

    Room is left for the evidence of a release, which `with_evidence` puts on it.
    """
    template = _environment().get_template("card.html")
    page = b""
    for agents, with_definitions in _FULLNESS:
        view = card(sheet, total, agents, with_definitions)
        page = template.render(c=view, css=_css()).encode()
        if len(page) <= SIZE_LIMIT - evidence_room(len(sheet.totals)):
            break
    return page


def evidence_room(managers: int) -> int:
    """Return the bytes to leave for the proof on a card: two paths grow with the managers."""
    return 1600 + 2 * 44 * managers.bit_length()


def with_evidence(page: bytes, proof: Proof) -> bytes:
    """Return a card with its proof in the places that are left for it."""
    from markupsafe import escape

    values = {
        "root_start": proof.merkle_root[:16],
        "row_start": proof.row_sha256[:16],
        "root": proof.merkle_root,
        "row": proof.row_sha256,
        "proof": proof.text,
    }
    for name, value in values.items():
        place = f" data-v={name}>".encode()
        page = page.replace(place, place + str(escape(value)).encode())
    return page


def file_names(manager_ids: Iterable[str]) -> dict[str, str]:
    """Name each manager's file by id; an id that is no plain file name becomes a digest.

    Ids that differ only by case would share a file on some disks: they become digests too.
    """
    ids = list(manager_ids)
    taken = Counter(i.lower() for i in ids)
    names = {}
    for manager_id in ids:
        plain = _SAFE_NAME.fullmatch(manager_id) and taken[manager_id.lower()] == 1
        if not plain or manager_id.lower() == "index":
            digest = hashlib.sha256(manager_id.encode()).hexdigest()[:12]
            names[manager_id] = f"manager-{digest}.html"
        else:
            names[manager_id] = f"{manager_id}.html"
    return names


def read_sheet(
    con: duckdb.DuckDBPyConnection, month: Month, release: Mapping[str, Any] | None = None
) -> Sheet:
    """Read everything that the month's cards show."""
    everyone = scorecards.totals(con, month, back=scorecards.TREND_MONTHS - 1)
    history: dict[str, list[scorecards.Total]] = defaultdict(list)
    for total in everyone:
        history[total.manager_id].append(total)
    minimum = scorecards.read(
        con, "config.settings", {"value": "double"}, "name = ?", ["coverage_minimum"]
    )
    return Sheet(
        month=month.start,
        totals=tuple(t for t in everyone if t.month == month.start),
        history=history,
        bands=_bands(con, month),
        scores=scorecards.kpi_scores(con, month),
        medians=_medians(con, month),
        definitions=scorecards.definitions(con),
        people=_people(con, month),
        agents=_agents(con, month),
        parts=scorecards.team_parts(con, month),
        appeals=card_appeals.read(con, month),
        appeal_by=card_appeals.deadline(con, month),
        grades=_grades(con),
        coverage_minimum=minimum[0][0] if minimum else None,
        verdicts=tuple(v for v in scorecards.verdicts(con, month) if v.gate in _RUN_BEFORE_CARDS),
        release=f"{month}.r{release['number']}" if release and release.get("number") else None,
    )


# ---------------------------------------------------------------- reading


def _bands(con: duckdb.DuckDBPyConnection, month: Month) -> dict[Any, Band]:
    """Quartiles of the total by month and role, where enough peers have one."""
    first = month.plus(1 - scorecards.TREND_MONTHS).start
    rows = con.execute(
        "select cast(month as date), role, "
        "quantile_cont(cast(total_score as double), [0.25, 0.75]) "
        "from scorecards.scorecard_manager_months "
        "where month between ? and ? and total_score is not null "
        "group by all having count(*) >= ?",
        [first, month.start, scorecards.MINIMUM_PEERS],
    ).fetchall()
    return {(row[0], row[1]): Band(*row[2]) for row in rows}


def _medians(con: duckdb.DuckDBPyConnection, month: Month) -> dict[Any, float]:
    """Median value of each KPI by role, where enough peers were scored."""
    rows = con.execute(
        "select managers.role, kpis.kpi_id, median(cast(kpis.value as double)) "
        "from scorecards.scorecard_kpi_months as kpis "
        "join scorecards.scorecard_manager_months as managers using (month, manager_id) "
        "where month = ? and kpis.status = 'scored' and kpis.value is not null "
        "group by all having count(*) >= ?",
        [month.start, scorecards.MINIMUM_PEERS],
    ).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


def _people(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, Person]:
    columns = {
        "manager_id": "varchar",
        "display_name": "varchar",
        "team_id": "varchar",
        "team_name": "varchar",
    }
    rows = scorecards.read(con, "core.dim_managers", columns, "month = ?", [month.start])
    return {
        manager_id: Person(None if name == manager_id else name, team_name or team_id)
        for manager_id, name, team_id, team_name in rows
    }


def _agents(con: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[AgentResult]]:
    """Each agent's sums by KPI, only within the team of the manager they are credited to."""
    if not scorecards.columns_of(con, "kpis", "kpi_employee_months"):
        return {}
    columns = {"employee_id": "varchar", "display_name": "varchar", "valid_from": "date"}
    known = scorecards.read(con, "core.dim_employees", columns, "month = ?", [month.start])
    names = {row[0]: row[1] for row in sorted(known, key=lambda r: (r[0], str(r[2]), str(r[1])))}
    rows = con.execute(
        "select manager_id, employee_id, kpi_id, "
        "cast(sum(numerator) as double), cast(sum(denominator) as double) "
        "from kpis.kpi_employee_months where month = ? "
        "and manager_id is not null and employee_id is not null and employee_id <> manager_id "
        "group by all order by all",
        [month.start],
    ).fetchall()
    found: dict[str, list[AgentResult]] = defaultdict(list)
    for manager_id, employee_id, kpi_id, numerator, denominator in rows:
        name = names.get(employee_id) or employee_id
        found[manager_id].append(
            AgentResult(employee_id, name, kpi_id, numerator or 0.0, denominator or 0.0)
        )
    return dict(found)


def _grades(con: duckdb.DuckDBPyConnection) -> tuple[tuple[str, float], ...]:
    rows = scorecards.read(con, "config.grades", {"grade": "varchar", "from_score": "double"})
    return tuple(sorted(rows, key=lambda row: (-row[1], row[0])))


# ---------------------------------------------------------------- rendering


def _render_index(
    sheet: Sheet, names: Mapping[str, str], gates: tuple[card_gates.Gate, ...]
) -> bytes:
    managers = [
        {
            "manager_id": t.manager_id,
            "href": names[t.manager_id],
            "total": None if t.total_score is None else f"{t.total_score:.1f}",
            "grade": t.grade,
            "status": t.status,
        }
        for t in sheet.totals
    ]
    template = _environment().get_template("index.html")
    return template.render(
        month=f"{sheet.month:%Y-%m}",
        managers=managers,
        gates=gates,
        release=sheet.release,
        css=_css(),
    ).encode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_templates()),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _css() -> Any:
    """Read our own style sheet, the one text that is not escaped."""
    from markupsafe import Markup

    text = (_templates() / "card.css").read_text(encoding="utf-8")
    return Markup(text.replace("\n", ""))  # noqa: S704 - our own file


def _templates() -> Path:
    return Path(__file__).resolve().parent / "templates"
