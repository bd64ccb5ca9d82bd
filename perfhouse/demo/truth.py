"""The planted truth: every KPI's numerator and denominator by brute force, not by the pipeline.

Works on the clean event tables and on what was delivered when; reads no file of `sources/`.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from perfhouse.demo import helpdesk
from perfhouse.demo.plan import (
    ANSWER_WITHIN_SECONDS,
    REOPEN_DAYS,
    SHORT_ABANDON_SECONDS,
    Plan,
    write_text,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def write(
    con: DuckDBPyConnection, plan: Plan, folder: Path, rosters: dict[str, dict[str, int]]
) -> None:
    """Write kpi_months, attribution, managers, landing, planted and a README under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    con.execute(helpdesk.DELIVERED)
    con.execute(_CALL_EVENTS)
    con.execute(_SURVEY_EVENTS)
    con.execute(_HOLDERS)
    con.execute(_TICKET_EVENTS.replace("@DAYS", str(REOPEN_DAYS)))
    con.execute(_FIRST_CONTACTS.replace("@DAYS", str(REOPEN_DAYS)))
    con.execute(_TRAINING_EVENTS)
    con.execute(
        _EVENTS.replace("@SHORT", str(SHORT_ABANDON_SECONDS)).replace(
            "@WITHIN", str(ANSWER_WITHIN_SECONDS)
        )
    )
    con.execute(_ATTRIBUTED)
    con.execute(_KPI_MONTHS)
    con.execute(_LANDING)
    _parquet(con, folder / "kpi_months.parquet", _KPI_MONTHS_ORDERED)
    _parquet(con, folder / "attribution.parquet", _ATTRIBUTION_ORDERED)
    _parquet(con, folder / "managers.parquet", "select * from skills order by manager_id")
    _json(folder / "landing.json", _landing(con, plan, rosters))
    _json(folder / "planted.json", _planted(con, rosters))
    readme = files("perfhouse.demo").joinpath("truth.md").read_text(encoding="utf-8")
    write_text(folder / "README.md", readme)


def _parquet(con: DuckDBPyConnection, path: Path, query: str) -> None:
    target = str(path).replace("'", "''")
    con.execute(f"copy ({query}) to '{target}' (format parquet)")


def _json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


# Each table below holds what was known when: from month number `known_from` until before
# `known_until`; scenario 'redelivered' replaces 'delivered' for the month that is delivered again.
_CALL_EVENTS = """
create table call_facts as
with kept as (
    select v.*, m.position as known_from
    from call_versions v
    join months m on m.month = v.delivered_month
    where v.fate = 'landed'
),

newest as (
    select * from kept
    qualify row_number() over (partition by leg, known_from order by updated_at desc) = 1
)

select
    *, contact_uuid(leg) as contact_id, local_day(time_zone, ended_at) as event_on,
    lead(known_from) over (partition by leg order by known_from) as known_until
from newest
"""

_SURVEY_EVENTS = """
create table survey_facts as
with scenarios as (
    select s.*, m.position as known_from, 'delivered' as scenario
    from survey_rows s
    join months m on m.month = s.file_month
    where not s.in_redelivery and s.fate = 'landed' and s.is_response
    union all
    select s.*, m.position, 'redelivered'
    from survey_rows s
    join months m on m.month = if(s.in_redelivery, s.local_month, s.file_month)
    where s.fate = 'landed' and s.is_response
)

select
    *, site || '-' || shown_no || ':' || metric as event_id,
    cast(null as bigint) as known_until
from scenarios
qualify row_number() over (
    partition by scenario, ticket_id, metric order by modified_at desc, version desc
) = 1
"""

# Who has a ticket from when until when; before, between and after nobody has it.
_HOLDERS = """
create table holders as
select ticket_id, giver_id as holder_id, assigned_at as from_at,
    coalesce(dropped_at, reassigned_at) as to_at
from true_tickets where giver_id is not null
union all
select ticket_id, agent_id, coalesce(reassigned_at, assigned_at),
    coalesce(again_at, timestamp '2999-01-01')
from true_tickets
union all
select ticket_id, again_id, again_at, timestamp '2999-01-01'
from true_tickets where again_id is not null
"""

