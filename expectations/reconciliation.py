"""The reconciliation of lake and facts: every landed row is in a fact, or left out for a reason.

Counts both sides for themselves in SQL and names what is left over; it may not mend, and it reads
no model of the pipeline but the facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from expectations import readings
from expectations.readings import READ, READINGS, Fact, Reading
from expectations.rules import quoted
from perfhouse import lake, warehouse
from perfhouse.company_look_back import farthest

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

KEYS_KEPT = 20
# Parts of keys that stand for a customer, a rater or a source's account; never shown.
_HIDDEN = {"rater_key", "customer_key", "learner_id", "subject_id"}
_ENVELOPE = (
    *(("_source", "VARCHAR"), ("_op", "VARCHAR"), ("source_updated_at", "TIMESTAMPTZ")),
    *(("source_seq", "BIGINT"), ("_row_hash", "VARCHAR"), ("_file", "VARCHAR")),
    ("_row_number", "BIGINT"),
)
# As the macro latest_first has it: the specification of what is newest, written a second time.
_NEWEST = (
    "r.source_updated_at desc nulls last, r.source_seq desc nulls last, r._month desc nulls last, "
    "case when r._file not like '%.parquet' then r._row_number end desc nulls last, "
    "r._row_hash desc"
)
TABLES = {
    "reconciliation": "month date, stream varchar, source varchar, delivered varchar, "
    "reason varchar, in_facts boolean, rows bigint",
    "unexplained": "stream varchar, source varchar, delivered varchar, record varchar",
    "ticketless": "source varchar, record varchar",
    "from_nowhere": "fact varchar, source varchar, record varchar",
    "miscounted": "source varchar, ticket_id varchar, counted bigint, delivered bigint",
    "delivered": "source varchar, stream varchar, delivered varchar, landed bigint",
}


def prepare(con: DuckDBPyConnection, case: Case) -> None:
    """Make the tables of TABLES.

    The warehouse is attached as `warehouse`; streams are read from the lake as the build of this
    month and as-of month would read them, whatever was built since.
    """
    for name, columns in TABLES.items():
        con.execute(f"create table {name} ({columns})")
    declared = {
        name: [*_ENVELOPE, *((column.name, column.type) for column in stream.columns)]
        for name, stream in case.streams.items()
    }
    lake.create_raw_views(con, case.home, case.company, case.month, case.as_of, declared)
    words = _words(con, case)
    for name in sorted(declared):
        if name in READ:
            _sort_out(con, case, READ[name], words)
        else:
            _count(con, case, name)
    for table, found in _holding().items():
        con.execute(_from_nowhere(table, found, words))
    _comments(con, words)
    _deliveries(con, case)


def _words(con: DuckDBPyConnection, case: Case) -> Mapping[str, str]:
    """Return what the reasons are made with: days, and instants of the month's edges."""
    start, end = case.month.start, case.month.end
    home_zone = case.company.time_zone
    stop = con.execute(
        "select max(as_of_at) from warehouse.core.dim_months where month = ?", [start]
    ).fetchall()[0][0]
    zones = sorted({home_zone, *(place.time_zone for place in case.company.locations.values())})
    starts, ends = [_midnight(start, z) for z in zones], [_midnight(end, z) for z in zones]
    day = timedelta(days=1)
    return {
        "month": case.month.key,
        "start": f"date '{start}'",
        "end": f"date '{end}'",
        "scan": _instant(_midnight(start, home_zone) - day),
        "after": _instant(_midnight(end, home_zone) + day),
        "stop": _instant(stop) if stop else "timestamptz '2999-01-01 00:00:00+00'",
        "first": _instant(min(starts)),
        "last": _instant(max(ends)),
        "surely_first": _instant(max(starts)),
        "surely_last": _instant(min(ends)),
    }


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def _instant(at: datetime) -> str:
    return f"timestamptz '{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00'"


def _count(con: DuckDBPyConnection, case: Case, stream: str) -> None:
    """Count a stream that tells who people are: no fact counts its rows."""
    con.execute(
        f"insert into reconciliation select date '{case.month.start}', '{stream}', _source, "
        f"_month, '{readings.NOT_COUNTED}', false, count(*) from raw.{stream} group by all"
    )


