-- Each country's share of the world at each stage in the latest year: World Mining Data where it has the
-- mineral, else the newest edition of the USGS, which does not name small countries.

with supply as (

    select * from {{ ref('fct_world_supply') }}

),

chosen as (

    select
        mineral,
        stage,
        source_dataset,
        form,
        year,
        sum(quantity_kg) filter (where area <> 'world') as world_kg
    from supply
    group by mineral, stage, source_dataset, form, year
    having sum(quantity_kg) filter (where area <> 'world') > 0
    qualify
        row_number() over (
            partition by mineral, stage
            order by
                (source_dataset = 'world_mining_data') desc,
                source_dataset desc,
                (form = '') desc,
                form desc,
                year desc
        ) = 1

)

select
    supply.mineral,
    supply.stage,
    supply.country_iso3,
    supply.form,
    supply.year,
    supply.source_dataset,
    supply.quantity_kg,
    supply.quantity_kg / chosen.world_kg as share
from supply
inner join chosen
    on
        supply.mineral = chosen.mineral
        and supply.stage = chosen.stage
        and supply.source_dataset = chosen.source_dataset
        and supply.form = chosen.form
        and supply.year = chosen.year
where supply.area = 'country'
order by supply.mineral, supply.stage, supply.country_iso3
