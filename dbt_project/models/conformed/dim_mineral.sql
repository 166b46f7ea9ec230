with minerals as (

    select
        mineral,
        nullif(symbol, '') as symbol,
        nullif(production_sheet, '') as production_sheet,
        is_grouped,
        nullif(note, '') as note
    from {{ ref('minerals') }}

)

select
    mineral,
    symbol,
    production_sheet,
    is_grouped,
    production_sheet is not null as has_production_data,
    note
from minerals
order by mineral
