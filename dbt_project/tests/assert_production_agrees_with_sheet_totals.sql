-- The sum over countries against the sheet's own Total row, where they differ by more than 1%. The
-- source's totals are off for some minerals, so this warns; our figures never use the totals.
{{ config(
    severity='warn',
    meta={'description': 'Recomputed world production is within 1% of the Total row of the sheet (warning).'}
) }}

with classified as (

    select * from {{ ref('int_production__classified') }}

),

totals as (

    select
        mineral,
        any_value(sheet) as sheet,
        year,
        sum(production_kg) filter (where disposition = 'total_row') as stated_kg,
        sum(production_kg) filter (where disposition <> 'total_row') as recomputed_kg,
    from classified
    where mineral is not null
    group by mineral, year

)

select
    mineral,
    sheet,
    year,
    stated_kg,
    recomputed_kg,
    round(100 * (recomputed_kg / nullif(stated_kg, 0) - 1), 2) as difference_pct,
from totals
where
    stated_kg is null
    or recomputed_kg is null
    or abs(recomputed_kg - stated_kg) > 0.01 * stated_kg
order by mineral, year
