-- What the downloaded file could add to the bundle and does not, because it lacks years of the window.
{{ config(severity='warn', enabled=var('profile') == 'bundled', meta={
    'description': 'Every importer of the settings that the UN Comtrade file has scrap lines of is covered in every year of the window; a year that is missing leaves all of them out.',
    'dagster': {'ref': {'name': 'stg_comtrade__supplement'}}
}) }}

with lines as (

    select
        flow.importer_code,
        flow.year
    from {{ ref('stg_comtrade__reported_flow') }} as flow
    inner join {{ ref('hs_mineral_map') }} as mapped
        on flow.hs_revision = mapped.hs_revision and flow.hs_code = mapped.hs_code
    where flow.flow_code = 'M' and mapped.category = 'scrap' and flow.hs_revision <> 'H0'

)

select
    lines.importer_code,
    array_sort(array_agg(distinct lines.year)) as years_in_the_file
from lines
anti join {{ ref('stg_comtrade__supplement') }} as used on lines.importer_code = used.importer_code
group by lines.importer_code
order by lines.importer_code
