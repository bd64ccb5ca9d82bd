"""One SQL source of one stream, extracted or ingested, for tests against real databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from unit.connectors.landing_kit import MONTH, OWNER, Place, company

from connectors import sql
from connectors.base import ExtractContext, effective
from perfhouse.company import ColumnMapping, Source, StreamMapping
from perfhouse.month import Month

__all__ = ["MONTH", "OWNER", "Place"]

COLUMNS = {
    "ticket_id": ColumnMapping(source="id"),
    "created_at": ColumnMapping(source="created_at"),
    "source_updated_at": ColumnMapping(source="created_at"),
}


def desk(url: str, query: str, key: str = "id", **options: Any) -> Source:
    """A source of tickets; options of the stream are given by name, `source=` holds the rest."""
    given = dict(options.pop("source", {}))
    zone = given.pop("time_zone", "UTC")
    columns = {**COLUMNS, **options.pop("columns", {}), "ticket_id": ColumnMapping(source=key)}
    stream = StreamMapping("tickets", {"query": query, **options}, None, columns, ())
    return Source(
        "desk", "sql", OWNER, "0 3 1 * *", True, zone, {"url": url, **given}, (stream,)
    )  # fmt: skip


def extract(
    source: Source,
    folder: Path,
    zone: str = "UTC",
    month: Month = MONTH,
    between: Callable[[], None] = lambda: None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, pa.Table]:
    """Extract all streams and read what was archived; `between` runs after each stream."""
    folder.mkdir(parents=True, exist_ok=True)
    context = ExtractContext(company(zone), folder, folder, progress)
    found = {}
    for item in sql.CONNECTOR.extract(effective(source), month, context):
        target = folder / item.name
        item.save(target)
        found[item.streams[0]] = pq.read_table(target)
        between()
    return found


def one(source: Source, folder: Path, **keys: Any) -> pa.Table:
    return extract(source, folder, **keys)["tickets"]
