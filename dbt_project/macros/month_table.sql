{# A table that holds every built month and replaces one: the delete has the literal month, so a month
   that became empty leaves no old rows, and the insert needs no copy of the month beside it.

   Its columns are those of the model's YAML. `incremental` would make the same of it with a temporary
   table and a dozen catalogue queries a model. #}
{% materialization month_table, default %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set columns = model.columns.keys() | map('lower') | join(', ') -%}
    {%- if not columns -%}
        {{ exceptions.raise_compiler_error(model.name ~ ": a month_table describes its columns") }}
    {%- endif -%}
    {%- set fresh = existing is none or not existing.is_table or should_full_refresh() -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if fresh -%}
        {%- do drop_relation_if_exists(existing) -%}
        {% call statement('main') -%}
            {{ create_table_as(False, target_relation, sql) }}
        {%- endcall %}
    {%- else -%}
        {%- if config.get('contract').enforced -%}
            {{ get_assert_columns_equivalent(sql) }}
        {%- endif -%}
        {% call statement('main') -%}
            delete from {{ target_relation }} where month = {{ month_start() }};
            insert into {{ target_relation }} ({{ columns }})
            select {{ columns }}
            from (
            {{ sql }}
            ) as month_rows
        {%- endcall %}
    {%- endif -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
