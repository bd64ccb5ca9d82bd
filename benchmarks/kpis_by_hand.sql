-- Every KPI of the synthetic company's September 2026 straight from the landed files and its configuration, as
-- one would write it for this company alone: nothing is kept but what the sums need.
-- Ends in by_hand: kpi_id, manager_id, numerator, denominator. Runs in a session whose zone is UTC.

create temp macro day_in(zone, moment) as case zone
    when 'Europe/London' then cast(moment at time zone 'Europe/London' as date)
    else cast(moment at time zone 'Asia/Shanghai' as date)
end;
create temp macro month_at() as timestamptz '2026-08-31 16:00:00+00';
create temp macro next_month_at() as timestamptz '2026-09-30 16:00:00+00';
create temp macro in_month(day) as day between date '2026-09-01' and date '2026-09-30';
create temp macro near(moment) as
    moment >= month_at() - interval 1 day and moment < next_month_at() + interval 1 day;

-- ------------------------------------------------------------------------------ people

create temp table jobs as
with latest as (
    select * from raw.hr_roster
    qualify row_number() over (partition by employee_id, valid_from order by snapshot_date desc) = 1
),
ended as (
    select
        employee_id,
        manager_employee_id as manager_id,
        team_id,
        job_family,
        location,
        last_work_date + 1 as left_on,
        valid_from,
        least(
            lead(valid_from, 1, date '2999-01-01') over (partition by employee_id order by valid_from),
            coalesce(last_work_date + 1, date '2999-01-01')
        ) as valid_to
    from latest
)
select *, coalesce(valid_to = left_on and in_month(left_on), false) as is_leaver from ended;

create temp table places as
select
    j.employee_id,
    l.time_zone as zone,
    l.calendar,
    if(row_number() over jobs_of = 1, date '1900-01-01', j.valid_from) as valid_from,
    lead(j.valid_from, 1, date '2999-01-01') over jobs_of as valid_to
from jobs as j
join config.locations as l using (location)
window jobs_of as (partition by j.employee_id order by j.valid_from);

-- A team's queue is its manager's: who has most agents in the team on the day.
create temp table queue_days as
select team_id as queue_id, day, manager_id
from jobs
join (select cast(range as date) as day from range(date '2026-09-01', date '2026-10-01', interval 1 day))
    on day >= valid_from and day < valid_to
where manager_id is not null
group by team_id, day, manager_id
qualify row_number() over (
    partition by team_id, day
    order by count_if(job_family = 'agent') desc, count(*) desc, manager_id
) = 1;

-- ------------------------------------------------------------------------------ calls

create temp table legs as
with latest as (
    select * from raw.calls
    where near(ended_at)
    qualify row_number() over (partition by leg_id order by source_updated_at desc nulls last, _row_hash desc) = 1
)
select
    leg_id, interaction_id, leg_no, queue_id, transferred_from_leg, transferred_to, agent_id, media, direction,
    disposition, ended_at, wait_ms, talk_ms, hold_ms, acw_ms, sla_threshold_ms,
    cast(ended_at at time zone 'Asia/Shanghai' as date) as company_day,
    agent_id is not null and media in ('voice', 'callback')
        and (answered_at is not null or disposition in ('answered', 'transferred')) as is_handled
from latest
where _op <> 'delete';

create temp table agent_days as
select
    l.agent_id,
    day_in(p.zone, l.ended_at) as day,
    sum(talk_ms + coalesce(hold_ms, 0) + coalesce(acw_ms, 0)) as handle_ms,
    count(talk_ms) as timed,
    count_if(disposition = 'transferred' or transferred_to is not null) as transferred,
    count(*) as handled
from legs as l
left join places as p
    on l.agent_id = p.employee_id and l.company_day >= p.valid_from and l.company_day < p.valid_to
where l.is_handled
group by all;

