"""The raw gate: did every source deliver this month, is it whole, and are its people known?

Judges what landed for the month's window, file by file and stream by stream; it may not mend,
read a source system or look into the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from expectations import likeness, people, roster
from expectations.deliveries import delivery_rules, people_rules
from expectations.rules import Rule, quoted
from expectations.stream_rules import stream_rules
from perfhouse import lake, warehouse
from perfhouse.hashing import sha256_of
from perfhouse.lake import file_sha256
from perfhouse.month import Month

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

_TABLES = {
    "deliveries": "source varchar, owner varchar, required boolean, delivered boolean",
    "counts": "source varchar, stream varchar, required boolean, rows_read bigint, "
    "outside_window bigint, rows_in bigint, landed bigint, duplicates bigint, "
    "quarantined bigint, recounted bigint, previous_landed bigint",
    "details": "source varchar, stream varchar, kind varchar, what varchar, rows bigint",
    "broken_files": "source varchar, stream varchar, path varchar, fault varchar",
}


def subject(case: Case) -> str:
    """Return the hash of the deliveries this gate judges: windows from the month to as-of."""
    months = {month.key for month in case.month.until(case.as_of)}
    found = [
        item
        for item in lake.inputs(case.home, case.month, case.as_of, case.company.look_back)
        if str(item["month"]) in months
    ]
    return sha256_of(found)


def prepare(con: DuckDBPyConnection, case: Case) -> tuple[Rule, ...]:
    """Lay out deliveries, counts, streams, roster and people; return the rules over them."""
    present = _lay_out(con, case)
    roster.prepare(con, case.month, _roster_files(case))
    likeness.prepare(con, present, _files_before(case))
    return tuple(
        [
            *delivery_rules(case),
            *(rule for name in present for rule in stream_rules(name, case)),
            *likeness.rules(case),
            *roster.rules(case),
            *people_rules(case),
        ]
    )


def strangers(con: DuckDBPyConnection, case: Case) -> list[people.Stranger]:
    """Return the ids of a landed month that a person should look at; needs no verdict."""
    _lay_out(con, case)
    return people.strangers(con, case.month)


def _lay_out(con: DuckDBPyConnection, case: Case) -> list[str]:
    """Make the tables of deliveries, streams and people; return the streams that landed."""
    for name, columns in _TABLES.items():
        con.execute(f"create table {name} ({columns})")
    _deliveries(con, case)
    present = _streams(con, case)
    people.prepare(con, case, present)
    return present


def _deliveries(con: DuckDBPyConnection, case: Case) -> None:
    for source in case.company.sources:
        manifest = lake.read_manifest(case.home, source.id, case.month)
        con.execute(
            "insert into deliveries values (?, ?, ?, ?)",
            [source.id, source.owner, source.required, manifest is not None],
        )
        if manifest is None:
            continue
        before = lake.read_manifest(case.home, source.id, case.month.plus(-1))
        for name, stream in sorted(manifest.streams.items()):
            earlier = before.streams.get(name) if before else None
            _count(con, case, source, name, stream, earlier.landed if earlier else None)


def _count(
    con: DuckDBPyConnection, case: Case, source: Any, name: str, stream: Any, previous: int | None
) -> None:
    recounted = 0
    for file in stream.files:
        fault, found = _inspect(con, case, file)
        recounted += found
        if fault:
            con.execute(
                "insert into broken_files values (?, ?, ?, ?)", [source.id, name, file.path, fault]
            )
    con.execute(
        "insert into counts values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            *(source.id, name, source.required, stream.rows_read, stream.outside_window),
            *(stream.rows_in, stream.landed, stream.duplicates, stream.quarantined),
            *(recounted, previous),
        ],
    )
    details = [("reason", what, n) for what, n in sorted(stream.reasons.items())]
    details += [("late", what, n) for what, n in sorted(stream.late_rows.items())]
    details += [("refused", stream.refused, 0)] if stream.refused else []
    details += [("undeclared", what, 0) for what in sorted(stream.undeclared_fields)]
    for field, reasons in sorted(stream.unknown.items()):
        details += [("unknown", f"{field}, {why}", n) for why, n in sorted(reasons.items())]
    warehouse.insert(con, "details", [(source.id, name, *d) for d in details])


def _inspect(con: DuckDBPyConnection, case: Case, file: Any) -> tuple[str, int]:
    """Return what is wrong with a landed file, and how many rows it really holds."""
    path = case.home.root / file.path
    if not path.exists():
        return "missing", 0
    if file_sha256(path) != file.sha256:
        return "changed since it landed", 0
    found = con.execute("select count(*) from read_parquet(?)", [str(path)]).fetchall()[0][0]
    return ("" if found == file.rows else f"holds {found} rows, said {file.rows}"), int(found)


def _streams(con: DuckDBPyConnection, case: Case) -> list[str]:
    """Make a view `raw_<stream>` over what landed for the month; return those made."""
    files: dict[str, list[str]] = {}
    broken = {row[0] for row in con.execute("select path from broken_files").fetchall()}
    for stream, path in _files(case, case.month):
        if path not in broken:
            files.setdefault(stream, []).append(str(case.home.root / path))
    present = sorted(stream for stream in files if stream in case.streams)
    for stream in present:
        # a column that is younger than the landed files is empty
        declared = ", ".join(
            f"cast(null as {column.type}) as {column.name}"
            for column in case.streams[stream].columns
        )
        con.execute(
            f"create view raw_{stream} as select {declared} where false union all by name "
            f"select * from read_parquet({_list(files[stream])}, union_by_name = true) "
            "where coalesce(_op, 'upsert') <> 'delete'"
        )
    return present


def _files(case: Case, month: Month) -> Iterator[tuple[str, str]]:
    for source in case.company.sources:
        manifest = lake.read_manifest(case.home, source.id, month)
        if manifest is None:
            continue
        for name, stream in sorted(manifest.streams.items()):
            yield from ((name, file.path) for file in stream.files)


def _files_before(case: Case) -> dict[str, list[str]]:
    """Return the files of the month before that are there, by stream."""
    found: dict[str, list[str]] = {}
    for stream, path in _files(case, case.month.plus(-1)):
        if (case.home.root / path).exists():
            found.setdefault(stream, []).append(str(case.home.root / path))
    return found


def _roster_files(case: Case) -> list[str]:
    """Return the roster's files: the month's own, else the newest of the three months before."""
    for back in range(4):
        month = case.month.plus(-back)
        paths = [str(case.home.root / p) for s, p in _files(case, month) if s == "hr_roster"]
        existing = [path for path in paths if _exists(path)]
        if existing:
            return existing
    return []


def _exists(path: str) -> bool:
    from pathlib import Path

    return Path(path).exists()


def _list(paths: Sequence[str]) -> str:
    return f"[{', '.join(map(quoted, paths))}]"
