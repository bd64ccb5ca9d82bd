{# What the events of a ticket say, in the words of the streams. #}

{# A status in the streams' words, null for any other word. #}
{% macro canonical_status(value) -%}
    case
        when {{ value }} in ('new', 'open', 'pending', 'hold', 'solved', 'closed', 'merged', 'deleted') then {{ value }}
        when {{ value }} = 'stalled' then 'pending'
        when {{ value }} = 'resolved' then 'solved'
    end
{%- endmacro %}

{# The status that an event leaves a ticket in; null when it says nothing about it. #}
{% macro status_after(event_type, new_value) -%}
    case
        when {{ event_type }} in ('solved', 'closed', 'merged', 'deleted') then {{ event_type }}
        when {{ event_type }} = 'created' then coalesce({{ canonical_status(new_value) }}, 'new')
        when {{ event_type }} = 'reopened' then coalesce({{ canonical_status(new_value) }}, 'open')
        when {{ event_type }} = 'status_changed' then {{ canonical_status(new_value) }}
    end
{%- endmacro %}

{# Order of a ticket's events; where the source numbers none, its event ids decide between equals. #}
{% macro in_order(prefix='') -%}
    {{ prefix }}occurred_at, coalesce({{ prefix }}seq, -1), {{ prefix }}event_id
{%- endmacro %}

{# The last, or the first, value of a window that is not null; `over` must follow. #}
{% macro last_told(value) -%}
    {{ return(adapter.dispatch('told_value', 'perfhouse')('last_value', value)) }}
{%- endmacro %}

{% macro first_told(value) -%}
    {{ return(adapter.dispatch('told_value', 'perfhouse')('first_value', value)) }}
{%- endmacro %}

{% macro default__told_value(function, value) -%}
    {{ function }}({{ value }}) ignore nulls
{%- endmacro %}

{% macro duckdb__told_value(function, value) -%}
    {{ function }}({{ value }} ignore nulls)
{%- endmacro %}

{# CTEs that end in `open_times`: the rows of `intervals` (ticket_key, `key`, calendar, from_at, until_at, and
   what else they have) with business_seconds: the open seconds between, each instant by the schedule that the
   ticket had then, by the interval's own calendar where it had none. Null when a calendar is not known. #}
{% macro open_time_ctes(key) -%}
schedules as (

    select ticket_key, calendar, from_at, until_at
    from {{ ref('fct_ticket_schedules') }}
    where month = {{ month_start() }}

),

hours as (

    select * from {{ ref('dim_business_hours') }}

),

-- Few tickets have schedules of their own: only their intervals are cut, and added up again.
pieces as (

    select
        i.ticket_key,
        i.{{ key }},
        coalesce(s.calendar, i.calendar) as calendar,
        case when s.from_at > i.from_at then s.from_at else i.from_at end as from_at,
        case when s.until_at < i.until_at then s.until_at else i.until_at end as until_at
    from intervals as i
    inner join schedules as s
        on i.ticket_key = s.ticket_key and s.from_at < i.until_at and s.until_at > i.from_at
    where i.from_at < i.until_at

),

piece_times as (

    select
        p.ticket_key,
        p.{{ key }},
        {{ open_seconds('u', 'p.until_at') }} - ({{ open_seconds('f', 'p.from_at') }}) as business_seconds
    from pieces as p
    {{ join_open_hours('p') }}

),

cut_times as (

    select
        ticket_key,
        {{ key }},
        cast(case when count(*) = count(business_seconds) then sum(business_seconds) end as bigint) as business_seconds
    from piece_times
    group by ticket_key, {{ key }}

),

open_times as (

    select
        i.*,
        case
            when c.ticket_key is not null then c.business_seconds
            else {{ open_seconds('u', 'i.until_at') }} - ({{ open_seconds('f', 'i.from_at') }})
        end as business_seconds
    from intervals as i
    {{ join_open_hours('i') }}
    left join cut_times as c
        on i.ticket_key = c.ticket_key and i.{{ key }} = c.{{ key }}

)
{%- endmacro %}

{# Joins with the hours in which an interval begins, `f`, and ends, `u`. #}
{% macro join_open_hours(interval) -%}
    left join hours as f
        on {{ interval }}.calendar = f.calendar and {{ hour_number(interval ~ '.from_at') }} = f.hour_number
    left join hours as u
        on {{ interval }}.calendar = u.calendar and {{ hour_number(interval ~ '.until_at') }} = u.hour_number
{%- endmacro %}

{# CTEs that end in `owned`: the rows of `decided` (ticket_key, _source, doer_id, acted_at, decided_at) with who
   answers for each: `owner_id`, who did it, else whoever owned the ticket at `acted_at`, nobody who came later;
   `queue_id`, the queue it lay in where nobody owned it, null otherwise; `decided_on`, the day of `decided_at`
   where whoever answers works.
   A stretch without end ends in 2999: `to_at is null or ...` in a join makes DuckDB compare all with all. #}
{% macro owner_ctes() -%}
{{ people_ctes() }},

queues as (

    select queue_id, owned_on, manager_id from {{ ref('dim_queues') }} where month = {{ month_start() }}

),

held as (

    select
        d.*,
        coalesce(d.doer_id, o.assignee_id) as owner_id,
        case when d.doer_id is null and o.assignee_id is null then o.queue_id end as queue_id,
        {{ local_on('d.decided_at') }} as company_day,
        -- The days next to the month have the owner of the nearest day.
        least(
            greatest({{ local_on('d.decided_at') }}, {{ month_start() }}),
            cast({{ month_end() }} - interval '1 day' as date)
        ) as owned_on
    from decided as d
    left join {{ ref('fct_ticket_owners') }} as o
        on d.ticket_key = o.ticket_key
        and o.month = {{ month_start() }}
        and d.acted_at >= o.from_at
        and d.acted_at < coalesce(o.to_at, timestamptz '2999-01-01 00:00:00+00:00')

),

owned as (

    select
        h.*,
        {{ person('owner') }} as owner_employee_id,
        {{ local_on('h.decided_at', 'coalesce(owner_at.time_zone, queue_at.time_zone)') }} as decided_on
    from held as h
    {{ join_person('owner', 'h._source', 'h.owner_id', 'h.acted_at', dated_at='h.decided_at') }}
    left join queues as q
        on h.queue_id = q.queue_id and h.owned_on = q.owned_on
    left join places as queue_at
        on q.manager_id = queue_at.employee_id
        and h.company_day >= queue_at.valid_from
        and h.company_day < queue_at.valid_to

)
{%- endmacro %}
