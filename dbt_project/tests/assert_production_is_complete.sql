-- World Mining Data is understood to the last row: every sheet that seeds/minerals.csv names has
-- figures, every country name and unit is known, and every raw row is classified once.
{{ config(meta={
    'description': 'Every sheet that a mineral names has figures, country names and units are known, and no raw row is lost.',
    'dagster': {'ref': {'name': 'int_production__classified'}}
}) }}

with classified as (

    select
        *,
        {{ tidy('country_name') }} as tidy_name
    from {{ ref('int_production__classified') }}

),

figures as (

    select mineral
    from classified
    where disposition = 'conformed' and quantity > 0

),

known_names as (

    select code as tidy_name
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'world_mining_data_name'

),

raw_sheets as (

    select
        sheet,
        count(*) as n_rows,
        coalesce(sum(quantity), 0) as quantity
    from {{ source('raw', 'production') }}
    group by sheet

),

classified_sheets as (

    select
        sheet,
        count(*) as n_rows,
        coalesce(sum(quantity), 0) as quantity
    from classified
    group by sheet

)

-- Without its sheet (renamed, or lost on the way) a mineral's production would be zero everywhere.
select
    'the sheet is missing or has no figures: correct production_sheet in seeds/minerals.csv' as problem,
    minerals.mineral as what,
    minerals.production_sheet as sheet,
    0 as n_rows,
    null as raw_n_rows,
    null as quantity,
    null as raw_quantity
from {{ ref('dim_mineral') }} as minerals
anti join figures on minerals.mineral = figures.mineral
where minerals.has_production_data
union all
select
    'the country name is unknown: add it to seeds/country_aliases.csv (world_mining_data_name)' as problem,
    country_name || coalesce(' (' || country_code || ')', '') as what,
    {{ joined('sheet', is_distinct=true) }} as sheet,
    count(*) as n_rows,
    null as raw_n_rows,
    sum(quantity) as quantity,
    null as raw_quantity
from classified
where tidy_name not in (select known_names.tidy_name from known_names)
group by country_name, country_code
union all
select
    'the unit has no factor to kg: add it to int_production__classified' as problem,
    unit as what,
    sheet,
    count(*) as n_rows,
    null as raw_n_rows,
    sum(quantity) as quantity,
    null as raw_quantity
from classified
where mineral is not null and quantity is not null and production_kg is null
group by sheet, unit
union all
select
    'the classified rows do not add up to the raw rows' as problem,
    null as what,
    sheet,
    classified_sheets.n_rows,
    raw_sheets.n_rows as raw_n_rows,
    classified_sheets.quantity,
    raw_sheets.quantity as raw_quantity
from raw_sheets
full outer join classified_sheets using (sheet)
where
    raw_sheets.n_rows is distinct from classified_sheets.n_rows
    or abs(raw_sheets.quantity - classified_sheets.quantity) > 1e-9 * abs(raw_sheets.quantity)
order by problem, what, sheet
