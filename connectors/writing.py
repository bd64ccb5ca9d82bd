"""A landed stream to files: typed rows, quarantine, and every count taken from what was written.

Writes only into the staging folder it is given; the commit is the lake's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import checking, rows
from connectors.base import Progress
from connectors.casting import ERROR, FIELD, Planned
from connectors.casts import Cast
from connectors.checking import FILE, HASH, RAW, ROW
from connectors.quoting import literal
from connectors.reading import ReadFile, Records
from connectors.rows import ROW_GROUP, RowGroups, Seen, digests, give_back
from connectors.streams import ENVELOPE, SCHEMA_VERSION, Stream
from perfhouse import formulas, lake
from perfhouse.company import Company, Source
from perfhouse.errors import PerfhouseError
from perfhouse.month import Month
from perfhouse.settings import Home

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PARQUET = f"(format parquet, compression zstd, row_group_size {ROW_GROUP})"
_MOST_FIELDS = 500  # that a manifest lists by name
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


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


class Draft:
    """One stream's rows on their way into staging: landed ones to Parquet, broken ones aside.

    Rows are added in the order of files and rows, a chunk at a time; nothing but hashes of them
    stays in memory.
    """

    def __init__(
        self,
        con: DuckDBPyConnection,
        delivery: Delivery,
        stream: Stream,
        planned: list[Planned],
        files: Sequence[ReadFile],
    ) -> None:
        self.con, self.delivery, self.stream, self.planned = con, delivery, stream, planned
        self.names = [file.name for file in files]
        self.data = delivery.staging / f"{stream.name}.parquet"
        self.outside = self.duplicates = 0
        self.unknown = dict.fromkeys((flag for flag, _, _ in checking.unknown_flags(planned)), 0)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")
        self._writing: Future[None] | None = None
        self._content = rows.Content()
        self._repeated: dict[str, Any] = {}
        self._seen = Seen(delivery.staging / f"seen-{stream.name}")
        self._rows = RowGroups(self.data, schema(stream))
        con.execute(
            f"create table refused ({FILE} integer, {ROW} bigint, errors varchar, raw varchar)"
        )

    def add(self, cast: Cast) -> None:
        """Take the rows of a chunk; they are written in the order they are given."""
        self.outside += cast.outside
        if cast.refused is not None:
            self.con.register("bad", cast.refused)
            self.con.execute("insert into refused from bad")
            self.con.unregister("bad")
        self._settle()
        self._writing = self._writer.submit(self._keep, cast.good)

    def _settle(self) -> None:
        """Wait until the chunk before is written; raise what went wrong with it."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None
            give_back()

    def _keep(self, good: Any) -> None:
        import pyarrow.compute as pc

        found = digests(good[HASH])
        first = self._seen.first(found)
        self._content.add(found[first])
        if not first.all():
            good = good.filter(first)
            self.duplicates += len(first) - good.num_rows
        for flag in self.unknown:
            self.unknown[flag] += pc.sum(good[flag], min_count=0).as_py()
        self._rows.write(self._landed(good))

    def close(self) -> None:
        """Stop writing, however far it came."""
        self._writer.shutdown(cancel_futures=True)

    def _landed(self, good: Any) -> Any:
        """Return rows with exactly the stream's columns, envelope first."""
        import pyarrow as pa

        names = pa.array(self.names, pa.string())
        columns = []
        for place in self._rows.schema:
            if place.name == "_file":
                column = names.take(good[FILE].combine_chunks())
            elif place.name in _RENAMED:
                column = good[_RENAMED[place.name]]
            elif place.name in good.column_names:
                column = good[place.name]
            else:
                column = self._constant(place, good.num_rows)
            columns.append(column.cast(place.type))
        return pa.table(_ops(columns, self._rows.schema), schema=self._rows.schema)

    def _constant(self, place: Any, rows: int) -> Any:
        """Return so many rows of a column that says the same in all of them."""
        import pyarrow as pa

        kept = self._repeated.get(place.name)
        if kept is None or len(kept) < rows:
            value = pa.scalar(_constants(self.delivery).get(place.name), place.type)
            self._repeated[place.name] = kept = pa.repeat(value, rows)
        return kept.slice(0, rows)

    def finish(self, records: Records) -> tuple[lake.StreamLanding, dict[Path, Path]]:
        """Return the counts, taken from what was written, and final paths by staged path.

        Raises:
            AccountingError: rows in are not landed + duplicates + quarantined.
        """
        con, delivery, stream = self.con, self.delivery, self.stream
        self._settle()
        self._rows.close()
        name_files(con, self.names)
        bad = delivery.staging / f"{stream.name}.quarantine.parquet"
        _copy(con, _quarantine_query(), bad)
        landed, quarantined = _rows(con, self.data), _rows(con, bad)
        outside = self.outside + records.outside
        rows_in = records.rows - outside
        if rows_in != landed + self.duplicates + quarantined:
            raise AccountingError(
                f"{delivery.source.id} {delivery.month} {stream.name}: {rows_in} rows in, but "
                f"{landed} landed + {self.duplicates} duplicates + {quarantined} quarantined"
            )
        staged: dict[Path, Path] = {}
        files = _final(delivery, stream, self.data, landed, staged)
        quarantine = _final_quarantine(con, delivery, stream, bad, quarantined, staged)
        return lake.StreamLanding(
            files=files,
            rows_read=records.rows,
            outside_window=outside,
            rows_in=rows_in,
            landed=landed,
            duplicates=self.duplicates,
            quarantined=quarantined,
            unknown=self._unknown(),
            undeclared_fields=_told(records.undeclared),
            late_rows=_late(con, delivery, stream, self.data),
            quarantine_file=quarantine,
            reasons=_reasons(con, bad),
            content_sha256=self._content.sha256(_refused_values(con, bad)),
        ), staged

    def _unknown(self) -> Mapping[str, Mapping[str, int]]:
        return {
            name: {reason: self.unknown[flag]}
            for flag, name, reason in checking.unknown_flags(self.planned)
            if self.unknown[flag]
        }


