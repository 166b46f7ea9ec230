-- Production rows that break a rule are not used; nothing else would say so.
{{ config(meta={'description': 'No production row of a critical mineral breaks a rule.'}) }}

select
    sheet,
    country_name,
    year,
    quantity,
    unit,
    disposition_reason,
from {{ ref('int_production__classified') }}
where disposition = 'quarantined'
order by sheet, country_name, year
