-- Promises of the source's own SLA that were decided in the month. Where its events tell of them, each is an
-- instance and answers to who owned the ticket at that instant; else the ticket's flag or due date is one, and
-- answers to who solved it in time, or who owned it when it fell due.
with tickets as (

    select *
    from {{ ref('fct_tickets') }}
    where month = {{ month_start() }} and coalesce(status, 'open') not in ('merged', 'deleted')

),

-- A delivery may repeat events: one row per event.
events as (

    select
        t.ticket_key,
        e.event_id,
        min(e.event_type) as event_type,
        min(coalesce(e.field, '')) as promise,
        min(e.occurred_at) as occurred_at,
        min(e.seq) as seq
    from {{ ref('stg_ticket_events') }} as e
    inner join tickets as t
        on e._source = t._source and e.ticket_id = t.ticket_id
    where e.event_type in ('sla_breached', 'sla_fulfilled') and e.occurred_at < {{ as_of_at() }}
    group by t.ticket_key, e.event_id

),

told as (

    select
        *,
        row_number() over (partition by ticket_key, promise order by {{ in_order() }}) as instance_no,
        lag(event_type) over (partition by ticket_key, promise order by {{ in_order() }}) as previous_type
    from events

),

-- What is fulfilled after a breach was decided by the breach. A breach whose due instant nobody knows is that
-- of who solved it.
instances as (

    select
        ticket_key,
        promise,
        instance_no,
        occurred_at as decided_at,
        null as doer_id,
        event_type = 'sla_fulfilled' as is_met
    from told
    where event_type = 'sla_breached' or coalesce(previous_type, 'sla_fulfilled') <> 'sla_breached'
    union all
    select
        t.ticket_key,
        'ticket' as promise,
        1 as instance_no,
        t.sla_decided_at as decided_at,
        case when t.is_sla_met or t.sla_due_at is null then t.first_solver_id end as doer_id,
        t.is_sla_met
    from tickets as t
    left join (select ticket_key from told group by ticket_key) as e
        on t.ticket_key = e.ticket_key
    where e.ticket_key is null

),

decided as (

    select
        t._source,
        t.ticket_id,
        t.channel,
        t.category,
        t.priority,
        t._file,
        t._row_number,
        i.ticket_key,
        i.promise,
        i.instance_no,
        i.decided_at,
        i.decided_at as acted_at,
        i.doer_id,
        i.is_met
    from instances as i
    inner join tickets as t
        on i.ticket_key = t.ticket_key
    where {{ near_month('i.decided_at') }}

),

{{ owner_ctes() }}

select
    {{ month_start() }} as month,
    ticket_key,
    _source,
    ticket_id,
    channel,
    category,
    priority,
    promise,
    cast(instance_no as integer) as instance_no,
    owner_id,
    owner_employee_id,
    queue_id,
    decided_on,
    is_met,
    _file,
    _row_number
from owned
where {{ in_month('decided_on') }}
