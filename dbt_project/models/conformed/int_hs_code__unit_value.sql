-- What a kilogram of a code usually costs in a year, over all importers and exporters: the median and
-- the spread of the logarithm, neither of which an outlier moves.

with flow as (

    select
        hs_revision,
        hs_code,
        year,
        ln(cast(value_usd as double) / reported_qty_kg) as log_unit_value
    from {{ ref('int_trade_flow__classified') }}
    where disposition = 'conformed' and reported_qty_kg > 0 and value_usd > 0

),

centre as (

    select
        hs_revision,
        hs_code,
        year,
        count(*) as n_flows,
        median(log_unit_value) as median_log_unit_value
    from flow
    group by hs_revision, hs_code, year

),

spread as (

    select
        flow.hs_revision,
        flow.hs_code,
        flow.year,
        median(abs(flow.log_unit_value - centre.median_log_unit_value)) as mad_log_unit_value
    from flow
    inner join centre
        on
            flow.hs_revision = centre.hs_revision
            and flow.hs_code = centre.hs_code
            and flow.year = centre.year
    group by flow.hs_revision, flow.hs_code, flow.year

)

select
    centre.hs_revision,
    centre.hs_code,
    centre.year,
    centre.n_flows,
    exp(centre.median_log_unit_value) as median_unit_value_usd_per_kg,
    centre.median_log_unit_value,
    spread.mad_log_unit_value
from centre
inner join spread
    on
        centre.hs_revision = spread.hs_revision
        and centre.hs_code = spread.hs_code
        and centre.year = spread.year
order by centre.hs_revision, centre.hs_code, centre.year
