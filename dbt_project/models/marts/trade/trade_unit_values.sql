-- What an importer pays per kilogram beside the world, doubtful flows left out on both sides.

with flows as (

    select
        importer_iso3,
        mineral,
        category,
        year,
        cast(value_usd as double) as value_usd,
        qty_kg,
        is_unit_value_outlier,
        {{ is_world_trade() }} as is_world,
        qty_kg > 0 and value_usd > 0 and not is_unit_value_outlier as is_priced
    from {{ ref('fct_trade_flow') }}

),

world as (

    select
        mineral,
        category,
        year,
        cast(sum(value_usd) as double)
        / nullif(cast(sum({{ grams('qty_kg') }}) as double), 0) as world_unit_value_usd_per_kg
    from flows
    where is_priced and is_world
    group by mineral, category, year

),

own as (

    select
        flows.importer_iso3,
        flows.mineral,
        flows.category,
        flows.year,
        sum(flows.value_usd) filter (where flows.is_priced)
        / nullif(
            cast(sum({{ grams('flows.qty_kg') }}) filter (where flows.is_priced) as double), 0
        ) as unit_value_usd_per_kg,
        count(*) filter (where flows.is_priced) as n_flows,
        count(*) filter (where flows.is_unit_value_outlier) as n_outliers_excluded
    from flows
    inner join {{ importers() }} as chosen on flows.importer_iso3 = chosen.importer_iso3
    group by flows.importer_iso3, flows.mineral, flows.category, flows.year

)

select
    -- key
    own.importer_iso3,
    own.mineral,
    own.category,
    own.year,

    -- prices
    own.unit_value_usd_per_kg,
    world.world_unit_value_usd_per_kg,
    own.unit_value_usd_per_kg / world.world_unit_value_usd_per_kg - 1 as premium_share,
    case
        when lag(own.year) over market = own.year - 1
            then own.unit_value_usd_per_kg / lag(own.unit_value_usd_per_kg) over market - 1
    end as change_on_year,

    -- what they rest on
    own.n_flows,
    own.n_outliers_excluded
from own
left join world
    on own.mineral = world.mineral and own.category = world.category and own.year = world.year
window market as (partition by own.importer_iso3, own.mineral, own.category order by own.year)
order by own.importer_iso3, own.mineral, own.category, own.year
