"""The Data Package of an export: one description of its files, that any tool can check.

Frictionless Data Package 2; the CSV is the resource with a schema, the others have their hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfhouse.export_columns import column
from perfhouse.lake import file_sha256

if TYPE_CHECKING:
    from perfhouse.exports import Export, Table
    from perfhouse.month import Month

FILE = "datapackage.json"
_PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
_MEDIA = {
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
}
_TYPES = {
    "DATE": "date",
    "VARCHAR": "string",
    "BOOLEAN": "boolean",
    "INTEGER": "integer",
    "BIGINT": "integer",
}


def write(
    export: Export, table: Table, month: Month, release: str, files: Sequence[Path], folder: Path
) -> Path:
    """Write datapackage.json beside the files it describes."""
    said = {
        "$schema": _PROFILE,
        "name": f"{export.name}_{month}".replace("_", "-"),
        "title": f"{export.title_en} {month} {export.title_zh}",
        "description": "Text of the CSV that a spreadsheet would run as a formula begins with "
        "a quote ('). CSV 中可能被表格软件当作公式执行的文本以单引号开头。",
        "export": export.name,
        "month": month.key,
        "release": release,
        "rows": len(table.rows),
        "resources": [_resource(export, table, file) for file in files],
    }
    path = folder / FILE
    path.write_bytes(as_bytes(said))
    return path


def as_bytes(said: Mapping[str, Any]) -> bytes:
    """Return a Data Package as it is written."""
    return (json.dumps(said, ensure_ascii=False, indent=2) + "\n").encode()


def _resource(export: Export, table: Table, file: Path) -> dict[str, Any]:
    kind = file.suffix.removeprefix(".")
    said: dict[str, Any] = {
        "name": f"{export.name}-{kind}".replace("_", "-"),
        "path": file.name,
        "format": kind,
        "mediatype": _MEDIA[file.suffix],
        "bytes": file.stat().st_size,
        "hash": f"sha256:{file_sha256(file)}",
    }
    if kind != "csv":
        return {**said, "type": "file"}
    fields = [_field(*named) for named in zip(table.columns, table.types, strict=True)]
    schema = {"fields": fields, "primaryKey": list(export.key), "missingValues": [""]}
    return {**said, "type": "table", "encoding": "utf-8", "schema": schema}


def _field(name: str, kind: str) -> dict[str, Any]:
    told = column(name)
    return {
        "name": name,
        "type": _TYPES.get(kind, "number"),
        "title": f"{told.title_en} {told.title_zh}",
        "description": f"{told.meaning_en}. {told.meaning_zh}。",
        "sqlType": kind,
        **({"constraints": dict(told.constraints)} if told.constraints else {}),
    }
