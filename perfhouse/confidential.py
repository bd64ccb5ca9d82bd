"""What earlier releases of a month showed of confidential answers.

Beside what is public already, a restatement must not show what one person answered. Reads releases
only; what follows from them is decided in SQL (kpi_confidential_cells).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perfhouse import warehouse
from perfhouse.month import Month
from perfhouse.settings import Home

WHOLE = "*"  # the team of a row that is about all of a manager's answers
_TABLES = ("kpi_definitions", "scorecard_kpi_months", "scorecard_team_months")
_ROWS = """
select
    k.kpi_id,
    k.manager_id,
    {team},
    cast(? as bigint) as release_number,
    cast(k.numerator as double),
    cast(k.denominator as double)
from read_parquet(?) as k
inner join read_parquet(?) as d
    on k.kpi_id = d.kpi_id and k.kpi_version = d.version
where d.is_suppressed and k.numerator is not null
order by all
"""


def released(home: Home, month: Month) -> list[tuple[Any, ...]]:
    """List what every release of a month showed: KPI, manager, team, release, the two sums.

    Of a KPI whose answers are confidential only; the team is '*' for the whole of a manager.
    """
    con = warehouse.connect()
    try:
        found: list[tuple[Any, ...]] = []
        for folder in _releases(home, month):
            number, parquet = int(folder.name[1:]), folder / "parquet"
            definitions, whole, teams = (str(parquet / f"{name}.parquet") for name in _TABLES)
            of_all = _ROWS.format(team=f"'{WHOLE}'")
            found += con.execute(of_all, [number, whole, definitions]).fetchall()
            of_teams = _ROWS.format(team="k.team_id")
            found += con.execute(of_teams, [number, teams, definitions]).fetchall()
        return found
    finally:
        con.close()


def carry(home: Home, other: Home, month: Month, before: int) -> None:
    """Show another home what releases of a month before number `before` showed."""
    for folder in _releases(home, month):
        if int(folder.name[1:]) >= before:
            continue
        target = other.published / str(month) / folder.name / "parquet"
        target.mkdir(parents=True, exist_ok=True)
        for name in _TABLES:
            link = target / f"{name}.parquet"
            if not link.exists():
                link.symlink_to((folder / "parquet" / link.name).resolve())


def _releases(home: Home, month: Month) -> list[Path]:
    folders = (home.published / str(month)).glob("r[0-9]*/parquet")
    return sorted((each.parent for each in folders), key=lambda each: int(each.name[1:]))
