"""One source of a company landed for a month from a real server, and its rows read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
from suite.kit import source_of

from connectors import landing
from perfhouse.company import Company
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home


@dataclass
class Landed:
    """A home to land in; `source` is a [[sources]] table in TOML."""

    root: Path
    source: str
    zone: str = "Asia/Shanghai"
    said: list[str] = field(default_factory=list)

    @property
    def home(self) -> Home:
        return Home(self.root / "home").ensure()

    def ingest(self, month: str) -> Manifest:
        source = source_of(self.source, self.zone)
        company = cast(Company, SimpleNamespace(time_zone=self.zone, sources=(source,)))
        (self.root / "data").mkdir(exist_ok=True)
        return landing.ingest(
            source, company, Month(month), self.root / "data", self.home, self.said.append
        )

    def rows(self, manifest: Manifest, stream: str, key: str) -> dict[str, dict[str, Any]]:
        """Return the landed rows by their key, instants as UTC text, counted once each."""
        files = [str(self.home.root / f.path) for f in manifest.streams[stream].files]
        if not files:
            return {}
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            found = con.execute("select * from read_parquet(?)", [files]).to_arrow_table()
        rows = found.to_pylist()
        keyed = {str(row[key]): row for row in rows}
        assert len(keyed) == len(rows), f"{stream}: {key} is not unique"
        return keyed


def utc(value: Any) -> str | None:
    """Write an instant as systems do: 2026-09-01T01:00:00Z."""
    return None if value is None else f"{value:%Y-%m-%dT%H:%M:%SZ}"
