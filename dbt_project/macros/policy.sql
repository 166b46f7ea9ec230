{# The day on which events are judged: the setting, or today, UTC. #}
{% macro as_of() -%}
    {{ "date '" ~ var('as_of') ~ "'" if var('as_of') else "cast(now() at time zone 'UTC' as date)" }}
{%- endmacro %}


{# The part of a supply that a measure in force is judged to end, by its type: `policy_severity`. #}
{% macro type_severity(measure_type) -%}
    case {{ measure_type }}
        {%- for measure, severity in var('policy_severity').items() %}
        when '{{ measure }}' then {{ severity }}
        {%- endfor %}
        else 0.0
    end
{%- endmacro %}


{# A score of 1 to 5 by four cut points of `chokepoint_cuts`; falling ones score the other way round. #}
{% macro score(value, cuts) -%}
    {%- set points = var('chokepoint_cuts')[cuts] -%}
    {%- set sign = '<' if points[0] < points[1] else '>' -%}
    case
        when {{ value }} is null then null
        {%- for point in points %}
        when {{ value }} {{ sign }} {{ point }} then {{ loop.index }}
        {%- endfor %}
        else 5
    end
{%- endmacro %}


{# How a document of `register_of_sources` is cited. #}
{% macro citation(sources='sources') -%}
    {{ sources }}.author || ' (' || {{ sources }}.year || '), ' || {{ sources }}.title
{%- endmacro %}


{# The weakest of the evidence labels of a group. #}
{% macro weakest_label(label) -%}
    min_by({{ label }}, list_position(['unverified', 'modelled', 'single_source', 'verified'], {{ label }}))
{%- endmacro %}
