-- Every cited figure beside what this release computes, and a verdict by rule. A row of the register
-- names a measure, which is a table expression below, and its parameters: mineral, stage, country,
-- partner, years. A measure of trade sums over the minerals of the row; stage gives the category.

with figures as (

    select
        *,
        coalesce(form, '') as form_or_none,
        split(mineral, ';') as minerals,
        case stage when 'mined' then 'ores' when 'refined' then 'products' when 'recycled' then 'scrap' end
            as category,
        case unit
            when 't' then 1e3 when 'kt' then 1e6 when 'Mt' then 1e9 when 'Mt REO' then 1e9
            when 'billion USD' then 1e9
            else 1
        end as units
    from {{ ref('register_of_figures') }}

),

shares as (

    select * from {{ ref('world_production_shares') }}

),

supply as (

    -- The year that is printed; of reserves, and where none is printed, the latest of each source.
    select
        figures.figure_id,
        figures.measure,
        figures.units,
        shares.source_dataset as dataset,
        shares.share,
        shares.world_rank,
        shares.quantity_kg
    from figures
    inner join shares
        on
            figures.mineral = shares.mineral
            and figures.form_or_none = shares.form
            and figures.stage = shares.stage
            and figures.country_iso3 = shares.country_iso3
            and (figures.year = shares.year or figures.year is null or figures.stage = 'reserves')
    where figures.measure in ('world_share', 'world_rank', 'world_quantity')
    qualify
        shares.year = max(shares.year) over (partition by figures.figure_id, shares.source_dataset)

),

figure_years as (

    {%- for year, is_base in [('year', false), ('base_year', true)] %}
        {{ 'union all' if not loop.first }}
        select
            figure_id,
            {{ is_base | lower }} as is_base,
            {{ year }},
            case when period_type = 'fiscal_ind' then 0.75 else 1.0 end as weight
        from figures
        where {{ year }} is not null
        union all
        select
            figure_id,
            {{ is_base | lower }} as is_base,
            {{ year }} + 1 as year,
            0.25 as weight
        from figures
        where {{ year }} is not null and period_type = 'fiscal_ind'
    {%- endfor %}

),

traded as (

    select
        figures.figure_id,
        figure_years.is_base,
        trade.importer_iso3,
        trade.exporter_iso3,
        sum(cast(figure_years.weight * trade.qty_kg as decimal(18, 4))) as qty_kg,
        sum(cast(figure_years.weight * trade.value_usd as decimal(18, 4))) as value_usd
    from figures
    inner join figure_years on figures.figure_id = figure_years.figure_id
    inner join {{ ref('fct_trade_flow') }} as trade
        on
            array_contains(figures.minerals, trade.mineral)
            and figures.category = trade.category
            and figure_years.year = trade.year
    where
        (figures.measure like 'import%' and figures.country_iso3 = trade.importer_iso3)
        or (
            (figures.measure like 'export%' or figures.measure = 'world_trade_value')
            and {{ is_world_trade('trade.hs_revision') }}
        )
    group by figures.figure_id, figure_years.is_base, trade.importer_iso3, trade.exporter_iso3

),

sums as (

    select
        figures.figure_id,
        traded.is_base,
        any_value(figures.measure) as measure,
        any_value(figures.units) as units,
        cast(sum(traded.qty_kg) as double) as all_qty_kg,
        cast(sum(traded.value_usd) as double) as all_value_usd,
        cast(
            sum(traded.qty_kg) filter (where figures.country_iso3 = traded.importer_iso3) as double
        ) as imports_kg,
        cast(sum(traded.qty_kg) filter (
            where figures.country_iso3 = traded.importer_iso3 and figures.partner_iso3 = traded.exporter_iso3
        ) as double) as from_partner_kg,
        cast(
            sum(traded.qty_kg) filter (where figures.country_iso3 = traded.exporter_iso3) as double
        ) as exports_kg,
        cast(sum(traded.value_usd) filter (
            where figures.country_iso3 = traded.exporter_iso3 and traded.qty_kg > 0
        ) as double) as priced_exports_usd
    from figures
    inner join traded on figures.figure_id = traded.figure_id
    group by figures.figure_id, traded.is_base

),

exporters as (

    select
        figure_id,
        is_base,
        exporter_iso3,
        cast(sum(qty_kg) as double) as qty_kg
    from traded
    group by figure_id, is_base, exporter_iso3

),

exporter_hhi as (

    select
        figure_id,
        is_base,
        {{ ordered_sum('qty_kg * qty_kg', 'exporter_iso3') }}
        / power({{ ordered_sum('qty_kg', 'exporter_iso3') }}, 2) as hhi
    from exporters
    group by figure_id, is_base

),

yearly_exports as (

    select
        figures.figure_id,
        trade.year,
        sum({{ grams('trade.qty_kg') }}) filter (where trade.exporter_iso3 = figures.country_iso3)
        / sum({{ grams('trade.qty_kg') }})
            as share
    from figures
    inner join {{ ref('fct_trade_flow') }} as trade
        on array_contains(figures.minerals, trade.mineral) and figures.category = trade.category
    where figures.measure = 'first_export_year' and {{ is_world_trade('trade.hs_revision') }}
    group by figures.figure_id, trade.year

),

