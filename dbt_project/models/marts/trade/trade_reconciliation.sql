-- The same flow by two providers, side by side: BACI, which the panel is built from, and the imports
-- as reported to UN Comtrade. The partner WLD compares Comtrade's World row with the sum of partners
-- on either side. In the live profile the panel is built from those very reports, and there is nothing
-- to compare.

with reported as (

    select
        year,
        importer_code,
        exporter_code,
        hs_revision,
        hs_code,
        value_usd,
        net_weight_kg
    from {{ ref('stg_comtrade__reported_flow') }}
    where
        flow_code = 'M'
        and second_partner_code = '0'
        and customs_code = 'C00'
        and transport_code = '0'
        and length(hs_code) = 6
        and '{{ var("profile") }}' <> 'live'

),

partner as (

    select
        code,
        country_iso3,
        partner_kind
    from {{ ref('int_country_code__resolved') }}
    where code_system = 'comtrade'

),

comtrade_flow as (

    select
        importer.country_iso3 as importer_iso3,
        case
            when exporter.partner_kind = 'world' then 'WLD'
            else coalesce(exporter.country_iso3, 'not a country')
        end as exporter_iso3,
        reported.hs_code,
        reported.year,
        any_value(reported.hs_revision) as comtrade_hs_revision,
        cast(sum(reported.value_usd) as double) as comtrade_value_usd,
        cast(sum({{ grams('reported.net_weight_kg') }}) as double) as comtrade_qty_kg
    from reported
    left join partner as importer on reported.importer_code = importer.code
    left join partner as exporter on reported.exporter_code = exporter.code
    where importer.country_iso3 is not null
    group by all

),

covered as (

    -- Who and when is in the file at all: elsewhere an absent row says nothing.
    select distinct
        importer_iso3,
        hs_code,
        year,
        comtrade_hs_revision
    from comtrade_flow

),

comtrade_partners as (

    select
        importer_iso3,
        hs_code,
        year,
        -- decimals: of doubles, the order in which threads add them shows in the last digits
        cast(sum(cast(comtrade_value_usd as decimal(18, 3))) as double) as partners_value_usd
    from comtrade_flow
    where exporter_iso3 <> 'WLD'
    group by importer_iso3, hs_code, year

),

baci_flow as (

    select
        classified.importer_iso3,
        coalesce(classified.exporter_iso3, 'not a country') as exporter_iso3,
        classified.hs_code,
        classified.year,
        cast(sum(classified.value_usd) as double) as baci_value_usd,
        cast(sum({{ grams('classified.reported_qty_kg') }}) as double) as baci_qty_kg
    from {{ ref('int_trade_flow__classified') }} as classified
    semi join covered
        on
            classified.importer_iso3 = covered.importer_iso3
            and classified.hs_code = covered.hs_code
            and classified.year = covered.year
    -- Other revisions are of the file itself, where it completes the bundle.
    where classified.hs_revision = 'H0'
    group by all

),

baci_with_world as (

    select * from baci_flow
    union all
    select
        importer_iso3,
        'WLD' as exporter_iso3,
        hs_code,
        year,
        cast(sum(cast(baci_value_usd as decimal(18, 3))) as double) as baci_value_usd,
        cast(sum({{ grams('baci_qty_kg') }}) as double) as baci_qty_kg
    from baci_flow
    group by importer_iso3, hs_code, year

),

code_in_baci as (

    select
        hs_code,
        mineral,
        category,
        scope,
        has_trade
    from {{ ref('dim_hs_code') }}
    where hs_revision = 'H0'

),

paired as (

    select
        coalesce(baci.importer_iso3, comtrade.importer_iso3) as importer_iso3,
        coalesce(baci.exporter_iso3, comtrade.exporter_iso3) as exporter_iso3,
        coalesce(baci.hs_code, comtrade.hs_code) as hs_code,
        coalesce(baci.year, comtrade.year) as year,
        baci.baci_value_usd,
        comtrade.comtrade_value_usd,
        baci.baci_qty_kg,
        comtrade.comtrade_qty_kg
    from baci_with_world as baci
    full outer join comtrade_flow as comtrade
        on
            baci.importer_iso3 = comtrade.importer_iso3
            and baci.exporter_iso3 = comtrade.exporter_iso3
            and baci.hs_code = comtrade.hs_code
            and baci.year = comtrade.year

),

described as (

    select
        paired.*,
        covered.comtrade_hs_revision,
        comtrade_code.mineral,
        comtrade_code.category,
        comtrade_code.scope as comtrade_scope,
        code_in_baci.scope as baci_scope,
        coalesce(code_in_baci.has_trade, false) as is_in_baci_extract,
        coalesce(code_in_baci.mineral, '') = coalesce(comtrade_code.mineral, '')
        and coalesce(code_in_baci.category, '') = coalesce(comtrade_code.category, '') as is_same_meaning,
        case
            when paired.exporter_iso3 = 'WLD'
                then comtrade_partners.partners_value_usd / nullif(paired.comtrade_value_usd, 0)
        end as partners_to_world_ratio,
        paired.comtrade_value_usd / nullif(paired.baci_value_usd, 0) as value_ratio,
        paired.comtrade_qty_kg / nullif(paired.baci_qty_kg, 0) as qty_ratio
    from paired
    inner join covered
        on
            paired.importer_iso3 = covered.importer_iso3
            and paired.hs_code = covered.hs_code
            and paired.year = covered.year
    left join comtrade_partners
        on
            paired.importer_iso3 = comtrade_partners.importer_iso3
            and paired.hs_code = comtrade_partners.hs_code
            and paired.year = comtrade_partners.year
    left join code_in_baci on paired.hs_code = code_in_baci.hs_code
    left join {{ ref('dim_hs_code') }} as comtrade_code
        on
            covered.comtrade_hs_revision = comtrade_code.hs_revision
            and paired.hs_code = comtrade_code.hs_code

)

select
    -- key
    importer_iso3,
    exporter_iso3,
    hs_code,
    year,

    -- what the code is, in the revision of the report
    comtrade_hs_revision,
    mineral,
    category,

    -- both sides
    baci_value_usd,
    comtrade_value_usd,
    value_ratio,
    baci_qty_kg,
    comtrade_qty_kg,
    qty_ratio,
    partners_to_world_ratio,

    -- why they differ
    case
        when not is_in_baci_extract then 'code not in the BACI extract'
        when not is_same_meaning then 'revision: the code means something else in HS 1992'
        when exporter_iso3 = 'not a country' then 'partner not a country: BACI reassigns such trade'
        when baci_value_usd is null then 'reported to UN Comtrade only'
        when comtrade_value_usd is null then 'in BACI only: the exporter reported it'
        when value_ratio between 0.98 and 1.02 and coalesce(qty_ratio, 1) between 0.98 and 1.02 then 'agrees'
        when value_ratio between 0.98 and 1.02 then 'weight differs: BACI weighs the reports of both sides'
        when value_ratio between 1.02 and 1.25 and coalesce(qty_ratio, 1) between 0.8 and 1.25
            then 'valuation: CIF against FOB'
        when qty_ratio between 0.8 and 1.25 then 'value differs: BACI weighs the reports of both sides'
        else 'unexplained'
    end as difference
from described
order by importer_iso3, hs_code, year, exporter_iso3
