with definitions as (

    select
        kpi_id,
        version,
        name_en,
        name_zh,
        unit,
        is_suppressed
    from {{ ref('kpi_definitions') }}

),

current_month as (

    select * from {{ ref('scorecard_kpi_months') }} where month = {{ month_start() }}

),

previous_month as (

    select manager_id, kpi_id, kpi_version, value
    from {{ ref('scorecard_kpi_months') }}
    where month = {{ month_start(-1) }}

),

strata as (

    select
        month,
        manager_id,
        kpi_id,
        kpi_version,
        stratum,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from {{ ref('kpi_manager_strata') }}
    where month in ({{ month_start(-1) }}, {{ month_start() }})
    group by month, manager_id, kpi_id, kpi_version, stratum

),

shares as (

    select
        *,
        {{ ratio('denominator', 'sum(denominator) over (partition by month, manager_id, kpi_id, kpi_version)') }} as share,
        {{ ratio('numerator', 'denominator') }} as rate
    from strata

),

shares_now as (

    select * from shares where month = {{ month_start() }}

),

shares_before as (

    select * from shares where month = {{ month_start(-1) }}

),

-- A stratum of one month only has the rate of that month in both: what it changes is the mix.
mixes as (

    select
        coalesce(n.manager_id, p.manager_id) as manager_id,
        coalesce(n.kpi_id, p.kpi_id) as kpi_id,
        coalesce(n.kpi_version, p.kpi_version) as kpi_version,
        sum({{ exact('(coalesce(n.share, 0) - coalesce(p.share, 0))'
            ~ ' * (coalesce(n.rate, p.rate) + coalesce(p.rate, n.rate)) / 2') }}) as mix_effect,
        count(distinct coalesce(n.stratum, p.stratum)) as stratum_count
    from shares_now as n
    full outer join shares_before as p
        on n.manager_id = p.manager_id
        and n.kpi_id = p.kpi_id
        and n.kpi_version = p.kpi_version
        and n.stratum = p.stratum
    group by
        coalesce(n.manager_id, p.manager_id),
        coalesce(n.kpi_id, p.kpi_id),
        coalesce(n.kpi_version, p.kpi_version)

),

-- Confidential answers are not split: the parts would tell of groups too small to be shown.
compared as (

    select
        c.*,
        d.name_en,
        d.name_zh,
        d.unit,
        d.is_suppressed and c.value is null as is_hidden,
        p.value as previous_value,
        c.value - p.value as value_change,
        case
            when not d.is_suppressed and c.value is not null and p.value is not null then {{ measure('m.mix_effect') }}
        end as mix_effect,
        not d.is_suppressed and m.stratum_count > 1 as is_split
    from current_month as c
    inner join definitions as d
        on c.kpi_id = d.kpi_id and c.kpi_version = d.version
    left join previous_month as p
        on c.manager_id = p.manager_id and c.kpi_id = p.kpi_id and c.kpi_version = p.kpi_version
    left join mixes as m
        on c.manager_id = m.manager_id and c.kpi_id = m.kpi_id and c.kpi_version = m.kpi_version

),

rounded as (

    select
        *,
        case when mix_effect is not null then value_change - mix_effect end as rate_effect,
        {{ shown('value', 'unit') }} as value_shown,
        {{ shown('shrunk_value', 'unit') }} as shrunk_shown,
        {{ shown('previous_value', 'unit') }} as previous_shown,
        {{ shown('value', 'unit') }} - {{ shown('previous_value', 'unit') }} as change_shown,
        {{ shown('mix_effect', 'unit') }} as mix_shown,
        {{ shown('floor', 'unit') }} as floor_shown,
        {{ shown('target', 'unit') }} as target_shown,
        {{ shown('stretch', 'unit') }} as stretch_shown,
        cast(round(score, 1) as numeric(18, 1)) as score_shown,
        cast(round(sample_size, 1) as numeric(18, 1)) as sample_shown
    from compared

),

worded as (

    select
        *,
        {% for language in ['en', 'zh'] -%}
        {{ unit_text('unit', language) }} as unit_{{ language }},
        {{ difference_text('unit', language) }} as difference_{{ language }},
        {% endfor -%}
        {{ plain_text('value_shown') }} as value_text,
        {{ plain_text('shrunk_shown') }} as shrunk_text,
        {{ plain_text('previous_shown') }} as previous_text,
        {{ signed_text('change_shown') }} as change_text,
        {{ signed_text('mix_shown') }} as mix_text,
        {{ signed_text('change_shown - mix_shown') }} as rate_text,
        {{ plain_text('floor_shown') }} as floor_text,
        {{ plain_text('target_shown') }} as target_text,
        {{ plain_text('stretch_shown') }} as stretch_text,
        {{ plain_text('score_shown') }} as score_text,
        {{ plain_text('sample_shown') }} as sample_text
    from rounded

),

