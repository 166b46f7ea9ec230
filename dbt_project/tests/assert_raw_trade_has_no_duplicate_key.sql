-- The same year, exporter, importer and code twice would be counted twice.
{{ config(meta={'description': 'No raw trade row has the year, exporter, importer and code of another.'}) }}

select
    year,
    exporter_code,
    importer_code,
    hs_revision,
    hs_code,
    count(*) as n_rows,
    sum(value_usd) as value_usd,
from {{ ref('int_trade_flow__classified') }}
group by all
having count(*) > 1
order by year, exporter_code, importer_code, hs_code
