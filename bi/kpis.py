"""KPI definitions as the dbt project has them, for names and metrics of dashboards.

Reads YAML only; it may not know a company or a number.
"""

from __future__ import annotations

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

    @property
    def d3_format(self) -> str:
        """Return how Superset writes a value."""
        return {"rate": ".1%", "ratio": ".1%", "seconds": ",.0f"}.get(self.unit, ",.2f")

    @property
    def expression(self) -> str:
        """Return the value of any set of rows: sums first, then one division.

        Where small samples are hidden one of the two sums is null; such a row counts in neither.
        """
        known = f"kpi_id = '{self.id}' and numerator is not null and denominator is not null"
        return (
            f"sum(numerator) filter (where {known})"
            f" / nullif(sum(denominator) filter (where {known}), 0)"
        )


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
                    )
                )
    return tuple(sorted(found, key=lambda kpi: kpi.id))
