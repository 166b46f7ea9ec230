with countries as (

    select
        iso3 as country_iso3,
        iso2 as country_iso2,
        m49_code,
        name as country_name
    from {{ ref('countries') }}

),

geography as (

    select * from {{ ref('stg_cepii__geography') }}

),

economies_with_indicators as (

    select distinct country_iso3 from {{ ref('stg_world_bank__indicator') }}

)

select
    -- codes and name
    countries.country_iso3,
    countries.country_iso2,
    countries.m49_code,
    countries.country_name,

    -- groups
    geography.region,
    geography.income_group,

    -- geography
    geography.is_landlocked,
    geography.is_landlocked_geodist,
    geography.main_city,
    geography.main_city_latitude_deg as latitude_deg,
    geography.main_city_longitude_deg as longitude_deg,

    -- coverage
    economies_with_indicators.country_iso3 is not null as has_indicators
from countries
left join geography on countries.country_iso3 = geography.country_iso3
left join economies_with_indicators
    on countries.country_iso3 = economies_with_indicators.country_iso3
order by countries.country_iso3
