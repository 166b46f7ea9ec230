-- Demand as sources print or project it, with the growth that an index or a growth rate implies.

with register as (

    select * from {{ ref('register_of_demand') }}

),

grown as (

    select
        *,
        case indicator
            when 'index' then value / 100 - 1
            when 'growth_share' then value
        end as growth_from_base
    from register

)

select
    -- key
    grown.mineral,
    coalesce(grown.form, '') as form,
    grown.region_iso3,
    grown.scenario,
    grown.year,
    grown.indicator,
    grown.edition,

    -- the figure
    grown.value,
    grown.unit,
    grown.base_year,

    -- what it implies
    grown.growth_from_base,
    power(1 + grown.growth_from_base, 1 / (grown.year - grown.base_year)) - 1 as cagr_from_base,

    -- who says so
    grown.figure_id,
    grown.source_id,
    {{ citation() }} as citation,
    grown.location,
    grown.evidence_label,
    grown.note
from grown
inner join {{ ref('register_of_sources') }} as sources on grown.source_id = sources.source_id
order by grown.mineral, form, grown.region_iso3, grown.scenario, grown.year, grown.indicator, grown.edition
