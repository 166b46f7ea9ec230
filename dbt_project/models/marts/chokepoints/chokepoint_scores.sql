-- Scores of 1 to 5 as printed, as judged and as computed, side by side and never merged. Those of the
-- register are of a sector; the computed ones of a mineral, whatever the sector.

select
    country_iso3,
    sector,
    coalesce(mineral, '') as mineral,
    chokepoint,
    score_kind,
    score,
    installed_score,
    funded_score,
    control_score,
    word,
    stage_in_sector,
    cast(null as bigint) as n_indicators,
    source_id,
    location,
    evidence_label,
    note
from {{ ref('register_of_chokepoint_scores') }}
union all
select
    country_iso3,
    '' as sector,
    mineral,
    chokepoint,
    'computed' as score_kind,
    score,
    null as installed_score,
    null as funded_score,
    null as control_score,
    null as word,
    null as stage_in_sector,
    n_indicators,
    null as source_id,
    null as location,
    score_label as evidence_label,
    null as note
from {{ ref('chokepoint_indicators') }}
where score is not null
order by country_iso3, mineral, chokepoint, sector, score_kind
