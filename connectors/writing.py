"""A landed stream to files: typed rows, quarantine, and every count taken from what was written.

Writes only into the staging folder it is given; the commit is the lake's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from connectors import checking
from connectors.base import Progress
from connectors.casting import ERROR, FIELD, Planned, literal, quoted
from connectors.checking import FILE, HASH, OUTSIDE, RAW, ROW, WRONG
from connectors.reading import ReadFile, Records
from connectors.streams import ENVELOPE, SCHEMA_VERSION, Column, Stream
from perfhouse import lake
from perfhouse.company import Company, Source
from perfhouse.errors import PerfhouseError
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROW_GROUP = 122_880
_PARQUET = f"(format parquet, compression zstd, row_group_size {_ROW_GROUP})"


class LandingFailed(PerfhouseError):
    """The engine failed on a query of ours; nothing was committed."""

    who = "data engineer"


class AccountingError(LandingFailed):
    """Rows written do not add up to rows read; our code is wrong, nothing was committed."""


@dataclass(frozen=True)
class Delivery:
    """What is being landed: whose, which month, from which archived bytes, into which folder."""

    source: Source
    company: Company
    month: Month
    home: Home
    receipt: lake.Receipt
    staging: Path
    progress: Progress


def name_files(con: DuckDBPyConnection, files: Sequence[ReadFile]) -> None:
    """Keep the names that people know the files by."""
    con.execute(f"create table names ({FILE} integer, __name varchar)")
    con.executemany("insert into names values (?, ?)", [(f.number, f.name) for f in files])


def write(
    con: DuckDBPyConnection,
    delivery: Delivery,
    stream: Stream,
    planned: list[Planned],
    records: Records,
) -> tuple[lake.StreamLanding, dict[Path, Path]]:
    """Write the tables `typed` and `broken` to staging; return counts and final paths.

    Raises:
        AccountingError: rows in are not landed + duplicates + quarantined.
    """
    good = f"{WRONG} = '' and not {OUTSIDE}"
    con.execute(
        f"create table repeated as select {FILE}, {ROW} from (select {FILE}, {ROW}, row_number() "
        f"over (partition by {HASH} order by {FILE}, {ROW}) as nth from typed where {good} and "
        f"{HASH} in (select {HASH} from typed where {good} group by 1 having count(*) > 1)) "
        "where nth > 1"
    )
    data = delivery.staging / f"{stream.name}.parquet"
    bad = delivery.staging / f"{stream.name}.quarantine.parquet"
    mapped = {p.column.name for p in planned}
    _copy(con, _landed_query(delivery, stream, mapped, good), data)
    _copy(con, _quarantine_query(records), bad)
    landed, quarantined = _rows(con, data), _rows(con, bad)
    outside = _number(con, f"select count(*) from typed where {OUTSIDE}")
    duplicates = _number(con, "select count(*) from repeated")
    rows_in = records.rows - outside
    if rows_in != landed + duplicates + quarantined:
        raise AccountingError(
            f"{delivery.source.id} {delivery.month} {stream.name}: {rows_in} rows in, but "
            f"{landed} landed + {duplicates} duplicates + {quarantined} quarantined"
        )
    staged: dict[Path, Path] = {}
    files = _final(delivery, stream, data, landed, staged)
    quarantine = _final_quarantine(con, delivery, stream, bad, quarantined, staged)
    return lake.StreamLanding(
        files=files,
        rows_read=records.rows,
        outside_window=outside,
        rows_in=rows_in,
        landed=landed,
        duplicates=duplicates,
        quarantined=quarantined,
        unknown=_unknown(con, planned, good),
        undeclared_fields=tuple(sorted(records.undeclared)),
        late_rows=_late(con, delivery, stream, data),
        quarantine_file=quarantine,
        reasons=_reasons(con, bad),
    ), staged


def _landed_query(delivery: Delivery, stream: Stream, mapped: Collection[str], good: str) -> str:
    envelope = {
        "_source": literal(delivery.source.id),
        "_run_id": literal(delivery.receipt.sha256[:12]),
        "_window": literal(delivery.month.key),
        "_landed_at": f"cast({literal(delivery.receipt.extracted_at)} as timestamptz)",
        "_row_hash": HASH,
        "_schema_version": literal(SCHEMA_VERSION),
        "_op": "coalesce(_op, 'upsert')" if "_op" in mapped else "'upsert'",
        "_file": "__name",
        "_row_number": ROW,
    }
    columns = [
        f"{envelope.get(c.name) or _value(c, mapped)} as {quoted(c.name)}"
        for c in (*ENVELOPE, *stream.columns)
    ]
    return (
        f"select {', '.join(columns)} from typed join names using ({FILE}) "
        f"anti join repeated using ({FILE}, {ROW}) where {good} order by {FILE}, {ROW}"
    )


def _value(column: Column, mapped: Collection[str]) -> str:
    return quoted(column.name) if column.name in mapped else f"cast(null as {column.type})"


def _quarantine_query(records: Records) -> str:
    first = f"split_part({WRONG}, {literal(ERROR)}, 1)"
    rest = f"string_split({WRONG}, {literal(ERROR)})[2:]"
    others = f"list_transform({rest}, lambda e: replace(e, {literal(FIELD)}, ': '))"
    judged = (
        f"select {FILE}, {ROW}, split_part({first}, {literal(FIELD)}, 1) as field, "
        f"split_part({first}, {literal(FIELD)}, 2) as reason, {others} as others, "
        f"raw from typed join (select {FILE}, {ROW}, {records.raw} as raw from records) "
        f"using ({FILE}, {ROW}) where {WRONG} <> '' and not {OUTSIDE}"
    )
    broken = f"select {FILE}, {ROW}, '(row)', reason, [], {RAW} from broken"
    return (
        f"select __name as _file, {ROW} as _row_number, field, reason, "
        f"array_to_string(others, '; ') as other_faults, raw from ({judged} union all {broken}) "
        f"join names using ({FILE}) order by {FILE}, {ROW}, raw"
    )


def _copy(con: DuckDBPyConnection, query: str, target: Path) -> None:
    """Write Parquet; a total order and fixed row groups give the same bytes for the same rows."""
    con.execute(f"copy ({query}) to {literal(str(target))} {_PARQUET}")


def _number(con: DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0


def _rows(con: DuckDBPyConnection, file: Path) -> int:
    return _number(con, f"select count(*) from {_scan(file)}")


def _scan(file: Path) -> str:
    path = "".join(f"[{c}]" if c in "*?[" else c for c in str(file))
    return f"read_parquet({literal(path)}, hive_partitioning = false)"


def _final(
    delivery: Delivery, stream: Stream, draft: Path, rows: int, staged: dict[Path, Path]
) -> tuple[lake.LandedFile, ...]:
    if not rows:
        return ()
    digest = lake.file_sha256(draft)
    folder = Path("raw") / stream.name / lake.partition(delivery.month, delivery.source.id)
    final = folder / f"{digest[:12]}.parquet"
    staged[draft] = final
    return (lake.LandedFile(final.as_posix(), digest, rows),)


def _final_quarantine(
    con: DuckDBPyConnection,
    delivery: Delivery,
    stream: Stream,
    draft: Path,
    rows: int,
    staged: dict[Path, Path],
) -> str | None:
    if not rows:
        return None
    digest = lake.file_sha256(draft)
    part = lake.partition(delivery.month, delivery.source.id)
    final = Path("raw") / "_quarantine" / stream.name / part / f"{digest[:12]}.parquet"
    people = draft.with_suffix(".csv")
    con.execute(f"copy (from {_scan(draft)}) to {literal(str(people))} (format csv, header)")
    staged[draft] = final
    staged[people] = final.with_suffix(".csv")
    return final.as_posix()


def _unknown(
    con: DuckDBPyConnection, planned: list[Planned], good: str
) -> Mapping[str, Mapping[str, int]]:
    found = {}
    for flag, name, reason in checking.unknown_flags(planned):
        count = _number(
            con,
            f"select count(*) from typed anti join repeated using ({FILE}, {ROW}) "
            f"where {good} and {flag}",
        )
        if count:
            found[name] = {reason: count}
    return found


def _late(
    con: DuckDBPyConnection, delivery: Delivery, stream: Stream, data: Path
) -> Mapping[str, int]:
    local = checking.event_time(stream, delivery.company.time_zone)
    rows = con.execute(
        f"select strftime(date_trunc('month', {local}), '%Y-%m'), count(*) from {_scan(data)} "
        f"where {local} < date '{delivery.month.start}' group by 1 order by 1"
    ).fetchall()
    return {str(key): int(count) for key, count in rows}


def _reasons(con: DuckDBPyConnection, bad: Path) -> Mapping[str, int]:
    rows = con.execute(
        f"select field || ': ' || reason, count(*) from {_scan(bad)} group by 1 order by 1"
    ).fetchall()
    return {str(key): int(count) for key, count in rows}
