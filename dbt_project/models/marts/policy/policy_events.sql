-- Dated measures that restrict, open or make clear a supply, by country, mineral and category, with what
-- they are judged to end today and what is at stake: the acting country's shares of the world.

with register as (

    select
        *,
        {{ as_of() }} as as_of_date,
        coalesce(effective_date, announced_date) as from_date
    from {{ ref('register_of_events') }}

),

judged as (

    select
        *,
        coalesce(as_of_date between suspended_from_date and suspended_until_date, false) as is_suspended,
        {{ is_in_force_on('as_of_date', of='') }} as is_in_force,
        coalesce(
            from_date between status_checked_date and as_of_date
            or end_date between status_checked_date and as_of_date
            or suspended_until_date between status_checked_date and as_of_date,
            false
        ) as is_status_outdated,
        {{ type_severity('measure_type') }} as type_severity
    from register

),

by_mineral as (

    select
        *,
        {{ unnested("split(coalesce(mineral, ''), ';')") }} as one_mineral
    from judged

),

by_category as (

    select
        *,
        {{ unnested("split(coalesce(replace(category, 'all', 'ores;products;scrap'), ''), ';')") }}
            as one_category
    from by_mineral

),

by_actor as (

    select
        *,
        {{ unnested("split(coalesce(actor_iso3, ''), ';')") }} as one_actor_iso3
    from by_category

),

actor_output as (

    select
        mineral,
        country_iso3,
        max(share) filter (where stage = 'mined') as mined_share,
        max(share) filter (where stage = 'refined') as refined_share
    from {{ ref('int_world_supply__latest') }}
    group by mineral, country_iso3

),

exports as (

    select
        mineral,
        category,
        exporter_iso3,
        sum({{ grams('qty_kg') }}) filter (where {{ is_world_trade() }}) as qty_kg,
        sum(sum({{ grams('qty_kg') }}) filter (where {{ is_world_trade() }}))
            over (partition by mineral, category) as world_qty_kg
    from {{ ref('fct_trade_flow') }}
    where
        importer_iso3 <> exporter_iso3
        and year between {{ var('first_year') }} and {{ var('last_year') }}
    group by mineral, category, exporter_iso3

),

lines as (

    select distinct
        mineral,
        category
    from exports

),

before as (

    -- Output of the year before, which a quota is set against.
    select
        events.event_id,
        events.one_mineral,
        max(output.production_kg) as quantity_kg
    from by_actor as events
    inner join {{ ref('fct_production') }} as output
        on
            events.one_mineral = output.mineral
            and events.one_actor_iso3 = output.country_iso3
            and year(events.from_date) - 1 = output.year
    where events.measure_type = 'quota'
    group by events.event_id, events.one_mineral

),

with_severity as (

    select
        by_actor.*,
        case
            when by_actor.measure_type = 'quota' and before.quantity_kg > 0
                then greatest(1 - by_actor.rate_or_quota * 1000 / before.quantity_kg, 0)
            when by_actor.measure_type = 'export_tax' and by_actor.rate_or_quota is not null
                then by_actor.rate_or_quota
            else by_actor.type_severity
        end as severity_in_force,
        case
            when by_actor.measure_type = 'quota' and before.quantity_kg > 0
                then 'quota against output of the year before'
            when by_actor.measure_type = 'export_tax' and by_actor.rate_or_quota is not null then 'rate'
            else 'measure type'
        end as severity_basis
    from by_actor
    left join before
        on by_actor.event_id = before.event_id and by_actor.one_mineral = before.one_mineral

)

select
    -- key
    events.event_id,
    events.one_actor_iso3 as actor_iso3,
    events.one_mineral as mineral,
    events.one_category as category,

    -- what
    events.event,
    events.target_iso3,
    events.form,
    events.stage,
    events.measure_type,
    events.direction,
    events.rate_or_quota,
    events.quota_unit,
    events.direction = 'restricts'
    and events.severity_in_force > 0
    and events.one_mineral <> ''
    and events.one_category <> ''
    and events.from_date is not null
    and events.counted_with is null as is_supply_restriction,

    -- when
    events.announced_date,
    events.effective_date,
    events.from_date,
    events.end_date,
    events.suspended_from_date,
    events.suspended_until_date,
    events.date_precision,
    events.date_as_printed,
    events.status,
    events.status_checked_date,
    events.as_of_date,
    events.is_in_force,
    events.is_suspended,
    events.is_status_outdated,

    -- how much of the supply it is judged to end
    events.severity_in_force,
    case when events.is_in_force then events.severity_in_force else 0 end as severity,
    events.severity_basis,
    'modelled' as severity_label,

    -- what is at stake
    actor_output.mined_share as actor_mined_share,
    actor_output.refined_share as actor_refined_share,
    cast(exports.qty_kg as double) / nullif(exports.world_qty_kg, 0) as actor_export_share,
    lines.mineral is not null as has_trade_line,

    -- who says so
    events.instrument,
    events.source_id,
    {{ citation() }} as citation,
    events.location,
    events.cited_source,
    events.evidence_label,
    events.supersedes_event_id,
    events.counted_with,
    events.note
from with_severity as events
inner join {{ ref('register_of_sources') }} as sources on events.source_id = sources.source_id
left join actor_output
    on events.one_mineral = actor_output.mineral and events.one_actor_iso3 = actor_output.country_iso3
left join exports
    on
        events.one_mineral = exports.mineral
        and events.one_category = exports.category
        and events.one_actor_iso3 = exports.exporter_iso3
left join lines on events.one_mineral = lines.mineral and events.one_category = lines.category
order by events.event_id, actor_iso3, events.one_mineral, events.one_category