def _sort_out(
    con: DuckDBPyConnection, case: Case, reading: Reading, words: Mapping[str, str]
) -> None:
    """Give every row of a stream its reason; keep the counts, and the keys of what has none."""
    key = reading.key or tuple(case.streams[reading.stream].key)
    shown = [c for c in case.streams[reading.stream].key if c not in _HIDDEN] + [*reading.named]
    record = f"concat_ws(', ', {', '.join(_named(column) for column in shown)})"
    con.execute(
        f"create temp table sorted as {_classified(reading, key, words)} "
        "select r._source, r._month, r.reason, count(*) as rows, "
        f"min({record}, {KEYS_KEPT}) filter (where r.reason in "
        f"('{readings.UNEXPLAINED}', '{readings.TICKETLESS}')) as records "
        "from classified r group by all"
    )
    con.execute(
        f"insert into reconciliation select date '{case.month.start}', '{reading.stream}', "
        f"_source, _month, reason, reason = '{readings.IN_FACTS}', rows from sorted"
    )
    con.execute(
        f"insert into unexplained select '{reading.stream}', _source, _month, unnest(records) "
        f"from sorted where reason = '{readings.UNEXPLAINED}'"
    )
    con.execute(
        "insert into ticketless select _source, unnest(records) from sorted "
        f"where reason = '{readings.TICKETLESS}' and _month = '{case.month.key}'"
    )
    con.execute("drop table sorted")


def _named(column: str) -> str:
    return f"'{column}=' || cast(r.{column} as varchar)"


def _classified(reading: Reading, key: Sequence[str], words: Mapping[str, str]) -> str:
    """Return CTEs that end in `classified`: the stream's rows, each with its reason."""
    stream = f"raw.{reading.stream}"
    by = ["_source", *key]
    same = " and ".join(f"r.{c} is not distinct from m.{c}" for c in by)
    order = ", ".join(part for part in (reading.newest, _NEWEST) if part)
    keys = ", ".join(by)
    facts = [_fact(fact, number, words) for number, fact in enumerate(reading.facts)]
    ctes = ", ".join(
        (
            f"several as (select {keys}, true as is_one from {stream} group by {keys} "
            "having count(*) > 1)",
            # a window over all rows would cost as much as reading them
            "ranked as ("
            f"select r.*, 1 as version_rank from {stream} r left join several m on {same} "
            "where m.is_one is null union all "
            f"select r.*, row_number() over (partition by {', '.join(f'r.{c}' for c in by)} "
            f"order by {order}) as version_rank from {stream} r join several m on {same})",
            *(f"{name} as ({query})" for name, query, _ in facts),
            f"classified as (select r.*, case {' '.join(_cases(reading))} end as reason "
            f"from ranked r {reading.joins} {' '.join(join for _, _, join in facts)})",
        )
    )
    return "with " + ctes.format(**words)


def _fact(fact: Fact, number: int, words: Mapping[str, str]) -> tuple[str, str, str]:
    """Return name, query and join of what a fact holds of the month."""
    pairs = [("_source", "_source"), *fact.on]
    if fact.names_row:
        pairs += [("_file", "_file"), ("_row_number", "_row_number")]
    columns = ", ".join(column for _, column in pairs)
    name = f"f{number}"
    same = " and ".join(f"{name}.{theirs} is not distinct from r.{ours}" for ours, theirs in pairs)
    query = (
        f"select {columns}, true as is_held from warehouse.core.{fact.table} "
        "where month = {start} group by all"
    )
    return name, query, f"left join {name} on {same}"


def _cases(reading: Reading) -> Iterator[str]:
    yield f"when r.version_rank > 1 then '{readings.SUPERSEDED}'"
    yield f"when r._op = 'delete' then '{readings.DELETED}'"
    for name, condition in reading.counts:
        yield f"when {condition} then '{name}'"
    held = " or ".join(f"f{number}.is_held" for number in range(len(reading.facts)))
    yield f"when {held} then '{readings.IN_FACTS}'"
    for name, condition in reading.reasons:
        yield f"when {condition} then '{name}'"
    dated = [*reading.at, *reading.on]
    if dated:
        unknown = " and ".join(f"{each} is null" for each in dated)
        yield f"when {unknown} then '{readings.UNDATED}'"
        yield f"when not ({_within(reading, 'first', 'last')}) then '{readings.OUTSIDE}'"
        surely = _within(reading, "surely_first", "surely_last")
        yield f"when not ({surely}) then '{readings.OUTSIDE_BY_PLACE}'"
    yield f"else '{readings.UNEXPLAINED}'"