# Business time by brute force: what every opening has in common with the wait, summed.
_TICKET_EVENTS = """
create table ticket_facts as
with spans as (
    select calendar, utc(time_zone, day + to_seconds(from_second)) as open_at,
        utc(time_zone, day + to_seconds(to_second)) as shut_at
    from openings
),

waits as (
    select ticket_id, calendar, 'reply' as what, created_at, first_reply_at as done_at
    from true_tickets where first_reply_at is not null
    union all
    select ticket_id, calendar, 'solve', created_at, solved_at
    from true_tickets where solved_at is not null
),

spent as (
    select
        w.ticket_id, w.what,
        sum(date_diff('second', greatest(w.created_at, s.open_at), least(w.done_at, s.shut_at)))
            as seconds
    from waits w
    join spans s
        on s.calendar = w.calendar and s.open_at < w.done_at and s.shut_at > w.created_at
    group by w.ticket_id, w.what
)

select
    t.*,
    coalesce(t.first_reply_at is not null and r.seconds <= 60 * lr.minutes, false)
        as is_reply_in_time,
    coalesce(t.solved_at is not null and s.seconds <= 60 * ls.minutes, false) as is_solve_in_time,
    coalesce(t.solved_at <= t.complaint_due_at, false) as is_complaint_in_time,
    coalesce(t.reopened_at <= t.solved_at + interval @DAYS day, false) as is_reopened
from true_tickets t
join limits lr on lr.measure = 'first_reply' and lr.priority = t.priority
join limits ls on ls.measure = 'resolution' and ls.priority = t.priority
left join spent r on r.ticket_id = t.ticket_id and r.what = 'reply'
left join spent s on s.ticket_id = t.ticket_id and s.what = 'solve'
where t.merged_at is null
"""

# First contacts as each month's end knows them: later tickets are not delivered yet.
_FIRST_CONTACTS = """
create table contact_facts as
with firsts as (
    select t.*, t.created_at + interval @DAYS day as ends_at
    from true_tickets t
    where t.merged_at is null and not exists (
        select 1 from true_tickets o
        where o.customer_no = t.customer_no and o.category = t.category
            and o.ticket_id <> t.ticket_id
            and o.created_at >= t.created_at - interval @DAYS day and o.created_at < t.created_at
    )
),

viewed as (
    select
        f.*, m.position as known_from,
        if(m.position = (select max(position) from months), null, m.position + 1) as known_until,
        least(f.ends_at, m.end_at) as seen_until,
        exists (
            select 1 from true_tickets o
            where o.customer_no = f.customer_no and o.category = f.category
                and o.ticket_id <> f.ticket_id and o.created_at >= f.created_at
                and o.created_at <= f.ends_at and o.created_at < m.end_at
        ) as is_repeated
    from firsts f
    join months m on f.created_at < m.end_at
)

select
    ticket_id, known_from, known_until, local_day(time_zone, created_at) as event_on,
    case
        when first_reply_at <= ends_at or solved_at <= ends_at then agent_id
        else (
            select max(h.holder_id) from holders h
            where h.ticket_id = v.ticket_id and v.seen_until >= h.from_at
                and v.seen_until < h.to_at
        )
    end as holder_id,
    team_id,
    cast(
        coalesce(solved_at <= ends_at, false) and not is_repeated
        and not coalesce(reopened_at <= ends_at, false) as integer
    ) as num
from viewed v
"""

_TRAINING_EVENTS = """
create table training_facts as
with ends as (
    select i, min(m.position) as known_from
    from statements s
    join months m on m.month = s.delivered_month
    where s.verb in ('completed', 'passed') and s.fate = 'landed'
    group by i
),

assignments_made as (
    select t.*, local_day(t.time_zone, t.due_at) as event_on, e.known_from as ended_from
    from true_assignments t
    left join ends e using (i)
    where t.fate <> 'waived'
)

select *, false as is_done, 0 as known_from, if(fate = 'on time', ended_from, null) as known_until
from assignments_made
where fate <> 'on time' or ended_from is null or ended_from > 0
union all
select *, true, ended_from, null
from assignments_made
where fate = 'on time' and ended_from is not null
"""

