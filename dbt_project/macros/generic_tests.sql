{# The structure of a table, in one test. Each row that it returns breaks one rule: the column `problem`
   names the rule, the columns of the key say where, `value` is what stands there instead. The first
   rows are of different rules.

   key            columns that identify a row: never null, never repeated. Declared beside the model or
                  seed as `config.meta.key`, where the release reads it too
   nullable       columns of the key that may be null
   is_key_unique  false where another test judges repeated keys
   unique         further lists of columns without repeated values; nulls do not count
   never_null     columns without nulls
   accepted       column: list of the values it may have; nulls pass
   between        column: [least, most], either end may be null; nulls pass, NaN and infinity do not
   references     column: [ref('model'), column] in which every value is found; nulls pass
   rules          sentence: SQL condition that is false in no row
   min_rows       rows that the table has at least #}
{% test structure(
    model, nullable=[], is_key_unique=true, unique=[], never_null=[], accepted={}, between={}, references={},
    rules={}, min_rows=none
) %}

{%- set key = declared_key(model) -%}
{%- set broken = [] -%}  {#- problem, SQL condition of the rows that have it, SQL of the value to show -#}
{%- for column in key if column not in nullable -%}
    {%- do broken.append(['Key columns must not be null: ' ~ column, column ~ ' is null', 'null']) -%}
{%- endfor -%}
{%- for column in never_null -%}
    {%- do broken.append([column ~ ' must not be null', column ~ ' is null', 'null']) -%}
{%- endfor -%}
{%- for column, values in accepted.items() -%}
    {%- set condition = column ~ " not in ('" ~ values | join("', '") ~ "')" -%}
    {%- do broken.append([column ~ ' must be one of ' ~ values | join(', '), condition, column]) -%}
{%- endfor -%}
{%- for column, (least, most) in between.items() -%}
    {%- set problem = column ~ ' must be a number' -%}
    {%- set condition = 'not abs(cast(' ~ column ~ ' as double)) < 1e308' -%}
    {%- if least is not none -%}
        {%- set problem = problem ~ ', at least ' ~ least -%}
        {%- set condition = condition ~ ' or ' ~ column ~ ' < ' ~ least -%}
    {%- endif -%}
    {%- if most is not none -%}
        {%- set problem = problem ~ ', at most ' ~ most -%}
        {%- set condition = condition ~ ' or ' ~ column ~ ' > ' ~ most -%}
    {%- endif -%}
    {%- do broken.append([problem, condition, column]) -%}
{%- endfor -%}
{%- for column, (table, field) in references.items() -%}
    {%- set condition = column ~ ' not in (select ' ~ field ~ ' from ' ~ table ~ ' where ' ~ field ~ ' is not null)' -%}
    {%- do broken.append([column ~ ' must be in ' ~ table.identifier ~ '.' ~ field, condition, column]) -%}
{%- endfor -%}
{%- for columns in unique -%}
    {%- set names = columns | join(', ') -%}
    {%- set condition = '(' ~ names ~ ') in (select ' ~ names ~ ' from ' ~ model ~ ' where '
        ~ columns | join(' is not null and ') ~ ' is not null group by all having count(*) > 1)' -%}
    {%- do broken.append([names ~ ' must be unique', condition, "concat_ws(', ', " ~ names ~ ')']) -%}
{%- endfor -%}
{%- for problem, condition in rules.items() -%}
    {%- do broken.append([problem, 'not (' ~ condition ~ ')', 'null']) -%}
{%- endfor -%}

with problems as (

    {%- for problem, condition, value in broken %}
    select
        '{{ problem | replace("'", "''") }}' as problem,
        {% for column in key %}{{ column }}, {% endfor %}
        cast({{ value }} as string) as value
    from {{ model }}
    where {{ condition }}
    {{ 'union all' if not loop.last or is_key_unique or min_rows }}
    {%- endfor %}

    {%- if is_key_unique %}
    select
        'Key must be unique: {{ key | join(", ") }}' as problem,
        {% for column in key %}{{ column }}, {% endfor %}
        count(*) || ' rows' as value
    from {{ model }}
    group by {{ key | join(', ') }}
    having count(*) > 1
    {{ 'union all' if min_rows }}
    {%- endif %}

    {%- if min_rows %}
    select
        'The table must have at least {{ min_rows }} rows' as problem,
        {% for column in key %}null as {{ column }}, {% endfor %}
        count(*) || ' rows' as value
    from {{ model }}
    having count(*) < {{ min_rows }}
    {%- endif %}

)

select problem, {{ (key + ['value']) | join(', ') }}
from (
    select
        *,
        row_number() over (partition by problem order by {{ (key + ['value']) | join(', ') }}) as place
    from problems
) as numbered
order by place, problem

{% endtest %}


{# The key of a model or seed, as its YAML declares it. #}
{% macro declared_key(relation) -%}
    {%- for node in graph.get('nodes', {}).values() if node.relation_name == relation | string -%}
        {{ return(node.config.meta.key) }}
    {%- endfor -%}
    {{ return([]) }}
{%- endmacro %}