-- A caller leaves a queue once, by an answer if there was one.
create temp table queue_hours as
with exits as (
    select * from legs
    where queue_id is not null and direction = 'inbound' and media = 'voice'
        and coalesce(disposition, '') not in ('callback_requested', 'failed')
    qualify row_number() over (
        partition by interaction_id, queue_id, transferred_from_leg
        order by is_handled desc, if(is_handled, ended_at, null), ended_at desc, leg_no desc nulls last, leg_id
    ) = 1
),
judged as (
    select
        e.*,
        not is_handled and disposition in ('abandoned', 'short_abandon') as is_given_up,
        disposition = 'short_abandon' or coalesce(wait_ms <= 5000, false) as is_short,
        not (is_handled and wait_ms is null) as is_timed,
        day_in(coalesce(a.zone, m.zone), ended_at) as day
    from exits as e
    left join places as a
        on e.agent_id = a.employee_id and e.company_day >= a.valid_from and e.company_day < a.valid_to
    left join queue_days as q
        on e.queue_id = q.queue_id
        and least(greatest(e.company_day, date '2026-09-01'), date '2026-09-30') = q.day
    left join places as m
        on q.manager_id = m.employee_id and e.company_day >= m.valid_from and e.company_day < m.valid_to
)
select
    queue_id,
    day,
    count(*) as queued,
    count_if(is_given_up and not is_short) as abandoned,
    count_if(is_timed) as timed,
    count_if(is_timed and not (is_given_up and is_short)) as counted,
    count_if(is_handled and wait_ms <= coalesce(sla_threshold_ms, 20000)) as in_time,
    count_if(is_handled and wait_ms is not null) as answered,
    sum(wait_ms) filter (is_handled) as wait_ms
from judged
group by all;

-- ------------------------------------------------------------------------------ tickets

create temp table latest_tickets as
select
    ticket_id, category, coalesce(priority, 'normal') as priority, status, queue_id, requester_key,
    coalesce(is_complaint, false) as is_complaint, assignee_id,
    coalesce(resolved_by_id, assignee_id) as resolver_id, first_responder_id,
    created_at, first_response_at, coalesce(resolved_at, closed_at) as resolved_at,
    _op
from raw.tickets
qualify row_number() over (
    partition by ticket_id order by source_updated_at desc nulls last, _row_hash desc
) = 1;

create temp table kept_events as
select ticket_id, event_id, event_type, occurred_at, actor_id, actor_type, field,
    nullif(old_value, '') as old_value, nullif(new_value, '') as new_value,
    event_type = 'public_reply' and actor_type = 'agent' and coalesce(is_public, true)
        and not coalesce(via_automation, false) as is_human
from raw.ticket_events
where _op <> 'delete' and occurred_at < next_month_at()
    and event_type in ('public_reply', 'solved', 'reopened', 'assigned', 'sla_breached', 'sla_fulfilled');

create temp table told as
select
    e.ticket_id,
    bool_or(event_type = 'public_reply') as has_replies,
    min(occurred_at) filter (is_human and occurred_at <> created_at) as reply_at,
    arg_min(actor_id, occurred_at) filter (is_human and occurred_at <> created_at) as replier_id,
    count(distinct event_id) filter (is_human) as touches,
    min(occurred_at) filter (event_type = 'solved') as solved_at,
    arg_min(actor_id, occurred_at) filter (event_type = 'solved' and actor_type = 'agent') as solver_id,
    min(occurred_at) filter (event_type = 'reopened') as reopened_at,
    arg_min(coalesce(old_value, new_value), occurred_at) filter (event_type = 'assigned') as owner_id
from kept_events as e
join latest_tickets using (ticket_id)
group by e.ticket_id;

create temp table owners as
select distinct ticket_id, occurred_at as from_at, new_value as owner_id
from kept_events
where event_type = 'assigned';

-- Open seconds from the beginning of the calendar to an instant of the hour.
create temp macro open_until_then(hour_at, seconds_before, open_from, open_until, moment) as
    seconds_before - open_from
    + least(greatest(epoch(moment)::bigint - epoch(hour_at)::bigint, open_from), open_until);

