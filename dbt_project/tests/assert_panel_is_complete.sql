-- Every importer of the settings is a country of ours and bought something in the window; every
-- candidate has every year that the importer has reported; no imports are lost on the way into the panel.
{{ config(meta={
    'description': 'The panel has every importer, every reported year of each candidate, and the value and quantity of all conformed imports.',
    'dagster': {'ref': {'name': 'import_panel'}}
}) }}

with importers as (

    select importer_iso3 from {{ importers() }}

),

window_years as (

    select year from {{ window_years() }}

),

reported as (

    select
        reported_years.importer_iso3,
        array_sort(array_agg(reported_years.year)) as all_years
    from {{ reported_years() }} as reported_years
    inner join window_years on reported_years.year = window_years.year
    group by reported_years.importer_iso3

),

panel as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        year,
        ores_value_usd + products_value_usd + scrap_value_usd as value_usd,
        coalesce(ores_qty_kg, 0) + coalesce(products_qty_kg, 0) + coalesce(scrap_qty_kg, 0) as qty_kg,
        ores_estimated_qty_kg + products_estimated_qty_kg + scrap_estimated_qty_kg as estimated_qty_kg
    from {{ ref('import_panel') }}

),

purchases as (

    select
        'trade' as side,
        trade.importer_iso3,
        trade.mineral,
        trade.year,
        cast(trade.value_usd as double) as value_usd,
        coalesce(trade.qty_kg, 0) as qty_kg,
        case when trade.is_qty_estimated then trade.qty_kg else 0 end as estimated_qty_kg
    from {{ ref('fct_trade_flow') }} as trade
    inner join importers on trade.importer_iso3 = importers.importer_iso3
    inner join window_years on trade.year = window_years.year
    where trade.importer_iso3 <> trade.exporter_iso3
    union all
    select
        'panel' as side,
        importer_iso3,
        mineral,
        year,
        value_usd,
        qty_kg,
        estimated_qty_kg
    from panel

),

compared as (

    select
        mineral,
        year,
        {%- for column in ['value_usd', 'qty_kg', 'estimated_qty_kg'] %}
            coalesce(sum({{ column }}) filter (where side = 'trade'), 0) as trade_{{ column }},
            coalesce(sum({{ column }}) filter (where side = 'panel'), 0) as panel_{{ column }},
        {%- endfor %}
        importer_iso3
    from purchases
    group by importer_iso3, mineral, year

)

select
    'the importer is no country of the seed `countries`, or bought nothing in the window' as problem,
    importers.importer_iso3,
    null as exporter_iso3,
    null as mineral,
    null as year,
    null as value_usd_difference,
    null as qty_kg_difference
from importers
left join {{ ref('dim_country') }} as countries on importers.importer_iso3 = countries.country_iso3
left join compared on importers.importer_iso3 = compared.importer_iso3
group by importers.importer_iso3, countries.country_iso3
having countries.country_iso3 is null or coalesce(sum(compared.panel_value_usd), 0) = 0
union all
select
    'the candidate does not have every reported year of the window once' as problem,
    panel.importer_iso3,
    panel.exporter_iso3,
    panel.mineral,
    min(panel.year) as year,
    null as value_usd_difference,
    null as qty_kg_difference
from panel
left join reported on panel.importer_iso3 = reported.importer_iso3
group by panel.importer_iso3, panel.exporter_iso3, panel.mineral, reported.all_years
having array_sort(array_agg(panel.year)) is distinct from reported.all_years
union all
select
    'the imports of the year are not all in the panel, or not once' as problem,
    importer_iso3,
    null as exporter_iso3,
    mineral,
    year,
    panel_value_usd - trade_value_usd as value_usd_difference,
    panel_qty_kg - trade_qty_kg as qty_kg_difference
from compared
where
    abs(trade_value_usd - panel_value_usd) >= 0.01
    or abs(trade_qty_kg - panel_qty_kg) > 1e-9 * trade_qty_kg + 0.1
    or abs(trade_estimated_qty_kg - panel_estimated_qty_kg) > 1e-9 * trade_estimated_qty_kg + 0.1
order by problem, importer_iso3, mineral, exporter_iso3, year
