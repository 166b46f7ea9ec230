-- A World Mining Data name that no alias explains, on any sheet. Add it to seeds/country_aliases.csv
-- under `world_mining_data_name`.
{{ config(meta={
    'description': 'Every country name in World Mining Data is in country_aliases or non_country_partners.',
    'dagster': {'ref': {'name': 'int_production__classified'}},
}) }}

with known as (

    select code
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'world_mining_data_name'

),

names_in_use as (

    select
        regexp_replace(trim(country_name), '\s+', ' ', 'g') as country_name,
        country_code,
        count(*) as n_rows,
        string_agg(distinct sheet, ', ' order by sheet) as sheets,
        sum(production_kg) as production_kg,
    from {{ ref('int_production__classified') }}
    group by all

)

select names_in_use.*
from names_in_use
anti join known on names_in_use.country_name = known.code
order by names_in_use.country_name
