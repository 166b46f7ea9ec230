{{ config(enabled=var('profile') == 'bundled') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade') }}

),

renamed as (

    select
        -- keys
        cast(t as bigint) as year,
        i as exporter_code,
        j as importer_code,
        'H0' as hs_revision,
        lpad(cast(k as string), 6, '0') as hs_code,

        -- measures
        cast(v as decimal(18, 6)) as value_thousand_usd,
        cast(q as decimal(18, 6)) as quantity_t,
        't' as quantity_unit,

        -- lineage
        _snapshot_id as snapshot_id
    from source

)

select * from renamed
