{%- set sums = ['numerator', 'denominator', 'numerator_squares', 'products', 'denominator_squares'] -%}

with strata as (

    select
        s.month,
        s.kpi_id,
        s.kpi_version,
        s.manager_id,
        s.stratum,
        case when s.numerator < 0 or d.is_signed then 1 else 0 end as is_signed,
        {% for sum in sums -%}
        s.{{ sum }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('kpi_manager_strata') }} as s
    inner join {{ ref('kpi_definitions') }} as d
        on s.kpi_id = d.kpi_id and s.kpi_version = d.version
    left join {{ ref('dim_months') }} as m
        on s.month = m.month
    -- The sum of all answers would give away the few that are hidden.
    where not d.is_suppressed
        and s.is_direct
        and {{ may_be_reference('s.month', 'm', 'd.maturity_days') }}

),

-- The settled months before, as far as this warehouse holds them; the month itself where it holds none.
spans as (

    select
        kpi_id,
        kpi_version,
        count(distinct case when month < {{ month_start() }} and denominator > 0 then month end) as month_count,
        max(is_signed) as is_signed
    from strata
    group by kpi_id, kpi_version

),

manager_cells as (

    select
        s.kpi_id,
        s.kpi_version,
        s.manager_id,
        s.stratum,
        p.month_count,
        p.is_signed,
        {% for sum in sums -%}
        sum(case when (s.month < {{ month_start() }}) = (p.month_count > 0) then s.{{ sum }} else 0 end) as {{ sum }}
        {{- ',' if not loop.last }}
        {% endfor %}
    from strata as s
    inner join spans as p
        on s.kpi_id = p.kpi_id and s.kpi_version = p.kpi_version
    group by s.kpi_id, s.kpi_version, s.manager_id, s.stratum, p.month_count, p.is_signed

),

wholes as (

    select
        kpi_id,
        kpi_version,
        {% for sum in sums -%}
        {{ double('sum(' ~ sum ~ ')') }} as {{ sum }},
        {% endfor -%}
        {{ ratio('sum(numerator)', 'sum(denominator)') }} as rate
    from manager_cells
    group by kpi_id, kpi_version

),

-- Cases of the overall rate that every stratum is given beside its own: so many that they tell it as well as ten
-- events would, and no fewer than thirty rows.
pulls as (

    select
        kpi_id,
        kpi_version,
        rate,
        greatest(
            30 * denominator_squares / denominator,
            10 * (numerator_squares / nullif(rate * rate, 0) - 2 * products / nullif(rate, 0) + denominator_squares)
            / denominator
        ) as cases
    from wholes
    where rate is not null

),

-- Rates of strata as if all managers were alike, over their own mean.
first_rates as (

    {{ pulled_rates('select *, denominator as counted_cases from manager_cells', 'pulls') }}

),

first_relatives as (

    {{ relative_rates('first_rates') }}

),

-- How many times what their mix let expect each manager reached, pulled to once by as many cases.
levels as (

    select
        c.kpi_id,
        c.kpi_version,
        c.manager_id,
        case
            when p.rate > 0
                then ({{ double('sum(c.numerator)') }} / p.rate + p.cases)
                    / (sum({{ exact(double('c.denominator') ~ ' * r.relative_rate') }}) + p.cases)
            else 1
        end as level
    from manager_cells as c
    inner join first_relatives as r
        on c.kpi_id = r.kpi_id and c.kpi_version = r.kpi_version and c.stratum = r.stratum
    inner join pulls as p
        on c.kpi_id = p.kpi_id and c.kpi_version = p.kpi_version
    group by c.kpi_id, c.kpi_version, c.manager_id, p.rate, p.cases

),

-- What good managers reach in a stratum that they alone have must not make it an easy one.
levelled_cells as (

    select
        c.*,
        {{ exact(double('c.denominator') ~ ' * coalesce(l.level, 1)') }} as counted_cases
    from manager_cells as c
    left join levels as l
        on c.kpi_id = l.kpi_id and c.kpi_version = l.kpi_version and c.manager_id = l.manager_id

),

second_rates as (

    {{ pulled_rates('select * from levelled_cells', 'pulls') }}

),

relatives as (

    {{ relative_rates('second_rates') }}

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
    {{ fine('case when is_signed = 1 or whole_rate <= 0 then 1 else least(10, greatest(0.1, relative_rate)) end') }}
        as relative_rate
from relatives
