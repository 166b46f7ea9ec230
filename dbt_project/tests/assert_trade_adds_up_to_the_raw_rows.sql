-- In = out: per importer and year, the raw rows, their value and their quantity equal those that were
-- conformed, kept as trade of non-countries, quarantined, or left unmapped or out of scope.
{{ config(meta={
    'description': 'Raw trade rows, value (to the cent) and quantity equal the sum of all dispositions, per importer and year.',
    'dagster': {'ref': {'name': 'fct_trade_flow'}},
}) }}

with partner as (

    select
        code,
        country_iso3,
    from {{ ref('int_country_code__resolved') }}
    where code_system = {{ trade_code_system() }}

),

raw_rows as (

    select
        coalesce(partner.country_iso3, trade.importer_code) as importer,
        trade.year,
        count(*) as n_rows,
        sum(cast(trade.value_thousand_usd as decimal(38, 5))) * 1000 as value_usd,
        coalesce(sum(cast(trade.quantity_t as decimal(38, 5))), 0) * 1000 as qty_kg,
    from {{ raw_trade_rows() }} as trade
    left join partner on trade.importer_code = partner.code
    group by all

),

disposed_rows as (

    select
        importer_iso3 as importer,
        year,
        value_usd,
        reported_qty_kg as qty_kg,
    from {{ ref('fct_trade_flow') }}
    union all
    select
        coalesce(importer_iso3, importer_code) as importer,
        year,
        value_usd,
        qty_kg,
    from {{ ref('fct_trade_flow_non_country') }}
    union all
    select
        coalesce(importer_iso3, importer_code) as importer,
        year,
        value_usd,
        reported_qty_kg as qty_kg,
    from {{ ref('int_trade_flow__classified') }}
    where disposition in ('unmapped', 'out_of_scope', 'quarantined')

),

disposed as (

    select
        importer,
        year,
        count(*) as n_rows,
        sum(value_usd) as value_usd,
        coalesce(sum(cast(qty_kg as decimal(38, 3))), 0) as qty_kg,
    from disposed_rows
    group by importer, year

)

select
    'bilateral_trade' as dataset,
    coalesce(raw_rows.importer, disposed.importer) as importer,
    coalesce(raw_rows.year, disposed.year) as year,
    raw_rows.n_rows as raw_n_rows,
    disposed.n_rows as disposed_n_rows,
    raw_rows.value_usd as raw_value_usd,
    disposed.value_usd as disposed_value_usd,
    raw_rows.qty_kg as raw_qty_kg,
    disposed.qty_kg as disposed_qty_kg,
from raw_rows
full outer join disposed on raw_rows.importer = disposed.importer and raw_rows.year = disposed.year
where
    raw_rows.n_rows is distinct from disposed.n_rows
    or abs(coalesce(raw_rows.value_usd, 0) - coalesce(disposed.value_usd, 0)) >= 0.01
    or abs(coalesce(raw_rows.qty_kg, 0) - coalesce(disposed.qty_kg, 0))
    > 1e-9 * abs(coalesce(raw_rows.qty_kg, 0)) + 0.01
order by year, importer
