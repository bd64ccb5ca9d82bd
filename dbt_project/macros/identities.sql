{# Who is behind a source's user id on which day. The build and the raw gate read these same lines, so
   nothing here may call dbt: relations come in as text. #}

{# Accounts of each source, one row per account and stretch of days: a delivery speaks for its own
   month, the first also for what lies before, the last for what comes. #}
{% macro directory_users(relation) -%}
with ranked as (

    select
        *,
        row_number() over (
            partition by _source, source_user_id, _month
            order by snapshot_date desc nulls last, {{ latest_first() }}
        ) as version_rank
    from {{ relation }}

),

delivered as (

    select
        _source,
        source_user_id,
        nullif(trim(employee_no), '') as employee_no,
        nullif(trim(email_hash), '') as email_hash,
        nullif(trim(login), '') as login,
        coalesce(role, 'other') as role,
        is_active,
        cast(_month || '-01' as date) as delivered_on
    from ranked
    where version_rank = 1 and _op <> 'delete'

),

neighbours as (

    select
        *,
        lag(delivered_on) over (partition by _source, source_user_id order by delivered_on) as previous_on,
        lead(delivered_on) over (partition by _source, source_user_id order by delivered_on) as next_on
    from delivered

)

select
    _source,
    source_user_id,
    employee_no,
    email_hash,
    login,
    role,
    is_active,
    case when previous_on is null then date '1900-01-01' else delivered_on end as valid_from,
    coalesce(next_on, date '2999-01-01') as valid_to
from neighbours
{%- endmacro %}

{# CTEs that end in `held`: every assignment that the rosters tell of a month, ended by the next one or by
   the day after the last day at work. Of each source the last delivery up to the month counts, for the
   people whom it names. What was delivered later, up to `as_of`, corrects it; what lies before the first
   day that it tells of somebody is taken from the delivery before. `recorded_on` is when it was told.
   Whom the last delivery of every source leaves out stands until the day that was told before, by a roster
   or by an event (`events`: employee_id, event_type, effective_on, recorded_at). Whoever left without a word
   left when the month of the first delivery without them began: with `of_vanished` the CTEs end in
   `vanished`, those people, not in `held`.
   With `of_all_months` what every delivery told is held: the answer for a day is then that of any month. #}
{% macro roster_assignments(relation, month, as_of=none, events=none, of_all_months=false, of_vanished=false) -%}
{%- set month_start = "date '" ~ month ~ "-01'" -%}
{%- set month_end = "(date '" ~ month ~ "-01' + interval '1 month')" -%}
told as (

    select
        *,
        max(case when _month <= '{{ month }}' then _month end) over (partition by _source) as base_month
    from {{ relation }}
    where _month <= '{{ as_of or month }}'

),

deliveries as (

    select *
    from told
    where _month <= coalesce(base_month, '') or valid_from < {{ month_end }}

),

-- Of one assignment the newest word counts, even if it takes the assignment back.
newest_words as (

    select
        *,
        row_number() over (
            partition by _source, employee_id, valid_from
            order by _month desc, snapshot_date desc, {{ latest_first() }}
        ) as version_rank,
        first_value(hire_date) over (
            partition by _source, employee_id
            order by _month desc, snapshot_date desc, valid_from desc, {{ latest_first() }}
        ) as hired_on
    from deliveries

),

spoken as (

    select
        _source,
        employee_id,
        _month,
        min(valid_from) as first_told_on
    from deliveries
    where _op <> 'delete'
    group by _source, employee_id, _month

),

-- A delivery speaks of somebody from the first day that it names, until a later one speaks.
cuts as (

    select
        *,
        min(first_told_on) over (
            partition by _source, employee_id order by _month desc rows between unbounded preceding and 1 preceding
        ) as cut_on,
        max(_month) over (partition by _source, employee_id) as last_month
    from spoken

),

{% if not of_all_months -%}
silences as (

    select
        c._source,
        c.employee_id,
        min(d._month) as silent_month
    from (select distinct _source, employee_id, last_month from cuts) as c
    inner join (select distinct _source, _month from deliveries where _month <= base_month) as d
        on c._source = d._source and c.last_month < d._month
    group by c._source, c.employee_id

),

{{ departures(events) }}

{% endif -%}
standing as (

    select
        w.*,
        c.cut_on{% if not of_all_months %},
        s.silent_month,
        max(case when s._source is null then 1 else 0 end) over (partition by w.employee_id) as is_named{% endif %}
    from newest_words as w
    inner join cuts as c
        on w._source = c._source and w.employee_id = c.employee_id and w._month = c._month
    {%- if not of_all_months %}
    left join silences as s
        on w._source = s._source and w.employee_id = s.employee_id
    {%- endif %}
    where w.version_rank = 1
        and w._op <> 'delete'
        and (c.cut_on is null or w.valid_from < c.cut_on)
        {%- if not of_all_months %}
        and (
            s._source is not null
            or w._month >= coalesce(w.base_month, '')
            or (c.cut_on > {{ month_start }} and c.cut_on > w.hired_on)
        )
        {%- endif %}

),

-- Who is said to have left, without a date, left when that assignment began, if another came before.
dated as (

    select
        *,
        coalesce(
            cast(last_work_date + interval '1 day' as date),
            termination_date,
            case
                when employment_status = 'left'
                    and valid_from > min(valid_from) over (partition by _source, employee_id) then valid_from
            end
        ) as own_left_on
    from standing

),

sources as (

    select
        *,
        row_number() over (
            partition by employee_id, valid_from
            order by snapshot_date desc, {{ latest_first() }}, _source
        ) as source_rank
    from dated
    {%- if not of_all_months %}
    where is_named = 0 or silent_month is null
    {%- endif %}

),

assignments as (

    select
        *,
        lead(valid_from) over (partition by employee_id order by valid_from) as next_from,
        lead(case when employment_status = 'left' then own_left_on end)
            over (partition by employee_id order by valid_from) as next_left_on
    from sources
    where source_rank = 1

),

{% if of_all_months -%}
held as (

    select * from assignments

)
{%- else -%}
-- Who is on leave when the rosters stop to name them has not left.
left_behind as (

    select
        a.*,
        coalesce(
            a.own_left_on,
            case when a.next_left_on = a.next_from then a.next_left_on end,
            d.left_on
        ) as told_left_on,
        case
            when a.next_from is null and l.employee_id is null and coalesce(a.employment_status, '-') <> 'leave'
                then cast(max(a.silent_month) over (partition by a.employee_id) || '-01' as date)
        end as silent_on
    from assignments as a
    left join departures as d
        on a.employee_id = d.employee_id and a.next_from is null and d.left_on > a.valid_from
    left join open_leaves as l
        on a.employee_id = l.employee_id

),

ended as (

    select
        *,
        snapshot_date as recorded_on,
        told_left_on as left_on,
        nullif(trim(source_user_id), '') as user_id,
        nullif(trim(work_email_hash), '') as email_hash,
        cast(least(
            coalesce(valid_to, date '2999-01-01'),
            coalesce(next_from, date '2999-01-01'),
            coalesce(told_left_on, date '2999-01-01'),
            coalesce(cut_on, date '2999-01-01')
        ) as date) as ends_on,
        max(told_left_on) over (partition by employee_id) as last_left_on
    from left_behind

),

{% if of_vanished -%}
vanished as (

    select * from ended where last_left_on is null and silent_on = {{ month_start }} and valid_from < silent_on

)
{%- else -%}
held as (

    select * from ended where silent_month is null or last_left_on >= {{ month_start }}

)
{%- endif %}
{%- endif %}
{%- endmacro %}

{# CTEs `departures` and `open_leaves`: when somebody left as events tell it, the day after the termination
   took effect, unless they were hired again, and who went on leave and did not return. #}
{% macro departures(events) -%}
hires as (

    select
        employee_id,
        max(effective_on) as hired_on
    from {{ events }}
    where event_type in ('hire', 'rehire')
    group by employee_id

),

terminations as (

    select
        t.employee_id,
        cast(t.effective_on + interval '1 day' as date) as left_on,
        row_number() over (
            partition by t.employee_id order by t.recorded_at desc nulls last, t.effective_on desc
        ) as word_rank
    from {{ events }} as t
    left join hires as h
        on t.employee_id = h.employee_id and h.hired_on >= t.effective_on
    where t.event_type = 'termination' and h.employee_id is null

),

departures as (

    select employee_id, left_on from terminations where word_rank = 1

),

open_leaves as (

    select employee_id
    from {{ events }}
    where event_type in ('leave_start', 'leave_end')
    group by employee_id
    having max(case when event_type = 'leave_start' then effective_on end)
        > coalesce(max(case when event_type = 'leave_end' then effective_on end), date '1900-01-01')

),
{%- endmacro %}

{# What people and systems say outright: `manual` rows of the company's identity.csv and the newest
   delivery of each source's identity map. A later row of one id ends the one before it. The smaller
   the preference, the stronger the claim; a claim for all sources ('*') yields to one for its own. #}
{% macro identity_claims(identity_map, manual) -%}
with deliveries as (

    select
        *,
        coalesce(mapped_source, _source) as map_source,
        coalesce(match_rule, 'manual') as map_rule,
        max(_month) over (partition by _source) as newest_month
    from {{ identity_map }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by map_source, source_user_id, map_rule, valid_from
            order by {{ latest_first() }}, employee_id
        ) as version_rank
    from deliveries
    where _month = newest_month

),

claims as (

    select
        map_source as _source,
        source_user_id,
        trim(employee_id) as employee_id,
        map_rule as match_rule,
        case map_rule when 'manual' then 12 when 'employee_no' then 21 when 'email' then 31 else 41 end as strength,
        coalesce(valid_from, date '1900-01-01') as valid_from,
        coalesce(valid_to, date '2999-01-01') as valid_to
    from ranked
    where version_rank = 1 and _op <> 'delete'
    union all
    select
        source as _source,
        source_user_id,
        employee_id,
        'manual' as match_rule,
        10 as strength,
        coalesce(valid_from, date '1900-01-01') as valid_from,
        coalesce(valid_to, date '2999-01-01') as valid_to
    from {{ manual }}

),

followed as (

    select
        *,
        lead(valid_from) over (
            partition by _source, source_user_id, strength order by valid_from
        ) as next_from
    from claims

)

select
    _source,
    source_user_id,
    employee_id,
    match_rule,
    strength + case when _source = '*' then 1 else 0 end as preference,
    valid_from,
    least(valid_to, coalesce(next_from, date '2999-01-01')) as valid_to
from followed
{%- endmacro %}

{# CTEs that end in `resolved`: one row per source ('*' for any), id and stretch of days. Rows of a source
   hold what is said about any source too, so whoever finds one need not look further. #}
{% macro resolved_identities(employees, source_users, claims) -%}
roster_says as (

    select 'email' as match_rule, 33 as preference, work_email_hash as identifier, employee_id, valid_from, valid_to
    from {{ employees }}
    where work_email_hash is not null
    union all
    select 'userid' as match_rule, 43 as preference, source_user_id as identifier, employee_id, valid_from, valid_to
    from {{ employees }}
    where source_user_id is not null
    union all
    select 'same_id' as match_rule, 53 as preference, trim(employee_id) as identifier, employee_id, valid_from, valid_to
    from {{ employees }}

),

claimants as (

    select
        match_rule,
        identifier,
        min(employee_id) as first_id,
        max(employee_id) as last_id
    from roster_says
    group by match_rule, identifier

),

-- What only one person ever had is theirs on any day; what several had, on the days of each.
roster_claims as (

    select
        r.match_rule,
        r.preference,
        r.identifier,
        r.employee_id,
        case when c.first_id = c.last_id then date '1900-01-01' else r.valid_from end as valid_from,
        case when c.first_id = c.last_id then date '2999-01-01' else r.valid_to end as valid_to
    from roster_says as r
    inner join claimants as c
        on r.match_rule = c.match_rule and r.identifier = c.identifier

),

claims_for_any as (

    select source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from {{ claims }}
    where _source = '*'
    union all
    select identifier as source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from roster_claims

),

-- A source that tells employee numbers or logins lists its accounts; mere addresses are no directory.
directories as (

    select _source from {{ source_users }} where employee_no is not null or login is not null group by _source

),

listed as (

    select _source, source_user_id from {{ source_users }} group by _source, source_user_id

),

account_marks as (

    select _source, source_user_id, valid_from, valid_to, 'same_id' as match_rule, employee_no as identifier
    from {{ source_users }}
    where employee_no is not null
    union all
    select _source, source_user_id, valid_from, valid_to, 'email' as match_rule, email_hash as identifier
    from {{ source_users }}
    where email_hash is not null
    union all
    select _source, source_user_id, valid_from, valid_to, 'userid' as match_rule, coalesce(login, source_user_id) as identifier
    from {{ source_users }}

),

directory_claims as (

    select
        m._source,
        m.source_user_id,
        r.employee_id,
        case m.match_rule when 'same_id' then 'employee_no' else m.match_rule end as match_rule,
        case m.match_rule when 'same_id' then 20 when 'email' then 30 else 40 end as preference,
        greatest(m.valid_from, r.valid_from) as valid_from,
        least(m.valid_to, r.valid_to) as valid_to
    from account_marks as m
    inner join roster_claims as r
        on m.match_rule = r.match_rule and m.identifier = r.identifier

),

-- Whom a source lists and nobody matches stays unmatched, whatever employee number its id resembles;
-- so does an id that a source with a directory does not list.
unclaimed as (

    select _source, source_user_id from listed
    union
    select d._source, r.identifier as source_user_id
    from directories as d
    cross join roster_claims as r
    where r.match_rule = 'same_id'

),

own_claims as (

    select _source, source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from {{ claims }}
    where _source <> '*'
    union all
    select _source, source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from directory_claims
    union all
    select
        _source,
        source_user_id,
        cast(null as varchar) as employee_id,
        cast(null as varchar) as match_rule,
        90 as preference,
        date '1900-01-01' as valid_from,
        date '2999-01-01' as valid_to
    from unclaimed

),

own_ids as (

    select _source, source_user_id from own_claims group by _source, source_user_id

),

candidates as (

    select _source, source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from own_claims
    union all
    select o._source, o.source_user_id, a.employee_id, a.match_rule, a.preference, a.valid_from, a.valid_to
    from own_ids as o
    inner join claims_for_any as a
        on o.source_user_id = a.source_user_id
    left join listed as l
        on o._source = l._source and o.source_user_id = l.source_user_id
    left join directories as d
        on o._source = d._source
    where (a.preference <> 43 or l._source is null)
        and (a.preference <> 53 or (l._source is null and d._source is null))
    union all
    select '*' as _source, source_user_id, employee_id, match_rule, preference, valid_from, valid_to
    from claims_for_any

),

edges as (

    select _source, source_user_id, valid_from as edge_on from candidates where valid_from < valid_to
    union
    select _source, source_user_id, valid_to as edge_on from candidates where valid_from < valid_to

),

spans as (

    select
        _source,
        source_user_id,
        edge_on as valid_from,
        lead(edge_on) over (partition by _source, source_user_id order by edge_on) as valid_to
    from edges

),

claimed as (

    select
        s._source,
        s.source_user_id,
        s.valid_from,
        s.valid_to,
        c.preference,
        min(c.match_rule) as match_rule,
        min(c.employee_id) as first_id,
        max(c.employee_id) as last_id
    from spans as s
    inner join candidates as c
        on s._source = c._source
        and s.source_user_id = c.source_user_id
        and s.valid_from >= c.valid_from
        and s.valid_from < c.valid_to
    where s.valid_to is not null
    group by s._source, s.source_user_id, s.valid_from, s.valid_to, c.preference

),

strongest as (

    select
        *,
        row_number() over (partition by _source, source_user_id, valid_from order by preference) as strength_rank
    from claimed

),

-- Another person named by a weaker rule, or by the same one.
contested as (

    select
        s._source,
        s.source_user_id,
        s.valid_from,
        min(case when w.last_id <> s.first_id then w.last_id when w.first_id <> s.first_id then w.first_id end) as contested_employee_id
    from strongest as s
    inner join claimed as w
        on s._source = w._source
        and s.source_user_id = w.source_user_id
        and s.valid_from = w.valid_from
        and s.preference <= w.preference
    where s.strength_rank = 1
    group by s._source, s.source_user_id, s.valid_from

),

known_employees as (

    select employee_id from {{ employees }} group by employee_id

),

judged as (

    select
        s._source,
        s.source_user_id,
        s.valid_from,
        s.valid_to,
        s.match_rule,
        s.first_id as candidate_employee_id,
        c.contested_employee_id,
        case
            when s.first_id is null then 'unmatched'
            when s.first_id <> s.last_id then 'ambiguous'
            when s.first_id = '-' then 'nobody'
            when k.employee_id is null then 'not_in_roster'
            else 'matched'
        end as status
    from strongest as s
    inner join contested as c
        on s._source = c._source and s.source_user_id = c.source_user_id and s.valid_from = c.valid_from
    left join known_employees as k
        on s.first_id = k.employee_id
    where s.strength_rank = 1

),

-- Stretches that touch and say the same are one.
followed as (

    select
        *,
        coalesce(candidate_employee_id, '') || ' ' || coalesce(contested_employee_id, '')
        || ' ' || coalesce(match_rule, '') || ' ' || status as says
    from judged

),

compared as (

    select
        *,
        lag(valid_to) over (partition by _source, source_user_id order by valid_from) as previous_to,
        lag(says) over (partition by _source, source_user_id order by valid_from) as previous_says
    from followed

),

numbered as (

    select
        *,
        sum(case when previous_to = valid_from and previous_says = says then 0 else 1 end) over (
            partition by _source, source_user_id order by valid_from rows between unbounded preceding and current row
        ) as stretch
    from compared

),

resolved as (

    select
        _source,
        source_user_id,
        case when status in ('matched', 'not_in_roster') then candidate_employee_id end as employee_id,
        match_rule,
        status,
        candidate_employee_id,
        contested_employee_id,
        min(valid_from) as valid_from,
        max(valid_to) as valid_to
    from numbered
    group by _source, source_user_id, match_rule, status, candidate_employee_id, contested_employee_id, stretch

)
{%- endmacro %}
