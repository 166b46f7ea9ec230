with source as (

    select * from {{ source('raw', 'reported_trade') }}

),

renamed as (

    select
        -- keys
        cast(refyear as bigint) as year,
        cast(reportercode as varchar) as importer_code,
        cast(partnercode as varchar) as exporter_code,
        cast(flowcode as varchar) as flow_code,
        {{ revision_read_as('cast(classificationcode as varchar)') }} as hs_revision,
        cast(cmdcode as varchar) as hs_code,
        cast(partner2code as varchar) as second_partner_code,
        cast(customscode as varchar) as customs_code,
        cast(motcode as varchar) as transport_code,

        -- measures: the weight has one name in older answers and another in newer ones
        cast(primaryvalue as decimal(18, 3)) as value_usd,
        cast(coalesce(*columns('(?i)^netw(gt|eight)$')) as double) as net_weight_kg,

        -- lineage
        _snapshot_id as snapshot_id
    from source

)

select * from renamed
