{# Picking rows: the latest version of a key, and the person behind a source's user id. #}

{# Order in which versions of one key supersede each other: where the source does not tell, a later line of
   a file, but not a later row of a table or of a database's answer, for those have no order. #}
{% macro latest_first(prefix='') -%}
    {{ prefix }}source_updated_at desc nulls last, {{ prefix }}source_seq desc nulls last, {{ prefix }}_month desc nulls last,
    {{- ' ' }}case when {{ prefix }}_file not like '%.parquet' then {{ prefix }}_row_number end desc nulls last, {{ prefix }}_row_hash desc
{%- endmacro %}

{# A column that is 1 on the newest version of each key. #}
{% macro version_rank(keys) -%}
    row_number() over (partition by {{ keys | join(', ') }} order by {{ latest_first() }})
{%- endmacro %}

{# The newest version of each key. Few keys have more than one, so versions are ranked for those only
   and what is superseded is left out: a window over all rows costs as much as reading them.
   A row is known by its key, its delivery and its hash: landing drops exact copies. #}
{% macro latest_versions(relation, keys, where='true') -%}
    select v.*
    from {{ relation }} as v
    left join (
        select {{ keys | join(', ') }}, _month, _row_hash
        from (
            select
                {% for key in keys %}r.{{ key }}, {% endfor %}r._month, r._row_hash,
                row_number() over (
                    partition by {% for key in keys %}r.{{ key }}{{ ', ' if not loop.last }}{% endfor %}
                    order by {{ latest_first('r.') }}
                ) as version_rank
            from {{ relation }} as r
            inner join (
                select {{ keys | join(', ') }}
                from {{ relation }}
                where {{ where }}
                group by {{ keys | join(', ') }}
                having count(*) > 1
            ) as k
                on {% for key in keys %}r.{{ key }} is not distinct from k.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
            where {{ where }}
        ) as ranked
        where version_rank > 1
    ) as s
        on {% for key in keys %}v.{{ key }} is not distinct from s.{{ key }} and {% endfor %}v._month = s._month and v._row_hash = s._row_hash
    where s._row_hash is null and {{ where }}
{%- endmacro %}

{# CTEs that `join_person` needs: who a user id is, and where that person works, each by the day. #}
{% macro people_ctes() -%}
identities as (

    select * from {{ ref('dim_identities') }} where month = {{ month_start() }}

),

places as (

    select * from {{ ref('dim_places') }} where month = {{ month_start() }}

)
{%- endmacro %}

{# Joins that find the person behind a source's user id on the day of an instant: `<name>_own` by what is
   said about the source, else `<name>_any` by what is said about every source, `<name>_at` where they
   work then, or at the instant `dated_at` where another one than `at` decides the day that is counted.
   What has no time is taken at the beginning of the month. #}
{% macro join_person(name, source, user_id, at, is_number=none, dated_at=none) %}
    {%- set on_day = 'coalesce(' ~ local_on(at) ~ ', ' ~ month_start() ~ ')' %}
    {%- set placed_on = 'coalesce(' ~ local_on(dated_at or at) ~ ', ' ~ month_start() ~ ')' %}
    left join identities as {{ name }}_own
        on {{ name }}_own._source = {{ source }}
        and {{ name }}_own.source_user_id = {{ user_id }}
        and {{ on_day }} >= {{ name }}_own.valid_from
        and {{ on_day }} < {{ name }}_own.valid_to
    left join identities as {{ name }}_any
        on {{ name }}_any._source = '*'
        and {{ name }}_any.source_user_id = {{ user_id }}
        and {{ on_day }} >= {{ name }}_any.valid_from
        and {{ on_day }} < {{ name }}_any.valid_to
    left join places as {{ name }}_at
        on {{ name }}_at.employee_id = {{ person(name, is_number) }}
        and {{ placed_on }} >= {{ name }}_at.valid_from
        and {{ placed_on }} < {{ name }}_at.valid_to
{%- endmacro %}

{# The employee: a source's own row decides even where it says that nobody is known; `is_number` is SQL
   that says when the id is an employee number, which no directory of accounts may deny. #}
{% macro person(name, is_number=none) -%}
    case
        when {{ name }}_own.employee_id is not null then {{ name }}_own.employee_id
        when {{ name }}_own._source is null{{ ' or ' ~ is_number if is_number }} then {{ name }}_any.employee_id
    end
{%- endmacro %}
