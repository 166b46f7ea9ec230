with source as (

    select * from {{ source('raw', 'country_geography') }}

),

renamed as (

    select
        -- key
        iso3 as country_iso3,

        -- country
        region,
        income_group,
        case landlocked when 1 then true when 0 then false end as is_landlocked,
        case landlocked_geodist when 1 then true when 0 then false end as is_landlocked_geodist,

        -- main city
        main_city,
        cast(main_city_lat_deg as double) as main_city_latitude_deg,
        cast(main_city_lon_deg as double) as main_city_longitude_deg
    from source

)

select * from renamed
