with classified as (

    select * from {{ ref('int_trade_flow__classified') }}

)

select
    'bilateral_trade' as dataset,
    importer_code,
    any_value(importer_iso3) as importer_iso3,
    year,
    disposition,
    count(*) as n_rows,
    cast(coalesce(sum(value_usd), 0) as decimal(38, 2)) as value_usd,
    cast(sum({{ grams('reported_qty_kg') }}) as double) as qty_kg
from classified
group by importer_code, year, disposition
order by importer_code, year, disposition
