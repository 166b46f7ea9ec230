with source as (

    select * from {{ source('raw', 'reported_trade') }}

),

renamed as (

    select
        -- keys
        cast(refyear as bigint) as year,
        cast(reportercode as string) as importer_code,
        cast(partnercode as string) as exporter_code,
        cast(flowcode as string) as flow_code,
        {{ revision_read_as('cast(classificationcode as string)') }} as hs_revision,
        cast(cmdcode as string) as hs_code,
        cast(partner2code as string) as second_partner_code,
        cast(customscode as string) as customs_code,
        cast(motcode as string) as transport_code,

        -- measures: the weight has one name in older answers and another in newer ones
        cast(primaryvalue as decimal(18, 3)) as value_usd,
        cast({{ net_weight() }} as double) as net_weight_kg,

        -- lineage
        _snapshot_id as snapshot_id
    from source

)

select * from renamed
