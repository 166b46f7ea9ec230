-- Where a chokepoint may stand later. Without probabilities only the order that is printed holds, from
-- likely to least likely: then each probability, and the expected score, lie in an interval.

with scenarios as (

    select * from {{ ref('register_of_chokepoint_scenarios') }}

),

expected as (

    -- The order's extreme points: all on the first, half on the first two, a third on each.
    select
        country_iso3,
        sector,
        chokepoint,
        sum(score_target * probability) as expected_point,
        sum(score_target) filter (where scenario_order = 1) as of_one,
        sum(score_target) filter (where scenario_order <= 2) / 2 as of_two,
        sum(score_target) / 3 as of_three,
        count(score_target) = 3 as has_targets,
        count(probability) = 3 as has_probabilities
    from scenarios
    group by country_iso3, sector, chokepoint

)

select
    -- key
    scenarios.country_iso3,
    scenarios.sector,
    scenarios.chokepoint,
    scenarios.scenario,

    -- what is said
    scenarios.scenario_order,
    scenarios.year,
    scenarios.words,

    -- what is judged
    scenarios.score_target,
    scenarios.probability,

    -- what follows
    case
        when scenarios.probability is not null then scenarios.probability
        when scenarios.scenario_order = 1 then 1 / 3
        else 0
    end as probability_low,
    coalesce(scenarios.probability, 1 / scenarios.scenario_order) as probability_high,
    case
        when expected.has_targets and expected.has_probabilities then expected.expected_point
        when expected.has_targets then least(expected.of_one, expected.of_two, expected.of_three)
    end as expected_low,
    case
        when expected.has_targets and expected.has_probabilities then expected.expected_point
        when expected.has_targets then greatest(expected.of_one, expected.of_two, expected.of_three)
    end as expected_high,

    -- who says so
    scenarios.entered_by,
    scenarios.source_id,
    scenarios.location,
    scenarios.evidence_label
from scenarios
inner join expected
    on
        scenarios.country_iso3 = expected.country_iso3
        and scenarios.sector = expected.sector
        and scenarios.chokepoint = expected.chokepoint
order by scenarios.country_iso3, scenarios.sector, scenarios.chokepoint, scenarios.scenario_order