def _told(fields: Collection[str]) -> tuple[str, ...]:
    """Return names to report; where keys are values there may be any number of them."""
    names = sorted(fields)
    more = len(names) - _MOST_FIELDS
    return (*names[:_MOST_FIELDS], *([f"and {more:,} more"] if more > 0 else []))


_RENAMED = {"_row_hash": HASH, "_row_number": ROW}


def _constants(delivery: Delivery) -> Mapping[str, Any]:
    return {
        "_source": delivery.source.id,
        "_run_id": delivery.receipt.sha256[:12],
        "_window": delivery.month.key,
        "_landed_at": datetime.fromisoformat(delivery.receipt.extracted_at),
        "_schema_version": SCHEMA_VERSION,
        "_op": "upsert",
    }


def _ops(columns: list[Any], schema: Any) -> list[Any]:
    """Return the columns with a row's default operation filled in."""
    at = schema.get_field_index("_op")
    return [*columns[:at], columns[at].fill_null("upsert"), *columns[at + 1 :]]


def schema(stream: Stream) -> Any:
    """Return the Arrow schema of a stream's landed files."""
    import pyarrow as pa

    kinds = {
        "VARCHAR": pa.string(),
        "VARCHAR[]": pa.list_(pa.string()),
        "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
        "DATE": pa.date32(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
    }

    def kind(name: str) -> Any:
        found = _DECIMAL.fullmatch(name)
        return pa.decimal128(int(found[1]), int(found[2])) if found else kinds[name]

    columns = (*ENVELOPE, *stream.columns)
    return pa.schema([pa.field(column.name, kind(column.type)) for column in columns])


def name_files(con: DuckDBPyConnection, names: Sequence[str]) -> None:
    """Keep the names that people know the files by."""
    con.execute(f"create table names ({FILE} integer, __name varchar)")
    con.executemany("insert into names values (?, ?)", list(enumerate(names)))


def _quarantine_query() -> str:
    first = f"split_part(errors, {literal(ERROR)}, 1)"
    rest = f"string_split(errors, {literal(ERROR)})[2:]"
    others = f"list_transform({rest}, lambda e: replace(e, {literal(FIELD)}, ': '))"
    judged = (
        f"select {FILE}, {ROW}, split_part({first}, {literal(FIELD)}, 1) as field, "
        f"split_part({first}, {literal(FIELD)}, 2) as reason, {others} as others, raw "
        "from refused"
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
    shown = formulas.quarantined_sql(_scan(draft))
    con.execute(f"copy ({shown}) to {literal(str(people))} (format csv, header)")
    staged[draft] = final
    staged[people] = final.with_suffix(".csv")
    return final.as_posix()


def _late(
    con: DuckDBPyConnection, delivery: Delivery, stream: Stream, data: Path
) -> Mapping[str, int]:
    zone = delivery.company.time_zone
    local = checking.event_time(stream, zone)
    late = checking.is_before(stream, zone, delivery.month.start)
    rows = con.execute(
        f"select strftime(date_trunc('month', {local}), '%Y-%m'), count(*) from {_scan(data)} "
        f"where {late} group by 1 order by 1"
    ).fetchall()
    return {str(key): int(count) for key, count in rows}


def _reasons(con: DuckDBPyConnection, bad: Path) -> Mapping[str, int]:
    rows = con.execute(
        f"select field || ': ' || reason, count(*) from {_scan(bad)} group by 1 order by 1"
    ).fetchall()
    return {str(key): int(count) for key, count in rows}


def _refused_values(con: DuckDBPyConnection, bad: Path) -> int:
    """Return a sum over what was quarantined and why, whatever its order is."""
    what = "cast(row(field, reason, other_faults, raw) as varchar)"
    return _number(con, f"select coalesce(sum(md5_number_lower({what})), 0) from {_scan(bad)}")
