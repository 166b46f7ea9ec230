-- Every raw production row exactly once, with what became of it. World Mining Data is resolved by
-- the country's name, because its codes are not reliable: French Guiana carries Guyana's.

with production as (

    select
        sheet,
        country_name,
        country_code,
        year,
        quantity,
        unit
    from {{ ref('stg_world_mining_data__production') }}

),

minerals as (

    select
        mineral,
        production_sheet
    from {{ ref('dim_mineral') }}
    where has_production_data

),

country_name as (

    select
        code as country_name,
        country_iso3,
        partner_kind
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'world_mining_data_name'

),

resolved as (

    select
        production.*,
        minerals.mineral,
        country_name.country_iso3,
        country_name.partner_kind,
        case production.unit
            when 'metr. t' then 1000.0
            when 'kg' then 1.0
            when 'ct' then 0.0002
        end as kg_per_unit
    from production
    left join minerals on trim(production.sheet) = minerals.production_sheet
    left join country_name
        on {{ tidy('production.country_name') }} = country_name.country_name

)

select
    -- source keys
    sheet,
    country_name,
    country_code,
    year,

    -- what they mean
    mineral,
    country_iso3,

    -- measures
    quantity,
    unit,
    quantity * kg_per_unit as production_kg,

    -- what became of the row
    case
        when partner_kind = 'world' then 'total_row'
        when mineral is null then 'out_of_scope'
        when quantity < 0 or kg_per_unit is null or partner_kind is null then 'quarantined'
        when country_iso3 is null then 'non_country'
        else 'conformed'
    end as disposition,
    case
        when partner_kind = 'world' or mineral is null then null
        when quantity < 0 then 'quantity negative'
        when kg_per_unit is null then 'unit unknown'
        when partner_kind is null then 'country name unknown'
        when country_iso3 is null then partner_kind
    end as disposition_reason
from resolved
order by sheet, country_name, year
