-- Extraction (C1) and refining (C2) of each mineral in each country, computed: how concentrated the world
-- is there, and what the country makes, buys and sells. Materials (C3) and downstream (C4) are in no data
-- at hand. Trade is of the window, by quantity; output and reserves of the latest year.
-- The trade balance cannot tell mixed from separated compounds, so it counts only where the country's
-- refined output is known.

with supply as (

    select
        *,
        case stage when 'mined' then 'C1' when 'refined' then 'C2' end as chokepoint
    from {{ ref('int_world_supply__latest') }}

),

world as (

    select
        mineral,
        chokepoint,
        sum(share * share) as world_hhi,
        max_by(country_iso3, share) as world_top1_iso3,
        max(share) as world_top1_share,
        any_value(year) as output_year,
        any_value(source_dataset) as source_dataset
    from supply
    where chokepoint is not null
    group by mineral, chokepoint

),

flows as (

    select
        mineral,
        case category when 'ores' then 'C1' else 'C2' end as chokepoint,
        importer_iso3,
        exporter_iso3,
        {{ is_world_trade() }} as is_world,
        sum({{ grams('qty_kg') }}) as qty_kg
    from {{ ref('fct_trade_flow') }}
    where
        category in ('ores', 'products')
        and importer_iso3 <> exporter_iso3
        and year between {{ var('first_year') }} and {{ var('last_year') }}
    group by mineral, category, importer_iso3, exporter_iso3, is_world

),

imports as (

    select
        mineral,
        chokepoint,
        importer_iso3 as country_iso3,
        cast(sum(qty_kg) as double) as imports_qty_kg,
        -- The first in the alphabet of those with the largest quantity.
        min_by(exporter_iso3, (-coalesce(qty_kg, -1), exporter_iso3)) as import_top1_iso3,
        cast(max(qty_kg) as double) / nullif(sum(qty_kg), 0) as import_top1_share,
        {{ ordered_sum('power(cast(qty_kg as double), 2)', 'exporter_iso3') }}
        / nullif(power(cast(sum(qty_kg) as double), 2), 0) as import_hhi,
        cast(coalesce(sum(qty_kg) filter (where exporter_iso3 = 'CHN'), 0) as double) / nullif(sum(qty_kg), 0)
            as import_china_share
    from flows
    group by mineral, chokepoint, importer_iso3

),

exports as (

    select
        mineral,
        chokepoint,
        exporter_iso3 as country_iso3,
        cast(sum(qty_kg) as double) as exports_qty_kg
    from flows
    where is_world
    group by mineral, chokepoint, exporter_iso3

),

places as (

    select
        country_iso3,
        mineral,
        chokepoint
    from supply
    where chokepoint is not null
    union
    select
        country_iso3,
        mineral,
        chokepoint
    from imports
    union
    select
        country_iso3,
        mineral,
        chokepoint
    from exports

),

known as (

    select
        places.country_iso3,
        places.mineral,
        places.chokepoint,
        world.world_hhi,
        world.world_top1_iso3,
        world.world_top1_share,
        world.output_year,
        world.source_dataset,
        -- World Mining Data names every producer: a country it does not name makes nothing.
        case when world.source_dataset = 'world_mining_data' then coalesce(own.share, 0) else own.share end
            as own_share,
        reserves.share as own_reserves_share,
        imports.imports_qty_kg,
        imports.import_top1_iso3,
        imports.import_top1_share,
        imports.import_hhi,
        imports.import_china_share,
        exports.exports_qty_kg,
        case when places.chokepoint = 'C2' then exports.exports_qty_kg / nullif(imports.imports_qty_kg, 0) end
            as exports_over_imports
    from places
    left join world on places.mineral = world.mineral and places.chokepoint = world.chokepoint
    left join supply as own
        on
            places.mineral = own.mineral
            and places.chokepoint = own.chokepoint
            and places.country_iso3 = own.country_iso3
    left join supply as reserves
        on
            places.mineral = reserves.mineral
            and places.country_iso3 = reserves.country_iso3
            and reserves.stage = 'reserves'
            and places.chokepoint = 'C1'
    left join imports
        on
            places.mineral = imports.mineral
            and places.chokepoint = imports.chokepoint
            and places.country_iso3 = imports.country_iso3
    left join exports
        on
            places.mineral = exports.mineral
            and places.chokepoint = exports.chokepoint
            and places.country_iso3 = exports.country_iso3

),

scored as (

    select
        *,
        {{ score('own_share', 'own_share') }} as own_share_score,
        {{ score('own_reserves_share', 'own_share') }} as own_reserves_score,
        {{ score('import_top1_share', 'import_top1_share') }} as import_top1_score,
        {{ score('exports_over_imports', 'exports_over_imports') }} as exports_over_imports_score
    from known

),

counted as (

    select
        *,
        {{ sorted_list([
            'own_share_score',
            'own_reserves_score',
            'import_top1_score',
            'case when own_share is not null then exports_over_imports_score end'
        ]) }} as scores
    from scored

)

select
    -- key
    country_iso3,
    mineral,
    chokepoint,

    -- the world's leverage there
    world_hhi,
    world_top1_iso3,
    world_top1_share,
    output_year,
    source_dataset,

    -- the country's capability
    own_share,
    own_reserves_share,
    imports_qty_kg,
    import_top1_iso3,
    import_top1_share,
    import_hhi,
    import_china_share,
    exports_qty_kg,
    exports_over_imports,

    -- scores of 1 to 5, by cut points that are judged
    own_share_score,
    own_reserves_score,
    import_top1_score,
    exports_over_imports_score,
    cast(cardinality(scores) as bigint) as n_indicators,
    case
        when cardinality(scores) >= {{ var('chokepoint_min_indicators') }}
            then
                (
                    {{ element('scores', 'floor((cardinality(scores) + 1) / 2)') }}
                    + {{ element('scores', 'floor(cardinality(scores) / 2 + 1)') }}
                )
                / 2
    end as score,
    'computed' as evidence_label,
    'modelled' as score_label
from counted
order by country_iso3, mineral, chokepoint
