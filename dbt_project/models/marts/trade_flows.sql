-- Every flow of a critical mineral between two countries that the source has, all importers and years.
-- Not sorted: the filters of a reader are sparse, and sorting half a million rows costs more than it saves.

select
    -- key
    importer_iso3,
    exporter_iso3,
    mineral,
    category,
    hs_revision,
    hs_code,
    year,

    -- measures
    qty_kg,
    value_usd,
    cast(value_usd as double) / nullif(qty_kg, 0) as unit_value_usd_per_kg,

    -- what is known of the quantity
    qty_kg is null as is_quantity_unknown,
    is_unit_value_outlier as is_doubtful,
    '{{ "CIF" if is_live() else "FOB" }}' as valuation,
from {{ ref('fct_trade_flow') }}
