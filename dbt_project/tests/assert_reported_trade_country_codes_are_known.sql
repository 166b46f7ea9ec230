-- As for the trade rows: an unknown partner would be taken for a non-country without a word.
{{ config(meta={
    'description': 'Every country code in the UN Comtrade file is in country_aliases or non_country_partners.',
    'dagster': {'ref': {'name': 'trade_reconciliation'}},
}) }}

-- Runs with the layer of what it guards: depends_on {{ ref('trade_reconciliation') }}

with codes_in_use as (

    select
        'exporter' as role,
        exporter_code as country_code,
        value_usd,
    from {{ ref('stg_comtrade__reported_flow') }}
    union all
    select
        'importer' as role,
        importer_code as country_code,
        value_usd,
    from {{ ref('stg_comtrade__reported_flow') }}

),

totals as (

    select
        role,
        country_code,
        count(*) as n_rows,
        sum(value_usd) as value_usd,
    from codes_in_use
    group by role, country_code

),

known as (

    select code
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'comtrade'

)

select totals.*
from totals
anti join known on totals.country_code = known.code
order by totals.value_usd desc, totals.country_code asc, totals.role asc
