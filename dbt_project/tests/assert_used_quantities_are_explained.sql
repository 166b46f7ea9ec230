-- In = out for the quantity that is used: it is the reported one unless it is estimated or the register
-- of corrections decided, and the panel holds all of it, its estimated part apart.
{{ config(meta={
    'description': 'The quantity used is the reported one, unless flagged as estimated or corrected; the panel adds up to it.',
    'dagster': {'ref': {'name': 'import_panel'}},
}) }}

with unexplained as (

    select
        importer_iso3,
        mineral,
        year,
        'a quantity was changed without a flag' as problem,
        sum(coalesce(reported_qty_kg, 0)) as expected_qty_kg,
        sum(coalesce(qty_kg, 0)) as found_qty_kg,
    from {{ ref('fct_trade_flow') }}
    where
        qty_kg is distinct from reported_qty_kg
        and not is_qty_estimated
        and correction_id is null
    group by importer_iso3, mineral, year

),

flows as (

    select
        trade.importer_iso3,
        trade.mineral,
        trade.year,
        sum(trade.qty_kg) as qty_kg,
        sum(trade.qty_kg) filter (where trade.is_qty_estimated) as estimated_qty_kg,
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
        sum(coalesce(ores_qty_kg, 0) + coalesce(products_qty_kg, 0) + coalesce(scrap_qty_kg, 0)) as qty_kg,
        sum(ores_estimated_qty_kg + products_estimated_qty_kg + scrap_estimated_qty_kg)
            as estimated_qty_kg,
    from {{ ref('import_panel') }}
    group by importer_iso3, mineral, year

),

compared as (

    select
        importer_iso3,
        mineral,
        year,
        unnest(['quantity', 'estimated quantity']) as problem,
        unnest([coalesce(flows.qty_kg, 0), coalesce(flows.estimated_qty_kg, 0)]) as expected_qty_kg,
        unnest([coalesce(panel.qty_kg, 0), coalesce(panel.estimated_qty_kg, 0)]) as found_qty_kg,
    from flows
    full outer join panel using (importer_iso3, mineral, year)

)

select * from unexplained
union all
select * from compared
where abs(expected_qty_kg - found_qty_kg) > 1e-9 * expected_qty_kg + 0.1
order by importer_iso3, mineral, year, problem
