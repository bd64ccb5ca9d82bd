"""Pay bands of a company: what a grade or a total is worth, from a CSV checked row by row.

Standard library only; who falls into which band is SQL and not known here.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from pathlib import Path

from perfhouse.company_targets import Row, announcement, read_rows, validity
from perfhouse.config_reader import Table
from perfhouse.export_types import PayrollBand

COLUMNS = (
    *("role", "grade", "from_score", "points", "multiplier"),
    *("valid_from", "valid_to", "version", "announced_on", "approved_by"),
)
OPTIONAL = ("approved_on",)
_SCALE = 6  # decimals that points and multipliers are kept with


def read_bands(folder: Path, top: Table, grades: Collection[str]) -> tuple[PayrollBand, ...]:
    """Read the file that `[payroll] bands` names; without it there is no payroll export.

    Bands come in sets: the lines of one role and one first month. A set goes by grade or by total,
    and leaves nobody out.
    """
    table = top.table("payroll")
    name = table.optional_text("bands")
    table.finish()
    if name is None:
        return ()
    if "/" in name or not name.endswith(".csv"):
        # what decides numbers lies in the folder itself: its tables are hashed and kept
        table.problem("bands", "the name of a .csv file in the company folder itself", name)
        return ()
    file = folder / name
    noted = len(top.problems)
    bands = []
    for line, cells in read_rows(file, top.problems, COLUMNS, OPTIONAL):
        band = _band(Row(cells, f"{name}: line {line}", top.problems), grades)
        if band is not None:
            bands.append(band)
    if len(top.problems) == noted:
        _check_sets(name, bands, grades, top.problems)
    return tuple(sorted(bands, key=_order))


def _band(row: Row, grades: Collection[str]) -> PayrollBand | None:
    noted = len(row.problems)
    grade, from_score = _what(row, grades)
    points, multiplier = row.number("points"), row.number("multiplier")
    if multiplier < 0:
        row.problem("multiplier", "a number from 0")
    for column, value in (("points", points), ("multiplier", multiplier)):
        if round(value, _SCALE) != value:
            row.problem(column, f"at most {_SCALE} decimals")
    valid_from, valid_to = validity(row)
    announced_on, approved_on = announcement(row, valid_from)
    version = row.text("version")
    approved_by = row.text("approved_by", expected="who approved it, for no other band counts")
    if valid_from is None or announced_on is None or len(row.problems) > noted:
        return None
    return PayrollBand(
        row.text("role", "*"), grade, from_score, points, multiplier, valid_from, valid_to,
        version, announced_on, approved_by, approved_on,
    )  # fmt: skip


def _what(row: Row, grades: Collection[str]) -> tuple[str | None, float | None]:
    """Return the grade of a line, or the total it begins with."""
    grade = row.text("grade", "") or None
    has_score = bool(row.text("from_score", ""))
    if (grade is None) != has_score:
        row.problem("grade", "either a grade or a from_score")
        return None, None
    if grade is None:
        from_score = row.number("from_score")
        if not 0 <= from_score <= 120:
            row.problem("from_score", "a number from 0 to 120")
        return None, from_score
    if grade not in grades:
        row.problem("grade", f"one of {', '.join(sorted(grades))}")
    return grade, None


def _order(band: PayrollBand) -> tuple[str, date, str, float]:
    return (band.role, band.valid_from, band.grade or "", band.from_score or 0.0)


def _check_sets(
    name: str, bands: Sequence[PayrollBand], grades: Collection[str], problems: list[str]
) -> None:
    sets: dict[str, dict[date, list[PayrollBand]]] = defaultdict(lambda: defaultdict(list))
    for band in sorted(bands, key=_order):
        sets[band.role][band.valid_from].append(band)
    for role, by_start in sets.items():
        for start, members in by_start.items():
            problems += [
                f"{name}: role {role} from {start}: expected {told}"
                for told in _faults(members, grades)
            ]
        for one, other in itertools.pairwise(by_start.values()):
            if one[0].valid_to is None or one[0].valid_to > other[0].valid_from:
                problems.append(
                    f"{name}: role {role} from {one[0].valid_from}: expected it to end when the "
                    f"bands from {other[0].valid_from} begin"
                )


def _faults(members: Sequence[PayrollBand], grades: Collection[str]) -> list[str]:
    """Say what the bands of a role and a first month must be; nothing if they are."""
    found = []
    by_grade = [band.grade for band in members if band.grade is not None]
    scores = [band.from_score for band in members if band.from_score is not None]
    if by_grade and scores:
        return ["all bands by grade or all by from_score"]
    keys = by_grade or scores
    if len(set(keys)) < len(keys):
        found.append("each grade or from_score once")
    if by_grade and set(grades) - set(by_grade):
        found.append(f"a band for every grade, also {sorted(set(grades) - set(by_grade))}")
    if scores and 0 not in scores:
        found.append("a band from 0, so that every total has one")
    if len({(band.valid_to, band.version) for band in members}) > 1:
        found.append("one valid_to and one version")
    return found
