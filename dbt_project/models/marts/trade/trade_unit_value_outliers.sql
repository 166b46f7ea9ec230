-- Flows whose price per kilogram is far from what the code costs that year: the quantity before and
-- after, and what the register of corrections decided. The largest quantities come first: they move a
-- ranking.

with flow as (

    select *
    from {{ ref('fct_trade_flow') }}
    where is_unit_value_outlier

),

usual as (

    select * from {{ ref('int_hs_code__unit_value') }}

),

correction as (

    select *
    from {{ ref('trade_corrections') }}
    where dataset = 'bilateral_trade'

)

select
    -- key
    flow.importer_iso3,
    flow.exporter_iso3,
    flow.hs_revision,
    flow.hs_code,
    flow.year,
    flow.mineral,
    flow.category,

    -- what is odd
    flow.reported_qty_kg,
    flow.value_usd,
    flow.unit_value_usd_per_kg,
    usual.median_unit_value_usd_per_kg,
    flow.unit_value_usd_per_kg / usual.median_unit_value_usd_per_kg as unit_value_ratio,
    (ln(flow.unit_value_usd_per_kg) - usual.median_log_unit_value)
    / nullif(1.4826 * usual.mad_log_unit_value, 0) as deviations,
    usual.n_flows,

    -- what was decided
    flow.qty_kg as used_qty_kg,
    flow.is_qty_estimated,
    coalesce(correction.action, 'estimate') as correction_action,
    coalesce(correction.status, 'not looked at') as correction_status,
    correction.reason as correction_reason
from flow
inner join usual
    on
        flow.hs_revision = usual.hs_revision
        and flow.hs_code = usual.hs_code
        and flow.year = usual.year
left join correction
    on
        flow.importer_iso3 = correction.importer_iso3
        and flow.exporter_iso3 = correction.exporter_iso3
        and flow.hs_revision = correction.hs_revision
        and flow.hs_code = correction.hs_code
        and flow.year = correction.year
order by
    flow.reported_qty_kg desc, flow.importer_iso3 asc, flow.exporter_iso3 asc, flow.hs_code asc, flow.year asc