create temp table tickets as
with named as (
    select
        t.*,
        e.touches,
        e.reopened_at,
        if(e.has_replies, e.reply_at, t.first_response_at) as reply_at,
        if(e.has_replies, coalesce(e.replier_id, t.first_responder_id), t.first_responder_id) as replier_id,
        least(coalesce(e.solved_at, t.resolved_at), t.resolved_at) as solved_at,
        coalesce(e.solver_id, t.resolver_id) as solver_id,
        coalesce(p.calendar, 'cn') as calendar
    from latest_tickets as t
    left join told as e using (ticket_id)
    left join places as p
        on coalesce(e.owner_id, t.assignee_id, t.resolver_id) = p.employee_id
        and cast(t.created_at at time zone 'Asia/Shanghai' as date) >= p.valid_from
        and cast(t.created_at at time zone 'Asia/Shanghai' as date) < p.valid_to
    where t._op <> 'delete' and coalesce(t.status, 'open') not in ('merged', 'deleted')
),
levels as (
    select
        priority,
        max(minutes * 60) filter (measure = 'first_reply') as reply_seconds,
        max(minutes * 60) filter (measure = 'resolution') as solve_seconds,
        max(minutes * 60) filter (measure = 'complaint') as complaint_seconds
    from config.service_levels
    group by priority
),
started as (
    select n.*, l.* exclude (priority), open_until_then(c.hour_at, c.seconds_before, c.open_from, c.open_until, n.created_at) as started_at,
        open_until_then(r.hour_at, r.seconds_before, r.open_from, r.open_until, n.reply_at) as replied, open_until_then(s.hour_at, s.seconds_before, s.open_from, s.open_until, n.solved_at) as solved
    from named as n
    join levels as l using (priority)
    join config.business_hours as c
        on n.calendar = c.calendar and date_trunc('hour', n.created_at) = c.hour_at
    left join config.business_hours as r
        on n.calendar = r.calendar and date_trunc('hour', n.reply_at) = r.hour_at
    left join config.business_hours as s
        on n.calendar = s.calendar and date_trunc('hour', n.solved_at) = s.hour_at
)
select
    s.*,
    s.replied - s.started_at <= s.reply_seconds as is_reply_in_time,
    s.solved - s.started_at <= s.solve_seconds as is_solve_in_time,
    r.hour_at + to_seconds(r.open_from + s.started_at + s.reply_seconds - r.seconds_before) as reply_due_at,
    d.hour_at + to_seconds(d.open_from + s.started_at + s.solve_seconds - d.seconds_before) as solve_due_at,
    s.created_at + to_seconds(s.complaint_seconds) as complaint_due_at,
    coalesce(s.reopened_at <= s.solved_at + interval 7 day, false) as is_reopened
from started as s
asof join config.business_hours as r
    on s.calendar = r.calendar and s.started_at + s.reply_seconds > r.seconds_before
asof join config.business_hours as d
    on s.calendar = d.calendar and s.started_at + s.solve_seconds > d.seconds_before;

-- What was decided, when, and who did it; where nobody did it in time, who owned the ticket at `acted_at`.
create temp table decided as
with contacts as (
    select
        ticket_id,
        lag(created_at) over issue as previous_at,
        lead(created_at) over issue as next_at
    from latest_tickets
    where requester_key is not null and _op <> 'delete' and coalesce(status, 'open') <> 'deleted'
    window issue as (partition by requester_key, category order by created_at, ticket_id)
),
promises as (
    select distinct ticket_id, field, event_type, occurred_at
    from kept_events
    where event_type in ('sla_breached', 'sla_fulfilled')
)
select 'first_reply_on_time_rate' as kpi_id, ticket_id, if(is_reply_in_time, replier_id, null) as doer_id,
    if(is_reply_in_time, reply_at, reply_due_at) as acted_at,
    if(is_reply_in_time, least(reply_at, reply_due_at), reply_due_at) as decided_at,
    coalesce(is_reply_in_time, false) as is_met
from tickets
where is_reply_in_time or (reply_due_at < next_month_at() and not coalesce(solved_at <= reply_due_at, false))
union all
select 'resolution_on_time_rate', ticket_id, if(is_solve_in_time, solver_id, null),
    if(is_solve_in_time, solved_at, solve_due_at),
    if(is_solve_in_time, least(solved_at, solve_due_at), solve_due_at),
    coalesce(is_solve_in_time, false)
from tickets
where is_solve_in_time or solve_due_at < next_month_at()
union all
select 'complaint_on_time_rate', ticket_id, if(solved_at <= complaint_due_at, solver_id, null),
    if(solved_at <= complaint_due_at, solved_at, complaint_due_at), complaint_due_at,
    coalesce(solved_at <= complaint_due_at, false)
from tickets
where is_complaint and complaint_due_at < next_month_at()
union all
select 'ticket_closure_rate', ticket_id, solver_id, solved_at, solved_at, not is_reopened
from tickets
where solved_at is not null
union all
select 'ticket_closure_rate', ticket_id, null, solve_due_at, solve_due_at, false
from tickets
where solve_due_at < next_month_at() and solved_at is null
union all
select 'reopen_rate', ticket_id, solver_id, solved_at, solved_at, is_reopened
from tickets
where solved_at is not null
union all
select 'one_touch_resolution_rate', ticket_id, solver_id, solved_at, solved_at, touches = 1 and not is_reopened
from tickets
where solved_at is not null and touches > 0
union all
select 'first_contact_resolution_rate', t.ticket_id,
    case
        when t.reply_at <= t.created_at + interval 7 day then t.replier_id
        when t.solved_at <= t.created_at + interval 7 day then t.solver_id
    end,
    case
        when t.reply_at <= t.created_at + interval 7 day then t.reply_at
        when t.solved_at <= t.created_at + interval 7 day then t.solved_at
        else t.created_at + interval 7 day
    end, t.created_at,
    coalesce(t.solved_at <= t.created_at + interval 7 day, false)
    and coalesce(c.next_at > t.created_at + interval 7 day, true)
    and not coalesce(t.reopened_at <= t.created_at + interval 7 day, t.is_reopened)
