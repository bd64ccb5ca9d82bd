"""The files of one export, read back as any receiver would and held against each other.

Returns what does not fit, in words without values; it may not judge what the numbers are.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from expectations.rules import quoted
from perfhouse.lake import file_sha256

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PACKAGE = "datapackage.json"
_BOM = b"\xef\xbb\xbf"
_FAULTS_TOLD = 10


def read(con: DuckDBPyConnection, folder: Path, stem: str, name: str) -> list[str]:
    """Make the tables `<name>_csv` and `<name>_fields` of an export; return its faults.

    `<name>_csv` holds texts as the CSV has them; `<name>_fields` (place, name, type) what its Data
    Package says of the columns.
    """
    package = json.loads((folder / PACKAGE).read_text(encoding="utf-8"))
    text = folder / f"{stem}.csv"
    con.execute(
        f"create table {name}_csv as select * from read_csv({quoted(text)}, "
        "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', "
        "null_padding = false, strict_mode = true)"
    )
    con.execute(f"create table {name}_fields (place integer, name varchar, type varchar)")
    for place, field in enumerate(_fields(package)):
        said = [place, field["name"], field["sqlType"]]
        con.execute(f"insert into {name}_fields values (?, ?, ?)", said)
    rows = _csv_rows(text)
    faults = [*_package_faults(folder, stem, package, len(rows) - 1)]
    if faults:  # what is not the file that was written need not be readable
        return faults
    return [
        *([] if text.read_bytes().startswith(_BOM) else [f"{text.name}: no byte-order mark"]),
        *_parquet_faults(con, folder / f"{stem}.parquet", package, rows),
        *_xlsx_faults(folder / f"{stem}.xlsx", rows),
    ]


def unguarded(column: str) -> str:
    """Return SQL for a text cell without the quote that guards it."""
    return f"case when starts_with({column}, '''') then substr({column}, 2) else {column} end"


def other_types(agreed: Sequence[tuple[str, str]]) -> str:
    """Return a query over `<name>_fields` for columns whose name or type is not as agreed."""
    wanted = ", ".join(f"({i}, '{n}', '{t}')" for i, (n, t) in enumerate(agreed))
    return (
        "select coalesce(f.name, w.name) as column_name, f.type as found, w.type as agreed "
        f"from batch f full join (values {wanted}) w(place, name, type) "
        "on f.place = w.place where f.name is distinct from w.name "
        "or f.type is distinct from w.type"
    )


def _fields(package: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tables = [each for each in package["resources"] if "schema" in each]
    return list(tables[0]["schema"]["fields"]) if tables else []


def _csv_rows(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


def _package_faults(
    folder: Path, stem: str, package: Mapping[str, Any], rows: int
) -> Iterator[str]:
    wanted = {f"{stem}.{kind}" for kind in ("csv", "parquet", "xlsx")}
    listed = {each["path"]: each for each in package["resources"]}
    found = {path.name for path in folder.iterdir() if path.is_file()} - {PACKAGE}
    for name in sorted(wanted | set(listed) | found):
        if name not in wanted or name not in listed or name not in found:
            yield f"{name}: not agreed, not listed or not there"
        elif f"sha256:{file_sha256(folder / name)}" != listed[name]["hash"]:
            yield f"{name}: differs from {PACKAGE}"
    if package["rows"] != rows:
        yield f"{PACKAGE}: says {package['rows']} rows, the CSV holds {rows}"


def _parquet_faults(
    con: DuckDBPyConnection, path: Path, package: Mapping[str, Any], rows: Sequence[list[str]]
) -> Iterator[str]:
    relation = f"read_parquet({quoted(path)})"
    types = [row[:2] for row in con.execute(f"describe select * from {relation}").fetchall()]
    if types != [(each["name"], each["sqlType"]) for each in _fields(package)]:
        yield f"{path.name}: columns or types differ from {PACKAGE}"
    found = con.execute(f"select cast(columns(*) as varchar) from {relation}").fetchall()
    yield from _cell_faults(path.name, rows, [["" if v is None else v for v in r] for r in found])


def _xlsx_faults(path: Path, rows: Sequence[list[str]]) -> Iterator[str]:
    from python_calamine import CalamineWorkbook

    with zipfile.ZipFile(path) as archive:
        sheets = [
            archive.read(name).decode("utf-8")
            for name in archive.namelist()
            if name.startswith("xl/worksheets/sheet")
        ]
    if any("<f>" in sheet or "<f " in sheet for sheet in sheets):
        yield f"{path.name}: holds a formula"
    if not all("<sheetProtection " in sheet for sheet in sheets):
        yield f"{path.name}: a sheet is not locked"
    yield from _cell_faults(
        path.name, rows, CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python()[1:]
    )


def _cell_faults(
    name: str, rows: Sequence[list[str]], found: Sequence[Sequence[Any]]
) -> Iterator[str]:
    """Compare a file's cells with those of the CSV; name row and column, never a value."""
    header, expected = rows[0], rows[1:]
    if [len(row) for row in found] != [len(row) for row in expected]:
        yield f"{name}: rows or columns differ in number from the CSV"
        return
    wrong = [
        f"{name}: row {number}, {header[at]} differs from the CSV"
        for number, (row, wanted) in enumerate(zip(found, expected, strict=True), start=1)
        for at, (value, text) in enumerate(zip(row, wanted, strict=True))
        if not _same(value, text)
    ]
    yield from wrong[:_FAULTS_TOLD]


def _same(value: Any, text: str) -> bool:
    """Say whether a cell says what a text of the CSV says; a quote may guard that text."""
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, int | float):
        return bool(text) and float(text) == value
    if isinstance(value, date | datetime):
        return text == value.isoformat()[:10]
    return text in (value, f"'{value}")
