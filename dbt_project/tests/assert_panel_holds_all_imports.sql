-- Per importer, mineral and year the panel's value equals the conformed imports: no supplier of the
-- window is lost between the two.
{{ config(meta={
    'description': 'The value in the panel equals the conformed imports, per importer, mineral and year.',
    'dagster': {'ref': {'name': 'import_panel'}},
}) }}

with imports as (

    select
        trade.importer_iso3,
        trade.mineral,
        trade.year,
        sum(trade.value_usd) as value_usd,
    from {{ ref('fct_trade_flow') }} as trade
    inner join {{ importers() }} as importers on trade.importer_iso3 = importers.importer_iso3
    where
        trade.year between {{ var('first_year') }} and {{ var('last_year') }}
        and trade.importer_iso3 <> trade.exporter_iso3
    group by all

),

panel as (

    select
        importer_iso3,
        mineral,
        year,
        sum(cast(ores_value_usd + products_value_usd + scrap_value_usd as decimal(18, 2))) as value_usd,
    from {{ ref('import_panel') }}
    group by all

)

select
    imports.importer_iso3,
    imports.mineral,
    imports.year,
    imports.value_usd as imports_value_usd,
    panel.value_usd as panel_value_usd,
from imports
left join panel
    on
        imports.importer_iso3 = panel.importer_iso3
        and imports.mineral = panel.mineral
        and imports.year = panel.year
where abs(imports.value_usd - coalesce(panel.value_usd, 0)) >= 0.01
order by imports.importer_iso3, imports.mineral, imports.year
