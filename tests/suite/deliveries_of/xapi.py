"""Statements as a learning system exports them: JSON lines in the folder of the month."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from suite.cases.xapi import moved, without_activity
from suite.cases.xapi import world as statements
from suite.deliveries import Delivery, Row
from suite.kit import SECRET, Record

ZONE = ZoneInfo("Asia/Shanghai")
SOURCE = """
[[sources]]
id = "it"
connector = "xapi"
owner = "Learning <learning@corp.example>"
[[sources.streams]]
stream = "training_records"
"""


def world(count: int) -> list[Record]:
    """Return statements of whom only a mailbox is known, among others."""
    found = statements(count)
    for n, record in enumerate(found):
        if n % 5 == 4:
            record["actor"] = {"mbox": f"mailto:{SECRET}-{n}@corp.example"}
    return found


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)


def put(folder: Path, world: Sequence[Row]) -> None:
    months: dict[str, list[str]] = {}
    for row in world:
        told = row.get("stored") if isinstance(row, dict) else None
        at = datetime.fromisoformat(told).astimezone(ZONE) if isinstance(told, str) else None
        line = _line(row) if isinstance(row, dict) else row
        months.setdefault(f"{at:%Y-%m}" if at else "2026-09", []).append(line)
    for month, lines in (months or {"2026-09": []}).items():
        middle = (len(lines) + 1) // 2
        for name, part in (("a", lines[:middle]), ("b", lines[middle:])):
            path = folder / "xapi" / month / f"{name}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in part), encoding="utf-8")


DELIVERIES = (
    Delivery(
        id="xapi-files",
        connector="xapi",
        source=SOURCE,
        stream="training_records",
        world=world,
        put=put,
        key=lambda record: (record["id"],),
        key_columns=("record_id",),
        required=without_activity,
        moved=moved,
        line=_line,
        files=("xapi/*/*.jsonl",),
        fuzzed=("stored",),
    ),
)
