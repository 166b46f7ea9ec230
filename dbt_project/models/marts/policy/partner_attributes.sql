-- Everything a diplomat asks of a partner, computed or cited, in one row. Figures are means of the
-- window, the logistics index the nearest year that has one. By default none of it moves a portfolio.

with chosen as (

    select importer_iso3 from {{ importers() }}

),

covariates as (

    select
        country_iso3,
        avg(wgi_average) as wgi_average,
        bool_or(is_imputed_wgi_average) as is_imputed_wgi_average,
        avg(access_to_electricity_pct) as access_to_electricity_pct,
        bool_or(is_imputed_access_to_electricity_pct) as is_imputed_access_to_electricity_pct,
        avg(fdi_pct_gdp) as fdi_pct_gdp,
        bool_or(is_imputed_fdi_pct_gdp) as is_imputed_fdi_pct_gdp
    from {{ ref('fct_country_covariates') }}
    group by country_iso3

),

agreements as (

    select
        importer_iso3,
        partner_iso3,
        count(*) as n_agreements,
        bool_or(scope = 'minerals' and mode = 'bilateral') as has_minerals_agreement,
        bool_or(is_trade_agreement) as has_trade_agreement,
        {{ joined('agreement_id') }} as agreement_ids
    from {{ ref('partner_agreements') }}
    where status in ('in_force', 'signed')
    group by importer_iso3, partner_iso3

),

restrictions as (

    select
        chosen.importer_iso3,
        events.actor_iso3,
        count(distinct events.mineral) as n_minerals_restricted,
        {{ joined('events.mineral', is_distinct=true) }} as minerals_restricted
    from chosen
    inner join {{ ref('policy_events') }} as events
        on
            events.is_supply_restriction
            and events.is_in_force
            and {{ is_aimed_at('chosen.importer_iso3') }}
    group by chosen.importer_iso3, events.actor_iso3

)

select
    -- key
    pairs.importer_iso3,
    pairs.exporter_iso3,
    countries.country_name as exporter_name,

    -- where
    countries.region,
    countries.income_group,
    pairs.distance_km,
    countries.is_landlocked,

    -- how it is governed
    covariates.wgi_average,
    attributes.wgi_control_of_corruption,
    attributes.wgi_government_effectiveness,
    attributes.wgi_political_stability,
    attributes.wgi_rule_of_law,
    attributes.wgi_regulatory_quality,
    attributes.wgi_voice_and_accountability,

    -- how well it trades and what it lives on
    attributes.logistics_performance_index,
    attributes.lpi_year,
    covariates.access_to_electricity_pct,
    covariates.fdi_pct_gdp,
    attributes.ores_metals_exports_pct_merchandise,

    -- how near it stands
    abs(attributes.ideal_point - own.ideal_point) as ideal_point_distance,
    coalesce(agreements.n_agreements, 0) as n_agreements,
    coalesce(agreements.has_minerals_agreement, false) as has_minerals_agreement,
    coalesce(agreements.has_trade_agreement, false) as has_trade_agreement,
    agreements.agreement_ids,

    -- what it restricts
    coalesce(restrictions.n_minerals_restricted, 0) as n_minerals_restricted,
    restrictions.minerals_restricted,

    -- what is filled in
    covariates.is_imputed_wgi_average,
    covariates.is_imputed_access_to_electricity_pct,
    covariates.is_imputed_fdi_pct_gdp
from chosen
inner join {{ ref('dim_country_pair') }} as pairs on chosen.importer_iso3 = pairs.importer_iso3
inner join {{ ref('dim_country') }} as countries on pairs.exporter_iso3 = countries.country_iso3
left join covariates on pairs.exporter_iso3 = covariates.country_iso3
left join {{ ref('int_country__attributes') }} as attributes on pairs.exporter_iso3 = attributes.country_iso3
left join {{ ref('int_country__attributes') }} as own on pairs.importer_iso3 = own.country_iso3
left join agreements
    on pairs.importer_iso3 = agreements.importer_iso3 and pairs.exporter_iso3 = agreements.partner_iso3
left join restrictions
    on pairs.importer_iso3 = restrictions.importer_iso3 and pairs.exporter_iso3 = restrictions.actor_iso3
order by pairs.importer_iso3, pairs.exporter_iso3