from tickets as t
join contacts as c using (ticket_id)
where coalesce(c.previous_at < t.created_at - interval 7 day, true)
union all
select 'sla_met_rate', ticket_id, null, occurred_at, occurred_at, event_type = 'sla_fulfilled'
from (
    select * from promises
    qualify event_type = 'sla_breached' or coalesce(lag(event_type) over (
        partition by ticket_id, field order by occurred_at
    ), '') <> 'sla_breached'
);

create temp table ticket_days as
with held as (
    select d.*, null as owner_id
    from decided as d
    where doer_id is not null
    union all
    select d.*, o.owner_id
    from (select * from decided where doer_id is null) as d
    asof left join owners as o
        on d.ticket_id = o.ticket_id and d.acted_at >= o.from_at
),
answering as (
    select
        kpi_id,
        coalesce(doer_id, owner_id) as employee_id,
        decided_at,
        cast(decided_at at time zone 'Asia/Shanghai' as date) as company_day,
        is_met
    from held
    where near(decided_at)
)
select a.kpi_id, a.employee_id, day_in(p.zone, a.decided_at) as day, count_if(a.is_met) as met, count(*) as counted
from answering as a
left join places as p
    on a.employee_id = p.employee_id and a.company_day >= p.valid_from and a.company_day < p.valid_to
group by all;

-- ------------------------------------------------------------------------------ surveys

create temp table answers as
with latest as (
    select * from raw.survey_responses
    where near(submitted_at)
    qualify row_number() over (
        partition by response_id, question_id, rater_key order by source_updated_at desc nulls last, _row_hash desc
    ) = 1
),
solves as (
    select ticket_id, occurred_at, if(actor_type = 'agent', actor_id, null) as actor_id
    from kept_events
    where event_type = 'solved'
),
solved as (
    select
        r.*,
        coalesce(s.actor_id, t.resolver_id) as solver_id,
        coalesce(s.occurred_at, least(t.resolved_at, r.submitted_at)) as solved_at
    from latest as r
    left join latest_tickets as t using (ticket_id)
    asof left join solves as s
        on r.ticket_id = s.ticket_id and r.submitted_at >= s.occurred_at
),
credited as (
    select
        r.*,
        -- Who owned the ticket when it was solved.
        coalesce(r.subject_employee_id, o.owner_id, r.solver_id, r.agent_id) as employee_id,
        r.status in ('completed', 'partial') and r.score is not null as is_answered,
        (r.score - r.scale_min) / nullif(r.scale_max - r.scale_min, 0) as share
    from solved as r
    asof left join owners as o
        on r.ticket_id = o.ticket_id and r.solved_at >= o.from_at
    where r._op <> 'delete' and not coalesce(r.is_test, false)
)
select
    c.*,
    day_in(p.zone, c.submitted_at) as day,
    -- Once in 90 days; there are no answers of earlier months.
    c.metric = 'nps' and c.is_answered and c.rater_type = 'customer' and (c.rater_key is null or row_number() over (
        partition by c.rater_key, c.metric, c.is_answered order by c.submitted_at, c.response_id
    ) = 1) as is_nps,
    row_number() over (
        partition by coalesce(c.rater_key, c.response_id), c.employee_id, c.metric order by c.submitted_at desc
    ) = 1 as is_newest
from credited as c
left join places as p
    on c.employee_id = p.employee_id
    and cast(c.submitted_at at time zone 'Asia/Shanghai' as date) >= p.valid_from
    and cast(c.submitted_at at time zone 'Asia/Shanghai' as date) < p.valid_to;

-- ------------------------------------------------------------------------------ training, articles, heads

create temp table courses as
with latest as (
    select * from raw.training_records
    qualify row_number() over (
        partition by record_id, learner_id, course_id, attempt_no
        order by source_updated_at desc nulls last, _row_hash desc
    ) = 1
),
dated as (
    select
        r.*,
        day_in(p.zone, r.due_at) as due_on,
        day_in(p.zone, r.completed_at) as completed_on
    from latest as r
    left join places as p
        on r.learner_id = p.employee_id
        and cast(r.due_at at time zone 'Asia/Shanghai' as date) >= p.valid_from
        and cast(r.due_at at time zone 'Asia/Shanghai' as date) < p.valid_to
    where r._op <> 'delete' and not coalesce(r.voided, false)
)
select
    learner_id as employee_id,
    due_on as day,
    coalesce(min(completed_on) filter (status in ('completed', 'passed')) <= due_on, false) as is_in_time
