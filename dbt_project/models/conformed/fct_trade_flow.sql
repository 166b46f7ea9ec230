with flow as (

    select *
    from {{ ref('int_trade_flow__classified') }}
    where disposition = 'conformed'

),

usual as (

    select * from {{ ref('int_hs_code__unit_value') }}

),

compared as (

    select
        flow.*,
        usual.n_flows,
        usual.median_unit_value_usd_per_kg,
        case
            when flow.reported_qty_kg > 0 and flow.value_usd > 0
                then cast(flow.value_usd as double) / flow.reported_qty_kg
        end as unit_value_usd_per_kg,
        ln(unit_value_usd_per_kg) - usual.median_log_unit_value as log_deviation,
        -- 1.4826 makes the median absolute deviation comparable with a standard deviation.
        1.4826 * usual.mad_log_unit_value as log_spread
    from flow
    left join usual
        on
            flow.hs_revision = usual.hs_revision
            and flow.hs_code = usual.hs_code
            and flow.year = usual.year

),

flagged as (

    select
        *,
        coalesce(
            n_flows >= {{ var('unit_value_min_flows') }}
            and abs(log_deviation) > {{ var('unit_value_max_deviations') }} * log_spread
            and abs(log_deviation) > ln({{ var('unit_value_min_factor') }}),
            false
        ) as is_unit_value_outlier,
        -- What the register decided stays; a code without any price gives no estimate.
        correction_id is null
        and median_unit_value_usd_per_kg is not null
        and (
            is_unit_value_outlier
            or (qty_kg is null and {{ var('estimate_missing_quantities') }})
        ) as is_qty_estimated
    from compared

)

select
    -- key
    importer_iso3,
    exporter_iso3,
    mineral,
    category,
    year,
    hs_revision,
    hs_code,

    -- measures
    case
        when is_qty_estimated then cast(value_usd as double) / median_unit_value_usd_per_kg
        else qty_kg
    end as qty_kg,
    value_usd,
    unit_value_usd_per_kg,

    -- what was done to the quantity
    reported_qty_kg,
    reported_qty_kg is not null as has_quantity,
    is_qty_estimated,
    correction_id,
    is_unit_value_outlier
from flagged
