-- Raw rows that break a rule are counted and kept, and nothing is calculated from them (a missing
-- production figure is not zero); look at them. Unknown codes, names and units have tests that
-- stop the build.
{{ config(
    severity='warn',
    meta={
        'description': 'No raw trade or production row breaks a rule (warning: such rows are set aside, not used).',
        'dagster': {'ref': {'name': 'int_trade_flow__classified'}}
    }
) }}

select
    disposition_reason as problem,
    'bilateral_trade' as dataset,
    year,
    importer_code as importer,
    exporter_code as exporter,
    hs_code as what,
    value_usd,
    quantity_t as quantity,
    quantity_unit as unit
from {{ ref('int_trade_flow__classified') }}
where disposition = 'quarantined'
union all
select
    disposition_reason as problem,
    'production' as dataset,
    year,
    null as importer,
    country_name as exporter,
    sheet as what,
    null as value_usd,
    quantity,
    unit
from {{ ref('int_production__classified') }}
where disposition = 'quarantined'
order by problem, dataset, year, importer, exporter, what
