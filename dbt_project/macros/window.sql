{# The years of the study's window, as a subquery with one column `year`. #}
{% macro window_years() -%}
    (
        select cast(years.year as smallint) as year
        from range({{ var('first_year') }}, {{ var('last_year') }} + 1) as years (year)
    )
{%- endmacro %}


{# The importers whose panels are built, as a subquery with one column `importer_iso3`. #}
{% macro importers() -%}
    (
        select unnest(['{{ var('importers') | join("', '") }}']) as importer_iso3
    )
{%- endmacro %}
