{{ config(enabled=var('profile') == 'bundled') }}

-- The lines of the downloaded UN Comtrade file that complete the bundle: those of a mineral and
-- category of which the bundle has no code at all, such as scrap. Lines of several metals together are
-- left out, but for scrap: their metals are in other lines of HS 1992. An importer counts when the file
-- has such lines of every year of the window; otherwise the other years would pass for years without
-- imports.

with reported as (

    select *
    from {{ ref('stg_comtrade__reported_flow') }}
    where
        flow_code = 'M'
        and second_partner_code = '0'
        and customs_code = 'C00'
        and transport_code = '0'
        and exporter_code <> '0'
        and hs_revision <> 'H0'

),

mapped as (

    select
        hs_revision,
        hs_code,
        mineral,
        category,
        is_mixed
    from {{ ref('hs_mineral_map') }}

),

in_bundle as (

    select distinct
        mapped.mineral,
        mapped.category
    from {{ ref('stg_baci__trade_flow') }} as traded
    inner join mapped on traded.hs_revision = mapped.hs_revision and traded.hs_code = mapped.hs_code

),

lines as (

    select reported.*
    from reported
    inner join mapped
        on reported.hs_revision = mapped.hs_revision and reported.hs_code = mapped.hs_code
    anti join in_bundle
        on mapped.mineral = in_bundle.mineral and mapped.category = in_bundle.category
    where mapped.category = 'scrap' or not mapped.is_mixed

),

whole as (

    select importer_code
    from lines
    where year between {{ var('first_year') }} and {{ var('last_year') }}
    group by importer_code
    having count(distinct year) = {{ var('last_year') }} - {{ var('first_year') }} + 1

)

select
    -- keys
    lines.year,
    lines.exporter_code,
    lines.importer_code,
    lines.hs_revision,
    lines.hs_code,

    -- measures: a net weight of zero beside a value means that none was reported
    cast(round(lines.value_usd, 2) / 1000 as decimal(18, 6)) as value_thousand_usd,
    cast(nullif(lines.net_weight_kg, 0) / 1000 as decimal(18, 6)) as quantity_t,
    't' as quantity_unit,

    -- lineage
    lines.snapshot_id
from lines
semi join whole on lines.importer_code = whole.importer_code
