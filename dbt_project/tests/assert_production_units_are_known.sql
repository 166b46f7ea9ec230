-- A unit without a factor to kg, on the sheet of a critical mineral. Add it to
-- int_production__classified.
{{ config(meta={'description': 'Every unit on the sheet of a critical mineral has a factor to kg.'}) }}

select
    sheet,
    unit,
    count(*) as n_rows,
    sum(quantity) as quantity,
from {{ ref('int_production__classified') }}
where mineral is not null and quantity is not null and production_kg is null
group by sheet, unit
order by sheet, unit
