{# The years of the study's window, as a subquery with one column `year`. #}
{% macro window_years() -%}
    (
        select cast(years.year as bigint) as year
        from range({{ var('first_year') }}, {{ var('last_year') }} + 1) as years (year)
    )
{%- endmacro %}


{# The importers whose panels are built, as a subquery with one column `importer_iso3`: those of the
   settings, or, for ALL, every country with imports in the window. The trade is named in both cases: the
   graph of tables must not hang on who was refreshed last. #}
{% macro importers() -%}
    {%- set trade = ref('fct_trade_flow') -%}
    (
        {% if var('importers') | list == ['ALL'] -%}
            select distinct importer_iso3
            from {{ trade }}
            where
                value_usd > 0
                and year between {{ var('first_year') }} and {{ var('last_year') }}
        {%- else -%}
            select importer_iso3
            from (values ('{{ var('importers') | join("'), ('") }}')) as named (importer_iso3)
        {%- endif %}
    )
{%- endmacro %}


{# The years that each importer has reported, as a subquery with the columns `importer_iso3` and `year`:
   in a year without a row of the importer nothing is known of it, and zero would be wrong. BACI has all
   countries in all years, so that in the bundle a year without a row is one without purchases. #}
{% macro reported_years() -%}
    (
        {% if is_live() -%}
            select distinct
                importer_iso3,
                year
            from {{ ref('fct_trade_flow') }}
        {%- else -%}
            select
                importers.importer_iso3,
                years.year
            from (select distinct importer_iso3 from {{ ref('fct_trade_flow') }}) as importers
            cross join (
                select year from {{ window_years() }}
                union
                select year from {{ ref('fct_trade_flow') }}
            ) as years
        {%- endif %}
    )
{%- endmacro %}
