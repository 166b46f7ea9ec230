{{ config(enabled=var('profile') == 'bundled') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade__countries') }}

),

renamed as (

    select
        country_code,
        country_name,
        country_iso2,
        country_iso3,
        _snapshot_id as snapshot_id,
    from source

)

select * from renamed
