{# The day on which events are judged: the setting, or today. #}
{% macro as_of() -%}
    {{ "date '" ~ var('as_of') ~ "'" if var('as_of') else 'current_date' }}
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
