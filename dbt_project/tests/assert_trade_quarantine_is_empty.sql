-- Quarantined rows are counted and kept, and nothing is calculated from them; somebody should look.
{{ config(
    severity='warn',
    meta={'description': 'No raw trade row breaks a rule (warning: such rows are kept aside, not used).'}
) }}

select
    quarantine_rule,
    year,
    importer_code,
    exporter_code,
    hs_code,
    value_thousand_usd,
    quantity_t,
from {{ ref('trade_quarantine') }}
order by quarantine_rule, year, importer_code, exporter_code, hs_code
