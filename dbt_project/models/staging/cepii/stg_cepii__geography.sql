with source as (

    select * from {{ source('raw', 'country_geography') }}

),

renamed as (

    select
        -- key
        iso3 as country_iso3,

        -- country
        name as country_name,
        region,
        income_group,
        cast(area_km2 as double) as area_km2,
        cast(landlocked as boolean) as is_landlocked,
        cast(landlocked_geodist as boolean) as is_landlocked_geodist,

        -- cities
        main_city,
        cast(main_city_lat_deg as double) as main_city_latitude_deg,
        cast(main_city_lon_deg as double) as main_city_longitude_deg,
        capital as capital_city,
        cast(capital_lat_deg as double) as capital_city_latitude_deg,
        cast(capital_lon_deg as double) as capital_city_longitude_deg,

        -- lineage
        _snapshot_id as snapshot_id,
    from source

)

select * from renamed
