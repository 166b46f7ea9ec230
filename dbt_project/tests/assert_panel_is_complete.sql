-- Every importer of the settings is a country of ours and bought something in the window; every
-- candidate has every year; no imports are lost on the way into the panel.
{{ config(meta={
    'description': 'The panel has every importer, every year of each candidate, and the value of all conformed imports.',
    'dagster': {'ref': {'name': 'import_panel'}},
}) }}

with importers as (

    select importer_iso3 from {{ importers() }}

),

window_years as (

    select
        year,
        list(year order by year) over () as all_years,
    from {{ window_years() }}

),

panel as (

    select
        *,
        cast(ores_value_usd + products_value_usd + scrap_value_usd as decimal(18, 2)) as value_usd,
    from {{ ref('import_panel') }}

),

imports as (

    select
        trade.importer_iso3,
        trade.mineral,
        trade.year,
        sum(trade.value_usd) as value_usd,
    from {{ ref('fct_trade_flow') }} as trade
    inner join importers on trade.importer_iso3 = importers.importer_iso3
    inner join window_years on trade.year = window_years.year
    where trade.importer_iso3 <> trade.exporter_iso3
    group by all

),

panel_imports as (

    select
        importer_iso3,
        mineral,
        year,
        sum(value_usd) as value_usd,
    from panel
    group by all

)

select
    'the importer is no country of the seed `countries`, or bought nothing in the window' as problem,
    importers.importer_iso3,
    null as exporter_iso3,
    null as mineral,
    null as years,
    null as value_usd,
    coalesce(sum(panel_imports.value_usd), 0) as panel_value_usd,
from importers
left join {{ ref('dim_country') }} as countries on importers.importer_iso3 = countries.country_iso3
left join panel_imports on importers.importer_iso3 = panel_imports.importer_iso3
group by importers.importer_iso3, countries.country_iso3
having countries.country_iso3 is null or panel_value_usd = 0
union all
select
    'the candidate does not have every year of the window once' as problem,
    importer_iso3,
    exporter_iso3,
    mineral,
    string_agg(cast(year as varchar), ', ' order by year) as years,
    null as value_usd,
    sum(value_usd) as panel_value_usd,
from panel
group by importer_iso3, exporter_iso3, mineral
having list(year order by year) <> (select any_value(window_years.all_years) from window_years)
union all
select
    'the imports of the year are not all in the panel' as problem,
    imports.importer_iso3,
    null as exporter_iso3,
    imports.mineral,
    cast(imports.year as varchar) as years,
    imports.value_usd,
    panel_imports.value_usd as panel_value_usd,
from imports
left join panel_imports using (importer_iso3, mineral, year)
where abs(imports.value_usd - coalesce(panel_imports.value_usd, 0)) >= 0.01
order by problem, importer_iso3, mineral, exporter_iso3, years
