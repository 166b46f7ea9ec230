-- Every raw production row is classified once.
{{ config(meta={
    'description': 'Raw production rows equal the classified rows, per sheet.',
    'dagster': {'ref': {'name': 'int_production__classified'}},
}) }}

with raw_rows as (

    select
        sheet,
        count(*) as n_rows,
        sum(quantity) as quantity,
    from {{ source('raw', 'production') }}
    group by sheet

),

classified as (

    select
        sheet,
        count(*) as n_rows,
        sum(quantity) as quantity,
    from {{ ref('int_production__classified') }}
    group by sheet

)

select
    coalesce(raw_rows.sheet, classified.sheet) as sheet,
    raw_rows.n_rows as raw_n_rows,
    classified.n_rows as classified_n_rows,
    raw_rows.quantity as raw_quantity,
    classified.quantity as classified_quantity,
from raw_rows
full outer join classified on raw_rows.sheet = classified.sheet
where
    raw_rows.n_rows is distinct from classified.n_rows
    or abs(coalesce(raw_rows.quantity, 0) - coalesce(classified.quantity, 0))
    > 1e-9 * abs(coalesce(raw_rows.quantity, 0))
order by sheet
