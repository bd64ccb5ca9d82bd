with calls as (

    select * from {{ ref('stg_calls') }} where {{ near_month('ended_at') }}

),

{{ people_ctes() }},

queues as (

    select queue_id, owned_on, manager_id from {{ ref('dim_queues') }} where month = {{ month_start() }}

),

handled as (

    select
        *,
        agent_id is not null and media in ('voice', 'callback')
        and (answered_at is not null or disposition in ('answered', 'transferred')) as is_handled,
        queue_id is not null and direction = 'inbound' and media = 'voice'
        and coalesce(disposition, 'answered') not in ('callback_requested', 'failed') as is_in_queue
    from calls

),

several as (

    select _source, interaction_id
    from handled
    where is_in_queue
    group by _source, interaction_id
    having count(*) > 1

),

-- A caller leaves a queue once, however many agents the call rang at: by an answer if there was one. Few calls
-- have several legs, and only those are ranked: a window over all costs more than reading them.
ranked as (

    select
        h._source,
        h.leg_id,
        row_number() over (
            partition by h._source, h.interaction_id, h.queue_id, h.transferred_from_leg
            order by
                case when h.is_handled then 0 else 1 end,
                case when h.is_handled then h.ended_at end asc nulls last,
                h.ended_at desc, h.leg_no desc nulls last, h.leg_id
        ) as exit_rank
    from handled as h
    inner join several as s
        on h._source = s._source and h.interaction_id is not distinct from s.interaction_id
    where h.is_in_queue

),

passed_over as (

    select _source, leg_id from ranked where exit_rank > 1

),

-- Queues of which a source told no wait of anybody who was answered: who gave up there is then no share of anything.
-- Where nobody was answered at all, that is the share.
unmeasured as (

    select _source, queue_id
    from handled
    where is_in_queue and is_handled and {{ in_month(local_on('ended_at')) }}
    group by _source, queue_id
    having count(wait_ms) = 0

),

limits as (

    select
        {{ setting('short_abandon_seconds') }} * 1000 as short_abandon_ms,
        {{ setting('answer_within_seconds') }} * 1000 as answer_within_ms

),

flagged as (

    select
        e.*,
        e.is_in_queue and p.leg_id is null as is_queue_exit,
        not e.is_handled and e.disposition in ('abandoned', 'short_abandon') as is_given_up,
        e.disposition = 'short_abandon'
        or coalesce(e.wait_ms <= l.short_abandon_ms, false) as is_short_wait,
        u.queue_id is null and (e.wait_ms is not null or not e.is_handled) as is_measured,
        coalesce(e.sla_threshold_ms, l.answer_within_ms) as threshold_ms
    from handled as e
    left join passed_over as p
        on e._source = p._source and e.leg_id = p.leg_id
    left join unmeasured as u
        on e._source = u._source and e.queue_id = u.queue_id
    cross join limits as l

),

-- The day before the month and the day after it have the owner of the nearest day.
dated as (

    select
        *,
        {{ local_on('ended_at') }} as company_day,
        least(
            greatest({{ local_on('ended_at') }}, {{ month_start() }}),
            cast({{ month_end() }} - interval '1 day' as date)
        ) as owned_on
    from flagged

),

-- Wrap-up codes of calls that had to be passed on.
routing_codes as (

    select wrapup_code from {{ source('config', 'routing_codes') }}

),

named as (

    select
        f.*,
        c.wrapup_code is not null as is_routed_rightly,
        {{ person('agent') }} as agent_employee_id,
        {{ local_on('f.ended_at', 'coalesce(agent_at.time_zone, queue_at.time_zone)') }} as ended_on
    from dated as f
    left join queues as q
        on f.queue_id = q.queue_id and f.owned_on = q.owned_on
    left join places as queue_at
        on q.manager_id = queue_at.employee_id
        and f.company_day >= queue_at.valid_from
        and f.company_day < queue_at.valid_to
    left join routing_codes as c
        on f.wrapup_code = c.wrapup_code
    {{ join_person('agent', 'f._source', 'f.agent_id', 'f.ended_at') }}

)

select
    {{ month_start() }} as month,
    _source,
    leg_id,
    interaction_id,
    queue_id,
    agent_id,
    agent_employee_id,
    media,
    direction,
    disposition,
    started_at,
    answered_at,
    ended_at,
    ended_on,
    {{ seconds_of('wait_ms') }} as wait_seconds,
    {{ seconds_of('talk_ms') }} as talk_seconds,
    {{ seconds_of('hold_ms') }} as hold_seconds,
    {{ seconds_of('acw_ms') }} as wrap_up_seconds,
    {{ seconds_of('(talk_ms + coalesce(hold_ms, 0) + coalesce(acw_ms, 0))') }} as handle_seconds,
    is_handled,
    is_handled and talk_ms is not null as is_timed,
    is_handled and (coalesce(disposition, '') = 'transferred' or transferred_to is not null)
    and not is_routed_rightly as is_transferred,
    is_queue_exit,
    is_queue_exit and is_handled and wait_ms is not null as is_answered_from_queue,
    is_queue_exit and is_given_up and not is_short_wait as is_abandoned,
    is_queue_exit and is_given_up and is_short_wait as is_short_abandoned,
    is_queue_exit and is_measured and not (is_given_up and is_short_wait) as is_service_level_counted,
    is_queue_exit and is_measured as is_queue_exit_timed,
    is_queue_exit and is_handled and coalesce(wait_ms <= threshold_ms, false) as is_answered_in_time,
    _file,
    _row_number
from named
where {{ in_month('ended_on') }}
