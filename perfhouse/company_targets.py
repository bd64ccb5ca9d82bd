"""Targets and weights of the KPIs, read from a CSV and checked row by row.

This module may not know how a score is computed.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from perfhouse.company_types import Target
from perfhouse.config_reader import did_you_mean, parse_day

COLUMNS = (
    "kpi_id",
    "role",
    "team_id",
    "floor",
    "target",
    "stretch",
    "weight",
    "valid_from",
    "valid_to",
    "version",
    "announced_on",
    "approved_by",
)
OPTIONAL = ("approved_on",)
PROPOSED = ("kpi_id", "role", "floor", "target", "stretch", "weight")
_FOREVER = date.max


class Row:
    """One line of a CSV of the company; notes its problems under `name line N column`."""

    def __init__(self, cells: Mapping[str, str], place: str, problems: list[str]) -> None:
        self.cells = cells
        self.place = place
        self.problems = problems

    def problem(self, column: str, expected: str) -> None:
        """Note what was expected in a column, and what is there."""
        got = self.cells.get(column, "")
        self.problems.append(f"{self.place}, {column}: expected {expected}, got {got!r}")

    def text(self, column: str, default: str | None = None, expected: str = "text") -> str:
        """Return text; without a default it is required."""
        value = (self.cells.get(column) or "").strip()
        if not value and default is None:
            self.problem(column, expected)
        return value or default or ""

    def number(self, column: str, above: float | None = None) -> float:
        """Return a finite number, above a bound if one is given."""
        try:
            value = float(self.cells.get(column) or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (above is not None and value <= above):
            self.problem(column, "a number" + (f" above {above:g}" if above is not None else ""))
            return 0.0
        return value

    def month_start(self, column: str) -> date | None:
        """Return the first day of a month, or None."""
        value = (self.cells.get(column) or "").strip()
        found = parse_day(value)
        if value and (found is None or found.day != 1):
            self.problem(column, "the first day of a month such as 2026-09-01")
        return found

    def day(self, column: str) -> date | None:
        """Return a day, which is required."""
        found = parse_day((self.cells.get(column) or "").strip())
        if found is None:
            self.problem(column, "a day such as 2026-08-20")
        return found


def read_targets(
    file: Path, problems: list[str], kpis: Mapping[str, str] | None = None
) -> tuple[Target, ...]:
    """Return the targets of a file, sorted; notes every problem by line and column.

    `kpis`: 'up' or 'down' by KPI that exists, None leaves both unchecked.
    """
    cells = read_rows(file, problems, COLUMNS, OPTIONAL)
    targets = []
    for line, row in cells:
        target = _target(Row(row, f"{file.name}: line {line}", problems), kpis)
        if target is not None:
            targets.append((line, target))
    _overlaps(file.name, targets, problems)
    return tuple(target for _, target in sorted(targets, key=lambda pair: _order(pair[1])))


def read_proposals(
    file: Path, problems: list[str], kpis: Mapping[str, str] | None = None
) -> tuple[Target, ...]:
    """Return what a KPI pack proposes by KPI and role; it has no dates and no approval."""
    place = f"pack {file.parent.name}: {file.name}"
    found = []
    for line, cells in read_rows(file, problems, PROPOSED, (), place):
        row = Row(cells, f"{place}: line {line}", problems)
        noted = len(problems)
        kpi_id, levels = _levels(row, kpis)
        if len(problems) == noted:
            role = row.text("role", "*")
            proposed = Target(
                *(kpi_id, role, "*", *levels),
                valid_from=date.min,
                valid_to=None,
                version="",
                announced_on=date.min,
                approved_by="",
            )
            found.append((line, proposed))
    _overlaps(place, found, problems)
    return tuple(target for _, target in sorted(found, key=lambda pair: _order(pair[1])))


def read_rows(
    file: Path,
    problems: list[str],
    columns: Sequence[str],
    optional: Sequence[str],
    place: str | None = None,
) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of a CSV with their numbers, none if its header does not fit."""
    name = place or file.name
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        problems.append(f"{name}: expected the file {file}, found none")
        return []
    except (OSError, UnicodeDecodeError) as error:
        reason = type(error).__name__
        problems.append(f"{name}: expected a readable UTF-8 file, got {reason}")
        return []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in reader.fieldnames or []]
        reader.fieldnames = header
        if not _header_fits(name, header, problems, columns, optional):
            return []
        return [(reader.line_num, row) for row in reader if any(row.values())]
    except csv.Error as error:
        problems.append(f"{name}: line {reader.line_num}: expected CSV, got {error}")
        return []


