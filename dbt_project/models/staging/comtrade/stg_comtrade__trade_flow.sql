{{ config(enabled=var('profile') == 'live') }}

with source as (

    select * from {{ source('raw', 'bilateral_trade') }}

),

renamed as (

    select
        -- keys
        cast(period as bigint) as year,
        partnercode as exporter_code,
        reportercode as importer_code,
        {{ revision_read_as('classificationcode') }} as hs_revision,
        cmdcode as hs_code,

        -- measures: to the cent; a net weight of zero beside a value means that none was reported
        cast(round(primaryvalue, 2) / 1000 as decimal(18, 6)) as value_thousand_usd,
        cast(nullif(netwgt, 0) / 1000 as decimal(18, 6)) as quantity_t,
        't' as quantity_unit,

        -- lineage
        _snapshot_id as snapshot_id
    from source

)

select * from renamed
