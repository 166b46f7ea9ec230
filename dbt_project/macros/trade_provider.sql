{# Which provider's trade the warehouse is built from: the variable `profile` decides. Only these
   macros know; all models after staging use them. #}

{% macro is_live() -%}
    {{ return(var('profile') == 'live') }}
{%- endmacro %}


{# The staging model of the trade flows, in the columns that both providers share. #}
{% macro trade_flow() -%}
    {%- if is_live() -%}
        {{ return(ref('stg_comtrade__trade_flow')) }}
    {%- else -%}
        {{ return(ref('stg_baci__trade_flow')) }}
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


{# Whose country codes the trade flows carry: a `code_system` of the country seeds. #}
{% macro trade_code_system() -%}
    {{ return("'comtrade'" if is_live() else "'baci'") }}
{%- endmacro %}


{# The raw rows, past all models, to add up: importer code, year, thousand USD and tons. #}
{% macro raw_trade_rows() -%}
    (
        {%- if is_live() %}
        select
            reportercode as importer_code,
            cast(period as integer) as year,
            round(primaryvalue, 2) / 1000 as value_thousand_usd,
            nullif(netwgt, 0) / 1000 as quantity_t,
        {%- else %}
        select
            j as importer_code,
            cast(t as integer) as year,
            v as value_thousand_usd,
            q as quantity_t,
        {%- endif %}
        from {{ source('raw', 'bilateral_trade') }}
    )
{%- endmacro %}
