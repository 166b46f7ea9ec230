with source as (

    select * from {{ source('raw', 'production') }}

),

renamed as (

    select
        -- keys
        sheet,
        country as country_name,
        country_iso as country_code,
        cast(year as bigint) as year,

        -- measures
        cast(quantity as double) as quantity,
        unit
    from source

)

select * from renamed
