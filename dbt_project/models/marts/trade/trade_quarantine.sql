with classified as (

    select * from {{ ref('int_trade_flow__classified') }}

)

select
    -- the row as the source gave it
    year,
    exporter_code,
    importer_code,
    hs_revision,
    hs_code,
    value_thousand_usd,
    quantity_t,
    quantity_unit,
    snapshot_id,

    -- what we read in it
    exporter_iso3,
    importer_iso3,
    mineral,
    category,
    value_usd,
    qty_kg,

    -- the rule that it breaks
    disposition_reason as quarantine_rule
from classified
where disposition = 'quarantined'
order by year, importer_code, exporter_code, hs_revision, hs_code
