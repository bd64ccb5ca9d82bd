"""The learning system's truth: assignments with a due date and what became of them.

Statements are written in `xapi.py`; this file decides only what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# id, name, kind: an exam ends in passed or failed, everything else in completed.
COURSES = (
    ("C-101", "Product basics / 产品基础", "course"),
    ("C-205", "Difficult conversations / 沟通技巧", "course"),
    ("C-310", "Data protection / 数据保护", "exam"),
    ("C-412", "Complaint handling / 投诉处理", "certification"),
)


def build(con: DuckDBPyConnection) -> None:
    """Create true_assignments: one row per person, month and course assigned."""
    values = ", ".join(f"({n}, '{c}', '{name}', '{kind}')" for n, (c, name, kind) in
                       enumerate(COURSES))  # fmt: skip
    con.execute(_ASSIGNMENTS.replace("@COURSES", values))


# Two courses a month: one due this month, one due early in the next.
_ASSIGNMENTS = """
create table true_assignments as
with courses(course_no, course_id, course_name, course_type) as (values @COURSES),

given as (
    select
        a.idx * 1000 + m.position * 10 + slot.n as i,
        a.employee_id, a.time_zone, m.month, m.position, m.first_day, m.next_day,
        slot.n as slot, a.idx % 2 as idx_parity, s.train
    from agents a
    cross join months m
    cross join range(0, 2) as slot(n)
    join agent_days d on d.employee_id = a.employee_id and d.day = m.first_day
    join skills s on s.manager_id = d.manager_id
),

placed as (
    select
        g.*, c.* exclude (course_no),
        utc(time_zone, first_day + to_seconds(9 * 3600 + i % 3600)) as assigned_at,
        utc(time_zone,
            if(
                slot = 0, first_day + 19 + cast(i % 6 as integer),
                next_day + 4 + cast(i % 5 as integer)
            )
            + to_seconds(86399)) as due_at
    from given g
    join courses c on c.course_no = (g.slot * 2 + (g.position + g.idx_parity) % 2)
),

fated as (
    select
        * exclude (idx_parity, train),
        case
            when u(i, 'waived') < 0.02 then 'waived'
            when u(i, 'trained') < 0.58 + 0.38 * train then 'on time'
            when u(i, 'trained') < 0.97 then 'late'
            else 'never'
        end as fate
    from placed
)

select
    *,
    case fate
        when 'waived' then assigned_at + interval 2 day
        when 'on time' then assigned_at + to_seconds(86400 + cast(floor(
            (date_diff('second', assigned_at, due_at) - 90000) * u(i, 'when')) as bigint))
        when 'late' then due_at + to_seconds(93600 + cast(floor(u(i, 'when') * 864000) as bigint))
    end as ended_at
from fated
"""
