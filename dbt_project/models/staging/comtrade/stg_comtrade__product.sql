{{ config(enabled=var('profile') == 'live') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade') }}

),

renamed as (

    select
        {{ revision_read_as('classificationcode') }} as hs_revision,
        cmdcode as hs_code,
        min(cmddesc) as hs_description
    from source
    group by {{ revision_read_as('classificationcode') }}, cmdcode

)

select * from renamed
