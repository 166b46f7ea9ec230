-- In = out. Per importer and year, trade_balance has the rows, value (to the cent) and quantity of the
-- raw trade; and of the rows that it calls conformed or non-country, the facts have the same.
{{ config(meta={
    'description': 'Rows, value (to the cent) and quantity of the raw trade equal those of trade_balance, and these those of the facts, per importer and year.',
    'dagster': {'ref': {'name': 'trade_balance'}}
}) }}

with balance as (

    select
        *,
        coalesce(importer_iso3, importer_code) as importer
    from {{ ref('trade_balance') }}

),

facts as (

    select
        'conformed' as disposition,
        importer_iso3 as importer,
        year,
        value_usd,
        reported_qty_kg as qty_kg
    from {{ ref('fct_trade_flow') }}
    union all
    select
        'non_country' as disposition,
        coalesce(importer_iso3, importer_code) as importer,
        year,
        value_usd,
        qty_kg
    from {{ ref('fct_trade_flow_non_country') }}

),

sides as (

    select
        'raw trade and trade_balance differ' as problem,
        'before' as side,
        importer_code as importer,
        year,
        count(*) as n_rows,
        sum(cast(value_thousand_usd as decimal(38, 5))) * 1000 as value_usd,
        sum(cast(quantity_t as decimal(38, 5))) * 1000 as qty_kg
    from {{ raw_trade_rows() }} as trade
    group by importer_code, year
    union all
    select
        'raw trade and trade_balance differ' as problem,
        'after' as side,
        importer_code as importer,
        year,
        sum(n_rows) as n_rows,
        sum(value_usd) as value_usd,
        sum(cast(qty_kg as decimal(38, 3))) as qty_kg
    from balance
    group by importer_code, year
    union all
    select
        'trade_balance and the ' || disposition || ' facts differ' as problem,
        'before' as side,
        importer,
        year,
        sum(n_rows) as n_rows,
        sum(value_usd) as value_usd,
        sum(cast(qty_kg as decimal(38, 3))) as qty_kg
    from balance
    where disposition in ('conformed', 'non_country')
    group by disposition, importer, year
    union all
    select
        'trade_balance and the ' || disposition || ' facts differ' as problem,
        'after' as side,
        importer,
        year,
        count(*) as n_rows,
        sum(value_usd) as value_usd,
        sum(cast(qty_kg as decimal(38, 3))) as qty_kg
    from facts
    group by disposition, importer, year

),

compared as (

    select
        importer,
        year,
        {%- for column in ['n_rows', 'value_usd', 'qty_kg'] %}
            coalesce(sum({{ column }}) filter (where side = 'before'), 0) as {{ column }}_before,
            coalesce(sum({{ column }}) filter (where side = 'after'), 0) as {{ column }}_after,
        {%- endfor %}
        problem
    from sides
    group by problem, importer, year

)

select *
from compared
where
    n_rows_before <> n_rows_after
    or abs(value_usd_before - value_usd_after) >= 0.01
    or abs(qty_kg_before - qty_kg_after) > 1e-9 * abs(qty_kg_before) + 0.01
order by problem, importer, year
