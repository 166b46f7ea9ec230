-- Is the leader's share of the world opening, closing, entrenched or spread? Computed from World Mining
-- Data, first year against last; what sources say of entry stands beside it with its figure. World
-- Mining Data joins two editions at 2022/2023.
{%- set inputs = [
    'lead_time_years',
    'n_sites_outside_leader',
    'has_futures',
    'has_exchange_price',
    'has_public_cost_data',
    'has_public_stock_data'
] %}

with shares as (

    select
        mineral,
        stage,
        year,
        country_iso3,
        quantity_kg,
        coalesce(share, 0) as share
    from {{ ref('world_production_shares') }}
    where source_dataset = 'world_mining_data'

),

span as (

    select
        min(year) as first_year,
        max(year) as last_year
    from shares

),

ends as (

    -- The leader is the one of the last year, as in a market of today.
    select
        shares.mineral,
        shares.stage,
        shares.country_iso3,
        sum(shares.quantity_kg) filter (where shares.year = span.first_year) as first_kg,
        sum(shares.quantity_kg) filter (where shares.year = span.last_year) as last_kg,
        coalesce(max(shares.share) filter (where shares.year = span.first_year), 0) as first_share,
        coalesce(max(shares.share) filter (where shares.year = span.last_year), 0) as last_share
    from shares
    cross join span
    where shares.year in (span.first_year, span.last_year)
    group by shares.mineral, shares.stage, shares.country_iso3

),

leaders as (

    select
        *,
        row_number() over (partition by mineral, stage order by last_share desc, country_iso3 asc)
        = 1 as is_leader
    from ends

),

output as (

    select
        mineral,
        stage,
        max(case when is_leader then country_iso3 end) as leader_iso3,
        max(case when is_leader then first_share end) as leader_share_first,
        max(case when is_leader then last_share end) as leader_share_last,
        sum(last_share * last_share) - sum(first_share * first_share) as hhi_change,
        sum(last_kg) filter (where is_leader) / nullif(sum(first_kg) filter (where is_leader), 0) - 1
            as growth_leader,
        sum(last_kg) filter (where not is_leader) / nullif(sum(first_kg) filter (where not is_leader), 0) - 1
            as growth_rest,
        count(*) filter (where last_share >= 0.01 and first_share < 0.01) as n_entrants_1pct,
        count(*) filter (where last_share < 0.01 and first_share >= 0.01) as n_exits_1pct,
        {{ joined('country_iso3') }}
        filter (where last_share >= 0.01 and first_share < 0.01) as entrants,
        {{ joined('country_iso3') }}
        filter (where last_share < 0.01 and first_share >= 0.01) as exits
    from leaders
    group by mineral, stage

),

exports as (

    select
        mineral,
        case category when 'ores' then 'mined' else 'refined' end as stage,
        year,
        exporter_iso3,
        cast(sum({{ grams('qty_kg') }}) as double) as qty_kg
    from {{ ref('fct_trade_flow') }}
    where category in ('ores', 'products') and importer_iso3 <> exporter_iso3 and {{ is_world_trade() }}
    group by mineral, category, year, exporter_iso3

),

export_hhi as (

    select
        mineral,
        stage,
        year,
        {{ ordered_sum('qty_kg * qty_kg', 'exporter_iso3') }}
        / nullif(power({{ ordered_sum('qty_kg', 'exporter_iso3') }}, 2), 0) as hhi
    from exports
    group by mineral, stage, year

),

trade as (

    select
        mineral,
        stage,
        max_by(hhi, year) as hhi_exports,
        min_by(year, (-hhi, year)) as hhi_exports_peak_year,
        max(hhi) as hhi_exports_peak
    from export_hhi
    where hhi is not null
    group by mineral, stage

),

cited as (

    select
        stage,
        {%- for input in inputs %}
            max(value) filter (where input = '{{ input }}') as {{ input }},
            max(figure_id) filter (where input = '{{ input }}') as {{ input }}_figure_id,
        {%- endfor %}
        mineral
    from {{ ref('contestability_inputs') }}
    group by mineral, stage

)

select
    -- key
    output.mineral,
    output.stage,

    -- world output
    span.first_year,
    span.last_year,
    output.leader_iso3,
    output.leader_share_first,
    output.leader_share_last,
    output.leader_share_last - output.leader_share_first as leader_share_change,
    output.hhi_change,
    output.growth_leader,
    output.growth_rest,
    output.n_entrants_1pct,
    output.n_exits_1pct,
    output.entrants,
    output.exits,

    -- the world's exports of the stage
    trade.hhi_exports,
    trade.hhi_exports_peak,
    trade.hhi_exports_peak_year,

    -- what sources say of entry and transparency
    {%- for input in inputs %}
        {%- if input.startswith('has_') %}
            cited.{{ input }} = 1 as {{ input }},
        {%- else %}
            cited.{{ input }},
        {%- endif %}
        cited.{{ input }}_figure_id,
    {%- endfor %}

    -- the verdict, by thresholds that are judged
    case
        when output.leader_share_last - output.leader_share_first <= -{{ var('contestability_min_change') }}
            then 'opening'
        when output.leader_share_last - output.leader_share_first >= {{ var('contestability_min_change') }}
            then 'closing'
        when output.leader_share_last >= {{ var('contestability_entrenched_share') }} then 'entrenched'
        else 'spread'
    end as contestability,
    'modelled' as evidence_label
from output
cross join span
left join trade on output.mineral = trade.mineral and output.stage = trade.stage
left join cited on output.mineral = cited.mineral and output.stage = cited.stage
order by output.mineral, output.stage