-- What it was and what that is worth.
scored as (

    select
        *,
        case
            when status = 'not_available' then name_en || ' is not scored: nothing that it counts was delivered this month'
            when is_hidden
                then name_en || ' is not shown, so that nobody''s answer can be worked out, and is not scored'
            when value is null then name_en || ' is not scored: there was nothing to count this month'
            when status = 'excluded' then name_en || ' is left out of this month by an upheld appeal'
            when status = 'insufficient_data' and sample_size >= minimum_sample and row_count >= minimum_rows
                then name_en || ' was ' || value_text || unit_en
                    || ' and is not scored: too few months of it are known for a figure of a year'
            when status = 'insufficient_data' and sample_size >= minimum_sample
                then name_en || ' was ' || value_text || unit_en || ' and is not scored: it rests on '
                    || cast(row_count as varchar) || ' of the ' || cast(minimum_rows as varchar) || ' records needed'
            when status = 'insufficient_data'
                then name_en || ' was ' || value_text || unit_en || ' (n = ' || sample_text || ') and is not scored: '
                    || cast(minimum_sample as varchar) || ' are needed'
            when status = 'no_target'
                then name_en || ' was ' || value_text || unit_en || ' (n = ' || sample_text
                    || ') and earns no points: no target is set for it'
            else
                name_en || ' was ' || value_text || unit_en || ' (n = ' || sample_text || ')'
                || case
                    when shrunk_shown <> value_shown
                        then ', counted as ' || shrunk_text || unit_en || ' once the mix and number of cases are allowed for'
                    else ''
                end
                || case
                    when score >= 120
                        then ': the stretch of ' || stretch_text || unit_en || ' is reached, which earns all 120 points'
                    when score >= 100 and stretch is null
                        then ': the target of ' || target_text || unit_en || ' is reached, which earns all 100 points'
                    when score >= 100
                        then ': between the target of ' || target_text || unit_en || ' (100 points) and the stretch of '
                            || stretch_text || unit_en || ' (120), which earns ' || score_text || ' points'
                    when score > 0
                        then ': between the floor of ' || floor_text || unit_en || ' (0 points) and the target of '
                            || target_text || unit_en || ' (100), which earns ' || score_text || ' points'
                    else ': no better than the floor of ' || floor_text || unit_en || ', which earns 0 points'
                end
        end as reason_en,
        case
            when status = 'not_available' then name_zh || '不计分：本月没有可计入的数据'
            when is_hidden then name_zh || '不予显示，以免推算出任何人的答卷，因此不计分'
            when value is null then name_zh || '不计分：本月没有样本'
            when status = 'excluded' then name_zh || '本月经申诉核实，不计入总分'
            when status = 'insufficient_data' and sample_size >= minimum_sample and row_count >= minimum_rows
                then name_zh || '为 ' || value_text || unit_zh || '，已有数据的月份不足以得出全年数字，不计分'
            when status = 'insufficient_data' and sample_size >= minimum_sample
                then name_zh || '为 ' || value_text || unit_zh || '，仅有 ' || cast(row_count as varchar)
                    || ' 条记录，少于最少 ' || cast(minimum_rows as varchar) || ' 条，不计分'
            when status = 'insufficient_data'
                then name_zh || '为 ' || value_text || unit_zh || '，样本 ' || sample_text
                    || '，少于最低样本量 ' || cast(minimum_sample as varchar) || '，不计分'
            when status = 'no_target'
                then name_zh || '为 ' || value_text || unit_zh || '，样本 ' || sample_text || '；未设目标，不得分'
            else
                name_zh || '为 ' || value_text || unit_zh || '，样本 ' || sample_text
                || case
                    when shrunk_shown <> value_shown
                        then '，考虑业务构成和样本量后按 ' || shrunk_text || unit_zh || ' 计'
                    else ''
                end
                || case
                    when score >= 120 then '，达到挑战值 ' || stretch_text || unit_zh || '，得满分 120 分'
                    when score >= 100 and stretch is null
                        then '，达到目标 ' || target_text || unit_zh || '，得满分 100 分'
                    when score >= 100
                        then '，介于目标 ' || target_text || unit_zh || '（100 分）与挑战值 '
                            || stretch_text || unit_zh || '（120 分）之间，得 ' || score_text || ' 分'
                    when score > 0
                        then '，介于底线 ' || floor_text || unit_zh || '（0 分）与目标 '
                            || target_text || unit_zh || '（100 分）之间，得 ' || score_text || ' 分'
                    else '，不优于底线 ' || floor_text || unit_zh || '，得 0 分'
                end
        end as reason_zh
    from worded

),

-- What moved it since the month before.
moved as (

    select
        *,
        case
            when value_change is null then ''
            when change_shown = 0 and coalesce(mix_shown, 0) = 0 then '; it is as it was last month'
            else
                '; last month it was ' || previous_text || unit_en || ' (' || change_text || difference_en
                || case
                    when is_split
                        then ': ' || rate_text || ' from results within kinds of cases, ' || mix_text
                            || ' from their mix'
                    else ''
                end
                || ')'
        end as change_en,
        case
            when value_change is null then ''
            when change_shown = 0 and coalesce(mix_shown, 0) = 0 then '；与上月持平'
            else
                '；上月为 ' || previous_text || unit_zh || '（' || change_text || difference_zh
                || case
                    when is_split then '：各类业务自身表现 ' || rate_text || '，业务构成变化 ' || mix_text
                    else ''
                end
                || '）'
        end as change_zh
    from scored

)

select
    {{ month_start() }} as month,
    manager_id,
    kpi_id,
    kpi_version,
    {{ measure('value_change') }} as value_change,
    {{ measure('rate_effect') }} as rate_effect,
    {{ measure('mix_effect') }} as mix_effect,
    reason_en || change_en
    {%- if as_of_key() != month_key() %} || '; deliveries up to {{ as_of_key() }} are counted'{% endif %}
    || case when is_provisional then '; late events may still change it' else '' end || '.' as sentence_en,
    reason_zh || change_zh
    {%- if as_of_key() != month_key() %} || '；已计入截至 {{ as_of_key() }} 的数据'{% endif %}
    || case when is_provisional then '；后续数据可能使其变化' else '' end || '。' as sentence_zh
from moved
