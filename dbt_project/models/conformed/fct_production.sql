with production as (

    select *
    from {{ ref('int_production__classified') }}
    where disposition = 'conformed'

)

-- Null is not zero: a sum over nulls alone stays null.
select
    mineral,
    country_iso3,
    year,
    sum(production_kg) as production_kg,
    sum(quantity) as quantity,
    any_value(unit) as unit,
    any_value(sheet) as sheet
from production
group by mineral, country_iso3, year
order by mineral, country_iso3, year
