with strata as (

    select * from {{ ref('kpi_manager_strata') }} where month = {{ month_start() }}

),

reference_strata as (

    select * from {{ ref('kpi_references') }} where month = {{ month_start() }}

),

reliabilities as (

    select * from {{ ref('kpi_reliabilities') }} where month = {{ month_start() }}

),

kinds as (

    select
        d.kpi_id,
        d.version,
        d.kind,
        d.is_signed,
        {{ least_value('d') }} as least_value,
        {{ greatest_value('d') }} as greatest_value
    from {{ ref('kpi_definitions') }} as d

),

cells as (

    select
        s.*,
        coalesce({{ double('r.relative_rate') }}, 1) as relative_rate
    from strata as s
    left join reference_strata as r
        on s.kpi_id = r.kpi_id and s.kpi_version = r.kpi_version and s.stratum = r.stratum

),

-- Standard cases: a case of a stratum with twice the usual rate counts for two.
sums as (

    select
        kpi_id,
        kpi_version,
        manager_id,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(row_count) as row_count,
        sum(numerator_squares) as numerator_squares,
        sum(products) as products,
        sum(denominator_squares) as denominator_squares,
        sum({{ exact(double('denominator') ~ ' * relative_rate') }}) as standard_denominator,
        sum({{ exact(double('products') ~ ' * relative_rate') }}) as standard_products,
        sum({{ exact(double('denominator_squares') ~ ' * relative_rate * relative_rate') }}) as standard_squares
    from cells
    group by kpi_id, kpi_version, manager_id

),

-- Where the mix lets expect nothing, nothing is allowed for.
standard as (

    select
        s.kpi_id,
        s.kpi_version,
        s.manager_id,
        k.kind,
        k.is_signed,
        k.least_value,
        k.greatest_value,
        s.numerator,
        s.denominator,
        s.row_count,
        case when s.denominator > 0 then {{ double('s.denominator') }} end as cases,
        {{ double('s.standard_denominator') }} as expected_cases,
        {{ double('s.numerator_squares') }} as numerator_squares,
        {{ double('case when s.standard_denominator > 0 then s.standard_denominator else s.denominator end') }}
            as standard_cases,
        {{ double('case when s.standard_denominator > 0 then s.standard_products else s.products end') }}
            as products,
        {{ double('case when s.standard_denominator > 0 then s.standard_squares else s.denominator_squares end') }}
            as case_squares,
        r.method,
        {{ double('r.reference_value') }} as reference_value,
        {{ double('r.within_variance') }} as within_variance,
        {{ double('r.between_variance') }} as between_variance,
        {{ double('r.shrinkage_constant') }} as shrinkage_constant,
        {{ double('r.manager_count') }} as manager_count
    from sums as s
    inner join kinds as k
        on s.kpi_id = k.kpi_id and s.kpi_version = k.version
    left join reliabilities as r
        on s.kpi_id = r.kpi_id and s.kpi_version = r.kpi_version

),

valued as (

    select
        *,
        {{ double('numerator') }} / cases as value,
        cases / standard_cases as scale,
        -- An easy mix of a rare outcome tells less than its cases, a hard one no more.
        least(cases, standard_cases) as telling_cases,
        {{ double('numerator') }} / cases * (cases / standard_cases) as standard_value,
        reference_value * expected_cases / cases as expected_value,
        standard_cases * standard_cases / nullif(case_squares, 0) as effective_count
    from standard

),

-- The delta method for a ratio whose rows are the units: what they spread, and their degrees of freedom.
own as (

    select
        *,
        {{ within('standard_value') }} as adjusted_value,
        case when within_variance is null then 0 else {{ borrowed_rows() }} end as borrowed_count,
        case when effective_count > 1.000001 then effective_count - 1 else 0 end as own_count,
        (numerator_squares - 2 * standard_value * products + standard_value * standard_value * case_squares)
        / (standard_cases * standard_cases) * effective_count as own_spread
    from valued

),

-- The rows of the reference steady the spread of a few skewed rows, which looks small when their sum is.
spread as (

    select
        *,
        nullif(borrowed_count + own_count, 0) as freedom,
        (borrowed_count * coalesce(within_variance, 0) / telling_cases
            + case when own_count > 0 then own_spread else 0 end)
        / nullif(borrowed_count + own_count, 0) as own_variance
    from own

),

-- Points between two bounds that borrow nothing: five answers that agree say little about a sixth.
limits as (

    select
        *,
        case
            when kind = 'proportion' then scale * {{ proportion_limit(double('numerator'), 'cases', -1) }}
            when kind = 'score' and coalesce(within_variance, 0) = 0 and greatest_value is not null
                then {{ agresti_coull('adjusted_value', 'own_spread', 'effective_count', -1) }}
            else adjusted_value - {{ t95('freedom') }} * {{ root('own_variance') }}
        end as lower_limit,
        case
            when kind = 'proportion' then scale * {{ proportion_limit(double('numerator'), 'cases', 1) }}
            when kind = 'score' and coalesce(within_variance, 0) = 0 and greatest_value is not null
                then {{ agresti_coull('adjusted_value', 'own_spread', 'effective_count', 1) }}
            else adjusted_value + {{ t95('freedom') }} * {{ root('own_variance') }}
        end as upper_limit
    from spread

),

intervals as (

    select
        *,
        {{ within('lower_limit') }} as ci_low,
        {{ within('upper_limit') }} as ci_high
    from limits

),

weighed as (

    select
        *,
        case
            when cases is null then null
            when method = 'estimated' then telling_cases / (telling_cases + shrinkage_constant)
            else 1
        end as reliability,
        within_variance / telling_cases as variance
    from intervals

),

-- Morris's variance of a shrunk value: it knows that the reference and k are estimates, too, and that
-- what they are estimated from is so many managers, whatever the months.
shrunk as (

    select
        *,
        case
            when reliability = 1 then adjusted_value
            else reliability * adjusted_value + (1 - reliability) * reference_value
        end as shrunk_value,
        case
            when method = 'too_few' and variance > 0 then {{ root('variance') }}
            when method = 'estimated'
                then {{ root('variance * (1 - (manager_count - 1) / manager_count * (1 - reliability))'
                    ~ ' + 2 / (manager_count - 3) * (1 - reliability) * (1 - reliability)'
                    ~ ' * (adjusted_value - reference_value) * (adjusted_value - reference_value)') }}
            else (ci_high - ci_low) / (2 * {{ z95() }})
        end as shrunk_se,
        case
            when method = 'estimated'
                then (adjusted_value - reference_value) / nullif({{ root('variance + between_variance') }}, 0)
        end as funnel_z
    from weighed

)

select
    {{ month_start() }} as month,
    kpi_id,
    kpi_version,
    manager_id,
    cast(numerator as numeric(28, 10)) as numerator,
    cast(denominator as numeric(28, 10)) as denominator,
    {{ measure('value') }} as value,
    {{ measure('reference_value') }} as reference_value,
    {{ measure('expected_value') }} as expected_value,
    {{ measure('adjusted_value') }} as adjusted_value,
    {{ measure('reliability') }} as reliability,
    {{ measure('shrunk_value') }} as shrunk_value,
    {{ measure('shrunk_se') }} as shrunk_se,
    -- What is never negative is not said to be perhaps: counts, times and ratios of them have no bounds but zero.
    {{ measure('case when ci_low < 0 and adjusted_value >= 0 and not is_signed then 0 else ci_low end') }} as ci_low,
    {{ measure('ci_high') }} as ci_high,
    {{ measure('funnel_z') }} as funnel_z,
    cast(row_count as integer) as row_count
from shrunk
