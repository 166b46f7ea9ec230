{# The years of the study's window, as a subquery with one column `year`. #}
{% macro window_years() -%}
    (
        select cast(years.year as bigint) as year
        from range({{ var('first_year') }}, {{ var('last_year') }} + 1) as years (year)
    )
{%- endmacro %}


{# The importers whose panels are built, as a subquery with one column `importer_iso3`: those of the
   settings, or, for ALL, every country with imports in the window. #}
{% macro importers() -%}
    (
        {% if var('importers') | list == ['ALL'] -%}
            select distinct importer_iso3
            from {{ ref('fct_trade_flow') }}
            where
                value_usd > 0
                and year between {{ var('first_year') }} and {{ var('last_year') }}
        {%- else -%}
            select unnest(['{{ var('importers') | join("', '") }}']) as importer_iso3
        {%- endif %}
    )
{%- endmacro %}
