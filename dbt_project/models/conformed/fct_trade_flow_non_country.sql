with classified as (

    select
        *,
        {{ trade_code_system() }} as code_system
    from {{ ref('int_trade_flow__classified') }}
    where disposition = 'non_country'

),

partner as (

    select
        code_system,
        code,
        name,
        partner_kind
    from {{ ref('int_country_code__resolved') }}

)

select
    -- key
    classified.importer_iso3,
    classified.exporter_iso3,
    classified.mineral,
    classified.category,
    classified.year,
    classified.hs_revision,
    classified.hs_code,

    -- who they are
    classified.importer_code,
    importer.name as importer_name,
    importer.partner_kind as importer_kind,
    classified.exporter_code,
    exporter.name as exporter_name,
    exporter.partner_kind as exporter_kind,

    -- measures
    classified.qty_kg,
    classified.value_usd,
    classified.qty_kg is not null as has_quantity
from classified
left join partner as importer
    on classified.code_system = importer.code_system and classified.importer_code = importer.code
left join partner as exporter
    on classified.code_system = exporter.code_system and classified.exporter_code = exporter.code
