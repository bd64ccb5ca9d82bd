"""Results to files: one JSON per benchmark, one README with all tables.

Writes into the results folder and nowhere else; the documentation site shows the README's tables.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT

RESULTS = ROOT / "benchmarks" / "results"
ORDER = (
    "landing",
    "sources",
    "sftp",
    "transform",
    "kpis",
    "months",
    "business_minutes",
    "fairness",
    "faults",
    "pipeline",
    "backfill",
    "scheduler",
    "cards",
    "startup",
    "mart",
    "bi_rights",
    "torture",
)
_HEAD = """\
# Results

Written by `make bench`; do not edit. What is measured, how, and what falls short:
[docs/benchmarks.md](../../docs/benchmarks.md). The JSON files beside this one hold every run.
"""


@dataclass(frozen=True)
class Table:
    """One table for people; cells are text already."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Report:
    """What a benchmark found: `data` for machines, `tables` and `notes` for people."""

    name: str
    settings: dict[str, Any]
    data: list[dict[str, Any]]
    tables: Sequence[Table]
    notes: Sequence[str] = field(default=())


def write(report: Report, machine: dict[str, Any], folder: Path) -> Path:
    """Write one report and the README of all reports that lie in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}.json"
    body = {"benchmark": report.name, "machine": machine, **asdict(report)}
    del body["name"]
    path.write_text(_json(body) + "\n", encoding="utf-8")
    sections = _sections(folder)
    (folder / "README.md").write_text(f"{_HEAD}\n{sections}", encoding="utf-8")
    return path


def _json(value: Any, depth: int = 0) -> str:
    """Return JSON in which a record of a list is one line, unless records lie in it."""
    if depth > 1 and not _has_records(value):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_json(part, depth + 1)}" for key, part in value.items()]
        begin, end = "{", "}"
    elif isinstance(value, list | tuple):
        inner = [_json(part, depth + 1) for part in value]
        begin, end = "[", "]"
    else:
        return json.dumps(value, ensure_ascii=False)
    if not inner:
        return begin + end
    space = "\n" + " " * (depth + 1)
    return f"{begin}{space}{f',{space}'.join(inner)}\n{' ' * depth}{end}"


def _has_records(value: Any) -> bool:
    """Tell whether lists or mappings lie in those that lie in a value."""
    return any(
        _parts(deep) is not None for part in _parts(value) or () for deep in _parts(part) or ()
    )


def _parts(value: Any) -> list[Any] | None:
    """Return what lies in a list or a mapping; None of anything else."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else None


def _sections(folder: Path) -> str:
    paths = [folder / f"{name}.json" for name in ORDER]
    found = [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.exists()]
    return "\n".join(_section(body) for body in found)


def _section(body: dict[str, Any]) -> str:
    lines = [f"### {body['benchmark']}", "", _machine(body["machine"]), ""]
    for table in body["tables"]:
        lines += [f"**{table['title']}**", "", *_rows(table), ""]
    lines += [f"- {note}" for note in body["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def _rows(table: dict[str, Any]) -> list[str]:
    rule = ["---", *["---:"] * (len(table["columns"]) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (table["columns"], rule, *table["rows"])]


def _machine(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}; {versions}; commit {machine['commit']}; "
        f"load when it began {machine['load_before']}."
    )


def number(value: float, digits: int = 0) -> str:
    """Write a number with thousands separators."""
    return f"{value:,.{digits}f}"


def times(value: float) -> str:
    """Write a ratio."""
    return f"{value:.2f}x"
