{%- set covariates = {
    'access_to_electricity': 'access_to_electricity_pct',
    'debt': 'central_govt_debt_pct_gdp',
    'fossil': 'electricity_fossil_pct',
    'renewables': 'electricity_renewable_ex_hydro_pct',
    'fdi': 'fdi_pct_gdp',
    'gdp': 'gdp_ppp_2021_usd',
    'population': 'population',
    'wgi': 'wgi_average'
} -%}
{%- set wgi_average = '(wgi_control_of_corruption + wgi_government_effectiveness + wgi_political_stability'
    ~ ' + wgi_rule_of_law + wgi_regulatory_quality + wgi_voice_and_accountability) / 6' -%}

-- Every variable of the study's Table 1 in one long table: all countries and years of the snapshots.
-- In the window the country figures are those of the model, imputed ones marked; in other years only
-- what is observed. Keys that do not apply hold '' or the year 0.

with production as (

    select
        'production' as indicator_id,
        country_iso3,
        '' as importer_iso3,
        mineral,
        '' as category,
        year,
        production_kg as value,
        '' as imputation,
        'production' as dataset
    from {{ ref('fct_production') }}

),

observed as (

    {%- for indicator, column in covariates.items() %}
        {{ 'union all' if not loop.first }}
        select
            '{{ indicator }}' as indicator_id,
            country_iso3,
            year,
            {{ wgi_average if column == 'wgi_average' else column }} as value,
            '' as imputation
        from {{ ref('stg_world_bank__indicator') }}
        where year not between {{ var('first_year') }} and {{ var('last_year') }}
    {%- endfor %}

),

in_window as (

    {%- for indicator, column in covariates.items() %}
        {{ 'union all' if not loop.first }}
        select
            '{{ indicator }}' as indicator_id,
            country_iso3,
            year,
            {{ column }} as value,
            case when is_imputed_{{ column }} then {{ column }}_imputation else '' end as imputation
        from {{ ref('fct_country_covariates') }}
    {%- endfor %}

),

of_countries as (

    select * from observed
    union all
    select * from in_window

),

characteristics as (

    select
        indicator_id,
        country_iso3,
        '' as importer_iso3,
        '' as mineral,
        '' as category,
        year,
        value,
        imputation,
        'country_indicators' as dataset
    from of_countries
    where value is not null

),

flows as (

    -- Decimals, whose sum is the same in any order.
    select
        trade.exporter_iso3,
        trade.importer_iso3,
        trade.mineral,
        trade.category,
        trade.year,
        cast(sum({{ grams('trade.qty_kg') }}) as double) as qty_kg,
        cast(sum(trade.value_usd) as double) as value_usd,
        bool_or(trade.is_qty_estimated) as is_estimated
    from {{ ref('fct_trade_flow') }} as trade
    inner join {{ importers() }} as chosen on trade.importer_iso3 = chosen.importer_iso3
    where trade.importer_iso3 <> trade.exporter_iso3
    group by trade.exporter_iso3, trade.importer_iso3, trade.mineral, trade.category, trade.year

),

imports as (

    select
        category || '_qty' as indicator_id,
        exporter_iso3 as country_iso3,
        importer_iso3,
        mineral,
        category,
        year,
        qty_kg as value,
        case when is_estimated then 'median_unit_value' else '' end as imputation,
        'bilateral_trade' as dataset
    from flows
    union all
    select
        category || '_value' as indicator_id,
        exporter_iso3 as country_iso3,
        importer_iso3,
        mineral,
        category,
        year,
        value_usd as value,
        '' as imputation,
        'bilateral_trade' as dataset
    from flows

),

geography as (

    select
        'landlocked' as indicator_id,
        country_iso3,
        '' as importer_iso3,
        '' as mineral,
        '' as category,
        cast(0 as bigint) as year,
        cast(is_landlocked as double) as value,
        '' as imputation,
        'country_geography' as dataset
    from {{ ref('dim_country') }}
    where is_landlocked is not null
    union all
    select
        'distance' as indicator_id,
        pair.exporter_iso3 as country_iso3,
        pair.importer_iso3,
        '' as mineral,
        '' as category,
        cast(0 as bigint) as year,
        pair.distance_km as value,
        '' as imputation,
        'country_geography' as dataset
    from {{ ref('dim_country_pair') }} as pair
    inner join {{ importers() }} as chosen on pair.importer_iso3 = chosen.importer_iso3
    where pair.distance_km is not null

),

snapshots as (

    {%- for dataset in ['production', 'country_indicators', 'bilateral_trade', 'country_geography'] %}
        {{ 'union all' if not loop.first }}
        select
            '{{ dataset }}' as dataset,
            max(_snapshot_id) as snapshot_id
        from {{ source('raw', dataset) }}
    {%- endfor %}

),

together as (

    select * from production
    union all
    select * from characteristics
    union all
    select * from imports
    union all
    select * from geography

)

select
    -- key
    together.indicator_id,
    together.country_iso3,
    together.importer_iso3,
    together.mineral,
    together.category,
    together.year,

    -- the value
    together.value,
    catalogue.unit,

    -- where it comes from
    together.imputation <> '' as is_imputed,
    together.imputation,
    together.dataset as source_dataset,
    snapshots.snapshot_id
from together
inner join {{ ref('study_variables') }} as catalogue on together.indicator_id = catalogue.indicator_id
inner join snapshots on together.dataset = snapshots.dataset
order by
    together.indicator_id,
    together.importer_iso3,
    together.mineral,
    together.country_iso3,
    together.year
