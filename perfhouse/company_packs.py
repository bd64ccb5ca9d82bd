"""KPI packs: ready sets of KPIs, minimum samples, roles and proposed targets, one folder each.

A pack proposes; its targets count when the company has approved and announced them. Standard
library only.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from perfhouse.company_targets import read_proposals
from perfhouse.company_types import PackChoice, Role, Target
from perfhouse.config_reader import Table, did_you_mean

FILE = "pack.toml"
TARGETS = "targets.csv"
LEADS = ("agents", "managers")
_SHIPPED = Path(__file__).parent / "packs"


def shipped() -> tuple[str, ...]:
    """Return the ids of the packs that come with perfhouse."""
    return tuple(sorted(path.parent.name for path in _SHIPPED.glob(f"*/{FILE}")))


def read_pack(folder: Path, kpis: Table, known: Mapping[str, str] | None) -> PackChoice | None:
    """Return the pack that `[kpis] pack` chooses, or None; notes every problem.

    `pack = "it-support"` proposes; the table form `{ id, version, announced_on, approved_by }`
    approves that version. An id with a slash is a folder inside the company folder.
    """
    value = kpis.take("pack")
    if value is None:
        return None
    if isinstance(value, str):
        return _pack(_folder(folder, kpis, "pack", value), kpis.problems, known)
    choice = kpis.table("pack")
    pack = _pack(_folder(folder, choice, "id", choice.text("id")), choice.problems, known)
    approved = _approved(choice, pack)
    choice.finish()
    return approved


def _folder(company: Path, table: Table, key: str, pack_id: str) -> Path | None:
    where = company / pack_id if "/" in pack_id else _SHIPPED / pack_id
    if pack_id and (where / FILE).is_file():
        return where
    if pack_id:
        names = ", ".join(shipped())
        hint = did_you_mean(pack_id, shipped())
        what = f"one of {names}{hint}, or a folder such as packs/ours that holds {FILE}"
        table.problem(key, what, pack_id)
    return None


def _pack(
    folder: Path | None, problems: list[str], known: Mapping[str, str] | None
) -> PackChoice | None:
    if folder is None:
        return None
    place = f"pack {folder.name}: {FILE}"
    try:
        data = tomllib.loads((folder / FILE).read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{place}: expected TOML in UTF-8, got {error}")
        return None
    top = Table(data, f"{place}: ", problems)
    for key in ("name_en", "name_zh", "purpose_en", "purpose_zh"):
        top.text(key)
    pack = PackChoice(
        id=top.text("id"),
        version=top.text("version"),
        folder=folder,
        choose=_known_kpis(top, known),
        minimum_sample=read_samples(top, known),
        roles=read_roles(top),
        proposals=read_proposals(folder / TARGETS, problems, known),
    )
    top.finish()
    return pack


def _known_kpis(top: Table, known: Collection[str] | None) -> tuple[str, ...]:
    chosen = top.texts("choose")
    if not chosen:
        top.problem("choose", "the KPIs of the pack")
    for index, kpi_id in enumerate(chosen):
        if known is not None and kpi_id not in known:
            top.problem(f"choose[{index}]", f"a known KPI{did_you_mean(kpi_id, known)}", kpi_id)
    return chosen


def read_samples(table: Table, known: Collection[str] | None) -> dict[str, int]:
    """Return the minimum samples by KPI."""
    samples = table.table("minimum_sample")
    for kpi_id in samples.data:
        if known is not None and kpi_id not in known:
            hint = did_you_mean(kpi_id, known)
            samples.problems.append(f"{samples.at(kpi_id)}: expected a known KPI{hint}")
    return {kpi_id: samples.whole(kpi_id, 1, low=1) for kpi_id in samples.data}


def read_roles(top: Table) -> tuple[Role, ...]:
    """Return the rules that give managers their roles; the first that fits decides."""
    roles = []
    for table in top.tables("roles"):
        leads = table.one_of("leads", LEADS) if table.take("leads") is not None else None
        role = Role(
            role=table.text("role"),
            leads=leads,
            job_family=table.texts("job_family"),
            team_id=table.texts("team_id"),
            position_name=table.texts("position_name"),
        )
        table.finish()
        roles.append(role)
    return tuple(roles)


def _approved(choice: Table, pack: PackChoice | None) -> PackChoice | None:
    version, approved_by = choice.text("version"), choice.text("approved_by")
    announced_on, approved_on = choice.day("announced_on"), choice.day("approved_on")
    if choice.take("announced_on") is None:
        choice.problem("announced_on", "the day on which the targets were announced")
    if approved_on and announced_on and approved_on > announced_on:
        choice.problem("approved_on", f"a day not after {announced_on}", str(approved_on))
    if pack is None or announced_on is None:
        return pack
    if version and version != pack.version:
        what = f"{pack.version!r}, for this is the pack now: announce it anew, or keep a copy of it"
        choice.problem("version", what, version)
    return replace(
        pack, approved_by=approved_by, announced_on=announced_on, approved_on=approved_on
    )


def effective(pack: PackChoice | None, own: Sequence[Target]) -> tuple[Target, ...]:
    """Return the company's targets and those of its approved pack that they leave in force.

    A pack's targets hold from the first month that begins after their announcement. A line of the
    company ends, from its first month on, every line of the pack that it covers: of the same KPI,
    of the same role or of any, of the same team or of any.
    """
    if pack is None or pack.announced_on is None or not pack.approved_by:
        return tuple(own)
    day = pack.announced_on
    start = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    taken = []
    for proposal in pack.proposals:
        starts = [line.valid_from for line in own if _covers(line, proposal)]
        end = min(starts, default=None)
        if end is None or end > start:
            taken.append(
                replace(
                    proposal,
                    valid_from=start,
                    valid_to=end,
                    version=f"{pack.id} {pack.version}",
                    announced_on=day,
                    approved_by=pack.approved_by,
                    approved_on=pack.approved_on,
                )
            )
    return tuple(sorted([*own, *taken], key=lambda t: (t.kpi_id, t.role, t.team_id, t.valid_from)))


def _covers(line: Target, proposal: Target) -> bool:
    return (
        line.kpi_id == proposal.kpi_id
        and line.role in ("*", proposal.role)
        and line.team_id in ("*", proposal.team_id)
    )
