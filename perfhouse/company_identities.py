"""Who is behind a source's user id, as a person wrote it down in the company's identity.csv.

This module may not know how ids are matched otherwise.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path

from perfhouse.company_types import Identity
from perfhouse.config_reader import did_you_mean, parse_day

FILE = "identity.csv"
COLUMNS = ("source", "source_user_id", "employee_id", "valid_from", "valid_to", "note")
ANY, NOBODY = "*", "-"


def read_identities(
    folder: Path, problems: list[str], sources: Collection[str]
) -> tuple[Identity, ...]:
    """Return the rows of identity.csv, none without the file; notes problems by line and column.

    A row without an employee says nothing yet and is left out: `perfhouse identities` prints
    such rows to be filled in. Its header may stand in the file again.
    """
    file = folder / FILE
    if not file.exists():
        return ()
    found = []
    for line, cells in _cells(file, problems):
        identity = _identity(f"{FILE}: line {line}", cells, sources, problems)
        if identity is not None:
            found.append((line, identity))
    found.sort(key=lambda pair: _order(pair[1]))
    for (line, one), (other_line, other) in itertools.pairwise(found):
        if _order(one) == _order(other):
            problems.append(
                f"{FILE}: lines {line} and {other_line}: expected one employee for an id from a "
                "day on, got two"
            )
    return tuple(identity for _, identity in found)


def _order(identity: Identity) -> tuple[str, str, date]:
    return (identity.source, identity.source_user_id, identity.valid_from or date.min)


def _cells(file: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{FILE}: expected a readable UTF-8 file, got {type(error).__name__}")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    try:
        for row in reader:
            values = [value.strip() for value in row]
            if not header:
                header = values
                if not _header_fits(header, problems):
                    return
            elif any(values[len(header) :]):
                problems.append(
                    f"{FILE}: line {reader.line_num}: expected {len(header)} cells, got "
                    f"{len(values)}; put a note that holds a comma in double quotes"
                )
            elif any(values) and values != header:
                cells = dict(itertools.zip_longest(header, values[: len(header)], fillvalue=""))
                yield reader.line_num, cells
    except csv.Error as error:
        problems.append(f"{FILE}: line {reader.line_num}: expected CSV, got {error}")


def _header_fits(header: list[str], problems: list[str]) -> bool:
    missing = [column for column in COLUMNS[:3] if column not in header]
    unknown = [column for column in header if column not in COLUMNS]
    if missing:
        problems.append(f"{FILE}: header: expected also {', '.join(missing)}")
    for column in unknown:
        hint = did_you_mean(column, COLUMNS)
        problems.append(f"{FILE}: header: unknown column {column!r}{hint}")
    return not missing and not unknown


def _identity(
    place: str, cells: Mapping[str, str], sources: Collection[str], problems: list[str]
) -> Identity | None:
    noted = len(problems)
    source, user = cells["source"], cells["source_user_id"]
    if source != ANY and source not in sources:
        hint = did_you_mean(source, sources)
        problems.append(f"{place}, source: expected a source's id or *{hint}, got {source!r}")
    if not user:
        problems.append(f"{place}, source_user_id: expected a user id of the source, got nothing")
    valid_from = _day(place, "valid_from", cells, problems)
    valid_to = _day(place, "valid_to", cells, problems)
    if valid_from and valid_to and valid_to <= valid_from:
        problems.append(
            f"{place}, valid_to: expected a day after {valid_from}, or nothing for an open end, "
            f"got {valid_to}"
        )
    if not cells["employee_id"] or len(problems) > noted:
        return None
    return Identity(source, user, cells["employee_id"], valid_from, valid_to)


def _day(place: str, column: str, cells: Mapping[str, str], problems: list[str]) -> date | None:
    text = cells.get(column, "")
    found = parse_day(text)
    if text and found is None:
        problems.append(f"{place}, {column}: expected a day such as 2026-09-16, got {text!r}")
    return found