_EVENTS = """
create table kpi_events as
with promises as (
    -- In time it is the doing that counts and whoever did it, else the due instant.
    select 'first_reply_on_time_rate' as kpi_id, ticket_id, time_zone, team_id,
        if(is_reply_in_time, least(first_reply_at, reply_due_at), reply_due_at) as counted_at,
        if(is_reply_in_time, agent_id, null) as doer_id, cast(is_reply_in_time as integer) as num
    from ticket_facts
    where is_reply_in_time or reply_due_at < read_at
    union all
    select k.kpi_id, ticket_id, time_zone, team_id,
        if(is_solve_in_time, least(solved_at, solve_due_at), solve_due_at),
        if(is_solve_in_time, agent_id, null), cast(is_solve_in_time as integer)
    from ticket_facts
    cross join (values ('resolution_on_time_rate'), ('sla_met_rate')) as k(kpi_id)
    where is_solve_in_time or solve_due_at < read_at
    union all
    select 'complaint_on_time_rate', ticket_id, time_zone, team_id, complaint_due_at,
        if(is_complaint_in_time, agent_id, null), cast(is_complaint_in_time as integer)
    from ticket_facts where category = 'complaint'
    union all
    select 'reopen_rate', ticket_id, time_zone, team_id, solved_at, agent_id,
        cast(is_reopened as integer)
    from ticket_facts where solved_at is not null
    union all
    select 'ticket_closure_rate', ticket_id, time_zone, team_id, solved_at, agent_id,
        cast(not is_reopened as integer)
    from ticket_facts where solved_at is not null
    union all
    select 'ticket_closure_rate', ticket_id, time_zone, team_id, solve_due_at, null, 0
    from ticket_facts
    where solved_at is null
        or date_trunc('month', local_day(time_zone, solved_at))
            > date_trunc('month', local_day(time_zone, solve_due_at))
),

ticket_kpis as (
    select p.*, local_day(p.time_zone, p.counted_at) as event_on,
        coalesce(p.doer_id, h.holder_id) as holder_id
    from promises p
    left join holders h
        on p.doer_id is null and h.ticket_id = p.ticket_id
        and p.counted_at >= h.from_at and p.counted_at < h.to_at
),

agent_call_kpis as (
    select k.kpi_id, contact_id, username, event_on, known_from, known_until,
        case k.kpi_id when 'transfer_rate' then cast(is_transferred as integer)
            else talk_seconds + hold_seconds + acw_seconds end as num
    from call_facts
    cross join (values ('average_handle_time'), ('transfer_rate')) as k(kpi_id)
    where not is_abandoned
),

queue_call_kpis as (
    select 'speed_of_answer' as kpi_id, contact_id, team_id, event_on, known_from, known_until,
        wait_seconds as num
    from call_facts where not is_abandoned
    union all
    select 'abandonment_rate', contact_id, team_id, event_on, known_from, known_until,
        cast(is_abandoned and wait_seconds > @SHORT as integer)
    from call_facts
    union all
    select 'service_level', contact_id, team_id, event_on, known_from, known_until,
        cast(not is_abandoned and wait_seconds <= @WITHIN as integer)
    from call_facts where not (is_abandoned and wait_seconds <= @SHORT)
),

survey_kpis as (
    select
        case metric when 'csat' then 'csat_rate' when 'nps' then 'nps'
            else 'service_attitude_score' end as kpi_id,
        event_id, agent_id, event_on, known_from, known_until, scenario,
        case metric when 'csat' then cast(shown >= 4 as integer)
            when 'nps' then case when shown >= 9 then 1 when shown <= 6 then -1 else 0 end
            else (shown - low) / (high - low)::double end as num
    from survey_facts
)

-- What nobody has answers to whoever answers for the queue.
select kpi_id, cast(ticket_id as varchar) as event_id, holder_id as employee_id,
    if(holder_id is null, team_id, null) as queue_id, event_on, cast(num as double) as numerator,
    1.0::double as denominator, 0 as known_from, cast(null as bigint) as known_until,
    cast(null as varchar) as scenario
from ticket_kpis
union all
select 'first_contact_resolution_rate', cast(ticket_id as varchar), holder_id,
    if(holder_id is null, team_id, null), event_on, num, 1, known_from, known_until, null
from contact_facts
union all
select kpi_id, contact_id, username, null, event_on, num, 1, known_from, known_until, null
from agent_call_kpis
union all
select kpi_id, contact_id, null, team_id, event_on, num, 1, known_from, known_until, null
from queue_call_kpis
union all
select kpi_id, event_id, agent_id, null, event_on, num, 1, known_from, known_until, scenario
from survey_kpis
union all
select 'training_completion_rate', cast(i as varchar), employee_id, null, event_on,
    cast(is_done as integer), 1, known_from, known_until, null
from training_facts
union all
select 'kb_contributions', cast(revision_id as varchar), author_id, null,
    local_day(time_zone, decided_at), 1, 0, 0, null, null
from true_articles where state = 'published' and action in ('create', 'update')
"""

