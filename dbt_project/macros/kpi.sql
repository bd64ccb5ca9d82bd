{# SQL of the KPIs, generated from their metrics: adding a KPI is one YAML file, no SQL.

   A KPI is a ratio metric with `meta.kpi`; its two simple metrics name two measures; a measure is an
   expression over one fact. `credit` says who answers for a row and on which day it counts:
   `to: employee` (column of an employee id), `queue` (its owner that day), `manager` (named outright).
   `queue` beside `to: employee` is the column of the queue that answers where nobody owned the work.
   What an employee or a queue is credited with rolls up to everybody above; what is said about a manager
   outright does not, unless `path` names the fact's column of who stands above.
   `strata` are columns of the fact that tell like from like: a manager's mix of them is allowed for. #}

{% macro kpi_metrics() %}
    {%- set kpis = [] -%}
    {%- if execute -%}
        {%- for metric in graph.metrics.values() | sort(attribute='name') -%}
            {%- set kpi = (metric.config.meta or {}).get('kpi') -%}
            {%- if kpi -%}
                {%- do kpis.append({'id': kpi.get('id', metric.name), 'metric': metric, 'kpi': kpi}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(kpis) }}
{% endmacro %}

{# What a KPI's rows add up to: `proportion` (0 or 1 over 1), `score` (points over rows or points) or `ratio`. #}
{% macro kpi_kind(entry) %}
    {%- set kind = entry.kpi.get('kind', 'ratio') -%}
    {%- if kind not in ('proportion', 'score', 'ratio') -%}
        {{ exceptions.raise_compiler_error("KPI " ~ entry.id ~ " kind: expected proportion, score or ratio, got " ~ kind) }}
    {%- endif -%}
    {{ return(kind) }}
{% endmacro %}

{# The measure behind a simple metric: {'fact': name, 'expr': SQL, 'key': column that names a row of the fact, if it is told}. #}
{% macro kpi_measure(metric_name) %}
    {%- set metric = (graph.metrics.values() | selectattr('name', 'equalto', metric_name) | list)[0] -%}
    {%- set wanted = metric.type_params.measure.name -%}
    {%- for semantic_model in graph.semantic_models.values() -%}
        {%- for measure in semantic_model.measures if measure.name == wanted -%}
            {%- if measure.agg != 'sum' -%}
                {{ exceptions.raise_compiler_error("KPI measure " ~ wanted ~ ": a KPI is a ratio of two sums, agg must be 'sum'") }}
            {%- endif -%}
            {%- set keys = semantic_model.entities | selectattr('type', 'equalto', 'primary') | map(attribute='expr') | select | list -%}
            {{ return({'fact': semantic_model.refs[0].name, 'expr': measure.expr or measure.name, 'key': keys | first}) }}
        {%- endfor -%}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error("KPI metric " ~ metric_name ~ " names no known measure") }}
{% endmacro %}

{# Selects that a KPI is made of: one, or two when its denominator lies in another fact. #}
{% macro kpi_parts(entry) %}
    {%- set kpi = entry.kpi -%}
    {%- set params = entry.metric.type_params -%}
    {%- set above = kpi_measure(params.numerator.name) -%}
    {%- set below = kpi_measure(params.denominator.name) -%}
    {%- set named = {'kpi_id': entry.id, 'kpi_version': kpi.version, 'kind': kpi_kind(entry), 'number': 1, 'needed': []} -%}
    {%- if above.fact == below.fact and 'denominator_credit' not in kpi -%}
        {{ return([dict(named, fact=above.fact, key=above.key, numerator=above.expr, denominator=below.expr,
            credit=kpi.credit, row_id=kpi.row_id, strata=kpi.get('strata') or [])]) }}
    {%- endif -%}
    {%- if kpi.get('strata') -%}
        {{ exceptions.raise_compiler_error("KPI " ~ entry.id ~ ": strata need both sums in one fact") }}
    {%- endif -%}
    {%- if rolls_up(kpi.credit) != rolls_up(kpi.get('denominator_credit', kpi.credit)) -%}
        {{ exceptions.raise_compiler_error("KPI " ~ entry.id ~ ": both sums must count for the same managers; give a credit to a manager its `path`") }}
    {%- endif -%}
    {%- set needed = [streams_of(above.fact), streams_of(below.fact)] | select | list -%}
    {%- set named = dict(named, needed=needed) -%}
    {{ return([
        dict(named, fact=above.fact, key=above.key, numerator=above.expr, denominator='0',
            credit=kpi.credit, row_id=kpi.row_id, strata=[]),
        dict(named, number=2, fact=below.fact, key=below.key, numerator='0', denominator=below.expr,
            credit=kpi.get('denominator_credit', kpi.credit),
            row_id=kpi.get('denominator_row_id', kpi.row_id), strata=[]),
    ]) }}
{% endmacro %}

{# Streams that tell who people are hold until a newer delivery: a month may well go without one. #}
{% macro lasting_streams() %}
    {{ return(['hr_roster', 'org_units', 'employment_events', 'identity_map', 'source_users']) }}
{% endmacro %}

{# Streams whose rows a fact consists of: those behind the staging models and facts that it reads. #}
{% macro streams_of(fact) %}
    {%- set streams = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == fact -%}
        {%- for parent in node.depends_on.nodes -%}
            {%- set name = parent.split('.')[-1] -%}
            {%- if parent.startswith('source.') and parent.split('.')[-2] == 'raw' -%}
                {%- do streams.append(name) if name not in lasting_streams() -%}
            {%- elif name.startswith('stg_') or name.startswith('fct_') -%}
                {%- do streams.extend(streams_of(name)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(streams | unique | sort) }}
{% endmacro %}

{# Whether a row's `month` is one that a part of a KPI may count: where its two sums lie in two facts, a stream of
   each was delivered for the month. Without it heads would be counted under a numerator that nobody told. #}
{% macro is_delivered(part, qualified=true) -%}
    {%- set delivered = ref('dim_delivered_streams') if qualified else ref('dim_delivered_streams').include(database=false) -%}
    true
    {%- for streams in part.needed %}
    and month in (
        select d.month
        from {{ delivered }} as d
        where d.stream in ({% for stream in streams %}{{ text_literal(stream) }}{{ ', ' if not loop.last }}{% endfor %})
    )
    {%- endfor %}
{%- endmacro %}

{# Whether a credit counts for those above too. #}
{% macro rolls_up(credit) -%}
    {{ return(credit.to != 'manager' or credit.path is defined) }}
{%- endmacro %}

{# Who answers for a row `f` of a fact: manager_id, management_path (null: for that manager only), team_id,
   employee_id; `credited_joins` must follow. `employee` is SQL of the credited employee where an appeal
   may have mended it; `prefix` keeps the names apart from the fact's own. #}
{% macro credited_columns(credit, employee=none, prefix='') -%}
    {%- set employee = employee or 'f.' ~ credit.id -%}
    {%- set of_queue = {
        'manager_id': 'coalesce(q.manager_id, w.manager_id)',
        'management_path': 'case when q.manager_id is not null then q.management_path else w.management_path end',
        'team_id': 'case when not q.is_configured then q.queue_id end',
    } -%}
    {%- if credit.to == 'employee' and credit.queue %}
        case when {{ employee }} is not null then e.responsible_manager_id else {{ of_queue.manager_id }} end as {{ prefix }}manager_id,
        case when {{ employee }} is not null then e.management_path else {{ of_queue.management_path }} end as {{ prefix }}management_path,
        case when {{ employee }} is not null then e.team_id else {{ of_queue.team_id }} end as {{ prefix }}team_id,
        {{ employee }} as {{ prefix }}employee_id
    {%- elif credit.to == 'employee' %}
        e.responsible_manager_id as {{ prefix }}manager_id,
        e.management_path{{ ' as ' ~ prefix ~ 'management_path' if prefix }},
        e.team_id{{ ' as ' ~ prefix ~ 'team_id' if prefix }},
        {{ employee }} as {{ prefix }}employee_id
    {%- elif credit.to == 'queue' %}
        {{ of_queue.manager_id }} as {{ prefix }}manager_id,
        {{ of_queue.management_path }} as {{ prefix }}management_path,
        {{ of_queue.team_id }} as {{ prefix }}team_id,
        cast(null as varchar) as {{ prefix }}employee_id
    {%- elif credit.to == 'manager' %}
        f.{{ credit.id }} as {{ prefix }}manager_id,
        {{ 'f.' ~ credit.path if credit.path else 'cast(null as varchar)' }} as {{ prefix }}management_path,
        {{ 'f.' ~ credit.team if credit.team else 'cast(null as varchar)' }} as {{ prefix }}team_id,
        {{ 'f.' ~ credit.employee if credit.employee else 'cast(null as varchar)' }} as {{ prefix }}employee_id
    {%- else %}
        {{ exceptions.raise_compiler_error("KPI credit.to: expected employee, queue or manager, got " ~ credit.to) }}
    {%- endif %}
{%- endmacro %}

{% macro credited_joins(credit, qualified=true, employee=none) -%}
    {%- set employees = ref('dim_employees') if qualified else ref('dim_employees').include(database=false) -%}
    {%- set queues = ref('dim_queues') if qualified else ref('dim_queues').include(database=false) -%}
    {%- set queue = credit.id if credit.to == 'queue' else credit.queue -%}
    {%- if credit.to == 'employee' %}
    left join {{ employees }} as e
        on f.month = e.month
        and {{ employee or 'f.' ~ credit.id }} = e.employee_id
        and f.{{ credit.day }} >= e.valid_from
        and f.{{ credit.day }} < e.valid_to
    {%- endif %}
    {%- if queue %}
    left join {{ queues }} as q
        on f.month = q.month and f.{{ queue }} = q.queue_id and f.{{ credit.day }} = q.owned_on
    left join {{ queues }} as w
        on f.month = w.month and w.queue_id = '*' and f.{{ credit.day }} = w.owned_on
        {%- if credit.to == 'employee' %} and f.{{ queue }} is not null{% endif %}
    {%- endif %}
{%- endmacro %}

{# Fact rows behind one part of a KPI, credited: month, manager_id, management_path (null: for that manager
   only), team_id, employee_id, stratum, source, source_row_id, file, row_number, event_on, numerator,
   denominator. `is_appealed`: as upheld appeals leave them. #}
{% macro kpi_rows(part, where='true', qualified=true, is_appealed=true, is_keyed=false) -%}
    {%- set credit = part.credit -%}
    {%- set employee = 'coalesce(f.appealed_employee_id, f.' ~ credit.id ~ ')'
        if is_appealed and credit.to == 'employee' else none -%}
    {%- set fact = ref(part.fact) if qualified else ref(part.fact).include(database=false) -%}
    select
        f.month,
        {{- credited_columns(credit, employee) }},
        {{ stratum_of(part.strata) }} as stratum,
        f._source as source,
        cast(f.{{ part.row_id }} as varchar) as source_row_id,
        f._file as file,
        f._row_number as row_number,
        {%- if is_keyed %}
        {{ fact_row_key(part) }} as row_key,
        {%- endif %}
        f.{{ credit.day }} as event_on,
        f.kpi_numerator as numerator,
        f.kpi_denominator as denominator
    from (
        select
            *,
            {{ counted_numerator(part, 'numeric(28, 10)', is_appealed) }} as kpi_numerator,
            cast(coalesce({{ part.denominator }}, 0) as numeric(28, 10)) as kpi_denominator
        from {{ fact }}
        {%- if is_appealed %}
        {{ appealed_join(part, qualified) }}
        {%- endif %}
        where {{ where }}{{ " and coalesce(appeal_effect, '') <> 'exclude'" if is_appealed }}
    ) as f
    {{- credited_joins(credit, qualified, employee) }}
    where f.{{ credit.day }} >= f.month
        and f.{{ credit.day }} < f.month + interval '1 month'
        and (f.kpi_numerator <> 0 or f.kpi_denominator <> 0)
{%- endmacro %}

{# What names a row `f` of a fact: the primary entity of its semantic model; without one, the row of the source, of
   which a form of many questions makes several. #}
{% macro fact_row_key(part) -%}
    {{ 'cast(f.' ~ part.key ~ ' as varchar)' if part.key else "f._source || '|' || f._file || '|' || cast(f._row_number as varchar)" }}
{%- endmacro %}

{# Sums of the same rows of the month: manager_id, management_path, team_id, employee_id, stratum, numerator,
   denominator, numerator_squares, products, denominator_squares, row_count. They are added up by whom and by
   day before it is asked who answers: of ten million calls that is a fifth of the work.

   Sums have ten decimals, finer than a published number: teams and managers sum these before they are
   rounded. Squares are exact, too, so that the order in which rows are added changes no digit of an interval;
   of 19 digits, for DuckDB does not widen the product of two numbers of 18. #}
{% macro kpi_sums(part, is_appealed=true) -%}
    {%- set credit = part.credit -%}
    {%- set named = [credit.id, credit.day, credit.queue, credit.path, credit.team, credit.employee] + part.strata -%}
    {%- set keys = ['month'] + named | select | list -%}
    select
        {{- credited_columns(credit) }},
        {{ stratum_of(part.strata) }} as stratum,
        f.numerator,
        f.denominator,
        f.numerator_squares,
        f.products,
        f.denominator_squares,
        f.row_count
    from (
    {%- if part.kind == 'proportion' %}
        {{ sums_of_alike(part, keys, is_appealed) }}
    {%- else %}
        select
            {{ keys | join(', ') }},
            sum(kpi_numerator) as numerator,
            sum(kpi_denominator) as denominator,
            sum(coarse_numerator * coarse_numerator) as numerator_squares,
            sum(coarse_numerator * coarse_denominator) as products,
            sum(coarse_denominator * coarse_denominator) as denominator_squares,
            sum(case when kpi_denominator <> 0 then 1 else 0 end) as row_count
        from (
            {{ counted_rows(part, keys, is_appealed) }}
        ) as fact_rows
        where kpi_numerator <> 0 or kpi_denominator <> 0
        group by {{ keys | join(', ') }}
    {%- endif %}
    ) as f
    {{- credited_joins(credit) }}
{%- endmacro %}

{# The same sums where rows are 0 or 1 over 1, numbers of 18 digits: rows alike are counted first, and multiplied,
   which costs a third of adding up each. What counts nothing is left out at the end: to ask every row costs more. #}
{% macro sums_of_alike(part, keys, is_appealed) -%}
        select
            {{ keys | join(', ') }},
            sum(kpi_numerator * alike_count) as numerator,
            sum(kpi_denominator * alike_count) as denominator,
            sum(coarse_numerator * coarse_numerator * alike_count) as numerator_squares,
            sum(coarse_numerator * coarse_denominator * alike_count) as products,
            sum(coarse_denominator * coarse_denominator * alike_count) as denominator_squares,
            sum(case when kpi_denominator <> 0 then alike_count else 0 end) as row_count
        from (
            select
                {{ keys | join(', ') }},
                kpi_numerator,
                kpi_denominator,
                cast(kpi_numerator as numeric(14, 6)) as coarse_numerator,
                cast(kpi_denominator as numeric(14, 6)) as coarse_denominator,
                cast(count(*) as numeric(10, 0)) as alike_count
            from (
            {{ counted_rows(part, keys, is_appealed, 'numeric(18, 10)') }}
            ) as fact_rows
            group by {{ keys | join(', ') }}, kpi_numerator, kpi_denominator
        ) as alike
        group by {{ keys | join(', ') }}
        having max(case when kpi_numerator <> 0 or kpi_denominator <> 0 then 1 else 0 end) = 1
{%- endmacro %}

{# Rows of a fact in the month with what one part of a KPI counts of each, as upheld appeals leave them. #}
{% macro counted_rows(part, keys, is_appealed, type='numeric(28, 10)') -%}
    {%- set mended = part.credit.id if is_appealed and part.credit.to == 'employee' else none -%}
            select
                {% for key in keys -%}
                {{ 'coalesce(appealed_employee_id, ' ~ key ~ ') as ' ~ key if key == mended else key }},
                {% endfor -%}
                {{ counted_numerator(part, type, is_appealed) }} as kpi_numerator,
                cast(coalesce({{ part.denominator }}, 0) as {{ type }}) as kpi_denominator,
                {{ counted_numerator(part, 'numeric(19, 6)', is_appealed) }} as coarse_numerator,
                cast(coalesce({{ part.denominator }}, 0) as numeric(19, 6)) as coarse_denominator
            from {{ ref(part.fact) }}
            {%- if is_appealed %}
            {{ appealed_join(part) }}
            {%- endif %}
            where month = {{ month_start() }} and {{ in_month(part.credit.day) }} and {{ is_delivered(part) }}
                {{- " and coalesce(appeal_effect, '') <> 'exclude'" if is_appealed }}
{%- endmacro %}

{# The stratum of a fact row `f`, as text; '' where a KPI has none. #}
{% macro stratum_of(columns) -%}
    {%- if not columns -%}
        ''
    {%- else -%}
        {% for column in columns %}coalesce(cast(f.{{ column }} as varchar), '-'){% if not loop.last %} || ' · ' || {% endif %}{% endfor %}
    {%- endif -%}
{%- endmacro %}

{# A SQL text literal, or null. #}
{% macro text_literal(value) -%}
    {%- if value is none or value is undefined -%}
        cast(null as varchar)
    {%- else -%}
        '{{ (value | string).replace("'", "''") }}'
    {%- endif -%}
{%- endmacro %}

{# How many months a KPI has to be told of somebody before it is scored; `id` and `version` are columns. #}
{% macro minimum_months(id, version) -%}
    case
        {%- for entry in kpi_metrics() if entry.kpi.get('minimum_months', 1) > 1 %}
        when {{ id }} = {{ text_literal(entry.id) }} and {{ version }} = {{ text_literal(entry.kpi.version) }} then {{ entry.kpi.minimum_months }}
        {%- endfor %}
        when {{ id }} is null then null
        else 1
    end
{%- endmacro %}
