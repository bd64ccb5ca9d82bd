"""A small company with one source, for landing tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb

from connectors import landing
from perfhouse.company import ColumnMapping, Company, Source, StreamMapping
from perfhouse.lake import Manifest
from perfhouse.month import Month
from perfhouse.settings import Home

OWNER = "Desk <desk@example.com>"
MONTH = Month("2026-09")


def column(source: str | None = None, **keys: Any) -> ColumnMapping:
    return ColumnMapping(source=source, **keys)


SURVEY = {
    "response_id": column("id"),
    "survey_id": column(value="s1"),
    "survey_kind": column(value="csat"),
    "question_id": column(value="q1"),
    "submitted_at": column("when", format="%d/%m/%Y %H:%M"),
    "score": column("score"),
    "scale_min": column(value=1),
    "scale_max": column(value=5),
}


def mapping(columns: dict[str, ColumnMapping] | None = None, **keys: Any) -> StreamMapping:
    stream = keys.pop("stream", "survey_responses")
    window = keys.pop("window", None)
    ignore = keys.pop("ignore", ())
    options = {"path": "{month}/*", "format": "csv", **keys}
    return StreamMapping(stream, options, window, columns or SURVEY, ignore)


def source(*streams: StreamMapping, **keys: Any) -> Source:
    base = Source(
        id="surveys",
        connector="files",
        owner=OWNER,
        schedule="0 3 1 * *",
        required=True,
        time_zone="Asia/Shanghai",
        options={},
        streams=streams or (mapping(),),
    )
    return replace(base, **keys)


def company(zone: str = "Asia/Shanghai", *sources: Source) -> Company:
    return cast(Company, SimpleNamespace(time_zone=zone, sources=sources or (source(),)))


@dataclass
class Place:
    """A data folder and a home under one temporary folder."""

    root: Path
    zone: str = "Asia/Shanghai"
    said: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def home(self) -> Home:
        return Home(self.root / "home").ensure()

    def put(self, name: str, content: str | bytes, month: str = "2026-09") -> Path:
        path = self.data / month / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, given: Source | None = None, month: Month = MONTH) -> Manifest:
        given = given or source()
        return landing.ingest(
            given, company(self.zone, given), month, self.data, self.home, self.said.append
        )

    def land(self, given: Source) -> Manifest:
        return landing.land(given, company(self.zone, given), MONTH, self.home)

    def rows(self, manifest: Manifest, what: str, stream: str = "survey_responses") -> list[Any]:
        files = [str(self.home.root / f.path) for f in manifest.streams[stream].files]
        return query(f"select {what} from read_parquet(?) order by _file, _row_number", files)

    def bad(self, manifest: Manifest, stream: str = "survey_responses") -> list[Any]:
        file = manifest.streams[stream].quarantine_file
        assert file is not None
        return query(
            "select _row_number, field, reason, raw from read_parquet(?)",
            [str(self.home.root / file)],
        )


def query(sql: str, files: list[str]) -> list[Any]:
    if not files:
        return []
    con = duckdb.connect()
    try:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(sql, [files]).fetchall()
    finally:
        con.close()


def balances(manifest: Manifest) -> bool:
    return all(
        s.rows_in == s.landed + s.duplicates + s.quarantined
        and s.rows_read == s.rows_in + s.outside_window
        and s.landed == sum(f.rows for f in s.files)
        for s in manifest.streams.values()
    )
