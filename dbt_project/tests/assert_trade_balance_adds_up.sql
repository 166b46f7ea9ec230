-- The published balance says what the classified rows say.
{{ config(meta={
    'description': 'trade_balance adds up to the classified trade rows, per year and disposition.',
    'dagster': {'ref': {'name': 'trade_balance'}},
}) }}

with balance as (

    select
        year,
        disposition,
        sum(n_rows) as n_rows,
        sum(value_usd) as value_usd,
    from {{ ref('trade_balance') }}
    group by year, disposition

),

classified as (

    select
        year,
        disposition,
        count(*) as n_rows,
        coalesce(sum(value_usd), 0) as value_usd,
    from {{ ref('int_trade_flow__classified') }}
    group by year, disposition

)

select
    coalesce(balance.year, classified.year) as year,
    coalesce(balance.disposition, classified.disposition) as disposition,
    balance.n_rows as balance_n_rows,
    classified.n_rows as classified_n_rows,
    balance.value_usd as balance_value_usd,
    classified.value_usd as classified_value_usd,
from balance
full outer join classified
    on balance.year = classified.year and balance.disposition = classified.disposition
where
    balance.n_rows is distinct from classified.n_rows
    or balance.value_usd is distinct from classified.value_usd
order by year, disposition