# Whose event it is: who answers for the person, or for the team's queue, on the local day, as known
# at the end.
_ATTRIBUTED = """
create table month_of_day as
select cast(d.day as date) as day, month, position
from months, unnest(range(first_day::timestamp, next_day::timestamp, interval 1 day)) as d(day);
create table answer_days as
select a.position, a.employee_id, a.queue_id, a.manager_id, a.is_direct, d.day
from answers a
join month_of_day d on d.day >= a.from_day and d.day < a.to_day;
create table attributed as
select
    e.*, m.month, m.position,
    coalesce(a.manager_id, q.manager_id) as manager_id
from kpi_events e
join month_of_day m on m.day = e.event_on
left join answer_days a on a.employee_id = e.employee_id and a.day = e.event_on
    and a.is_direct and a.position = (select max(position) from months)
left join answer_days q on q.queue_id = e.queue_id and q.day = e.event_on
    and q.is_direct and q.position = (select max(position) from months)
"""

_KPI_MONTHS = """
create table kpi_months as
with views as (
    select month, position, position as as_of_position, 'delivered' as scenario from months
    union all
    select month, position, (select max(position) from months), 'delivered' from months
    where position < (select max(position) from months)
    union all
    select month, position, position, 'redelivered' from months
),

seen as (
    select v.as_of_position, v.scenario as seen_as, a.* exclude (manager_id)
    from attributed a
    join views v on v.month = a.month and coalesce(a.scenario, v.scenario) = v.scenario
    where a.known_from <= v.as_of_position
        and (a.known_until is null or a.known_until > v.as_of_position)
),

answered as (
    select s.*, a.manager_id, a.is_direct
    from seen s
    join answer_days a on a.position = s.as_of_position and a.employee_id = s.employee_id
        and a.day = s.event_on
    union all
    select s.*, a.manager_id, a.is_direct
    from seen s
    join answer_days a on a.position = s.as_of_position and a.queue_id = s.queue_id
        and a.day = s.event_on
),

counted as (
    select month, as_of_position, seen_as as scenario, manager_id, is_direct, kpi_id,
        sum(numerator) as numerator, sum(denominator) as denominator
    from answered
    where kpi_id <> 'kb_contributions'
    group by all
),

articles as (
    select month, as_of_position, seen_as as scenario, manager_id, is_direct,
        sum(numerator) as numerator
    from answered
    where kpi_id = 'kb_contributions'
    group by all
),

-- Nobody is their own head.
heads as (
    select m.month, a.position as as_of_position, a.manager_id, a.is_direct,
        count(*) / (m.next_day - m.first_day)::double as heads
    from answer_days a
    join months m on a.day >= m.first_day and a.day < m.next_day
    where a.employee_id <> a.manager_id
    group by m.month, a.position, a.manager_id, a.is_direct, m.first_day, m.next_day
),

-- Who answered on the last day answers for the leaving.
leavers as (
    select m.month, a.position as as_of_position, a.manager_id, a.is_direct, count(*) as leavers
    from persons p
    join months m on p.leave >= m.first_day and p.leave < m.next_day
    join answer_days a on a.employee_id = p.employee_id and a.day = p.leave - 1
    group by all
),

-- Each earlier month as it was told by its own end: closed months stay as they were.
years as (
    select v.month, v.as_of_position, v.scenario, h.manager_id, h.is_direct,
        sum(coalesce(l.leavers, 0)) as leavers, sum(h.heads) / 12 as heads
    from views v
    join months m on m.position <= v.position and m.position > v.position - 12
    join heads h on h.month = m.month
        and h.as_of_position = if(m.position = v.position, v.as_of_position, m.position)
    left join leavers l on l.month = h.month and l.as_of_position = h.as_of_position
        and l.manager_id = h.manager_id and l.is_direct = h.is_direct
    group by all
),

pooled as (
    select month, as_of_position, scenario, manager_id, is_direct, kpi_id, numerator, denominator
    from counted
    union all
    select month, as_of_position, scenario, manager_id, is_direct, 'turnover_rate', leavers, heads
    from years
    union all
    select h.month, h.as_of_position, v.scenario, h.manager_id, h.is_direct, 'kb_contributions',
        coalesce(c.numerator, 0), h.heads
    from heads h
    join views v on v.month = h.month and v.as_of_position = h.as_of_position
    left join articles c on c.month = v.month and c.as_of_position = v.as_of_position
        and c.scenario = v.scenario and c.manager_id = h.manager_id and c.is_direct = h.is_direct
)

select
    p.month, m.month as as_of, p.scenario, p.manager_id, p.kpi_id,
    sum(p.numerator) as numerator, sum(p.denominator) as denominator,
    sum(p.numerator) filter (where p.is_direct) as direct_numerator,
    sum(p.denominator) filter (where p.is_direct) as direct_denominator
from pooled p
join months m on m.position = p.as_of_position
group by p.month, m.month, p.scenario, p.manager_id, p.kpi_id
"""

