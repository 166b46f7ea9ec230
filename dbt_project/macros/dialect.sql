{# What DuckDB and Spark write differently, in one place: all other SQL of the project is common to both.
   Each macro here is dispatched: `default__` is DuckDB's, `spark__` Spark's. #}

{# The name of a column that needs quotes. #}
{% macro quoted(name) -%}{{ adapter.quote(name) }}{%- endmacro %}


{# Today, UTC. (The sessions of Spark are in UTC.) #}
{% macro today() -%}{{ adapter.dispatch('today')() }}{%- endmacro %}
{% macro default__today() -%}cast(now() at time zone 'UTC' as date){%- endmacro %}
{% macro spark__today() -%}current_date(){%- endmacro %}


{# Days from one date to another. #}
{% macro days_between(first, last) -%}{{ adapter.dispatch('days_between')(first, last) }}{%- endmacro %}
{% macro default__days_between(first, last) -%}cast({{ last }} - {{ first }} as bigint){%- endmacro %}
{% macro spark__days_between(first, last) -%}cast(date_diff({{ last }}, {{ first }}) as bigint){%- endmacro %}


{# Kilograms to the gram: decimals, whose sum is the same in any order. DuckDB rounds the double that it has,
   Spark the number that is printed for it. #}
{% macro grams(quantity_kg) -%}{{ adapter.dispatch('grams')(quantity_kg) }}{%- endmacro %}
{% macro default__grams(quantity_kg) -%}cast({{ quantity_kg }} as decimal(18, 3)){%- endmacro %}
{% macro spark__grams(quantity_kg) -%}cast(floor({{ quantity_kg }} * 1000 + 0.5) / 1000 as decimal(18, 3)){%- endmacro %}


{# The texts of a group in one, in the order of themselves or of `by`. Spark 4.3 cannot both sort and leave
   out repeated ones in its own `string_agg`. #}
{% macro joined(text, by=none, separator=', ', is_distinct=false) -%}
    {{ adapter.dispatch('joined')(text, by or text, separator, is_distinct) }}
{%- endmacro %}
{% macro default__joined(text, by, separator, is_distinct) -%}
    string_agg({{ 'distinct ' if is_distinct }}{{ text }}, '{{ separator }}' order by {{ by }})
{%- endmacro %}
{% macro spark__joined(text, by, separator, is_distinct) -%}
    {%- if is_distinct -%}
        array_join(array_sort(array_agg(distinct {{ text }})), '{{ separator }}')
    {%- else -%}
        string_agg({{ text }}, '{{ separator }}') within group (order by {{ by }})
    {%- endif -%}
{%- endmacro %}


{# A sum of doubles in a fixed order, so that its last digits are the same every time. Spark adds in the
   order in which rows arrive. #}
{% macro ordered_sum(value, by) -%}{{ adapter.dispatch('ordered_sum')(value, by) }}{%- endmacro %}
{% macro default__ordered_sum(value, by) -%}sum({{ value }} order by {{ by }}){%- endmacro %}
{% macro spark__ordered_sum(value, by) -%}sum({{ value }}){%- endmacro %}


{# One row for each element of a list, in the list of columns. #}
{% macro unnested(list) -%}{{ adapter.dispatch('unnested')(list) }}{%- endmacro %}
{% macro default__unnested(list) -%}unnest({{ list }}){%- endmacro %}
{% macro spark__unnested(list) -%}explode({{ list }}){%- endmacro %}


{# An element of a list; the first is 1. #}
{% macro element(list, place) -%}{{ adapter.dispatch('element')(list, place) }}{%- endmacro %}
{% macro default__element(list, place) -%}{{ list }}[cast({{ place }} as int)]{%- endmacro %}
{% macro spark__element(list, place) -%}element_at({{ list }}, cast({{ place }} as int)){%- endmacro %}


{# The values of some columns that are not null, as a list, the smallest first. #}
{% macro sorted_list(columns) -%}{{ adapter.dispatch('sorted_list')(columns | join(', ')) }}{%- endmacro %}
{% macro default__sorted_list(columns) -%}
    list_sort(list_filter([{{ columns }}], lambda one: one is not null))
{%- endmacro %}
{% macro spark__sorted_list(columns) -%}array_sort(array_compact(array({{ columns }}))){%- endmacro %}


{# Whether a text matches a regular expression, as a whole. #}
{% macro matches(text, pattern) -%}{{ adapter.dispatch('matches')(text, pattern) }}{%- endmacro %}
{% macro default__matches(text, pattern) -%}regexp_full_match({{ text }}, '{{ pattern }}'){%- endmacro %}
{% macro spark__matches(text, pattern) -%}{{ text }} rlike r'^({{ pattern }})$'{%- endmacro %}


{# Whether every part of a text (parts are separated by semicolons) is in a column of a table, or is
   `other`. #}
{% macro are_all_in(text, table, column, other=none) -%}
    {%- set known = '(select array_agg(known.' ~ column ~ ') from ' ~ table ~ ' as known)' -%}
    {{ adapter.dispatch('are_all_in')(text, 'array_append(' ~ known ~ ", '" ~ other ~ "')" if other else known) }}
{%- endmacro %}
{% macro default__are_all_in(text, known) -%}list_has_all({{ known }}, split({{ text }}, ';')){%- endmacro %}
{% macro spark__are_all_in(text, known) -%}
    cardinality(array_except(split({{ text }}, ';'), {{ known }})) = 0
{%- endmacro %}


{# A text without spaces around it and with single ones in it. #}
{% macro tidy(text) -%}{{ adapter.dispatch('tidy')(text) }}{%- endmacro %}
{% macro default__tidy(text) -%}regexp_replace(trim({{ text }}), '\s+', ' ', 'g'){%- endmacro %}
{% macro spark__tidy(text) -%}regexp_replace(trim({{ text }}), r'\s+', ' '){%- endmacro %}


{# The weight of a row of UN Comtrade's file, which has one name in older answers and another in newer. #}
{% macro net_weight() -%}{{ adapter.dispatch('net_weight')() }}{%- endmacro %}
{% macro default__net_weight() -%}coalesce(*columns('(?i)^netw(gt|eight)$')){%- endmacro %}
{% macro spark__net_weight() -%}
    {%- set found = [] -%}
    {%- for column in adapter.get_columns_in_relation(source('raw', 'reported_trade')) if execute -%}
        {%- if column.name | lower in ('netwgt', 'netweight') -%}{%- do found.append(column.name) -%}{%- endif -%}
    {%- endfor -%}
    coalesce({{ found | join(', ') or 'null' }}, null)
{%- endmacro %}


{# What dbt itself asks of Spark. A contract's VARCHAR is STRING there; seeds come in with every quote,
   empty cell and type as they are in the file (dbt-spark would write the text None). #}
{% macro spark__get_empty_schema_sql(columns) -%}
    select
    {%- for column in columns.values() %}
        cast(null as {{ column.data_type | replace('varchar', 'string') }}) as {{ column.name }}
        {{- ', ' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro spark__seed_type(model, table, number) -%}
    {%- set name = table.column_names[number] -%}
    {{ model.config.column_types.get(name, adapter.convert_type(table, number)) | replace('varchar', 'string') }}
{%- endmacro %}

{% macro spark__create_csv_table(model, agate_table) -%}
    {%- set columns = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append(adapter.quote(name) ~ ' ' ~ spark__seed_type(model, agate_table, loop.index0)) -%}
    {%- endfor -%}
    {%- set sql = 'create table ' ~ this ~ ' (' ~ columns | join(', ') ~ ') using parquet' -%}
    {%- call statement('_') -%}{{ sql }}{%- endcall -%}
    {{ return(sql) }}
{%- endmacro %}

{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do types.append('cast(' ~ adapter.quote(name) ~ ' as ' ~ spark__seed_type(model, agate_table, loop.index0) ~ ')') -%}
    {%- endfor -%}
    {%- set names = agate_table.column_names | map('replace', '`', '') | join('`, `') -%}
    {%- set sql -%}
        insert into {{ this }} select {{ types | join(', ') }} from (values
        {%- for row in agate_table.rows %}
            ({%- for cell in row -%}
                {{ 'null' if cell is none else "'" ~ cell | string | replace("\\", "\\\\") | replace("'", "''") ~ "'" }}
                {{- ', ' if not loop.last }}
            {%- endfor -%}){{ ', ' if not loop.last }}
        {%- endfor %}
        ) as rows (`{{ names }}`)
    {%- endset -%}
    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {{ return(sql) }}
{%- endmacro %}
