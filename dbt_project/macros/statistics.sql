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

{# A value kept within [0, 1] where the KPI is a proportion; null stays null. #}
{% macro within_kind(x, kind) -%}
    case
        when {{ kind }} = 'proportion' and ({{ x }}) > 1 then 1
        when {{ kind }} = 'proportion' and ({{ x }}) < 0 then 0
        else {{ x }}
    end
{%- endmacro %}

{# Wilson's 95 % limit of a proportion `p` of `n` cases; `sign` is -1 for the lower, 1 for the upper. #}
{% macro wilson(p, n, sign) -%}
    ({{ p }} + {{ z95() }} * {{ z95() }} / (2 * {{ n }})
    + {{ sign }} * {{ z95() }} * {{ root(p ~ ' * (1 - ' ~ p ~ ') / ' ~ n ~ ' + '
        ~ z95() ~ ' * ' ~ z95() ~ ' / (4 * ' ~ n ~ ' * ' ~ n ~ ')') }})
    / (1 + {{ z95() }} * {{ z95() }} / {{ n }})
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
