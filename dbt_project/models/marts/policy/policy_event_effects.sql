-- Exports of the acting country before and after a restriction, by line of the trade data, to all
-- importers or to those that the measure is aimed at. Before is the mean of the three years before the
-- year in which it took effect.

with events as (

    select distinct
        event_id,
        actor_iso3,
        target_iso3,
        mineral,
        category,
        year(from_date) as effective_year
    from {{ ref('policy_events') }}
    where is_supply_restriction

),

flows as (

    select
        mineral,
        category,
        hs_revision,
        hs_code,
        year,
        exporter_iso3,
        importer_iso3,
        qty_kg,
        cast(value_usd as double) as value_usd
    from {{ ref('fct_trade_flow') }}
    where
        importer_iso3 <> exporter_iso3
        and mineral in (select events.mineral from events)
        and {{ is_world_trade() }}

),

world as (

    select
        hs_revision,
        hs_code,
        mineral,
        year,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg
    from flows
    group by hs_revision, hs_code, mineral, year

),

exports as (

    select
        events.event_id,
        flows.mineral,
        flows.category,
        flows.hs_revision,
        flows.hs_code,
        flows.year,
        any_value(events.effective_year) as effective_year,
        cast(sum({{ grams('flows.qty_kg') }}) as double) as exports_qty_kg,
        sum(flows.value_usd) as exports_value_usd,
        cast(sum(flows.value_usd) filter (where flows.qty_kg > 0) as double)
        / nullif(cast(sum({{ grams('flows.qty_kg') }}) as double), 0)
            as unit_value_usd_per_kg
    from events
    inner join flows
        on
            events.actor_iso3 = flows.exporter_iso3
            and events.mineral = flows.mineral
            and events.category = flows.category
            and flows.year >= events.effective_year - 5
            and {{ is_aimed_at('flows.importer_iso3') }}
    group by events.event_id, flows.mineral, flows.category, flows.hs_revision, flows.hs_code, flows.year

),

compared as (

    select
        *,
        year - effective_year as years_from_effective,
        avg(exports_qty_kg) filter (where year between effective_year - 3 and effective_year - 1) over (
            partition by event_id, mineral, hs_revision, hs_code
            order by year rows between unbounded preceding and unbounded following
        ) as before_qty_kg
    from exports

)

select
    -- key
    compared.event_id,
    compared.mineral,
    compared.hs_revision,
    compared.hs_code,
    compared.year,

    -- what
    compared.category,
    compared.years_from_effective,
    compared.exports_qty_kg,
    compared.exports_value_usd,
    compared.unit_value_usd_per_kg,
    compared.exports_qty_kg / nullif(world.qty_kg, 0) as exports_of_world_share,
    compared.before_qty_kg,
    compared.exports_qty_kg / nullif(compared.before_qty_kg, 0) - 1 as change_on_before,
    'computed' as evidence_label
from compared
left join world
    on
        compared.hs_revision = world.hs_revision
        and compared.hs_code = world.hs_code
        and compared.mineral = world.mineral
        and compared.year = world.year
order by compared.event_id, compared.mineral, compared.hs_revision, compared.hs_code, compared.year