_KPI_MONTHS_ORDERED = """
select month, as_of, scenario, manager_id, kpi_id, round(numerator, 6) as numerator,
    round(denominator, 6) as denominator, round(direct_numerator, 6) as direct_numerator,
    round(direct_denominator, 6) as direct_denominator
from kpi_months
order by month, as_of, scenario, manager_id, kpi_id
"""

_ATTRIBUTION_ORDERED = """
select kpi_id, event_id, month, event_on, employee_id, queue_id, manager_id, numerator, denominator
from attributed
where known_until is null and coalesce(scenario, 'delivered') = 'delivered'
order by kpi_id, month, event_id
"""

_LANDING = """
create table landing as
select 'helpdesk' as source, stream, month, defect, fate from desk_delivered
union all
select 'calls', 'calls', delivered_month, defect, fate from call_versions
union all
select 'surveys', 'survey_responses', file_month, defect, fate
from survey_rows where not in_redelivery
union all
select 'training', 'training_records', delivered_month, defect, fate from statements
"""


def _landing(
    con: DuckDBPyConnection, plan: Plan, rosters: dict[str, dict[str, int]]
) -> list[dict[str, object]]:
    rows = con.execute(
        "select source, stream, month, count(*) as rows_in, "
        "count(*) filter (where fate = 'landed') as landed, "
        "count(*) filter (where fate = 'duplicate') as duplicates, "
        "count(*) filter (where fate = 'quarantined') as quarantined "
        "from landing group by all order by source, stream, month"
    ).fetchall()
    names = ("source", "stream", "month", "rows_in", "landed", "duplicates", "quarantined")
    found: list[dict[str, object]] = [dict(zip(names, row, strict=True)) for row in rows]
    for month, counts in sorted(rosters.items()):
        found.append(
            dict(
                zip(
                    names,
                    ("roster", "hr_roster", month, counts["rows"], counts["landed"], 1, 1),
                    strict=True,
                )
            )
        )
        units = plan.managers + 1
        line = ("roster", "org_units", month, units, units, 0, 0)
        found.append(dict(zip(names, line, strict=True)))
    return found


def _planted(
    con: DuckDBPyConnection, rosters: dict[str, dict[str, int]]
) -> list[dict[str, object]]:
    rows = con.execute(
        "select source, stream, month, defect, count(*) from landing where defect is not null "
        "group by all union all "
        "select 'surveys', 'survey_responses', file_month, 'padded id', count(*) from survey_rows "
        "where agent_text <> agent_id and not in_redelivery group by all union all "
        "select 'surveys', 'survey_responses', file_month, '? for null', count(*) from survey_rows "
        "where language_text = '?' and not in_redelivery group by all union all "
        "select 'surveys', 'survey_responses', month, 'id used twice', count(*) from ("
        "select file_month as month, shown_no from survey_rows where not in_redelivery "
        "group by all having count(distinct site) > 1) group by all "
        "order by 1, 2, 3, 4"
    ).fetchall()
    names = ("source", "stream", "month", "kind", "rows")
    found: list[dict[str, object]] = [dict(zip(names, row, strict=True)) for row in rows]
    kinds = ("exact duplicate", "impossible date", "padded name", "? for null")
    for month, counts in sorted(rosters.items()):
        for kind in kinds:
            line = ("roster", "hr_roster", month, kind, counts[kind])
            found.append(dict(zip(names, line, strict=True)))
    return found
