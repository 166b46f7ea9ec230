with classified as (

    select * from {{ ref('int_trade_flow__classified') }}

)

select
    -- key
    importer_iso3,
    exporter_iso3,
    mineral,
    category,
    year,
    hs_revision,
    hs_code,

    -- measures
    qty_kg,
    value_usd,
    qty_kg is not null as has_quantity,
from classified
where disposition = 'conformed'
