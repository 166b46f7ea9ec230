{# The day on which events are judged: the setting, or today, UTC. #}
{% macro as_of() -%}
    {{ "date '" ~ var('as_of') ~ "'" if var('as_of') else today() }}
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


{# Whether a measure is in force on a day: it began, did not end, is not suspended, and its status is
   known well enough to say so. #}
{% macro is_in_force_on(day, of='events.') -%}
    coalesce(
        (
            {{ of }}status in ('in_force', 'suspended')
            or ({{ of }}status = 'ended' and {{ of }}end_date is not null)
        )
        and {{ of }}from_date <= {{ day }}
        and ({{ of }}end_date is null or {{ of }}end_date >= {{ day }})
        and not ({{ of }}status = 'suspended' and {{ of }}suspended_from_date is null)
        and not coalesce(
            {{ day }} between {{ of }}suspended_from_date and {{ of }}suspended_until_date, false
        ),
        false
    )
{%- endmacro %}


{# Whether a measure of `events` is aimed at a country: at all when it names none. #}
{% macro is_aimed_at(country_iso3, target_iso3='events.target_iso3') -%}
    ({{ target_iso3 }} is null or array_contains(split({{ target_iso3 }}, ';'), {{ country_iso3 }}))
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
    min_by(
        {{ label }},
        case {{ label }}
            {%- for one in evidence_labels() %}
            when '{{ one }}' then {{ loop.index }}
            {%- endfor %}
        end
    )
{%- endmacro %}


{# The weakest of some evidence labels; those that are null do not count. #}
{% macro weakest_of(labels) -%}
    case
        {%- for one in evidence_labels() %}
        when '{{ one }}' in ({{ labels | join(', ') }}) then '{{ one }}'
        {%- endfor %}
    end
{%- endmacro %}


{# The evidence labels, the weakest first. #}
{% macro evidence_labels() -%}
    {{ return(['unverified', 'modelled', 'single_source', 'verified']) }}
{%- endmacro %}
