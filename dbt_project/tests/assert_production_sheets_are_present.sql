-- A sheet that seeds/minerals.csv names and the workbook does not have (renamed, or lost on the way):
-- without it the mineral's production would be zero everywhere.
{{ config(meta={
    'description': 'Every production sheet that a mineral names is in World Mining Data, with figures.',
    'dagster': {'ref': {'name': 'int_production__classified'}},
}) }}

with sheets_with_figures as (

    select distinct mineral
    from {{ ref('int_production__classified') }}
    where disposition = 'conformed' and quantity > 0

)

select
    minerals.mineral,
    minerals.production_sheet as missing_sheet,
from {{ ref('dim_mineral') }} as minerals
anti join sheets_with_figures on minerals.mineral = sheets_with_figures.mineral
where minerals.has_production_data
order by minerals.mineral
