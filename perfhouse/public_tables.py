"""Which tables of the warehouse are published, by which key, and which columns never are.

Declarations only; it may not open a warehouse or write a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfhouse.month import Month


@dataclass(frozen=True)
class PublicTable:
    """A warehouse table that is published: the month's rows, ordered by its key."""

    name: str
    schema: str
    key: tuple[str, ...]
    by_month: bool = True

    @property
    def relation(self) -> str:
        """Return the table's name in the warehouse."""
        return f"{self.schema}.{self.name}"

    def where(self, month: Month) -> str:
        """Return the condition that picks the month's rows."""
        return f"month = date '{month.start}'" if self.by_month else "true"


PUBLIC_TABLES = (
    PublicTable("scorecard_kpi_months", "scorecards", ("month", "manager_id", "kpi_id")),
    PublicTable("scorecard_manager_months", "scorecards", ("month", "manager_id")),
    PublicTable(
        "scorecard_team_months", "scorecards", ("month", "team_id", "manager_id", "kpi_id")
    ),
    PublicTable("scorecard_explanations", "scorecards", ("month", "manager_id", "kpi_id")),
    PublicTable("scorecard_appeals", "scorecards", ("month", "manager_id", "appeal_key")),
    PublicTable("scorecard_manager_tree", "scorecards", ("month", "manager_id", "ancestor_id")),
    PublicTable("export_hr_manager_months", "exports", ("month", "employee_number")),
    PublicTable("kpi_references", "kpis", ("month", "kpi_id", "kpi_version", "stratum")),
    PublicTable("kpi_reliabilities", "kpis", ("month", "kpi_id", "kpi_version")),
    PublicTable("kpi_definitions", "kpis", ("kpi_id", "version"), by_month=False),
)
# Columns that name a person; they stay out of everything but the HR export and the cards.
PERSONAL_COLUMNS = frozenset({"display_name", "manager_name", "employee_name", "full_name"})
