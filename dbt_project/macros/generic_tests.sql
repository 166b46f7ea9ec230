{# The generic tests that this project needs beyond dbt's own four. They return the offending rows
   with enough columns to find them: what, where, how much. #}


{# No two rows share the same values in `columns`; nulls count as equal. #}
{% test unique_combination(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as n_rows
from {{ model }}
group by all
having count(*) > 1

{% endtest %}


{# `columns` identify a row: none of them is null, and no two rows share their values. #}
{% test primary_key(model, columns) %}

select
    {{ columns | join(', ') }},
    count(*) as n_rows
from {{ model }}
group by all
having count(*) > 1 or {{ columns | join(' is null or ') }} is null

{% endtest %}


{# At least `minimum` rows: an empty or half-loaded table is not a table without problems. #}
{% test row_count_at_least(model, minimum) %}

select
    '{{ model.identifier }}' as table_name,
    count(*) as n_rows,
    {{ minimum }} as minimum_n_rows
from {{ model }}
having count(*) < {{ minimum }}

{% endtest %}


{# Values lie in [min_value, max_value], either end optional. Nulls pass: that is `not_null`. #}
{% test within_range(model, column_name, min_value=none, max_value=none) %}

select *
from {{ model }}
where
    {% if min_value is not none %}{{ column_name }} < {{ min_value }}{% else %}false{% endif %}
    or {% if max_value is not none %}{{ column_name }} > {{ max_value }}{% else %}false{% endif %}

{% endtest %}


{# No nulls in any of `columns`: one pass over the table instead of one test a column. #}
{% test no_nulls(model, columns) %}

select *
from {{ model }}
where {{ columns | join(' is null or ') }} is null

{% endtest %}
