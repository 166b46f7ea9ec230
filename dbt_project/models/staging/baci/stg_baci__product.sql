{{ config(enabled=var('profile') == 'bundled') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade__products') }}

),

renamed as (

    select
        'H0' as hs_revision,
        lpad(code, 6, '0') as hs_code,
        description as hs_description
    from source

)

select * from renamed
