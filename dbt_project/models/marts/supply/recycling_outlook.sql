-- What recycling could save of primary supply: one printed range for several minerals together, which is
-- not split, beside the importer's purchases of scrap.

with ranges as (

    select
        figure_id,
        {{ unnested("split(mineral, ';')") }} as mineral,
        year,
        value_low,
        value_high,
        cardinality(split(mineral, ';')) as n_minerals,
        as_printed,
        source_id,
        citation,
        evidence_label,
        note
    from {{ ref('cited_figures') }}
    where stage = 'recycled' and unit = 'share of primary supply'

),

reported as (

    select
        importer_iso3,
        count(*) as n_years
    from {{ reported_years() }}
    where year between {{ var('first_year') }} and {{ var('last_year') }}
    group by importer_iso3

),

scrap as (

    -- A market without a line in the trade data has no figure, which is not zero.
    select
        trade.importer_iso3,
        trade.mineral,
        sum(trade.qty_kg) / any_value(reported.n_years) as qty_kg
    from {{ ref('fct_trade_flow') }} as trade
    inner join reported on trade.importer_iso3 = reported.importer_iso3
    where
        trade.category = 'scrap'
        and trade.year between {{ var('first_year') }} and {{ var('last_year') }}
        and trade.importer_iso3 <> trade.exporter_iso3
    group by trade.importer_iso3, trade.mineral

)

select
    chosen.importer_iso3,
    ranges.mineral,
    ranges.year,
    ranges.value_low as primary_saved_low,
    ranges.value_high as primary_saved_high,
    'one range for ' || ranges.n_minerals || ' minerals together' as basis,
    ranges.as_printed,
    scrap.qty_kg as scrap_imports_qty_kg,
    ranges.figure_id,
    ranges.source_id,
    ranges.citation,
    ranges.evidence_label,
    ranges.note
from ranges
cross join {{ importers() }} as chosen
left join scrap on chosen.importer_iso3 = scrap.importer_iso3 and ranges.mineral = scrap.mineral
order by chosen.importer_iso3, ranges.mineral, ranges.year
