with strata as (

    select
        s.month,
        s.kpi_id,
        s.kpi_version,
        s.stratum,
        s.numerator,
        s.denominator
    from {{ ref('kpi_manager_strata') }} as s
    inner join {{ ref('kpi_definitions') }} as d
        on s.kpi_id = d.kpi_id and s.kpi_version = d.version
    -- The sum of all answers would give away the few that are hidden.
    where not d.is_suppressed
        and s.is_direct
        and s.month >= {{ month_start(-12) }}
        and s.month <= {{ month_start() }}

),

-- The months before, as far as this warehouse holds them; the month itself where it holds none.
spans as (

    select
        kpi_id,
        kpi_version,
        count(distinct case when month < {{ month_start() }} and denominator > 0 then month end) as month_count,
        max(case when numerator < 0 then 1 else 0 end) as is_signed
    from strata
    group by kpi_id, kpi_version

),

cells as (

    select
        s.kpi_id,
        s.kpi_version,
        s.stratum,
        p.month_count,
        p.is_signed,
        sum(case when (s.month < {{ month_start() }}) = (p.month_count > 0) then s.numerator else 0 end) as numerator,
        sum(case when (s.month < {{ month_start() }}) = (p.month_count > 0) then s.denominator else 0 end) as denominator
    from strata as s
    inner join spans as p
        on s.kpi_id = p.kpi_id and s.kpi_version = p.kpi_version
    group by s.kpi_id, s.kpi_version, s.stratum, p.month_count, p.is_signed

),

wholes as (

    select
        *,
        {{ ratio('numerator', 'denominator') }} as rate,
        {{ ratio('sum(numerator) over (partition by kpi_id, kpi_version)',
            'sum(denominator) over (partition by kpi_id, kpi_version)') }} as whole_rate
    from cells

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    stratum,
    cast(month_count as integer) as reference_month_count,
    cast(numerator as numeric(28, 10)) as numerator,
    cast(denominator as numeric(28, 10)) as denominator,
    {{ fine('whole_rate') }} as reference_value,
    -- Nothing is allowed for where a rate may be negative: what it is relative to would change its sign.
    {{ fine('case when is_signed = 1 or whole_rate <= 0 or denominator < ' ~ minimum_cell()
        ~ ' then 1 else rate / whole_rate end') }} as relative_rate
from wholes
where whole_rate is not null
