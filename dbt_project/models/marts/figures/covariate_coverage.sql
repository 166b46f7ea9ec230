-- How much of the country indicators and of production is observed. An indicator has a row for every year
-- of its dataset, also where no country has it.

with figures as (

    select
        indicator_id,
        country_iso3,
        mineral,
        year,
        source_dataset,
        value is not null and not is_imputed as is_observed
    from {{ ref('indicator_values') }}
    where source_dataset in ('country_indicators', 'production')

),

indicators as (

    select distinct
        indicator_id,
        source_dataset
    from figures

),

years as (

    select distinct
        source_dataset,
        year
    from figures

),

countries as (

    select count(*) as n_countries from {{ ref('dim_country') }}

),

observed as (

    select
        indicator_id,
        year,
        count(distinct country_iso3) as n_observed
    from figures
    where is_observed
    group by indicator_id, year

),

imports as (

    -- Decimals, whose sum is the same in any order.
    select
        trade.exporter_iso3,
        trade.mineral,
        trade.year,
        sum(trade.value_usd) as value_usd
    from {{ ref('fct_trade_flow') }} as trade
    inner join {{ importers() }} as chosen on trade.importer_iso3 = chosen.importer_iso3
    where trade.importer_iso3 <> trade.exporter_iso3
    group by trade.exporter_iso3, trade.mineral, trade.year

),

bought as (

    select
        year,
        sum(value_usd) as value_usd
    from imports
    group by year

),

covered as (

    -- A country's indicator has no mineral; production covers what is bought of the same mineral.
    select
        figures.indicator_id,
        figures.year,
        sum(imports.value_usd) as value_usd
    from imports
    inner join figures
        on
            imports.exporter_iso3 = figures.country_iso3
            and imports.year = figures.year
            and (figures.mineral = '' or imports.mineral = figures.mineral)
    where figures.is_observed
    group by figures.indicator_id, figures.year

)

select
    -- key
    indicators.indicator_id,
    years.year,

    -- countries
    countries.n_countries,
    coalesce(observed.n_observed, 0) as n_observed,
    coalesce(observed.n_observed, 0) / cast(countries.n_countries as double) as observed_share,

    -- what the chosen importers bought
    case
        when bought.value_usd > 0
            then coalesce(cast(covered.value_usd as double), 0) / cast(bought.value_usd as double)
    end as imports_covered_share
from indicators
inner join years on indicators.source_dataset = years.source_dataset
cross join countries
left join observed on indicators.indicator_id = observed.indicator_id and years.year = observed.year
left join bought on years.year = bought.year
left join covered on indicators.indicator_id = covered.indicator_id and years.year = covered.year
order by indicators.indicator_id, years.year
