-- World Mining Data and the USGS side by side, in one shape. A source's rest of the world counts in
-- the total but is nobody's share; its printed world total is kept beside the sum.

with production as (

    select * from {{ ref('int_production__classified') }}

),

stages as (

    select
        mineral,
        production_stage
    from {{ ref('minerals') }}

),

country_name as (

    select
        code as country_name,
        country_iso3,
        partner_kind
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'usgs_name'

),

sheet_mineral as (

    select distinct
        sheet,
        mineral
    from production
    where mineral is not null

),

world_mining_data as (

    select
        'world_mining_data' as source_dataset,
        sheet_mineral.mineral,
        '' as form,
        stages.production_stage as stage,
        production.year,
        case production.disposition
            when 'total_row' then 'world'
            when 'conformed' then 'country'
            else 'rest'
        end as area,
        case when production.disposition = 'conformed' then production.country_iso3 end as country_iso3,
        production.quantity,
        case production.unit when 'metr. t' then 't' else production.unit end as unit,
        production.production_kg as quantity_kg,
        false as is_estimated,
        production.sheet as counts
    from production
    inner join sheet_mineral on production.sheet = sheet_mineral.sheet
    inner join stages on sheet_mineral.mineral = stages.mineral
    where production.disposition in ('conformed', 'non_country', 'total_row')

),

usgs as (

    select
        figure.source_dataset,
        figure.mineral,
        figure.form,
        figure.stage,
        figure.year,
        case
            when country_name.partner_kind = 'world' then 'world'
            when country_name.country_iso3 is null then 'rest'
            else 'country'
        end as area,
        country_name.country_iso3,
        figure.quantity,
        figure.unit,
        figure.quantity * figure.kg_per_unit as quantity_kg,
        figure.is_estimated,
        figure.counts
    from {{ ref('stg_usgs__figure') }} as figure
    left join country_name on figure.country_name = country_name.country_name

),

together as (

    select * from world_mining_data
    union all
    select * from usgs

)

-- A country in two tables of one mineral (ilmenite and rutile, two parts of Russia) is one row.
select
    source_dataset,
    mineral,
    form,
    stage,
    year,
    area,
    coalesce(country_iso3, '') as country_iso3,
    sum(quantity_kg) as quantity_kg,
    sum(quantity) as quantity,
    any_value(unit) as unit,
    bool_or(is_estimated) as is_estimated,
    bool_or(quantity is null) as has_no_figure,
    min(counts) as counts
from together
group by source_dataset, mineral, form, stage, year, area, country_iso3
order by source_dataset, mineral, form, stage, year, area, country_iso3
