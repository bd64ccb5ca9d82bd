with calls as (

    select * from {{ ref('stg_calls') }} where {{ near_month('ended_at') }}

),

{{ people_ctes() }},

queue_zones as (

    select queue_id, min(time_zone) as time_zone
    from {{ ref('dim_queues') }}
    where month = {{ month_start() }}
    group by queue_id

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

-- A caller leaves a queue once, however many agents the call rang at: by an answer if there was one.
exits as (

    select
        *,
        row_number() over (
            partition by _source, interaction_id, queue_id, transferred_from_leg
            order by
                case when is_in_queue then 0 else 1 end,
                case when is_handled then 0 else 1 end,
                case when is_handled then ended_at end asc nulls last,
                ended_at desc, leg_no desc nulls last, leg_id
        ) as exit_rank
    from handled

),

limits as (

    select
        {{ setting('short_abandon_seconds') }} * 1000 as short_abandon_ms,
        {{ setting('answer_within_seconds') }} * 1000 as answer_within_ms

),

flagged as (

    select
        e.*,
        e.is_in_queue and e.exit_rank = 1 as is_queue_exit,
        not e.is_handled and e.disposition in ('abandoned', 'short_abandon') as is_given_up,
        e.disposition = 'short_abandon'
        or coalesce(e.wait_ms <= l.short_abandon_ms, false) as is_short_wait,
        coalesce(e.sla_threshold_ms, l.answer_within_ms) as threshold_ms
    from exits as e
    cross join limits as l

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
        {{ local_on('f.ended_at', 'coalesce(agent_at.time_zone, z.time_zone)') }} as ended_on
    from flagged as f
    left join queue_zones as z
        on f.queue_id = z.queue_id
    left join routing_codes as c
        on f.wrapup_code = c.wrapup_code
    {{ join_person('agent', 'f._source', 'f.agent_id', 'f.ended_at') }}

)

select
    {{ month_start() }} as month,
    leg_key,
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
    {{ measure('wait_ms / 1000.0') }} as wait_seconds,
    {{ measure('(talk_ms + coalesce(hold_ms, 0) + coalesce(acw_ms, 0)) / 1000.0') }} as handle_seconds,
    is_handled,
    is_handled and talk_ms is not null as is_timed,
    is_handled and (coalesce(disposition, '') = 'transferred' or transferred_to is not null)
    and not is_routed_rightly as is_transferred,
    is_queue_exit,
    is_queue_exit and is_handled and wait_ms is not null as is_answered_from_queue,
    is_queue_exit and is_given_up and not is_short_wait as is_abandoned,
    is_queue_exit and not (is_given_up and is_short_wait)
    and not (is_handled and wait_ms is null) as is_service_level_counted,
    is_queue_exit and not (is_handled and wait_ms is null) as is_queue_exit_timed,
    is_queue_exit and is_handled and coalesce(wait_ms <= threshold_ms, false) as is_answered_in_time,
    _file,
    _row_number
from named
where {{ in_month('ended_on') }}
