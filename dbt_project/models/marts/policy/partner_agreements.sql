-- What binds the importer and each partner: the agreements of the register in which both are.

with parties as (

    select * from {{ ref('register_of_agreement_parties') }}

),

chosen as (

    select importer_iso3 from {{ importers() }}

)

select
    -- key
    chosen.importer_iso3,
    partners.country_iso3 as partner_iso3,
    agreements.agreement_id,

    -- what
    agreements.name,
    agreements.mode,
    agreements.scope,
    agreements.is_trade_agreement,
    own.role as importer_role,
    partners.role as partner_role,

    -- since when
    agreements.signed_date,
    agreements.in_force_date,
    agreements.date_precision,
    agreements.status,
    agreements.status_checked_date,

    -- who says so: the weakest label of the agreement and the two parties
    agreements.source_id,
    {{ citation() }} as citation,
    agreements.location,
    {{ weakest_of(['agreements.evidence_label', 'own.evidence_label', 'partners.evidence_label']) }}
        as evidence_label,
    agreements.note
from chosen
inner join parties as own on chosen.importer_iso3 = own.country_iso3
inner join parties as partners
    on own.agreement_id = partners.agreement_id and own.country_iso3 <> partners.country_iso3
inner join {{ ref('register_of_agreements') }} as agreements on own.agreement_id = agreements.agreement_id
inner join {{ ref('register_of_sources') }} as sources on agreements.source_id = sources.source_id
where
    agreements.hub_iso3 is null
    or agreements.hub_iso3 in (own.country_iso3, partners.country_iso3)
order by chosen.importer_iso3, partner_iso3, agreements.agreement_id
