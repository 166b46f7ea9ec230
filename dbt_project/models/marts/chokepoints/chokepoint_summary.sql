-- Where the chain is hollow: the weakest chokepoint, and how far the middle lags behind the ends.

with scores as (

    select * from {{ ref('chokepoint_scores') }}
    where score is not null

),

summed as (

    select
        country_iso3,
        sector,
        mineral,
        score_kind,
        count(*) as n_scored,
        min(score) as min_score,
        -- The earlier of two as weak.
        min_by(chokepoint, (score, chokepoint)) as weakest_chokepoint,
        avg(score) as mean_score,
        case
            when count(*) filter (where chokepoint in ('C1', 'C4')) = 2
                and count(*) filter (where chokepoint in ('C2', 'C3')) = 2
                then
                    avg(score) filter (where chokepoint in ('C1', 'C4'))
                    - avg(score) filter (where chokepoint in ('C2', 'C3'))
        end as middle_gap,
        {{ weakest_label('evidence_label') }} as evidence_label
    from scores
    group by country_iso3, sector, mineral, score_kind

)

select
    summed.country_iso3,
    summed.sector,
    summed.mineral,
    summed.score_kind,
    summed.n_scored,
    summed.min_score,
    summed.weakest_chokepoint,
    summed.mean_score,
    summed.middle_gap,
    indicators.world_hhi as hhi_world_at_weakest,
    indicators.world_top1_iso3,
    indicators.world_top1_share,
    summed.evidence_label
from summed
left join {{ ref('chokepoint_indicators') }} as indicators
    on
        summed.country_iso3 = indicators.country_iso3
        and summed.mineral = indicators.mineral
        and summed.weakest_chokepoint = indicators.chokepoint
order by summed.country_iso3, summed.sector, summed.mineral, summed.score_kind
