"""What the sources deliver instead of the truth: copies, corrections, late and broken rows.

Broken rows are always additional rows, so that the truth is exactly what remains after landing.
Each table has `defect` (what was planted, or null) and `fate` (landed, duplicate, quarantined).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perfhouse.demo.plan import COMPANY_ZONE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def plant(con: DuckDBPyConnection) -> None:
    """Create call_versions, survey_rows and statements: every record as it is delivered."""
    con.execute(_CALLS)
    con.execute(_SURVEYS)
    con.execute(_STATEMENTS.replace("@ZONE", COMPANY_ZONE))


# A record is sent again, corrected, some hours or (few) a month later; some twice unchanged; some
# of the month's last days only with the next month's files.
_CALLS = """
create table call_versions as
with dated as (
    select
        c.*, m.month, m.position,
        m.next_day::timestamp as next_at,
        m.next_day - cast(c.ended_at as date) <= 4
            and m.position + 1 < (select count(*) from months) as may_be_late,
        m.position + 1 < (select count(*) from months) as has_next,
        u(c.leg, 'fate') as draw,
        c.ended_at + to_seconds(c.acw_seconds + 30 + c.leg % 60) as first_update_at
    from true_calls c
    join months m
        on cast(c.ended_at as date) >= m.first_day and cast(c.ended_at as date) < m.next_day
),

fated as (
    select
        *,
        case
            when is_abandoned then null
            when draw < 0.015 then 're-sent corrected record'
            when draw < 0.0165 and has_next then 're-sent a month later'
        end as correction,
        draw >= 0.02 and draw < 0.025 as is_copied,
        draw >= 0.03 and may_be_late and u(leg, 'late') < 0.02 as is_late
    from dated
),

versions as (
    select
        leg, root, 1 as version, 0 as copy, is_second, is_transferred, is_abandoned, site,
        time_zone, team_id, agent_id as username, started_at, queued_at, dequeued_at, ended_at,
        wait_seconds, talk_seconds, hold_seconds,
        if(correction is null, acw_seconds, 0) as acw_seconds,
        first_update_at as updated_at,
        if(is_late, next_at + interval 11 hour + to_seconds(leg % 3000), first_update_at)
            as delivered_at,
        cast(null as varchar) as bad_end,
        case
            when is_late then 'late arrival'
            when username = 'TEMP-7' then 'unknown person'
        end as defect,
        'landed' as fate
    from fated
    union all
    select
        leg, root, 2, 0, is_second, is_transferred, is_abandoned, site, time_zone, team_id,
        agent_id, started_at, queued_at, dequeued_at, ended_at, wait_seconds, talk_seconds,
        hold_seconds, acw_seconds,
        if(correction = 're-sent a month later', next_at + interval 35 hour, first_update_at
            + to_seconds(3600 * (1 + leg % 3))),
        if(correction = 're-sent a month later', next_at + interval 35 hour, first_update_at
            + to_seconds(3600 * (1 + leg % 3))),
        null, correction, 'landed'
    from fated
    where correction is not null
    union all
    select
        leg, root, 1, 1, is_second, is_transferred, is_abandoned, site, time_zone, team_id,
        agent_id, started_at, queued_at, dequeued_at, ended_at, wait_seconds, talk_seconds,
        hold_seconds, acw_seconds, first_update_at, first_update_at + interval 1 hour, null,
        'exact duplicate', 'duplicate'
    from fated
    where is_copied and not is_late and correction is null
    union all
    select
        2000000000 + leg, 2000000000 + root, 1, 0, is_second, is_transferred, is_abandoned, site,
        time_zone, team_id, agent_id, started_at, queued_at, dequeued_at, ended_at, wait_seconds,
        talk_seconds, hold_seconds, if(nth <= 12, -1 - leg % 40, acw_seconds), first_update_at,
        first_update_at,
        case
            when nth <= 12 then null
            when nth <= 17 then strftime(ended_at, '%Y') || '-02-30T10:00:00Z'
            else 'not a date'
        end,
        case when nth <= 12 then 'negative duration' when nth <= 17 then 'impossible date'
            else 'unparsable date' end,
        'quarantined'
    from (
        select *, row_number() over (partition by month order by draw, leg) as nth
        from fated
        where not is_abandoned and not is_second and not is_transferred
    )
    where nth <= 21
)

select v.*, m.month as delivered_month
from versions v
join months m
    on cast(v.delivered_at as date) >= m.first_day and cast(v.delivered_at as date) < m.next_day
"""

# One row per line of the monthly files; times are the site's local time, day first.
_SURVEYS = """
create table survey_rows as
with answers as (
    select
        a.*, m.position, m.next_day,
        if(a.arrival = 'late', n.month, a.local_month) as file_month,
        u(a.ticket_id * 3 + length(a.metric), 'copied') < 0.004 as is_copied,
        u(a.ticket_id, 'lost-time') < 0.08
            and local_day(a.time_zone, a.sent_at) = local_day(a.time_zone, a.submitted_at)
            as has_lost_time
    from true_answers a
    join months m on m.month = a.local_month
    left join months n on n.position = m.position + 1
),

