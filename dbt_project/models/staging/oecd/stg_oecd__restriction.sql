with source as (

    select * from {{ source('raw', 'export_restrictions') }}

),

renamed as (

    select
        -- keys
        actor_code as actor_iso3,
        hs_code,
        policy_type,
        variation,
        cast(year as bigint) as year,

        -- what
        policy_label,
        measure_type,
        amount,
        amount_unit,

        -- when
        cast(introduced as date) as effective_date,
        cast(ends as date) as end_date,

        -- the act
        document as instrument,
        link
    from source

)

select * from renamed
