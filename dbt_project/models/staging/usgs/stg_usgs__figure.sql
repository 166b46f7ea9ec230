with figures as (

    select * from {{ source('raw', 'mineral_summaries') }}

),

tables as (

    select * from {{ ref('usgs_tables') }}

),

renamed as (

    select
        -- keys
        tables.edition as source_dataset,
        tables.table_id,
        tables.mineral,
        coalesce(tables.form, '') as form,
        tables.stage,
        figures.country as country_name,
        cast(figures.year as bigint) as year,

        -- measures: a dash is zero; a letter or a blank is no figure
        case
            when figures.as_printed = '—' then 0.0
            else try_cast(replace(replace(figures.as_printed, '>', ''), ',', '') as double)
        end as quantity,
        tables.unit,
        case tables.unit when 'kg' then 1.0 when 't' then 1000.0 when 'kt' then 1000000.0 end as kg_per_unit,

        -- how it is printed
        figures.as_printed,
        cast(figures.is_estimated as boolean) as is_estimated,
        tables.counts
    from figures
    inner join tables on figures.table_id = tables.table_id

)

select * from renamed