def _within(reading: Reading, first: str, last: str) -> str:
    """Return SQL: some instant or day of the row lies in the month."""
    parts = [f"{at} >= {{{first}}} and {at} < {{{last}}}" for at in reading.at]
    parts += [f"{on} >= {{start}} and {on} < {{end}}" for on in reading.on]
    return " or ".join(f"coalesce({part}, false)" for part in parts)


def _holding() -> dict[str, list[tuple[str, Fact]]]:
    """Return the streams that each fact takes its rows from; events only touch a ticket's."""
    found: dict[str, list[tuple[str, Fact]]] = {}
    for reading in READINGS:
        if reading.stream != "ticket_events":
            for fact in reading.facts:
                found.setdefault(fact.table, []).append((reading.stream, fact))
    return found


def _from_nowhere(table: str, streams: Sequence[tuple[str, Fact]], words: Mapping[str, str]) -> str:
    """Return a statement that names rows of a fact behind which no landed row stands."""
    columns = [column for _, column in streams[0][1].on if column not in _HIDDEN]
    shown = ", ".join(f"'{c}=' || cast(f.{c} as varchar)" for c in columns)
    missing = " and ".join(
        f"not exists (select 1 from raw.{stream} r where r._source = f._source "
        f"and r._file is not distinct from f._file "
        f"and r._row_number is not distinct from f._row_number and "
        + " and ".join(f"r.{ours} is not distinct from f.{theirs}" for ours, theirs in fact.on)
        + ")"
        for stream, fact in streams
    )
    return (
        f"insert into from_nowhere select '{table}', f._source, concat_ws(', ', {shown}) "
        f"from warehouse.core.{table} f where f.month = {words['start']} and {missing}"
    )


def _comments(con: DuckDBPyConnection, words: Mapping[str, str]) -> None:
    """Name the tickets of which a fact counts other comments than their events tell."""
    con.execute(
        "insert into miscounted select l._source, l.ticket_id, l.comment_count, coalesce(e.told, 0)"
        " from warehouse.core.fct_ticket_lifecycles l left join (select _source, ticket_id, "
        "count(distinct event_id) as told from raw.ticket_events where _op <> 'delete' "
        "and event_type in ('public_reply', 'internal_note', 'customer_reply') "
        f"and occurred_at < {words['stop']} group by _source, ticket_id) e "
        "on e._source = l._source and e.ticket_id = l.ticket_id "
        f"where l.month = {words['start']} and l.comment_count <> coalesce(e.told, 0)"
    )


def _deliveries(con: DuckDBPyConnection, case: Case) -> None:
    """Lay out what the manifests say has landed in every delivery."""
    sources = {source.id for source in case.company.sources}
    reach = case.month.plus(-farthest(case.company.look_back))
    rows = [
        [manifest.source, name, manifest.month, landing.landed]
        for manifest in lake.manifests(case.home, reach, case.as_of)
        if manifest.source in sources
        for name, landing in manifest.streams.items()
        if name in case.streams
    ]
    warehouse.insert(con, "delivered", rows)


def missing_query(case: Case) -> str:
    """Return SQL for deliveries of which another number of rows is accounted for than landed."""
    return (
        "select coalesce(d.source, c.source) as source, coalesce(d.stream, c.stream) as stream, "
        "coalesce(d.delivered, c.delivered) as delivered, d.landed, c.accounted "
        "from delivered d full join (select source, stream, delivered, sum(rows) as accounted "
        "from batch group by all) c "
        "on c.source = d.source and c.stream = d.stream and c.delivered = d.delivered "
        "where d.landed is distinct from c.accounted and not (c.accounted is null "
        f"and (d.landed = 0 or d.delivered < {quoted(case.month.key)}))"
    )
