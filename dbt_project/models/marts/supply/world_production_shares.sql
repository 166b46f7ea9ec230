-- Who mines, refines and holds what share of the world, by two sources. Shares are of the sum of
-- countries and rest; the share of the rounded total that the source prints stands beside it.

with supply as (

    select * from {{ ref('fct_world_supply') }}

),

totals as (

    select
        source_dataset,
        mineral,
        form,
        stage,
        year,
        sum(quantity) filter (where area <> 'world') as world_total,
        max(quantity) filter (where area = 'world') as printed_world_total
    from supply
    group by source_dataset, mineral, form, stage, year

),

countries as (

    select
        country_iso3,
        country_name
    from {{ ref('dim_country') }}

)

select
    -- key
    supply.mineral,
    supply.form,
    supply.stage,
    supply.country_iso3,
    supply.year,
    supply.source_dataset,
    countries.country_name,

    -- measures
    supply.quantity,
    supply.unit,
    supply.quantity_kg,
    totals.world_total,
    totals.printed_world_total,
    supply.quantity / nullif(totals.world_total, 0) as share,
    supply.quantity / nullif(totals.printed_world_total, 0) as share_of_printed_total,
    case
        when supply.quantity > 0
            then
                cast(rank() over (
                    partition by supply.source_dataset, supply.mineral, supply.form, supply.stage, supply.year
                    order by supply.quantity desc nulls last
                ) as bigint)
    end as world_rank,

    -- what it counts and how well it is known
    supply.counts,
    supply.is_estimated,
    'computed' as evidence_label
from supply
inner join totals
    on
        supply.source_dataset = totals.source_dataset
        and supply.mineral = totals.mineral
        and supply.form = totals.form
        and supply.stage = totals.stage
        and supply.year = totals.year
left join countries on supply.country_iso3 = countries.country_iso3
where supply.area = 'country'
order by
    supply.mineral, supply.form, supply.stage, supply.year, supply.source_dataset, supply.country_iso3
