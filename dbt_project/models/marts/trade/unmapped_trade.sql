with unmapped_flows as (

    select *
    from {{ ref('int_trade_flow__classified') }}
    where disposition = 'unmapped'

),

hs as (

    select
        hs_revision,
        hs_code,
        hs_description
    from {{ ref('dim_hs_code') }}

),

totals as (

    select
        importer_iso3,
        hs_revision,
        hs_code,
        year,
        count(*) as n_rows,
        cast(sum(value_usd) as double) as value_usd,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg
    from unmapped_flows
    group by importer_iso3, hs_revision, hs_code, year

)

select
    totals.importer_iso3,
    totals.hs_revision,
    totals.hs_code,
    totals.year,
    hs.hs_description,
    totals.n_rows,
    totals.value_usd,
    totals.qty_kg
from totals
left join hs on totals.hs_revision = hs.hs_revision and totals.hs_code = hs.hs_code
order by totals.importer_iso3, totals.hs_revision, totals.hs_code, totals.year
