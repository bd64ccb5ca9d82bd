{# Numbers and sentences of explanations, in English and Chinese. What a reader adds up has been rounded
   before it is added: the parts of a change sum to the change as it is shown, too. #}

{# A value as it is shown: hundredths with one decimal for shares, two decimals for everything else. #}
{% macro shown(x, unit) -%}
    case
        when {{ unit }} in ('rate', 'ratio', 'net_rate') then cast(round(100 * {{ x }}, 1) as numeric(18, 2))
        else cast(round({{ x }}, 2) as numeric(18, 2))
    end
{%- endmacro %}

{# A number as text, without needless zeros. #}
{% macro plain_text(x) -%}
    case
        when {{ x }} = round({{ x }}, 0) then cast(cast({{ x }} as bigint) as varchar)
        when {{ x }} = round({{ x }}, 1) then cast(cast({{ x }} as numeric(18, 1)) as varchar)
        else cast(cast({{ x }} as numeric(18, 2)) as varchar)
    end
{%- endmacro %}

{% macro signed_text(x) -%}
    case when {{ x }} > 0 then '+' else '' end || {{ plain_text(x) }}
{%- endmacro %}

{# What stands behind a value, and behind a difference of two. #}
{% macro unit_text(unit, language) -%}
    case {{ unit }}
        when 'rate' then '%'
        when 'ratio' then '%'
        when 'seconds' then '{{ ' s' if language == 'en' else ' 秒' }}'
        when 'minutes' then '{{ ' min' if language == 'en' else ' 分钟' }}'
        else ''
    end
{%- endmacro %}

{% macro difference_text(unit, language) -%}
    case {{ unit }}
        when 'rate' then '{{ ' percentage points' if language == 'en' else ' 个百分点' }}'
        when 'ratio' then '{{ ' percentage points' if language == 'en' else ' 个百分点' }}'
        when 'net_rate' then '{{ ' points' if language == 'en' else ' 点' }}'
        when 'seconds' then '{{ ' s' if language == 'en' else ' 秒' }}'
        when 'minutes' then '{{ ' min' if language == 'en' else ' 分钟' }}'
        else ''
    end
{%- endmacro %}
