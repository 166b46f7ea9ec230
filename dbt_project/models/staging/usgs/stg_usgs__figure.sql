-- Earlier editions from the seed, the newest from its data release. An edition prints the two years
-- before its own and marks the later as estimated; the tables of one that no row of usgs_tables names
-- are those of the newest that is named.

with release as (

    select
        commodity,
        country,
        statistic,
        year,
        value,
        max(year) over () as latest_year
    from {{ source('raw', 'supply_figures') }}
    -- A country without a figure is listed; a rest or a total without one is nothing.
    where value is not null or country not in ('Other countries', 'World total')

),

tables as (

    select
        *,
        max(edition) over () as newest_edition
    from {{ ref('usgs_tables') }}

),

figures as (

    select
        earlier.table_id,
        tables.edition,
        earlier.country,
        earlier.year,
        earlier.as_printed,
        earlier.is_estimated
    from {{ ref('usgs_figures') }} as earlier
    inner join tables on earlier.table_id = tables.table_id
    where tables.edition < tables.newest_edition
    union all
    select
        tables.table_id,
        'usgs_mcs_' || cast(release.latest_year + 1 as varchar) as edition,
        replace(release.country, 'Other countries', 'Other Countries') as country,
        release.year,
        release.value as as_printed,
        release.year = release.latest_year as is_estimated
    from release
    inner join tables
        on
            release.commodity = tables.commodity
            and lower(regexp_replace(release.statistic, '[:,] rounded$', '')) = lower(tables.statistic)
    where tables.edition = tables.newest_edition

),

renamed as (

    select
        -- keys
        figures.edition as source_dataset,
        tables.table_id,
        tables.mineral,
        coalesce(tables.form, '') as form,
        tables.stage,
        figures.country as country_name,
        figures.year,

        -- measures: a dash is zero; a letter or a blank is no figure
        case
            when figures.as_printed = '—' then 0.0
            else try_cast(replace(replace(figures.as_printed, '>', ''), ',', '') as double)
        end as quantity,
        tables.unit,
        case tables.unit when 'kg' then 1.0 when 't' then 1000.0 when 'kt' then 1000000.0 end as kg_per_unit,

        -- how it is printed
        figures.as_printed,
        figures.is_estimated,
        tables.counts
    from figures
    inner join tables on figures.table_id = tables.table_id

)

select * from renamed
