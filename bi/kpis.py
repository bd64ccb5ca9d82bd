"""KPI definitions as the dbt project has them, for names and metrics of dashboards.

Reads YAML only; it may not know a company or a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from perfhouse import settings

Words = tuple[str, str]  # Chinese, English


@dataclass(frozen=True)
class Kpi:
    """A KPI of the project: what it is called, and how its values are written."""

    id: str
    name: Words
    definition: Words
    unit: str
    is_of_a_year: bool = False  # each month tells twelve: months are never pooled

    @property
    def d3_format(self) -> str:
        """Return how Superset writes a value."""
        return {"rate": ".1%", "ratio": ".1%", "seconds": ",.0f"}.get(self.unit, ",.2f")

    def expression(self, *, ones: Sequence[str] = ()) -> str:
        """Return SQL of the value of rows of this KPI; `ones` are columns of one value only."""
        months = ("month",) if self.is_of_a_year else ()
        return pooled((*ones, *months), f"kpi_id = '{self.id}'")


def pooled(ones: Sequence[str], rows: str = "", also: str = "") -> str:
    """Return SQL of the value of a set of rows: sums first, then one division, then six digits.

    So does the release round. There is none where it would be another number than a scorecard's:
    with rows of two versions of a definition, two of what must be one, or a row that is hidden.

    Args:
        ones: columns that must have one value among the rows.
        rows: a condition on the rows that count; all, if empty.
        also: a further condition on the whole set.
    """
    only = f" filter (where {rows})" if rows else ""
    hidden = f"{rows} and " if rows else ""
    kept = [
        f"count(*) filter (where {hidden}(numerator is null or denominator is null)) = 0",
        *(f"count(distinct {column}){only} = 1" for column in (*ones, "kpi_version")),
        *((also,) if also else ()),
    ]
    value = f"round(sum(numerator){only} / nullif(sum(denominator){only}, 0), 6)"
    return f"case when {' and '.join(kept)} then {value} end"


@cache
def read() -> tuple[Kpi, ...]:
    """Return every KPI of the project, in the order of ids."""
    found = []
    for file in sorted((settings.project_dir() / "models" / "kpis").glob("*.yml")):
        for metric in yaml.safe_load(file.read_text(encoding="utf-8")).get("metrics") or ():
            said = ((metric.get("config") or {}).get("meta") or {}).get("kpi")
            if said is not None:
                found.append(
                    Kpi(
                        str(said.get("id", metric["name"])),
                        (said["name_zh"], said["name_en"]),
                        (said["definition_zh"], said["definition_en"]),
                        said["unit"],
                        int(said.get("minimum_months", 1)) > 1,
                    )
                )
    return tuple(sorted(found, key=lambda kpi: kpi.id))
