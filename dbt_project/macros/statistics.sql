{# Statistics of the scorecards, explained in docs/fairness.md.

   Sums are of exact numbers and so have no order; between them everything is a double; what a model
   keeps is rounded, so that a later model starts from the digits that a reader sees. #}

{# Two-sided 95 % and 99.8 % of the normal distribution. #}
{% macro z95() -%}
    1.959963984540054
{%- endmacro %}

{% macro z998() -%}
    3.090232306167814
{%- endmacro %}

{# Rows of the reference whose spread stands beside a manager's own: what few rows say of theirs is unsure. #}
{% macro borrowed_rows() -%}
    10
{%- endmacro %}

{# From four managers on, pulling their values together is known to lessen the sum of squared errors. #}
{% macro minimum_managers() -%}
    4
{%- endmacro %}

{# A double as a number whose sum is the same in any order. #}
{% macro exact(x) -%}
    cast({{ x }} as numeric(38, 12))
{%- endmacro %}

{# A rate or variance that later models compute with: twelve decimals. #}
{% macro fine(x) -%}
    cast(round(cast({{ x }} as numeric(38, 14)), 12) as numeric(28, 12))
{%- endmacro %}

{% macro ratio(above, below) -%}
    {{ double(above) }} / nullif({{ double(below) }}, 0)
{%- endmacro %}

{# Root of what float noise may have taken below zero; null stays null. #}
{% macro root(x) -%}
    sqrt(case when ({{ x }}) < 0 then 0 else ({{ x }}) end)
{%- endmacro %}

{# The least and the greatest value of a KPI of `d`, a row of kpi_definitions; null where its unit has no bounds. #}
{% macro least_value(d) -%}
    case when {{ d }}.kind = 'proportion' or {{ d }}.unit in ('rate', 'net_rate') then case when {{ d }}.is_signed then -1 else 0 end end
{%- endmacro %}

{% macro greatest_value(d) -%}
    case when {{ d }}.kind = 'proportion' or {{ d }}.unit in ('rate', 'net_rate') then 1 end
{%- endmacro %}

{# A value kept within bounds that may be null; null stays null. #}
{% macro within(x, least='least_value', greatest='greatest_value') -%}
    case
        when ({{ x }}) > {{ greatest }} then {{ greatest }}
        when ({{ x }}) < {{ least }} then {{ least }}
        else {{ x }}
    end
{%- endmacro %}

{# Whether a month counts for the reference of the month being built: one of the twelve before whose numbers
   had settled when it was built (`months` is its row of dim_months), or the month itself. #}
{% macro may_be_reference(month, months, maturity_days) -%}
    ({{ month }} = {{ month_start() }}
    or {{ month }} >= {{ month_start(-12) }} and {{ month }} < {{ month_start() }}
    and (coalesce({{ maturity_days }}, 0) = 0
        or {{ months }}.next_month + interval '1 day' * {{ maturity_days }} <= {{ months }}.as_of_on))
{%- endmacro %}

{# Rates of strata, each with `cases` of the overall rate beside its own (relation `pulls`): one row a stratum of
   `cells`, a select whose `counted_cases` are what the numerator is set against. #}
{% macro pulled_rates(cells, pulls) -%}
    select
        c.kpi_id,
        c.kpi_version,
        c.stratum,
        c.month_count,
        c.is_signed,
        p.rate as whole_rate,
        sum(c.numerator) as numerator,
        sum(c.denominator) as denominator,
        ({{ double('sum(c.numerator)') }} + p.cases * p.rate) / ({{ double('sum(c.counted_cases)') }} + p.cases) as rate
    from ({{ cells }}) as c
    inner join {{ pulls }} as p
        on c.kpi_id = p.kpi_id and c.kpi_version = p.kpi_version
    group by c.kpi_id, c.kpi_version, c.stratum, c.month_count, c.is_signed, p.rate, p.cases
{%- endmacro %}

{# Rates of strata over their own mean, so that of the reference as a whole is expected what it did. #}
{% macro relative_rates(rates) -%}
    select
        *,
        rate / nullif({{ ratio('sum(' ~ exact(double('denominator') ~ ' * rate') ~ ') over (partition by kpi_id, kpi_version)',
            'sum(denominator) over (partition by kpi_id, kpi_version)') }}, 0) as relative_rate
    from {{ rates }}
{%- endmacro %}

{# Wilson's 95 % limit of a proportion `p` of `n` cases; `sign` is -1 for the lower, 1 for the upper. #}
{% macro wilson(p, n, sign) -%}
    ({{ p }} + {{ z95() }} * {{ z95() }} / (2 * {{ n }})
    + {{ sign }} * {{ z95() }} * {{ root(p ~ ' * (1 - ' ~ p ~ ') / ' ~ n ~ ' + '
        ~ z95() ~ ' * ' ~ z95() ~ ' / (4 * ' ~ n ~ ' * ' ~ n ~ ')') }})
    / (1 + {{ z95() }} * {{ z95() }} / {{ n }})
{%- endmacro %}

{# 95 % limit of a proportion, `events` of `n` cases: Wilson's; but where one case of ten or more is unlike all others,
   Wilson's shuts out rates too soon (of ten cases, all below 1 in 56), and Jeffreys' limit of a Poisson count of one, half
   the 2.5 % point of chi squared with three degrees of freedom, takes its place (as other such constants do in the
   modified Wilson interval of Brown, Cai and DasGupta 2001, section 4.1.1). `sign` as in wilson. #}
{% macro proportion_limit(events, n, sign) -%}
    {%- set lone = '0.107897641312 / ' ~ n -%}
    case
        when {{ n }} >= 10 and {{ events if sign < 0 else n ~ ' - ' ~ events }} = 1
            then {{ lone if sign < 0 else '1 - ' ~ lone }}
        else {{ wilson(events ~ ' / ' ~ n, n, sign) }}
    end
{%- endmacro %}

{# Agresti and Coull's 95 % limit of a mean of `n` answers that spread by `variance` between two bounds: z² answers
   are added, half of them at either bound. Of answers that are 0 or 1 it is the interval known by their name. #}
{% macro agresti_coull(mean, variance, n, sign) -%}
    {%- set count = '(' ~ n ~ ' + ' ~ z95() ~ ' * ' ~ z95() ~ ')' -%}
    {%- set centre = '((' ~ n ~ ' * ' ~ mean ~ ' + ' ~ z95() ~ ' * ' ~ z95() ~ ' * (least_value + greatest_value) / 2) / '
        ~ count ~ ')' -%}
    {%- set square = '((' ~ n ~ ' * (' ~ variance ~ ' + ' ~ mean ~ ' * ' ~ mean ~ ') + ' ~ z95() ~ ' * ' ~ z95()
        ~ ' * (least_value * least_value + greatest_value * greatest_value) / 2) / ' ~ count ~ ')' -%}
    {{ centre }} + {{ sign }} * {{ z95() }} * {{ root('(' ~ square ~ ' - ' ~ centre ~ ' * ' ~ centre ~ ') / ' ~ count) }}
{%- endmacro %}

{# Two-sided 95 % point of Student's t by the Cornish-Fisher expansion: right to five digits from ten
   degrees of freedom on, to three from four. #}
{% macro t95(df) -%}
    (1.959963984540054
    + 2.372271230299 / {{ df }}
    + 2.822498615740 / ({{ df }} * {{ df }})
    + 2.555849679508 / ({{ df }} * {{ df }} * {{ df }})
    + 1.589534053394 / ({{ df }} * {{ df }} * {{ df }} * {{ df }}))
{%- endmacro %}

{# 'better', 'worse' or 'no_clear_change' by an interval of a change; `sign` as in score_of. #}
{% macro change_status_of(low, high, sign) -%}
    case
        when {{ low }} is null or {{ high }} is null then null
        when {{ low }} > 0 then case when {{ sign }} > 0 then 'better' else 'worse' end
        when {{ high }} < 0 then case when {{ sign }} > 0 then 'worse' else 'better' end
        else 'no_clear_change'
    end
{%- endmacro %}

{# Where a value lies by its z in the funnel; `sign` as in score_of. #}
{% macro funnel_status_of(z, sign) -%}
    case
        when {{ z }} is null then null
        when abs({{ z }}) <= {{ z95() }} then 'inside'
        else case when {{ sign }} * {{ z }} > 0 then 'better' else 'worse' end
            || case when abs({{ z }}) > {{ z998() }} then '_998' else '_95' end
    end
{%- endmacro %}
