-- Which countries count under a scheme that asks where value comes from: the country itself, its trade
-- partners, those of a special agreement, and those it excludes.

with schemes as (

    select distinct
        scheme,
        jurisdiction_iso3
    from {{ ref('register_of_content_requirements') }}

),

partners as (

    select
        schemes.scheme,
        parties.country_iso3,
        bool_or(agreements.is_trade_agreement) as is_trade_agreement_partner,
        bool_or(not agreements.is_trade_agreement) as is_special_agreement,
        {{ joined('agreements.agreement_id') }} as agreement_ids,
        {{ weakest_label('parties.evidence_label') }} as evidence_label
    from schemes
    inner join {{ ref('register_of_agreements') }} as agreements
        on schemes.scheme = agreements.qualifying_scheme
    inner join {{ ref('register_of_agreement_parties') }} as parties
        on
            agreements.agreement_id = parties.agreement_id
            and schemes.jurisdiction_iso3 <> parties.country_iso3
    group by schemes.scheme, parties.country_iso3

),

excluded as (

    select
        actor_iso3,
        split(target_iso3, ';') as targets,
        any_value(evidence_label) as evidence_label
    from {{ ref('policy_events') }}
    where measure_type = 'origin_exclusion' and direction = 'restricts'
    group by actor_iso3, target_iso3

)

select
    -- key
    schemes.scheme,
    countries.country_iso3 as exporter_iso3,

    -- why it counts
    countries.country_iso3 = schemes.jurisdiction_iso3 as is_domestic,
    coalesce(partners.is_trade_agreement_partner, false) as is_trade_agreement_partner,
    coalesce(partners.is_special_agreement, false) as is_special_agreement,
    excluded.actor_iso3 is not null as is_excluded_entity_country,
    (countries.country_iso3 = schemes.jurisdiction_iso3 or partners.scheme is not null)
    and excluded.actor_iso3 is null as is_qualifying,
    partners.agreement_ids,

    -- who says so
    coalesce(excluded.evidence_label, partners.evidence_label, 'unverified') as evidence_label
from schemes
cross join {{ ref('dim_country') }} as countries
left join partners
    on schemes.scheme = partners.scheme and countries.country_iso3 = partners.country_iso3
left join excluded
    on
        schemes.jurisdiction_iso3 = excluded.actor_iso3
        and array_contains(excluded.targets, countries.country_iso3)
order by schemes.scheme, exporter_iso3
