-- The importer itself: what it mines, refines and holds, and how far it relies on imports. Reliance is
-- computed only where trade and output both count metal: the lines of `refined metal` in mineral_forms.

with shares as (

    select * from {{ ref('world_production_shares') }}

),

worlds as (

    select distinct
        mineral,
        form,
        stage,
        year,
        source_dataset
    from shares

),

metal_lines as (

    select
        mineral,
        split_part(code, ':', 1) as hs_revision,
        split_part(code, ':', 2) as hs_code
    from (
        select
            mineral,
            {{ unnested("split(hs_codes, ';')") }} as code
        from {{ ref('mineral_forms') }}
        where form = 'refined metal' and hs_codes is not null
    )

),

chosen as (

    select importer_iso3 from {{ importers() }}

),

metal_trade as (

    select
        trade.importer_iso3,
        trade.exporter_iso3,
        trade.mineral,
        trade.year,
        trade.qty_kg,
        {{ is_world_trade('trade.hs_revision') }} as is_world
    from {{ ref('fct_trade_flow') }} as trade
    inner join metal_lines
        on trade.hs_revision = metal_lines.hs_revision and trade.hs_code = metal_lines.hs_code
    where trade.importer_iso3 <> trade.exporter_iso3

),

imports as (

    select
        importer_iso3,
        mineral,
        year,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg
    from metal_trade
    group by importer_iso3, mineral, year

),

exports as (

    select
        exporter_iso3,
        mineral,
        year,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg
    from metal_trade
    where is_world
    group by exporter_iso3, mineral, year

),

traded as (

    -- Minerals and years of which the trade data have the metal's line at all.
    select
        mineral,
        year,
        bool_or(is_world) as is_world
    from metal_trade
    group by mineral, year

),

reported as (

    select
        importer_iso3,
        year
    from {{ reported_years() }}

),

positions as (

    select
        chosen.importer_iso3,
        worlds.mineral,
        worlds.form,
        worlds.stage,
        worlds.year,
        worlds.source_dataset,
        shares.counts,
        -- A country that the source does not name counts as without output in the reliance.
        shares.quantity_kg as own_quantity_kg,
        shares.share as own_share,
        shares.world_rank as own_rank,
        shares.is_estimated,
        worlds.stage = 'refined' and traded.mineral is not null as is_metal_on_both_sides,
        reported.year is not null as is_reported,
        case
            when is_metal_on_both_sides and is_reported then coalesce(imports.qty_kg, 0)
        end as imports_qty_kg,
        case when is_metal_on_both_sides and traded.is_world then coalesce(exports.qty_kg, 0) end
            as exports_qty_kg,
        imports_qty_kg + coalesce(own_quantity_kg, 0) - exports_qty_kg as use_kg
    from worlds
    cross join chosen
    left join shares
        on
            worlds.mineral = shares.mineral
            and worlds.form = shares.form
            and worlds.stage = shares.stage
            and worlds.year = shares.year
            and worlds.source_dataset = shares.source_dataset
            and chosen.importer_iso3 = shares.country_iso3
    left join traded on worlds.mineral = traded.mineral and worlds.year = traded.year
    left join reported
        on chosen.importer_iso3 = reported.importer_iso3 and worlds.year = reported.year
    left join imports
        on
            worlds.mineral = imports.mineral
            and worlds.year = imports.year
            and chosen.importer_iso3 = imports.importer_iso3
    left join exports
        on
            worlds.mineral = exports.mineral
            and worlds.year = exports.year
            and chosen.importer_iso3 = exports.exporter_iso3

)

select
    -- key
    importer_iso3,
    mineral,
    form,
    stage,
    year,
    source_dataset,

    -- its own
    own_quantity_kg,
    own_share,
    own_rank,

    -- its trade in the metal
    imports_qty_kg,
    exports_qty_kg,
    case when use_kg > 0 then least(imports_qty_kg / use_kg, 1) end as import_reliance_share,
    case
        when stage = 'reserves' then 'reserves are no yearly output'
        when stage = 'mined' then 'gross weight against content'
        when not is_metal_on_both_sides then 'no trade line of the metal in the trade data'
        when not is_reported then 'the trade data have no imports of the country in the year'
        when exports_qty_kg is null then 'the trade data have the imports of some countries only'
        when use_kg <= 0 then 'more is exported than imported and made'
    end as why_null,
    is_estimated
from positions
order by importer_iso3, mineral, form, stage, year, source_dataset
