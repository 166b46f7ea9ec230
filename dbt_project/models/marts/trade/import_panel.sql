-- What the model is fitted on: for each importer and mineral, every country that produced it or
-- sold it to the importer in any year of the window, in every year of the window that the importer has
-- reported.

with importers as (

    select importer_iso3 from {{ importers() }}

),

minerals as (

    select
        mineral,
        has_production_data
    from {{ ref('dim_mineral') }}

),

window_years as (

    select year from {{ window_years() }}

),

reported as (

    select
        reported_years.importer_iso3,
        reported_years.year
    from {{ reported_years() }} as reported_years
    inner join window_years on reported_years.year = window_years.year

),

covariates as (

    select * from {{ ref('fct_country_covariates') }}

),

distances as (

    select * from {{ ref('dim_country_pair') }}

),

imports as (

    -- Quantities become decimals, whose sum is the same in any order.
    select
        trade.importer_iso3,
        trade.exporter_iso3,
        trade.mineral,
        trade.category,
        trade.year,
        trade.value_usd,
        {{ grams('trade.qty_kg') }} as qty_kg,
        case when trade.is_qty_estimated then {{ grams('trade.qty_kg') }} end as estimated_qty_kg
    from {{ ref('fct_trade_flow') }} as trade
    inner join importers on trade.importer_iso3 = importers.importer_iso3
    inner join window_years on trade.year = window_years.year
    where trade.importer_iso3 <> trade.exporter_iso3

),

window_production as (

    select
        production.mineral,
        production.country_iso3,
        production.year,
        production.production_kg
    from {{ ref('fct_production') }} as production
    inner join window_years on production.year = window_years.year

),

producers as (

    select distinct
        importers.importer_iso3,
        window_production.country_iso3 as exporter_iso3,
        window_production.mineral
    from window_production
    inner join importers on window_production.country_iso3 <> importers.importer_iso3
    where window_production.production_kg > 0

),

trading_partners as (

    select distinct
        importer_iso3,
        exporter_iso3,
        mineral
    from imports
    where value_usd > 0 or qty_kg > 0

),

candidates as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        producers.mineral is not null as is_producer,
        trading_partners.mineral is not null as is_trading_partner
    from producers
    full outer join trading_partners using (importer_iso3, exporter_iso3, mineral)

),

candidate_years as (

    select
        candidates.*,
        reported.year
    from candidates
    inner join reported on candidates.importer_iso3 = reported.importer_iso3

),

imports_by_category as (

    -- A year's quantity is zero without trade, the sum of the known quantities with it, and null
    -- when no flow has one.
    select
        exporter_iso3,
        mineral,
        year,
        {%- for category in ['ores', 'products', 'scrap'] %}
            case
                when count(*) filter (where category = '{{ category }}') = 0 then 0.0
                else cast(sum(qty_kg) filter (where category = '{{ category }}') as double)
            end as {{ category }}_qty_kg,
            cast(
                coalesce(sum(estimated_qty_kg) filter (where category = '{{ category }}'), 0) as double
            ) as {{ category }}_estimated_qty_kg,
            cast(
                coalesce(sum(value_usd) filter (where category = '{{ category }}'), 0) as double
            ) as {{ category }}_value_usd,
        {%- endfor %}
        importer_iso3
    from imports
    group by importer_iso3, exporter_iso3, mineral, year

),

nearest_production as (

    -- Of a producer's years with a figure, the nearest: the year itself where it has one.
    select
        candidate_years.importer_iso3,
        candidate_years.exporter_iso3,
        candidate_years.mineral,
        candidate_years.year,
        window_production.production_kg,
        window_production.year <> candidate_years.year as is_imputed
    from candidate_years
    inner join window_production
        on
            candidate_years.exporter_iso3 = window_production.country_iso3
            and candidate_years.mineral = window_production.mineral
    where candidate_years.is_producer and window_production.production_kg is not null
    qualify
        row_number() over (
            partition by
                candidate_years.importer_iso3,
                candidate_years.exporter_iso3,
                candidate_years.mineral,
                candidate_years.year
            order by abs(candidate_years.year - window_production.year), window_production.year
        ) = 1

),

