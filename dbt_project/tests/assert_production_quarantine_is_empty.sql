-- Production rows that break a rule count as missing, never as zero; somebody should look. Unknown
-- units and names have tests of their own, which stop the build.
{{ config(
    severity='warn',
    meta={'description': 'No production row breaks a rule (warning: such rows count as missing).'}
) }}

select
    disposition_reason,
    sheet,
    country_name,
    year,
    quantity,
    unit,
from {{ ref('int_production__classified') }}
where disposition = 'quarantined'
order by disposition_reason, sheet, country_name, year
