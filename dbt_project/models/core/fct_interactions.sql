{{ config(materialized='view') }}
-- Whole calls, from their legs. A view: no score reads it, and a build need not write every call a second time.
with legs as (

    select
        *,
        coalesce(interaction_id, leg_id) as call_id
    from {{ ref('fct_calls') }}

),

calls as (

    select
        month,
        _source,
        call_id,
        min(queue_id) as queue_id,
        min(started_at) as started_at,
        max(ended_at) as ended_at,
        max(ended_on) as ended_on,
        count(*) as leg_count,
        sum(case when is_handled then 1 else 0 end) as handled_leg_count,
        sum(case when is_queue_exit then 1 else 0 end) as queue_exit_count,
        sum(case when is_queue_exit then wait_seconds end) as queue_wait_seconds,
        sum(case when is_handled then talk_seconds end) as talk_seconds,
        sum(case when is_handled then hold_seconds end) as hold_seconds,
        sum(case when is_handled then wrap_up_seconds end) as wrap_up_seconds,
        sum(case when is_transferred then 1 else 0 end) as transfer_count,
        max(case when is_abandoned then 1 else 0 end) as is_abandoned,
        max(case when is_short_abandoned then 1 else 0 end) as is_short_abandoned
    from legs
    group by month, _source, call_id

),

-- Few calls have several legs, and only those are ranked.
entries as (

    select
        l.month,
        l._source,
        l.call_id,
        l.queue_id,
        row_number() over (
            partition by l.month, l._source, l.call_id order by l.started_at, l.ended_at, l.leg_id
        ) as entry_rank
    from legs as l
    inner join calls as c
        on l.month = c.month and l._source = c._source and l.call_id = c.call_id
    where c.leg_count > 1 and l.queue_id is not null

)

select
    c.month,
    c._source,
    c.call_id as interaction_id,
    coalesce(e.queue_id, c.queue_id) as queue_id,
    c.started_at,
    c.ended_at,
    c.ended_on,
    cast(c.leg_count as integer) as leg_count,
    cast(c.handled_leg_count as integer) as handled_leg_count,
    cast(c.queue_exit_count as integer) as queue_exit_count,
    {{ measure('c.queue_wait_seconds') }} as queue_wait_seconds,
    {{ measure('c.talk_seconds') }} as talk_seconds,
    {{ measure('c.hold_seconds') }} as hold_seconds,
    {{ measure('c.wrap_up_seconds') }} as wrap_up_seconds,
    cast(c.transfer_count as integer) as transfer_count,
    c.handled_leg_count > 0 as is_handled,
    c.is_abandoned = 1 as is_abandoned,
    c.is_short_abandoned = 1 as is_short_abandoned
from calls as c
left join entries as e
    on c.month = e.month and c._source = e._source and c.call_id = e.call_id and e.entry_rank = 1
