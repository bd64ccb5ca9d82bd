{%- set one_each = ["''"] -%}
{%- for entry in kpi_metrics() if entry.kpi.get('one_answer_each') -%}
    {%- do one_each.append("'" ~ entry.id ~ "'") -%}
{%- endfor -%}

with kpis as (

    select
        d.kpi_id,
        d.version,
        -- Where a person gives several answers, as many as the minimum may be one person's.
        d.kpi_id in ({{ one_each | join(', ') }}) as is_one_each,
        -- A company may ask for more answers than the KPI does, never for fewer.
        greatest(d.minimum_sample, coalesce(o.minimum_sample, 0)) as least_count
    from {{ ref('kpi_definitions') }} as d
    left join {{ source('config', 'kpis') }} as o
        on d.kpi_id = o.kpi_id
    where d.is_suppressed

),

answers as (

    select
        s.kpi_id,
        s.kpi_version,
        s.manager_id,
        s.management_path,
        coalesce(s.team_id, '-') as team_id,
        k.least_count,
        sum(s.numerator) as numerator,
        sum(s.denominator) as denominator,
        -- Ten points of one answer are one answer.
        least(sum(s.denominator), sum(s.row_count)) as answer_count,
        min(case when s.denominator = s.denominator_squares then 1 else 0 end) as is_counted
    from {{ ref('kpi_stratum_months') }} as s
    inner join kpis as k
        on s.kpi_id = k.kpi_id and s.kpi_version = k.version
    where s.month = {{ month_start() }} and s.manager_id is not null
    group by s.kpi_id, s.kpi_version, s.manager_id, s.management_path, coalesce(s.team_id, '-'), k.least_count

),

paths as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        management_path,
        least_count,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(answer_count) as answer_count,
        min(is_counted) as is_counted
    from answers
    group by kpi_id, kpi_version, manager_id, management_path, least_count

),

-- What is counted for those above must be large enough in every part: a part alone could be worked out.
sound_paths as (

    select
        *,
        min(answer_count) over (partition by kpi_id, kpi_version, manager_id) >= least_count as is_sound,
        count(*) over (partition by kpi_id, kpi_version, manager_id) as path_count
    from paths

),

above as (

    select management_path, ancestor_id
    from {{ ref('dim_manager_tree') }}
    where month = {{ month_start() }} and distance > 0

),

-- Where a larger KPI counts some of the same answers, one less the other would tell of the rest.
shared as (

    select kpi_id, kpi_version, manager_id
    from {{ ref('kpi_shared_answers') }}
    where month = {{ month_start() }}
    union
    select s.kpi_id, s.kpi_version, a.ancestor_id as manager_id
    from {{ ref('kpi_shared_answers') }} as s
    inner join above as a
        on s.management_path = a.management_path
    where s.month = {{ month_start() }}

),

counted as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        least_count,
        numerator,
        denominator,
        answer_count,
        is_counted,
        is_sound,
        path_count,
        0 as is_from_below
    from sound_paths
    union all
    select
        s.kpi_id,
        s.kpi_version,
        a.ancestor_id as manager_id,
        s.least_count,
        s.numerator,
        s.denominator,
        s.answer_count,
        s.is_counted,
        s.is_sound,
        0 as path_count,
        1 as is_from_below
    from sound_paths as s
    inner join above as a
        on s.management_path = a.management_path

),

wholes as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        least_count,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(answer_count) as answer_count,
        min(is_counted) as is_counted,
        min(case when is_sound then 1 else 0 end) as is_sound,
        max(path_count) as path_count,
        max(is_from_below) as has_below
    from counted
    group by kpi_id, kpi_version, manager_id, least_count

),

