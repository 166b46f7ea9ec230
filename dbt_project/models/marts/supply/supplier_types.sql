-- Whether an exporter mines, processes or passes on what it sells: its output by any source beside its
-- exports and imports to and from all countries, over the window.

with window_length as (

    select count(*) as n_years from {{ window_years() }}

),

flows as (

    select
        importer_iso3,
        exporter_iso3,
        mineral,
        category,
        qty_kg,
        {{ is_world_trade() }} as is_world
    from {{ ref('fct_trade_flow') }}
    where
        year between {{ var('first_year') }} and {{ var('last_year') }}
        and importer_iso3 <> exporter_iso3

),

exports as (

    select
        exporter_iso3,
        mineral,
        category,
        cast(sum({{ grams('qty_kg') }}) filter (where is_world) as double) as exports_qty_kg
    from flows
    group by exporter_iso3, mineral, category

),

imports as (

    select
        importer_iso3,
        mineral,
        category,
        cast(sum({{ grams('qty_kg') }}) as double) as imports_qty_kg
    from flows
    group by importer_iso3, mineral, category

),

reporters as (

    -- A country whose imports of nothing are in the data (live profile) has unknown imports, not none;
    -- a year without any is no year of its mean.
    select
        importer_iso3,
        count(*) as n_years
    from {{ reported_years() }}
    where
        year between {{ var('first_year') }} and {{ var('last_year') }}
        and importer_iso3 in (select flows.importer_iso3 from flows)
    group by importer_iso3

),

output as (

    -- Output in any year at hand: a mine that closed in the window was a mine.
    select
        country_iso3,
        mineral,
        coalesce(bool_or(quantity_kg > 0) filter (where stage = 'mined'), false) as mines,
        coalesce(bool_or(quantity_kg > 0) filter (where stage = 'refined'), false) as refines
    from {{ ref('fct_world_supply') }}
    where area = 'country' and stage in ('mined', 'refined')
    group by country_iso3, mineral

),

refined_years as (

    -- All forms of a mineral together. The USGS has fewer years than the window: all of them count.
    select
        source_dataset,
        country_iso3,
        mineral,
        year,
        sum(quantity_kg) as quantity_kg
    from {{ ref('fct_world_supply') }}
    where
        area = 'country'
        and stage = 'refined'
        and (
            source_dataset <> 'world_mining_data'
            or year between {{ var('first_year') }} and {{ var('last_year') }}
        )
    group by source_dataset, country_iso3, mineral, year

),

refined_output as (

    -- World Mining Data where it has the mineral, else the newest edition of the USGS.
    select
        country_iso3,
        mineral,
        avg(quantity_kg) as refined_output_kg
    from refined_years
    group by source_dataset, country_iso3, mineral
    qualify
        row_number() over (
            partition by country_iso3, mineral
            order by (source_dataset = 'world_mining_data') desc, source_dataset desc
        ) = 1

),

covered as (

    select distinct mineral
    from {{ ref('fct_world_supply') }}
    where stage in ('mined', 'refined')

),

traded as (

    select distinct
        mineral,
        category
    from exports

),

suppliers as (

    select
        exporter_iso3,
        mineral,
        category
    from exports
    union
    select
        output.country_iso3 as exporter_iso3,
        output.mineral,
        traded.category
    from output
    inner join traded on output.mineral = traded.mineral
    where output.mines or output.refines

),

known as (

    select
        suppliers.exporter_iso3,
        suppliers.mineral,
        suppliers.category,
        coalesce(output.mines, false) as mines,
        coalesce(output.refines, false) as refines,
        covered.mineral is not null as has_output_data,
        refined_output.refined_output_kg,
        case when exports.mineral is null then 0.0 else exports.exports_qty_kg / window_length.n_years end
            as exports_qty_kg,
        case
            when imports.mineral is not null then imports.imports_qty_kg / reporters.n_years
            when reporters.importer_iso3 is not null then 0.0
        end as imports_qty_kg
    from suppliers
    cross join window_length
    left join exports
        on
            suppliers.exporter_iso3 = exports.exporter_iso3
            and suppliers.mineral = exports.mineral
            and suppliers.category = exports.category
    left join imports
        on
            suppliers.exporter_iso3 = imports.importer_iso3
            and suppliers.mineral = imports.mineral
            and suppliers.category = imports.category
    left join reporters on suppliers.exporter_iso3 = reporters.importer_iso3
    left join output
        on suppliers.exporter_iso3 = output.country_iso3 and suppliers.mineral = output.mineral
    left join refined_output
        on
            suppliers.exporter_iso3 = refined_output.country_iso3
            and suppliers.mineral = refined_output.mineral
    left join covered on suppliers.mineral = covered.mineral

)

select
    -- key
    exporter_iso3,
    mineral,
    category,

    -- what it makes
    mines,
    refines,
    has_output_data,
    refined_output_kg,

    -- what it trades, a year
    exports_qty_kg,
    imports_qty_kg,
    case when exports_qty_kg < imports_qty_kg then 0 else exports_qty_kg - imports_qty_kg end
        as net_exports_qty_kg,
    imports_qty_kg / nullif(exports_qty_kg, 0) as reexport_ratio,

    -- what it is
    case
        when mines then 'producer'
        when refines then 'processor'
        when
            exports_qty_kg > 0 and imports_qty_kg >= {{ var('hub_min_reexport_ratio') }} * exports_qty_kg
            then 'hub'
        when category = 'products' and exports_qty_kg > 0 and imports_qty_kg is not null then 'processor'
        else 'unknown'
    end as supplier_type
from known
order by exporter_iso3, mineral, category
