{# What a manager's whole month and each team's part of it share: KPIs, targets, and when a KPI is scored. #}

{# Every KPI's definition with the sample the company asks for, and whether the company chose it. #}
{% macro kpis_of_company() -%}
    select
        d.*,
        coalesce(o.minimum_sample, d.minimum_sample) as needed_sample,
        c.kpi_id is not null or (select count(*) from {{ source('config', 'chosen_kpis') }}) = 0 as is_chosen
    from {{ ref('kpi_definitions') }} as d
    left join {{ source('config', 'kpis') }} as o
        on d.kpi_id = o.kpi_id
    left join {{ source('config', 'chosen_kpis') }} as c
        on d.kpi_id = c.kpi_id
{%- endmacro %}

{# KPIs of which anything was counted: of what was not delivered `kpi_stratum_months` has no row. #}
{% macro available_kpis() -%}
    select kpi_id, kpi_version, sum(denominator) as denominator
    from {{ ref('kpi_employee_months') }}
    where month = {{ month_start() }}
    group by kpi_id, kpi_version
    having sum(denominator) > 0
{%- endmacro %}

{# What is told of a year needs some months of it: a leaver of one month would be twelve of a year. #}
{% macro months_told() -%}
    select
        manager_id,
        kpi_id,
        count(distinct month) as month_count
    from {{ ref('kpi_manager_months') }}
    where month > {{ month_start(-12) }} and month <= {{ month_start() }}
    group by manager_id, kpi_id
{%- endmacro %}

{# A target counts from the first month that begins after it was announced and became valid. #}
{% macro valid_targets() -%}
    select *
    from {{ source('config', 'targets') }}
    where valid_from <= {{ month_start() }}
        and coalesce(valid_to, date '2999-01-01') > {{ month_start() }}
        and coalesce(announced_on, date '1900-01-01') <= {{ month_start() }}
{%- endmacro %}

{# Targets of the relation `who` (manager_id, team_id, role), best fit_rank first: the team's, the role's, all's. #}
{% macro fitting_targets(who, targets) -%}
    select
        m.manager_id,
        m.team_id as led_team_id,
        t.*,
        row_number() over (
            partition by m.manager_id, m.team_id, t.kpi_id
            order by
                case when t.team_id = '*' then 1 else 0 end,
                case when t.role = '*' then 1 else 0 end,
                t.valid_from desc, t.version desc
        ) as fit_rank
    from {{ who }} as m
    inner join {{ targets }} as t
        on (t.team_id = '*' or t.team_id = m.team_id) and (t.role = '*' or t.role = m.role)
{%- endmacro %}

{# Whole KPIs that an upheld appeal takes out of a manager's month. #}
{% macro excluded_kpis() -%}
    select manager_id, kpi_id
    from {{ ref('scorecard_appeals') }}
    where month = {{ month_start() }} and outcome = 'applied' and not is_row
    group by manager_id, kpi_id
{%- endmacro %}

{# Why a KPI is scored or is not. #}
{% macro status_of_kpi() -%}
    case
        when not is_available then 'not_available'
        when not has_target then 'no_target'
        when is_excluded then 'excluded'
        when is_too_new then 'insufficient_data'
        when is_hidden or denominator <= 0 or denominator < needed_sample or row_count < minimum_rows
            then 'insufficient_data'
        else 'scored'
    end
{%- endmacro %}
