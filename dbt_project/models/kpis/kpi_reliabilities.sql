with reference_strata as (

    select * from {{ ref('kpi_references') }} where month = {{ month_start() }}

),

manager_strata as (

    select *
    from {{ ref('kpi_manager_strata') }}
    where is_direct and month >= {{ month_start(-12) }} and month <= {{ month_start() }}

),

kinds as (

    select kpi_id, version, kind from {{ ref('kpi_definitions') }}

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
        {{ within_kind(double('s.numerator') ~ ' / s.standard_cases', 'k.kind') }} - {{ double('s.reference_value') }}
            as deviation
    from standard as s
    inner join kinds as k
        on s.kpi_id = k.kpi_id and s.kpi_version = k.version

),

sums as (

    select
        kpi_id,
        kpi_version,
        reference_month_count,
        reference_value,
        count(*) as manager_month_count,
        count(distinct manager_id) as manager_count,
        sum(denominator) as reference_denominator,
        {{ double('sum(' ~ exact('cases') ~ ')') }} as cases,
        {{ double('sum(' ~ exact('cases * cases') ~ ')') }} as case_squares,
        {{ double('sum(' ~ exact('adjusted_squares') ~ ')') }} as squares,
        {{ double('sum(' ~ exact('cases * deviation') ~ ')') }} as deviations,
        {{ double('sum(' ~ exact('cases * deviation * deviation') ~ ')') }} as deviation_squares
    from deviations
    group by kpi_id, kpi_version, reference_month_count, reference_value

),

within_managers as (

    select
        *,
        case when squares > 0 then squares / cases else 0 end as within_variance
    from sums

),

-- DerSimonian and Laird's estimate, with the weights `cases / within_variance` written out.
between_managers as (

    select
        *,
        (deviation_squares - deviations * deviations / cases - (manager_month_count - 1) * within_variance)
        / nullif(cases - case_squares / cases, 0) as between_variance
    from within_managers

),

judged as (

    select
        *,
        case
            when manager_count < {{ minimum_managers() }} or between_variance is null then 'too_few'
            when {{ fine('within_variance') }} = 0 then 'no_spread'
            when {{ fine('between_variance') }} <= 0 then 'no_difference'
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
    case
        when method = 'estimated' then {{ fine('between_variance') }}
        when method = 'no_difference' then {{ fine('0') }}
    end as between_variance,
    case
        when method = 'estimated'
            then {{ fine(ratio(fine('within_variance'), fine('between_variance'))) }}
    end as shrinkage_constant
from judged
