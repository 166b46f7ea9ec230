{{ config(enabled=var('profile') == 'live') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade') }}

),

renamed as (

    select
        classificationcode as hs_revision,
        cmdcode as hs_code,
        min(cmddesc) as hs_description,
    from source
    group by classificationcode, cmdcode

)

select * from renamed