def _header_fits(
    name: str,
    header: list[str],
    problems: list[str],
    columns: Sequence[str],
    optional: Sequence[str],
) -> bool:
    missing = [column for column in columns if column not in header]
    unknown = [column for column in header if column not in (*columns, *optional)]
    if missing:
        problems.append(f"{name}: header: expected also {', '.join(missing)}")
    for column in unknown:
        hint = did_you_mean(column, (*columns, *optional))
        problems.append(f"{name}: header: unknown column {column!r}{hint}")
    return not missing and not unknown


def _levels(
    row: Row, kpis: Mapping[str, str] | None
) -> tuple[str, tuple[float, float, float, float]]:
    """Return the KPI of a line, and its floor, target, stretch and weight."""
    noted = len(row.problems)
    kpi_id = row.text("kpi_id")
    if kpis is not None and kpi_id and kpi_id not in kpis:
        row.problem("kpi_id", f"a known KPI{did_you_mean(kpi_id, kpis)}")
    levels = (row.number("floor"), row.number("target"), row.number("stretch"))
    wrong = _wrong_order(levels, (kpis or {}).get(kpi_id, ""))
    if wrong and len(row.problems) == noted:
        got = ", ".join(f"{level:g}" for level in levels)
        row.problems.append(f"{row.place}: expected {wrong} of {kpi_id}, got {got}")
    return kpi_id, (*levels, row.number("weight", above=0))


def _wrong_order(levels: tuple[float, float, float], direction: str) -> str:
    """Return how the levels of a KPI should be ordered, nothing if they are."""
    floor, target, stretch = levels
    orders = {
        "up": ("floor < target < stretch", floor < target < stretch),
        "down": ("floor > target > stretch", floor > target > stretch),
    }
    if direction not in orders:
        in_order = any(is_so for _, is_so in orders.values())
        return "" if in_order else "floor < target < stretch (or all >, where less is better)"
    words, is_so = orders[direction]
    return "" if is_so else f"{words} (its direction is {direction!r})"


def _target(row: Row, kpis: Mapping[str, str] | None) -> Target | None:
    noted = len(row.problems)
    kpi_id, (floor, target, stretch, weight) = _levels(row, kpis)
    valid_from, valid_to = validity(row)
    announced_on, approved_on = announcement(row, valid_from)
    version = row.text("version")
    approved_by = row.text("approved_by", expected="who approved it, for no other target counts")
    if valid_from is None or announced_on is None or len(row.problems) > noted:
        return None
    return Target(
        kpi_id=kpi_id,
        role=row.text("role", "*"),
        team_id=row.text("team_id", "*"),
        floor=floor,
        target=target,
        stretch=stretch,
        weight=weight,
        valid_from=valid_from,
        valid_to=valid_to,
        version=version,
        announced_on=announced_on,
        approved_by=approved_by,
        approved_on=approved_on,
    )


def validity(row: Row) -> tuple[date | None, date | None]:
    """Return from which month a line holds, and up to which, excluded."""
    valid_from, valid_to = row.month_start("valid_from"), row.month_start("valid_to")
    if not (row.cells.get("valid_from") or "").strip():
        row.problem("valid_from", "the first day of a month such as 2026-09-01")
    if valid_from and valid_to and valid_to <= valid_from:
        row.problem("valid_to", f"a day after {valid_from}, or nothing for an open end")
    return valid_from, valid_to


def announcement(row: Row, valid_from: date | None) -> tuple[date | None, date | None]:
    """Return when a line was announced, before it holds, and when approved, if that is told."""
    announced_on = row.day("announced_on")
    if announced_on and valid_from and announced_on >= valid_from:
        row.problem(
            "announced_on",
            f"a day before {valid_from}, for a target set inside a month applies from the next",
        )
    approved_on = row.day("approved_on") if row.cells.get("approved_on") else None
    if approved_on and announced_on and approved_on > announced_on:
        row.problem("approved_on", f"a day not after {announced_on}, when it was announced")
    return announced_on, approved_on


def _order(target: Target) -> tuple[str, str, str, date]:
    return (target.kpi_id, target.role, target.team_id, target.valid_from)


def _overlaps(name: str, targets: list[tuple[int, Target]], problems: list[str]) -> None:
    ordered = sorted(targets, key=lambda pair: _order(pair[1]))
    for (line, one), (other_line, other) in itertools.pairwise(ordered):
        same = _order(one)[:3] == _order(other)[:3]
        if same and other.valid_from < (one.valid_to or _FOREVER):
            first, second = sorted((line, other_line))
            problems.append(
                f"{name}: lines {first} and {second}: expected one target of {one.kpi_id} for "
                f"role {one.role} and team {one.team_id} at a time, got two for {other.valid_from}"
            )