panel as (

    select
        minerals.has_production_data,
        coalesce(nearest_production.production_kg, 0.0) as production_kg,
        coalesce(nearest_production.is_imputed, false) as is_imputed_production,
        {%- for category in ['ores', 'products', 'scrap'] %}
            case
                when imports_by_category.mineral is null then 0.0
                else imports_by_category.{{ category }}_qty_kg
            end as {{ category }}_qty_kg,
            coalesce(imports_by_category.{{ category }}_estimated_qty_kg, 0.0)
                as {{ category }}_estimated_qty_kg,
            coalesce(imports_by_category.{{ category }}_value_usd, 0.0) as {{ category }}_value_usd,
        {%- endfor %}
        candidate_years.*
    from candidate_years
    left join minerals on candidate_years.mineral = minerals.mineral
    left join nearest_production
        on
            candidate_years.importer_iso3 = nearest_production.importer_iso3
            and candidate_years.exporter_iso3 = nearest_production.exporter_iso3
            and candidate_years.mineral = nearest_production.mineral
            and candidate_years.year = nearest_production.year
    left join imports_by_category
        on
            candidate_years.importer_iso3 = imports_by_category.importer_iso3
            and candidate_years.exporter_iso3 = imports_by_category.exporter_iso3
            and candidate_years.mineral = imports_by_category.mineral
            and candidate_years.year = imports_by_category.year

)

select
    -- key
    panel.importer_iso3,
    panel.exporter_iso3,
    panel.mineral,
    panel.year,

    -- why the country is a candidate
    panel.is_producer,
    panel.is_trading_partner,

    -- what the importer bought
    panel.ores_qty_kg,
    panel.products_qty_kg,
    panel.scrap_qty_kg,
    panel.ores_estimated_qty_kg,
    panel.products_estimated_qty_kg,
    panel.scrap_estimated_qty_kg,
    panel.ores_value_usd,
    panel.products_value_usd,
    panel.scrap_value_usd,

    -- what the exporter mined
    panel.production_kg,
    panel.has_production_data,

    -- the eleven regressors
    ln(1 + panel.production_kg) as ln_production_qty,
    ln(covariates.gdp_ppp_2021_usd) as ln_gdp,
    ln(covariates.population) as ln_population,
    ln(distances.distance_km) as ln_distance,
    covariates.access_to_electricity_pct,
    covariates.central_govt_debt_pct_gdp,
    covariates.electricity_fossil_pct,
    covariates.electricity_renewable_ex_hydro_pct,
    covariates.fdi_pct_gdp,
    covariates.wgi_average,
    cast(covariates.is_landlocked as integer) as landlocked,

    -- which of them are filled in rather than observed
    panel.is_imputed_production as is_imputed_ln_production_qty,
    covariates.is_imputed_gdp_ppp_2021_usd as is_imputed_ln_gdp,
    covariates.is_imputed_population as is_imputed_ln_population,
    false as is_imputed_ln_distance,
    covariates.is_imputed_access_to_electricity_pct,
    covariates.is_imputed_central_govt_debt_pct_gdp,
    covariates.is_imputed_electricity_fossil_pct,
    covariates.is_imputed_electricity_renewable_ex_hydro_pct,
    covariates.is_imputed_fdi_pct_gdp,
    covariates.is_imputed_wgi_average,
    false as is_imputed_landlocked
from panel
left join covariates
    on panel.exporter_iso3 = covariates.country_iso3 and panel.year = covariates.year
left join distances
    on panel.importer_iso3 = distances.importer_iso3 and panel.exporter_iso3 = distances.exporter_iso3
order by panel.importer_iso3, panel.mineral, panel.exporter_iso3, panel.year
