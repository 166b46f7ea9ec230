-- One lookup from every code and name that a source uses to the country that it means, so that no
-- source needs a rule of its own. A code that is in here without a country is a partner that is
-- known not to be one; a code that is not in here at all is unknown, and an error.

with aliases as (

    select
        code_system,
        code,
        iso3 as country_iso3
    from {{ ref('country_aliases') }}

),

country_names as (

    select
        iso3 as country_iso3,
        name
    from {{ ref('countries') }}

),

non_countries as (

    select
        code_system,
        code,
        name,
        kind,
        nullif(treat_as_iso3, '') as treat_as_iso3
    from {{ ref('non_country_partners') }}

),

codes_of_countries as (

    select
        aliases.code_system,
        aliases.code,
        country_names.name,
        'country' as partner_kind,
        aliases.country_iso3
    from aliases
    left join country_names on aliases.country_iso3 = country_names.country_iso3

),

codes_of_non_countries as (

    select
        code_system,
        code,
        name,
        kind as partner_kind,
        case
            when {{ var('other_asia_is_taiwan') | lower }} and kind = 'other_asia_nes' then treat_as_iso3
        end as country_iso3
    from non_countries

)

select * from codes_of_countries
union all
select * from codes_of_non_countries
order by code_system, code
