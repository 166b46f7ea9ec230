-- Two codes of the source for one country in the same year. Sums stay right; a lookup of one row by its
-- key does not.
{{ config(
    severity='warn',
    meta={'description': 'One row per importer, exporter, HS code and year (warning: two codes of the source mean one country).'}
) }}

select
    importer_iso3,
    exporter_iso3,
    hs_revision,
    hs_code,
    year,
    count(*) as n_rows,
    sum(value_usd) as value_usd
from {{ ref('fct_trade_flow') }}
group by importer_iso3, exporter_iso3, hs_revision, hs_code, year
having count(*) > 1
order by importer_iso3, exporter_iso3, hs_code, year
