-- Promises of the source's own SLA that were decided in the month. Where its events tell of them, each is an
-- instance and answers to who owned the ticket at that instant; else the ticket's flag or due date is one.
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

-- What is fulfilled after a breach was decided by the breach.
decided as (

    select
        d.ticket_key,
        d.promise,
        d.instance_no,
        d.occurred_at as decided_at,
        d.event_type = 'sla_fulfilled' as is_met,
        t._source,
        t.ticket_id,
        t.channel,
        t.category,
        t.priority,
        coalesce(o.assignee_id, t.resolver_id) as owner_id,
        t._file,
        t._row_number
    from told as d
    inner join tickets as t
        on d.ticket_key = t.ticket_key
    left join {{ ref('fct_ticket_owners') }} as o
        on d.ticket_key = o.ticket_key
        and o.month = {{ month_start() }}
        and d.occurred_at >= o.from_at
        and (o.to_at is null or d.occurred_at < o.to_at)
    where (d.event_type = 'sla_breached' or coalesce(d.previous_type, 'sla_fulfilled') <> 'sla_breached')
        and {{ near_month('d.occurred_at') }}

),

{{ people_ctes() }},

owned as (

    select
        d.*,
        {{ person('owner') }} as owner_employee_id,
        {{ local_on('d.decided_at', 'owner_at.time_zone') }} as decided_on
    from decided as d
    {{ join_person('owner', 'd._source', 'd.owner_id', 'd.decided_at') }}

),

with_events as (

    select ticket_key from told group by ticket_key

),

instances as (

    select
        ticket_key,
        _source,
        ticket_id,
        channel,
        category,
        priority,
        promise,
        instance_no,
        true as is_from_events,
        owner_id,
        owner_employee_id,
        decided_on,
        is_met,
        _file,
        _row_number
    from owned
    union all
    select
        t.ticket_key,
        t._source,
        t.ticket_id,
        t.channel,
        t.category,
        t.priority,
        'ticket' as promise,
        1 as instance_no,
        false as is_from_events,
        t.resolver_id as owner_id,
        t.resolver_employee_id as owner_employee_id,
        t.sla_decided_on as decided_on,
        t.is_sla_met as is_met,
        t._file,
        t._row_number
    from tickets as t
    left join with_events as w
        on t.ticket_key = w.ticket_key
    where t.is_sla_due and w.ticket_key is null

)

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
    is_from_events,
    owner_id,
    owner_employee_id,
    decided_on,
    is_met,
    _file,
    _row_number
from instances
where {{ in_month('decided_on') }}