-- How far the month has moved from what its releases showed.
moves as (

    select
        w.kpi_id,
        w.kpi_version,
        w.manager_id,
        max(case when {{ measure('w.numerator') }} <> {{ measure('r.numerator') }}
            or {{ measure('w.denominator') }} <> {{ measure('r.denominator') }} then 1 else 0 end) as has_moved,
        max(case when ({{ measure('w.numerator') }} <> {{ measure('r.numerator') }}
            or {{ measure('w.denominator') }} <> {{ measure('r.denominator') }})
            and (not k.is_one_each or w.is_counted = 0 or abs(w.denominator - r.denominator) < w.least_count)
            then 1 else 0 end) as has_moved_little
    from wholes as w
    inner join {{ source('config', 'released_answers') }} as r
        on w.kpi_id = r.kpi_id and w.manager_id = r.manager_id
    inner join kpis as k
        on w.kpi_id = k.kpi_id and w.kpi_version = k.version
    where r.team_id = '*'
    group by w.kpi_id, w.kpi_version, w.manager_id

),

released as (

    select distinct kpi_id from {{ source('config', 'released_answers') }}

),

-- Once a month is released, sums that overlap others (of those above, of teams) stay as they were shown.
judged as (

    select
        w.*,
        coalesce(m.has_moved, 0) as has_moved,
        r.kpi_id is not null as is_released,
        h.kpi_id is not null as is_shared,
        case
            when w.answer_count < w.least_count then 'few_answers'
            when w.has_below = 1 and w.is_sound = 0 then 'few_below'
            when h.kpi_id is not null then 'shared_answers'
            when w.has_below = 1 and r.kpi_id is not null and coalesce(m.has_moved, 1) = 1 then 'released_otherwise'
            when m.has_moved_little = 1 then 'released_otherwise'
        end as reason
    from wholes as w
    left join moves as m
        on w.kpi_id = m.kpi_id and w.kpi_version = m.kpi_version and w.manager_id = m.manager_id
    left join released as r
        on w.kpi_id = r.kpi_id
    left join shared as h
        on w.kpi_id = h.kpi_id and w.kpi_version = h.kpi_version and w.manager_id = h.manager_id

),

team_answers as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        team_id,
        least_count,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(answer_count) as answer_count,
        min(is_counted) as is_counted
    from answers
    group by kpi_id, kpi_version, manager_id, team_id, least_count

),

team_moves as (

    select
        t.kpi_id,
        t.kpi_version,
        t.manager_id,
        t.team_id,
        max(case when {{ measure('t.numerator') }} <> {{ measure('r.numerator') }}
            or {{ measure('t.denominator') }} <> {{ measure('r.denominator') }} then 1 else 0 end) as has_moved
    from team_answers as t
    inner join {{ source('config', 'released_answers') }} as r
        on t.kpi_id = r.kpi_id and t.manager_id = r.manager_id and t.team_id = r.team_id
    group by t.kpi_id, t.kpi_version, t.manager_id, t.team_id

),

teams as (

    select
        t.*,
        case
            when t.answer_count < t.least_count then 'few_answers'
            when w.path_count > 1 then 'few_below'
            when w.is_shared then 'shared_answers'
            when w.is_released and (w.has_moved = 1 or coalesce(m.has_moved, 1) = 1) then 'released_otherwise'
        end as own_reason
    from team_answers as t
    inner join judged as w
        on t.kpi_id = w.kpi_id and t.kpi_version = w.kpi_version and t.manager_id = w.manager_id
    left join team_moves as m
        on t.kpi_id = m.kpi_id
        and t.kpi_version = m.kpi_version
        and t.manager_id = m.manager_id
        and t.team_id = m.team_id

),

-- What is hidden of a manager's teams must be large enough too, for the whole less the shown teams gives it
-- away: if it is not, the smallest shown team is hidden as well.
ordered as (

    select
        *,
        sum(case when own_reason is not null then answer_count else 0 end)
            over (partition by kpi_id, kpi_version, manager_id) as hidden_count,
        row_number() over (
            partition by kpi_id, kpi_version, manager_id, case when own_reason is null then 0 else 1 end
            order by answer_count, team_id
        ) as shown_rank
    from teams

),

cells as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        '*' as team_id,
        answer_count,
        reason
    from judged
    union all
    select
        kpi_id,
        kpi_version,
        manager_id,
        team_id,
        answer_count,
        case
            when own_reason is not null then own_reason
            when hidden_count > 0 and hidden_count < least_count and shown_rank = 1 then 'covers_another'
        end as reason
    from ordered

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    team_id,
    cast(answer_count as numeric(28, 10)) as answer_count,
    reason is not null as is_hidden,
    reason
from cells
