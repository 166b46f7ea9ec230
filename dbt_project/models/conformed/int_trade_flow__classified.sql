-- Every raw row exactly once, with what became of it. All joins are left joins on unique keys, so
-- that no row is lost or doubled; what the joins do not find is said in the disposition.

with flow as (

    select
        year,
        exporter_code,
        importer_code,
        hs_revision,
        hs_code,
        value_thousand_usd,
        quantity_t,
        quantity_unit,
        snapshot_id,
        {{ trade_code_system() }} as code_system
    from {{ trade_flow() }}

),

partner as (

    select
        code_system,
        code,
        country_iso3,
        partner_kind
    from {{ ref('int_country_code__resolved') }}

),

hs as (

    select
        hs_revision,
        hs_code,
        scope,
        mineral,
        category,
        commodity
    from {{ ref('dim_hs_code') }}

),

resolved as (

    select
        flow.*,
        exporter.country_iso3 as exporter_iso3,
        exporter.partner_kind as exporter_kind,
        importer.country_iso3 as importer_iso3,
        importer.partner_kind as importer_kind,
        coalesce(hs.scope, 'unmapped') as hs_scope,
        hs.mineral,
        hs.category,
        hs.commodity
    from flow
    left join partner as exporter
        on flow.code_system = exporter.code_system and flow.exporter_code = exporter.code
    left join partner as importer
        on flow.code_system = importer.code_system and flow.importer_code = importer.code
    left join hs on flow.hs_revision = hs.hs_revision and flow.hs_code = hs.hs_code

),

correction as (

    -- What somebody decided about a row that looks wrong; a decision counts once it is accepted.
    select
        correction_id,
        importer_iso3,
        exporter_iso3,
        hs_revision,
        hs_code,
        year,
        action,
        corrected_qty_kg
    from {{ ref('trade_corrections') }}
    where dataset = 'bilateral_trade' and status = 'accepted'

),

corrected as (

    select
        resolved.*,
        correction.correction_id,
        correction.action,
        correction.corrected_qty_kg
    from resolved
    left join correction
        on
            resolved.importer_iso3 = correction.importer_iso3
            and resolved.exporter_iso3 = correction.exporter_iso3
            and resolved.hs_revision = correction.hs_revision
            and resolved.hs_code = correction.hs_code
            and resolved.year = correction.year

),

checked as (

    select
        *,
        case
            when value_thousand_usd is null then 'value missing'
            when value_thousand_usd < 0 then 'value negative'
            when quantity_t < 0 then 'quantity negative'
            when quantity_t = 0 and value_thousand_usd > 0 then 'value without quantity'
            when quantity_t > {{ var('absurd_quantity_t') }} then 'quantity absurd'
            when quantity_t is not null and coalesce(quantity_unit, '') <> 't' then 'unit not a weight'
            when exporter_kind is null then 'exporter code unknown'
            when importer_kind is null then 'importer code unknown'
            when action = 'quarantine' then 'correction ' || correction_id
        end as quarantine_rule
    from corrected

),

classified as (

    select
        *,
        case
            when quarantine_rule is not null then 'quarantined'
            when hs_scope = 'out_of_scope' then 'out_of_scope'
            when hs_scope = 'unmapped' then 'unmapped'
            when exporter_iso3 is null or importer_iso3 is null then 'non_country'
            else 'conformed'
        end as disposition
    from checked

)

select
    -- source keys
    year,
    exporter_code,
    importer_code,
    hs_revision,
    hs_code,

    -- what they mean
    exporter_iso3,
    importer_iso3,
    mineral,
    category,

    -- measures
    cast(value_thousand_usd * 1000 as decimal(18, 2)) as value_usd,
    case
        when disposition <> 'conformed' then cast(quantity_t * 1000 as double)
        when action = 'drop_quantity' then null
        when action = 'set_quantity' then corrected_qty_kg
        else cast(quantity_t * 1000 as double)
    end as qty_kg,
    cast(quantity_t * 1000 as double) as reported_qty_kg,
    case when disposition in ('conformed', 'quarantined') then correction_id end as correction_id,

    -- what became of the row
    disposition,
    case disposition
        when 'quarantined' then quarantine_rule
        when 'out_of_scope' then coalesce(commodity, 'commodity not named')
        when 'unmapped' then 'code neither mapped nor out of scope'
        when 'non_country' then
            case
                when exporter_iso3 is null then 'exporter ' || exporter_kind
                else 'importer ' || importer_kind
            end
    end as disposition_reason,

    -- as the source gave it
    value_thousand_usd,
    quantity_t,
    quantity_unit,
    snapshot_id
from classified
