with reference_strata as (

    select * from {{ ref('kpi_references') }} where month = {{ month_start() }}

),

bounds as (

    select
        d.kpi_id,
        d.version,
        d.maturity_days,
        {{ least_value('d') }} as least_value,
        {{ greatest_value('d') }} as greatest_value
    from {{ ref('kpi_definitions') }} as d

),

manager_strata as (

    select s.*
    from {{ ref('kpi_manager_strata') }} as s
    inner join bounds as b
        on s.kpi_id = b.kpi_id and s.kpi_version = b.version
    left join {{ ref('dim_months') }} as m
        on s.month = m.month
    where s.is_direct and {{ may_be_reference('s.month', 'm', 'b.maturity_days') }}

),

-- What every manager of the reference did in each of its months, and what the mix let expect.
manager_months as (

    select
        s.manager_id,
        s.kpi_id,
        s.kpi_version,
        r.reference_month_count,
        r.reference_value,
        sum(s.numerator) as numerator,
        sum(s.denominator) as denominator,
        sum({{ exact(double('s.denominator') ~ ' * ' ~ double('r.relative_rate')) }}) as standard_denominator,
        sum({{ exact(
            double('s.numerator_squares')
            ~ ' - 2 * ' ~ double('r.reference_value') ~ ' * ' ~ double('r.relative_rate') ~ ' * ' ~ double('s.products')
            ~ ' + ' ~ double('r.reference_value') ~ ' * ' ~ double('r.relative_rate') ~ ' * '
            ~ double('r.reference_value') ~ ' * ' ~ double('r.relative_rate') ~ ' * ' ~ double('s.denominator_squares')
        ) }}) as squares
    from manager_strata as s
    inner join reference_strata as r
        on s.kpi_id = r.kpi_id and s.kpi_version = r.kpi_version and s.stratum = r.stratum
    where (s.month < {{ month_start() }}) = (r.reference_month_count > 0)
    group by s.month, s.manager_id, s.kpi_id, s.kpi_version, r.reference_month_count, r.reference_value

),

-- What a mix tells: an easy one of a rare outcome less than its cases, a hard one no more.
standard as (

    select
        *,
        {{ double('case when standard_denominator > 0 then standard_denominator else denominator end') }} as standard_cases,
        {{ double('case when standard_denominator > 0 then least(denominator, standard_denominator) else denominator end') }}
            as cases
    from manager_months
    where denominator > 0

),

deviations as (

    select
        s.*,
        s.squares * s.cases / s.standard_cases * s.cases / s.standard_cases as adjusted_squares,
        {{ within(double('s.numerator') ~ ' / s.standard_cases', 'b.least_value', 'b.greatest_value') }}
        - {{ double('s.reference_value') }} as deviation
    from standard as s
    inner join bounds as b
        on s.kpi_id = b.kpi_id and s.kpi_version = b.version

),

managers as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        reference_month_count,
        reference_value,
        count(*) as month_count,
        sum(denominator) as denominator,
        {{ double('sum(' ~ exact('cases') ~ ')') }} as cases,
        {{ double('sum(' ~ exact('cases * cases') ~ ')') }} as case_squares,
        {{ double('sum(' ~ exact('adjusted_squares') ~ ')') }} as squares,
        {{ double('sum(' ~ exact('cases * deviation') ~ ')') }} as deviations,
        {{ double('sum(' ~ exact('cases * deviation * deviation') ~ ')') }} as deviation_squares
    from deviations
    group by kpi_id, kpi_version, manager_id, reference_month_count, reference_value

),

sums as (

    select
        kpi_id,
        kpi_version,
        reference_month_count,
        reference_value,
        cast(sum(month_count) as integer) as manager_month_count,
        count(*) as manager_count,
        sum(denominator) as reference_denominator,
        {{ double('sum(' ~ exact('cases') ~ ')') }} as cases,
        {{ double('sum(' ~ exact('cases * cases') ~ ')') }} as squares_of_cases,
        {{ double('sum(' ~ exact('case_squares') ~ ')') }} as case_squares,
        {{ double('sum(' ~ exact('case_squares / cases') ~ ')') }} as month_cases,
        {{ double('sum(' ~ exact('squares') ~ ')') }} as squares,
        {{ double('sum(' ~ exact('deviations') ~ ')') }} as deviations,
        {{ double('sum(' ~ exact('deviations * deviations / cases') ~ ')') }} as manager_deviations,
        {{ double('sum(' ~ exact('deviation_squares') ~ ')') }} as deviation_squares
    from managers
    group by kpi_id, kpi_version, reference_month_count, reference_value

),

-- Cochran's Q, in cases, in two parts: months about their manager, and managers about the mean; `spare_cases` are
-- what a variance between managers, and one between a manager's months, adds to the part of managers.
parts as (

    select
        *,
        case when squares > 0 then squares / cases else 0 end as within_variance,
        deviation_squares - manager_deviations as spread_of_months,
        manager_deviations - deviations * deviations / cases as spread_of_managers,
        cases - squares_of_cases / cases as spare_cases,
        month_cases - case_squares / cases as spare_month_cases
    from sums

),

-- A manager's months about their own mean: DerSimonian and Laird's moment estimate.
between_months as (

    select
        *,
        case
            when manager_month_count > manager_count
                and spread_of_months > (manager_month_count - manager_count) * within_variance
                then (spread_of_months - (manager_month_count - manager_count) * within_variance)
                    / nullif(cases - month_cases, 0)
            else 0
        end as month_variance
    from parts

),

-- What chance and months make of the mean of a typical manager.
typical as (

    select
        *,
        ((manager_count - 1) * within_variance + month_variance * spare_month_cases) / nullif(spare_cases, 0) as error
    from between_months

),

excesses as (

    select
        *,
        spread_of_managers / nullif(spare_cases, 0) / nullif(error, 0) * (manager_count - 1) - (manager_count - 3) as excess
    from typical

),

-- Managers about the mean: the mode under a prior proportional to their standard deviation, which is never zero
-- (Chung and others 2013); of managers with equal errors it is the root of a quadratic.
between_managers as (

    select
        *,
        month_variance + error * (excess + {{ root('excess * excess + 4 * (manager_count - 2)') }})
            / nullif(2 * (manager_count - 2), 0) as between_variance
    from excesses

),

judged as (

    select
        *,
        case
            when manager_count < {{ minimum_managers() }} then 'too_few'
            when {{ fine('within_variance') }} = 0 or coalesce({{ fine('between_variance') }}, 0) = 0 then 'no_spread'
            else 'estimated'
        end as method
    from between_managers

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    method,
    cast(reference_month_count as integer) as reference_month_count,
    cast(manager_month_count as integer) as manager_month_count,
    cast(manager_count as integer) as manager_count,
    {{ measure('reference_denominator') }} as reference_denominator,
    reference_value,
    {{ fine('within_variance') }} as within_variance,
    case when method = 'estimated' then {{ fine('between_variance') }} end as between_variance,
    case
        when method = 'estimated'
            then {{ fine(ratio(fine('within_variance'), fine('between_variance'))) }}
    end as shrinkage_constant
from judged