from dated
where due_at < next_month_at()
group by learner_id, course_id, due_on
having not bool_or(status in ('waived', 'withdrawn'));

create temp table articles as
with latest as (
    select *, coalesce(published_at, submitted_at) as counted_at from raw.kb_contributions
    qualify row_number() over (
        partition by contribution_id order by source_updated_at desc nulls last, _row_hash desc
    ) = 1
)
select
    a.author_id as employee_id,
    day_in(p.zone, a.counted_at) as day,
    a.views_30d as views
from latest as a
left join places as p
    on a.author_id = p.employee_id
    and cast(a.counted_at at time zone 'Asia/Shanghai' as date) >= p.valid_from
    and cast(a.counted_at at time zone 'Asia/Shanghai' as date) < p.valid_to
where a._op <> 'delete' and a.published_at is not null and coalesce(a.status, 'published') = 'published'
    and (a.action = 'create' or (a.action = 'update' and coalesce(a.is_substantive, true)));

create temp table heads as
select
    manager_id,
    cast(cast(
        least(valid_to, date '2026-10-01') - greatest(valid_from, date '2026-09-01') as numeric(28, 10)
    ) / 30 as numeric(28, 10)) as heads,
    is_leaver
from jobs
where manager_id is not null and valid_from < least(valid_to, date '2026-10-01') and valid_to > date '2026-09-01';

-- ------------------------------------------------------------------------------ sums

create temp table by_hand as
with by_person as (
    select kpi_id, employee_id, day, cast(met as numeric(28, 10)) as numerator,
        cast(counted as numeric(28, 10)) as denominator
    from ticket_days
    union all select 'average_handle_time', agent_id, day, handle_ms / numeric '1000', timed from agent_days
    union all select 'transfer_rate', agent_id, day, transferred, handled from agent_days
    union all select 'csat_rate', employee_id, day, cast(share >= 0.75 as int), 1 from answers
    where is_answered and metric = 'csat' and rater_type = 'customer'
    union all select 'ces_rate', employee_id, day, cast(share > 0.5 as int), 1 from answers
    where is_answered and metric = 'ces' and rater_type = 'customer'
    union all select 'service_attitude_score', employee_id, day, cast(share as numeric(18, 6)), 1 from answers
    where is_answered and metric = 'attitude' and rater_type = 'customer'
    union all select 'nps', employee_id, day, case when score >= 9 then 1 when score <= 6 then -1 else 0 end, 1
    from answers where is_nps
    union all select 'survey_response_rate', employee_id, day, cast(is_answered as int), 1 from answers
    where rater_type = 'customer' and sent_at is not null
    union all select 'training_completion_rate', employee_id, day, cast(is_in_time as int), 1 from courses
    union all select 'kb_contributions', employee_id, day, 1, 0 from articles
    union all select 'kb_views_per_contribution', employee_id, day, views, 1 from articles where views is not null
),
by_queue as (
    select 'speed_of_answer' as kpi_id, queue_id, day, wait_ms / numeric '1000' as numerator, answered as denominator
    from queue_hours
    union all select 'service_level', queue_id, day, in_time, counted from queue_hours
    union all select 'service_level_all_abandons', queue_id, day, in_time, timed from queue_hours
    union all select 'abandonment_rate', queue_id, day, abandoned, queued from queue_hours
),
by_manager as (
    select p.kpi_id, j.manager_id, p.numerator, p.denominator
    from by_person as p
    join jobs as j on p.employee_id = j.employee_id and p.day >= j.valid_from and p.day < j.valid_to
    where in_month(p.day)
    union all
    select b.kpi_id, q.manager_id, b.numerator, b.denominator
    from by_queue as b
    join queue_days as q on b.queue_id = q.queue_id and b.day = q.day
    union all
    select if(metric = 'enps', 'enps', 'employee_satisfaction'), employee_id,
        case when metric <> 'enps' then cast(share >= 0.75 as int)
            when score >= 9 then 1 when score <= 6 then -1 else 0 end, 1
    from answers
    where is_answered and is_newest and survey_kind = 'employee_satisfaction' and in_month(day)
    union all select 'kb_contributions', manager_id, 0, heads from heads
    union all select 'turnover_rate', manager_id, cast(is_leaver as int), cast(heads / 12 as numeric(28, 10)) from heads
)
select
    kpi_id,
    manager_id,
    cast(sum(numerator) as numeric(28, 10)) as numerator,
    cast(sum(denominator) as numeric(28, 10)) as denominator
from by_manager
where manager_id is not null
group by all
having sum(numerator) <> 0 or sum(denominator) <> 0;
