-- Every candidate has every year of the window, once.
{{ config(meta={'description': 'Every candidate of the panel has every year of the window.'}) }}

select
    importer_iso3,
    mineral,
    exporter_iso3,
    count(*) as n_rows,
    string_agg(cast(year as varchar), ', ' order by year) as years,
from {{ ref('import_panel') }}
group by importer_iso3, mineral, exporter_iso3
having
    count(distinct year) <> {{ var('last_year') }} - {{ var('first_year') }} + 1
    or count(*) <> {{ var('last_year') }} - {{ var('first_year') }} + 1
    or min(year) <> {{ var('first_year') }}
    or max(year) <> {{ var('last_year') }}
order by importer_iso3, mineral, exporter_iso3
