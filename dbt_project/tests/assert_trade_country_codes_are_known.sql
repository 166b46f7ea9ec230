-- A code that is neither a country's alias nor a known non-country once cost a project a supplier
-- with 39% of a country's imports. Add it to seeds/country_aliases.csv or non_country_partners.csv.
{{ config(meta={
    'description': 'Every country code in the trade rows is in country_aliases or non_country_partners.',
    'dagster': {'ref': {'name': 'int_trade_flow__classified'}},
}) }}

with codes_in_use as (

    select
        'exporter' as role,
        exporter_code as country_code,
        value_usd,
        year,
    from {{ ref('int_trade_flow__classified') }}
    union all
    select
        'importer' as role,
        importer_code as country_code,
        value_usd,
        year,
    from {{ ref('int_trade_flow__classified') }}

),

totals as (

    select
        role,
        country_code,
        count(*) as n_rows,
        sum(value_usd) as value_usd,
        min(year) as first_year,
        max(year) as last_year,
    from codes_in_use
    group by role, country_code

),

known as (

    select code
    from {{ ref('int_country_code__resolved') }}
    where code_system = {{ trade_code_system() }}

)

select totals.*
from totals
anti join known on totals.country_code = known.code
order by totals.value_usd desc, totals.country_code asc, totals.role asc
