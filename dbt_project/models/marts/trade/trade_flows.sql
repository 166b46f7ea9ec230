-- Every flow of a critical mineral between two countries that the source has, all importers and years.
-- Where two codes of the source mean one country, their rows are one. The release sorts it.

with flows as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        category,
        hs_revision,
        hs_code,
        year,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg,
        cast(sum(value_usd) as decimal(18, 2)) as value_usd,
        bool_or(is_unit_value_outlier) as is_doubtful
    from {{ ref('fct_trade_flow') }}
    group by all

)

select
    importer_iso3,
    exporter_iso3,
    mineral,
    category,
    hs_revision,
    hs_code,
    year,
    qty_kg,
    value_usd,
    cast(value_usd as double) / nullif(qty_kg, 0) as unit_value_usd_per_kg,
    qty_kg is null as is_quantity_unknown,
    is_doubtful,
    -- Reports to UN Comtrade are CIF; BACI takes the freight off.
    case when {{ is_world_trade() }} then 'FOB' else 'CIF' end as valuation
from flows
