"""Is a delivery like the month it was delivered for: is it of that month, and by the same clock?

Rules of the raw gate over `details`, `counts` and `day_hours`; the last is laid out here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from expectations.rules import CRITICAL, Rule, quoted, rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from expectations.gate import Case

# stream -> an instant that follows the hours in which people work or call
_CLOCKS = {
    "tickets": "created_at",
    "ticket_events": "occurred_at",
    "calls": "started_at",
    "survey_responses": "submitted_at",
}
# Few hours of fewer instants tell nothing of a clock.
_JUDGED = 200
_TABLE = "stream varchar, source varchar, column_name varchar, day_hour integer, rows bigint"


def prepare(
    con: DuckDBPyConnection, present: Sequence[str], before: Mapping[str, Sequence[str]]
) -> None:
    """Make `day_hours` and `day_hours_before`: how many instants fall into each hour of a UTC day.

    `present` are the streams that have a view `raw_<stream>`; `before` are files of the month
    before, by stream.
    """
    for table in ("day_hours", "day_hours_before"):
        con.execute(f"create table {table} ({_TABLE})")
    for stream, column in _CLOCKS.items():
        if stream not in present or not before.get(stream):
            continue
        listed = f"[{', '.join(map(quoted, before[stream]))}]"
        earlier = f"read_parquet({listed}, union_by_name = true)"
        for table, relation in (("day_hours", f"raw_{stream}"), ("day_hours_before", earlier)):
            con.execute(
                f"insert into {table} select {quoted(stream)}, _source, {quoted(column)}, "
                f"hour(timezone('UTC', {column})), count(*) from {relation} "
                f"where {column} is not null group by all"
            )


def rules(case: Case) -> list[Rule]:
    """Return the rules."""
    late = case.threshold("raw", "late_share")
    return [
        rows(
            "month_described", CRITICAL, "counts",
            "select c.source, c.stream, sum(d.rows)::bigint as late_rows, c.landed "
            "from batch c join details d on d.source = c.source and d.stream = c.stream "
            "and d.kind = 'late' group by c.source, c.stream, c.landed "
            f"having sum(d.rows) > {late!r} * c.landed",
            ("Deliveries describe the month they were delivered for (else: another month's file; "
             "if it is right: perfhouse accept)",
             "交付内容属于所交付的月份（否则是别的月份的文件；如确认无误：perfhouse accept）"),
            threshold=f"at most {late:.0%} of a stream's rows of earlier months",
            limit="late_share",
        ),
        rows(
            "times_of_day", CRITICAL, "day_hours", _shifted(),
            ("Instants fall into the hours of the day they fell into the month before (else: a "
             "time zone is wrong; if it is right: perfhouse accept)",
             "时间落在与上月相同的时段（否则时区有误；如确认无误：perfhouse accept）"),
            threshold="busiest at the same hours as the month before",
        ),
    ]  # fmt: skip


def _shifted() -> str:
    """Return SQL, after `with batch`, for streams whose day is that of the month before, turned.

    Two days are as far apart as the share of instants that lie in other hours. Turned by some
    hours, such a day is much nearer to that of the month before than as it is: a new site or a
    quiet month changes a day's shape, and no turn mends that.
    """
    return f"""
, now as (
    select source, stream, column_name, day_hour, rows / sum(rows) over w as share,
        sum(rows) over w as instants
    from batch window w as (partition by source, stream, column_name)
), before as (
    select source, stream, day_hour, rows / sum(rows) over w as share, sum(rows) over w as instants
    from day_hours_before window w as (partition by source, stream)
), streams as (
    select distinct n.source, n.stream, n.column_name
    from now n join before b on b.source = n.source and b.stream = n.stream
    where n.instants >= {_JUDGED} and b.instants >= {_JUDGED}
), apart as (
    select s.*, t.turned,
        sum(abs(coalesce(n.share, 0) - coalesce(b.share, 0))) / 2 as distance
    from streams s
    cross join range(24) t(turned)
    cross join range(24) h(day_hour)
    left join now n on n.source = s.source and n.stream = s.stream and n.day_hour = h.day_hour
    left join before b on b.source = s.source and b.stream = s.stream
        and b.day_hour = (h.day_hour + 24 - t.turned) % 24
    group by all
)
select a.source, a.stream, a.column_name, b.turned as hours_later
from apart a
join apart b on b.source = a.source and b.stream = a.stream and b.turned <> 0
where a.turned = 0 and a.distance > 0.3 and b.distance < a.distance / 2
qualify row_number() over (partition by a.source, a.stream order by b.distance, b.turned) = 1
"""