panel as (

    select
        figures.figure_id,
        figures.measure,
        count(distinct panel.year) as n_years,
        sum(case figures.category
            when 'ores' then panel.ores_qty_kg
            when 'products' then panel.products_qty_kg
            when 'scrap' then panel.scrap_qty_kg
        end) / any_value(figures.units) as imports
    from figures
    inner join {{ ref('import_panel') }} as panel
        on
            figures.country_iso3 = panel.importer_iso3
            and panel.year between figures.base_year and figures.year
    where figures.measure in ('panel_imports', 'panel_years')
    group by figures.figure_id, figures.measure

),

parameters as (

    select
        figures.figure_id,
        (fit.bic - fit.aic) / (ln(fit.n_observations) - 2) as computed_value
    from figures
    inner join {{ ref('published_model_fit') }} as fit on figures.category = fit.category
    where figures.measure = 'published_parameters'

),

counts as (

    select
        'count_minerals' as measure,
        (select count(*) from {{ ref('minerals') }}) as computed_value
    union all
    select
        'count_published_places' as measure,
        (select count(*) from {{ ref('published_forward_ranking') }}) as computed_value
    union all
    select
        'count_published_countries' as measure,
        (select count(distinct country) from {{ ref('published_forward_ranking') }}) as computed_value

),

computed as (

    select
        figure_id,
        dataset,
        case measure
            when 'world_share' then share
            when 'world_rank' then world_rank
            when 'world_quantity' then quantity_kg / units
        end as computed_value
    from supply

    union all

    select
        sums.figure_id,
        'bilateral_trade' as dataset,
        case sums.measure
            when 'import_quantity' then sums.imports_kg / sums.units
            when 'import_growth' then sums.imports_kg / base.imports_kg - 1
            when 'import_partner_share' then sums.from_partner_kg / sums.imports_kg
            when 'import_partner_share_change'
                then sums.from_partner_kg / sums.imports_kg - base.from_partner_kg / base.imports_kg
            when 'export_change' then sums.exports_kg / base.exports_kg - 1
            when 'export_hhi_change' then exporter_hhi.hhi - base_hhi.hhi
            when 'export_unit_value_change'
                then
                    sums.priced_exports_usd / sums.exports_kg
                    / (base.priced_exports_usd / base.exports_kg)
                    - 1
            when 'world_trade_value' then sums.all_value_usd / sums.units
        end as computed_value
    from sums
    left join sums as base on sums.figure_id = base.figure_id and base.is_base
    left join exporter_hhi on sums.figure_id = exporter_hhi.figure_id and not exporter_hhi.is_base
    left join exporter_hhi as base_hhi on sums.figure_id = base_hhi.figure_id and base_hhi.is_base
    where not sums.is_base

    union all

    select
        figure_id,
        'bilateral_trade' as dataset,
        min(year) filter (where share >= 0.01) as computed_value
    from yearly_exports
    group by figure_id

    union all

    select
        figure_id,
        'import_panel' as dataset,
        case measure when 'panel_years' then n_years else imports end as computed_value
    from panel

    union all

    select
        figure_id,
        'seeds' as dataset,
        computed_value
    from parameters

    union all

    select
        figures.figure_id,
        'seeds' as dataset,
        counts.computed_value
    from figures
    inner join counts on figures.measure = counts.measure

),

compared as (

    select
        figures.*,
        coalesce(computed.dataset, '') as dataset,
        computed.computed_value,
        case when figures.qualifier not in ('word', 'range') then computed.computed_value - figures.value end
            as difference,
        -- How far off may be called the same, and near: points for growth rates, years for dates, else
        -- parts of the value.
        case
            when figures.unit = 'growth_share' then 0.02
            when figures.unit = 'year' then 0.5
            else greatest(0.05 * abs(figures.value), coalesce(figures.printed_precision / 2, 0))
        end as tolerance,
        case
            when figures.unit = 'growth_share' then 0.05
            when figures.unit = 'year' then 2
            else 0.15 * abs(figures.value)
        end as near_tolerance,
        case figures.qualifier
            when 'at_least' then computed.computed_value >= figures.value
            when 'at_most' then computed.computed_value <= figures.value
            when 'range' then computed.computed_value between figures.value_low and figures.value_high
            when 'word' then sign(computed.computed_value) = sign(figures.value)
            -- 1e-9: a difference of just half a digit is not lost to binary fractions.
            else abs(computed.computed_value - figures.value) <= tolerance + 1e-9
        end as agrees
    from figures
    left join computed
        on figures.figure_id = computed.figure_id and computed.computed_value is not null

)

select
    -- key
    figure_id,
    dataset,

    -- what is cited
    source_id,
    subject,
    mineral,
    country_iso3,
    as_printed,
    value as cited_value,
    value_low as cited_low,
    value_high as cited_high,
    qualifier,
    evidence_label as cited_evidence_label,

    -- what is computed
    computed_value,
    case when computed_value is not null then 'computed' end as computed_evidence_label,
    unit,
    difference,
    difference / nullif(abs(value), 0) as relative_difference,
    case
        when computed_value is null then 'not_computable'
        when agrees then 'agrees'
        when edition < dataset and dataset like 'usgs_mcs_%' then 'superseded'
        when abs(difference) <= near_tolerance + 1e-9 and qualifier in ('exact', 'about', 'projection')
            then 'near'
        else 'differs'
    end as verdict,
    case
        when verdict = 'superseded' then 'The source used ' || edition || '; ' || dataset || ' is newer. '
        else ''
    end || coalesce(explanation, '') as explanation,
    measure as sql_name,
    band_low,
    band_high
from compared
order by figure_id, dataset
