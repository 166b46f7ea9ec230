{# Which provider's trade the warehouse is built from: the variable `profile` decides. Only these
   macros know; all models after staging use them. #}

{% macro is_live() -%}
    {{ return(var('profile') == 'live') }}
{%- endmacro %}


{# Whether a row of `fct_trade_flow` is one of all importers' trade, so that sums are of the world: the
   bundle's own rows. The live profile asks for some importers, and so do lines that complete the
   bundle. #}
{% macro is_world_trade(hs_revision='hs_revision') -%}
    {{ 'false' if is_live() else hs_revision ~ " = 'H0'" }}
{%- endmacro %}


{# The revision of a row of UN Comtrade: HS 2007 (H3) has every mapped line of HS 2012 (H4) under the same
   number, and is read as HS 2012 (`READ_AS` in minerals/sources/seeds.py). #}
{% macro revision_read_as(hs_revision) -%}
    case {{ hs_revision }} when 'H3' then 'H4' else {{ hs_revision }} end
{%- endmacro %}


{# The staged trade flows, in the columns that all providers share. The bundle's are completed by the
   lines that somebody downloaded from UN Comtrade and that it lacks. #}
{% macro trade_flow() -%}
    {%- if is_live() -%}
        {{ ref('stg_comtrade__trade_flow') }}
    {%- else -%}
        (
            select * from {{ ref('stg_baci__trade_flow') }}
            union all
            select * from {{ ref('stg_comtrade__supplement') }}
        )
    {%- endif -%}
{%- endmacro %}


{# The staging model of the provider's HS codes and their texts. #}
{% macro trade_product() -%}
    {%- if is_live() -%}
        {{ return(ref('stg_comtrade__product')) }}
    {%- else -%}
        {{ return(ref('stg_baci__product')) }}
    {%- endif -%}
{%- endmacro %}


{# Whose country codes a row of trade carries, a `code_system` of the country seeds: BACI's rows are
   all in HS 1992, and those that complete them never. #}
{% macro trade_code_system(hs_revision='hs_revision') -%}
    {%- if is_live() -%}
        'comtrade'
    {%- else -%}
        case when {{ hs_revision }} = 'H0' then 'baci' else 'comtrade' end
    {%- endif -%}
{%- endmacro %}


{# The raw rows to add up, past all models but that of the completing lines: importer code, year,
   thousand USD and tons. #}
{% macro raw_trade_rows() -%}
    (
        {%- if is_live() %}
        select
            reportercode as importer_code,
            cast(period as integer) as year,
            round(primaryvalue, 2) / 1000 as value_thousand_usd,
            nullif(netwgt, 0) / 1000 as quantity_t
        {%- else %}
        select
            j as importer_code,
            cast(t as integer) as year,
            v as value_thousand_usd,
            q as quantity_t
        {%- endif %}
        from {{ source('raw', 'bilateral_trade') }}
        {%- if not is_live() %}
        union all
        select
            importer_code,
            year,
            cast(value_thousand_usd as string) as value_thousand_usd,
            cast(quantity_t as string) as quantity_t
        from {{ ref('stg_comtrade__supplement') }}
        {%- endif %}
    )
{%- endmacro %}
