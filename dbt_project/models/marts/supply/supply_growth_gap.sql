-- The growth that supply would need for a demand that is projected, beside what it achieved: output of the
-- world from the first to the last year of World Mining Data, which joins two editions at 2022/2023.

with output as (

    select
        mineral,
        stage,
        year,
        sum(quantity_kg) as quantity_kg
    from {{ ref('fct_world_supply') }}
    where source_dataset = 'world_mining_data' and area <> 'world'
    group by mineral, stage, year

),

achieved as (

    select
        mineral,
        stage,
        min(year) as first_year,
        max(year) as last_year,
        min_by(quantity_kg, year) as first_kg,
        max_by(quantity_kg, year) as last_kg
    from output
    where quantity_kg > 0
    group by mineral, stage
    having count(*) > 1

),

needed as (

    select
        mineral,
        form,
        scenario,
        year,
        base_year,
        cagr_from_base,
        edition,
        source_id,
        citation,
        evidence_label
    from {{ ref('demand_outlook') }}
    where region_iso3 = 'WLD' and indicator in ('index', 'growth_share')

)

select
    -- key
    needed.mineral,
    needed.form,
    achieved.stage,
    needed.scenario,
    needed.year,

    -- measures
    needed.base_year,
    needed.cagr_from_base as needed_cagr,
    achieved.first_year as achieved_first_year,
    achieved.last_year as achieved_last_year,
    power(achieved.last_kg / achieved.first_kg, 1 / (achieved.last_year - achieved.first_year)) - 1
        as achieved_cagr,
    100 * (
        needed.cagr_from_base
        - power(achieved.last_kg / achieved.first_kg, 1 / (achieved.last_year - achieved.first_year))
        + 1
    ) as gap_points,

    -- who says so
    'world_mining_data' as achieved_source,
    needed.edition as needed_edition,
    needed.source_id,
    needed.citation,
    needed.evidence_label
from needed
inner join achieved on needed.mineral = achieved.mineral
order by needed.mineral, needed.form, achieved.stage, needed.scenario, needed.year
