-- Measures that the OECD's Inventory records, beside what the register of events has of the same country,
-- mineral and kind. A candidate judges nothing: an analyst enters it in the register, and that event acts.

with codes as (

    -- HS 2007 has the lines of HS 2012.
    select
        hs_code,
        mineral,
        category
    from {{ ref('hs_mineral_map') }}
    where hs_revision = 'H4'

),

registered as (

    select
        actor_iso3,
        mineral,
        measure_type,
        {{ joined('event_id', separator=';', is_distinct=true) }} as event_ids
    from {{ ref('policy_events') }}
    group by actor_iso3, mineral, measure_type

)

select
    candidates.actor_iso3,
    candidates.hs_code,
    candidates.policy_type,
    candidates.variation,
    countries.name as actor_name,
    coalesce(codes.mineral, '') as mineral,
    coalesce(codes.category, '') as category,
    candidates.year,
    candidates.policy_label,
    candidates.measure_type,
    candidates.amount,
    candidates.amount_unit,
    candidates.effective_date,
    candidates.end_date,
    candidates.instrument,
    candidates.link,
    registered.event_ids as registered_event_ids,
    sources.source_id,
    {{ citation() }} as citation,
    'single_source' as evidence_label
from {{ ref('stg_oecd__restriction') }} as candidates
inner join {{ ref('register_of_sources') }} as sources on sources.source_id = 'oecd'
left join codes on candidates.hs_code = codes.hs_code
left join {{ ref('countries') }} as countries on candidates.actor_iso3 = countries.iso3
left join registered
    on
        candidates.actor_iso3 = registered.actor_iso3
        and codes.mineral = registered.mineral
        and candidates.measure_type = registered.measure_type
order by candidates.actor_iso3, candidates.hs_code, candidates.policy_type, candidates.variation
