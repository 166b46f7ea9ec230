-- How concentrated each stage is. The rest of the world is in the total but in no square, so the HHI
-- is a lower bound where a source has a rest, or where a country's figure is withheld or missing.

with supply as (

    select * from {{ ref('fct_world_supply') }}

),

shares as (

    select
        mineral,
        form,
        stage,
        year,
        source_dataset,
        country_iso3,
        country_name,
        share,
        row_number() over (
            partition by mineral, form, stage, year, source_dataset
            order by share desc nulls last, country_iso3 asc
        ) as place
    from {{ ref('world_production_shares') }}

),

governance as (

    -- (2.5 - WGI) / 5, held within 0 and 1; the mean over the years.
    select
        country_iso3,
        least(greatest((2.5 - avg(wgi_average)) / 5, 0), 1) as governance_risk
    from {{ ref('fct_country_covariates') }}
    group by country_iso3

),

sources as (

    select
        mineral,
        form,
        stage,
        year,
        source_dataset,
        any_value(unit) as unit,
        sum(quantity) filter (where area <> 'world') as world_total,
        max(quantity) filter (where area = 'world') as printed_world_total,
        coalesce(sum(quantity) filter (where area = 'rest'), 0) as rest,
        count(*) filter (where area = 'country' and has_no_figure) as n_without_figure,
        {{ joined('country_iso3') }}
        filter (where area = 'country' and has_no_figure) as without_figure,
        bool_or(is_estimated) as is_estimated
    from supply
    group by mineral, form, stage, year, source_dataset

),

concentration as (

    select
        shares.mineral,
        shares.form,
        shares.stage,
        shares.year,
        shares.source_dataset,
        sum(shares.share * shares.share) as hhi,
        sum(shares.share * shares.share * governance.governance_risk) as hhi_governance,
        max(case when shares.place = 1 then shares.country_iso3 end) as top1_iso3,
        max(case when shares.place = 1 then shares.country_name end) as top1_country,
        max(shares.share) as top1_share,
        sum(shares.share) filter (where shares.place <= 3) as top3_share,
        count(*) filter (where shares.share > 0) as n_producers,
        count(*) filter (where shares.share >= 0.01) as n_above_1pct
    from shares
    left join governance on shares.country_iso3 = governance.country_iso3
    group by shares.mineral, shares.form, shares.stage, shares.year, shares.source_dataset

)

select
    -- key
    concentration.mineral,
    concentration.form,
    concentration.stage,
    concentration.year,
    concentration.source_dataset,

    -- concentration
    concentration.hhi,
    sources.rest > 0 or sources.n_without_figure > 0 as hhi_is_lower_bound,
    concentration.hhi_governance,
    concentration.top1_iso3,
    concentration.top1_country,
    concentration.top1_share,
    concentration.top3_share,
    concentration.n_producers,
    concentration.n_above_1pct,

    -- what it is computed from
    sources.world_total,
    sources.printed_world_total,
    sources.unit,
    sources.rest / nullif(sources.world_total, 0) as rest_share,
    sources.n_without_figure,
    'no figure for ' || sources.without_figure as withheld_note,
    sources.is_estimated,
    'computed' as evidence_label
from concentration
inner join sources
    on
        concentration.mineral = sources.mineral
        and concentration.form = sources.form
        and concentration.stage = sources.stage
        and concentration.year = sources.year
        and concentration.source_dataset = sources.source_dataset
where concentration.hhi is not null
order by
    concentration.mineral,
    concentration.form,
    concentration.stage,
    concentration.year,
    concentration.source_dataset
