-- As in the live profile: the partners of a line that is used add up to its World row, within 0.1%.
{{ config(enabled=var('profile') == 'bundled', meta={
    'description': 'The partners of each line of the UN Comtrade file that completes the bundle add up to its World row within 0.1%, where it has one.',
    'dagster': {'ref': {'name': 'stg_comtrade__supplement'}}
}) }}

with used as (

    select distinct
        importer_code,
        year,
        hs_revision,
        hs_code
    from {{ ref('stg_comtrade__supplement') }}

),

compared as (

    select
        flow.importer_code,
        flow.year,
        flow.hs_code,
        sum(flow.value_usd) filter (where flow.exporter_code = '0') as world_value_usd,
        sum(flow.value_usd) filter (where flow.exporter_code <> '0') as partners_value_usd
    from {{ ref('stg_comtrade__reported_flow') }} as flow
    semi join used
        on
            flow.importer_code = used.importer_code
            and flow.year = used.year
            and flow.hs_revision = used.hs_revision
            and flow.hs_code = used.hs_code
    where
        flow.flow_code = 'M'
        and flow.second_partner_code = '0'
        and flow.customs_code = 'C00'
        and flow.transport_code = '0'
    group by flow.importer_code, flow.year, flow.hs_code

)

select *
from compared
where abs(world_value_usd - partners_value_usd) > greatest(1, 0.001 * world_value_usd)
order by importer_code, year, hs_code
