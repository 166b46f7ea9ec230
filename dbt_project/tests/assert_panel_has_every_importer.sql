-- An importer of the settings that is no country of ours, or that bought nothing in the window,
-- would have no rows to rank on, or only producers.
{{ config(meta={
    'description': 'Every importer of the settings is a country, and bought something in the window.',
    'dagster': {'ref': {'name': 'import_panel'}},
}) }}

with importers as (

    select importer_iso3 from {{ importers() }}

),

panel as (

    select
        importer_iso3,
        count(*) as n_rows,
        sum(ores_value_usd + products_value_usd + scrap_value_usd) as value_usd,
    from {{ ref('import_panel') }}
    group by importer_iso3

)

select
    importers.importer_iso3,
    countries.country_name,
    coalesce(panel.n_rows, 0) as panel_n_rows,
    coalesce(panel.value_usd, 0) as panel_value_usd,
from importers
left join panel on importers.importer_iso3 = panel.importer_iso3
left join {{ ref('dim_country') }} as countries on importers.importer_iso3 = countries.country_iso3
where countries.country_iso3 is null or coalesce(panel.value_usd, 0) = 0
order by importers.importer_iso3
