-- In = out: per year, the raw rows and their value equal those that were conformed, kept as trade of
-- non-countries, quarantined, or left unmapped or out of scope, to the cent.
{{ config(meta={
    'description': 'Raw trade rows and value equal the sum of all dispositions, per year, to the cent.',
    'dagster': {'ref': {'name': 'fct_trade_flow'}},
}) }}

with raw_rows as (

    select
        cast(t as integer) as year,
        count(*) as n_rows,
        sum(cast(v as decimal(38, 5))) * 1000 as value_usd,
    from {{ source('raw', 'bilateral_trade') }}
    group by all

),

disposed_rows as (

    select
        year,
        value_usd,
    from {{ ref('fct_trade_flow') }}
    union all
    select
        year,
        value_usd,
    from {{ ref('fct_trade_flow_non_country') }}
    union all
    select
        year,
        value_usd,
    from {{ ref('trade_quarantine') }}
    union all
    select
        year,
        value_usd,
    from {{ ref('int_trade_flow__classified') }}
    where disposition in ('unmapped', 'out_of_scope')

),

disposed as (

    select
        year,
        count(*) as n_rows,
        sum(value_usd) as value_usd,
    from disposed_rows
    group by year

)

select
    'bilateral_trade' as dataset,
    coalesce(raw_rows.year, disposed.year) as year,
    raw_rows.n_rows as raw_n_rows,
    disposed.n_rows as disposed_n_rows,
    raw_rows.value_usd as raw_value_usd,
    disposed.value_usd as disposed_value_usd,
from raw_rows
full outer join disposed on raw_rows.year = disposed.year
where
    raw_rows.n_rows is distinct from disposed.n_rows
    or abs(coalesce(raw_rows.value_usd, 0) - coalesce(disposed.value_usd, 0)) >= 0.01
order by year