given as (
    select
        *, 1 as version, 0 as copy,
        if(correction is null, score, mistaken_score) as shown, submitted_at as modified_at,
        case
            when agent_id = 'A99999' then 'unknown person'
            when arrival = 'late' then 'late arrival'
            when has_lost_time then 'lost time of day'
        end as defect,
        'landed' as fate,
        arrival = 'redelivery' as in_redelivery
    from answers
    union all
    select
        *, 2, 0, score, submitted_at + interval 1 day, 're-sent corrected record', 'landed',
        arrival = 'redelivery'
    from answers
    where correction = 'in month'
    union all
    select
        *, 2, 0, score, utc(time_zone, next_day + to_seconds(9 * 86400)),
        're-sent corrected record', 'landed', true
    from answers
    where correction = 'redelivery'
    union all
    select
        *, 1, 1, if(correction is null, score, mistaken_score), submitted_at, 'exact duplicate',
        'duplicate', false
    from answers
    where is_copied and arrival <> 'redelivery'
),

broken as (
    select
        *, 1 as version, 0 as copy, score as shown, submitted_at as modified_at,
        if(nth <= 5, 'unparsable date', 'impossible date') as defect,
        'quarantined' as fate, false as in_redelivery
    from (
        select
            *, row_number() over (partition by local_month order by u(ticket_id, 'broken'), metric)
                as nth
        from answers
        where metric = 'csat' and arrival = 'on time'
    )
    where nth <= 9
),

lines as (
    select * exclude (position, next_day, is_copied) from given
    union all
    select * exclude (position, next_day, is_copied, nth) from broken
    union all by name
    select
        *, 'csat' as metric, 1 as low, 5 as high, local_month as file_month, 1 as version,
        0 as copy, sent_at as modified_at, 'landed' as fate, false as in_redelivery,
        false as has_lost_time,
        if(agent_id = 'A99999', 'unknown person', null) as defect
    from true_invitations
    where not is_answered
)

select
    *,
    is_answered as is_response,
    case
        when defect = 'unparsable date' then 'yesterday'
        when defect = 'impossible date' then '30/02/' || left(local_month, 4) || ' 09:15'
        when is_answered then civil_text(time_zone, submitted_at)
        else ''
    end as submitted_text,
    case
        when not is_answered then ''
        when has_lost_time then left(civil_text(time_zone, submitted_at), 10) || ' 00:00'
        else civil_text(time_zone, started_at)
    end as started_text,
    if(u(ticket_id, 'padded') < 0.02, '  ' || agent_id || ' ', agent_id) as agent_text,
    if(u(ticket_id, 'language') < 0.05, '?', if(site = 'London', 'en', 'zh')) as language_text,
    if(fate = 'quarantined', 900000, 0) + response_no as shown_no
from lines
"""

# Statements carry two clocks: when it happened, and when the store received it.
_STATEMENTS = """
create table statements as
with spoken as (
    select
        i, 1 as step, employee_id, course_id, course_name, course_type, assigned_at, due_at,
        assigned_at as at_time, 'assigned' as verb
    from true_assignments
    union all
    select
        i, 2, employee_id, course_id, course_name, course_type, assigned_at, due_at,
        ended_at - interval 40 minute, 'failed'
    from true_assignments
    where course_type = 'exam' and fate in ('on time', 'late') and u(i, 'failed-once') < 0.12
    union all
    select
        i, 3, employee_id, course_id, course_name, course_type, assigned_at, due_at, ended_at,
        case when fate = 'waived' then 'waived' when course_type = 'course' then 'completed'
            else 'passed' end
    from true_assignments
    where ended_at is not null
),

dated as (
    select
        s.*, m.position,
        m.next_day - local_day('@ZONE', at_time) <= 4 and step = 3 and u(i, 'late') < 0.1
            and m.position + 1 < (select count(*) from months) as is_late,
        n.start_at as next_at
    from spoken s
    join months m on at_time >= m.start_at and at_time < m.end_at
    left join months n on n.position = m.position + 1
),

every as (
    select
        i, step, 0 as copy, employee_id as learner, course_id, course_name, course_type, due_at,
        strftime(at_time, '%Y-%m-%dT%H:%M:%S.000Z') as at_text, at_time, assigned_at, verb,
        if(is_late, next_at + to_seconds(40000 + i % 5000), at_time + to_seconds(5)) as stored_at,
        if(is_late, 'late arrival', null) as defect, 'landed' as fate
    from dated
    union all
    select
        i, step, 1, employee_id, course_id, course_name, course_type, due_at,
        strftime(at_time, '%Y-%m-%dT%H:%M:%S.000Z'), at_time, assigned_at, verb,
        at_time + to_seconds(5), 'exact duplicate', 'duplicate'
    from dated
    where not is_late and u(i * 4 + step, 'copied') < 0.005
    union all
    select
        i + 500000000, 1, 0, if(nth <= 3, 'A88888', employee_id), course_id, course_name,
        course_type, due_at,
        case
            when nth <= 3 then strftime(at_time, '%Y-%m-%dT%H:%M:%S.000Z')
            when nth % 2 = 0 then 'soon'
            else strftime(at_time, '%Y') || '-02-30T08:00:00.000Z'
        end,
        at_time, assigned_at, 'assigned', at_time + to_seconds(5),
        case when nth <= 3 then 'unknown person' when nth % 2 = 0 then 'unparsable date'
            else 'impossible date' end,
        if(nth <= 3, 'landed', 'quarantined')
    from (
        select
            *,
            row_number() over (partition by position order by u(i, 'broken'), i) as nth,
            -- two in a small company, five in a large one: below the gate's share in both
            least(5, greatest(2, count(*) over (partition by position) // 100)) as broken_count
        from dated
        where step = 1
    )
    where nth <= 3 + broken_count
)

select e.*, m.month as delivered_month
from every e
join months m on e.stored_at >= m.start_at and e.stored_at < m.end_at
"""
