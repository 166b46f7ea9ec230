-- The rules of `minerals hs check` that hold without the lists of HS codes, which are not in the
-- warehouse: only HS92 may have one here, the product table of BACI. A source that lists the codes it
-- trades and no others is no list. A code that is decided on in the revisions before and after one
-- exists in it too.
{{ config(meta={
    'description': 'HS codes of the mapping are six digits, exist, carry no stray spaces, and are decided on in every revision that has them.',
    'dagster': {'ref': {'name': 'dim_hs_code'}},
}) }}

with codes as (

    select * from {{ ref('dim_hs_code') }}

),

decided as (

    select
        *,
        -- HS92, 2012, 2017, 2022
        list_position(['H0', 'H4', 'H5', 'H6'], hs_revision) as place,
    from codes
    where scope <> 'unmapped'

),

badly_written as (

    select
        hs_revision,
        hs_code,
        'hs_code is not six digits: keep the leading zero, write text' as problem,
    from decided
    where not regexp_full_match(hs_code, '[0-9]{6}')

),

with_spaces as (

    select
        hs_revision,
        hs_code,
        'a text begins or ends with a space, or holds a non-breaking one' as problem,
    from decided
    where
        regexp_matches(
            concat_ws('|', mineral, category, commodity, mix_note, reason, ''),
            '(^|[|])[[:space:]]|[[:space:]]([|]|$)|\x{00A0}'
        )

),

not_in_the_list as (

    select
        hs_revision,
        hs_code,
        'there is no such code in HS92: look it up in the list of that revision' as problem,
    from decided
    where
        hs_revision = 'H0'
        and hs_description is null
        and (
            select count(codes.hs_description) from codes
            where codes.hs_revision = 'H0'
        ) > 4000

),

forgotten_in_hs92 as (

    select
        codes.hs_revision,
        codes.hs_code,
        'mapped in H4 and forgotten in H0: map it, or declare it out of scope' as problem,
    from codes
    inner join decided on codes.hs_code = decided.hs_code
    where
        codes.hs_revision = 'H0'
        and codes.scope = 'unmapped'
        and decided.hs_revision = 'H4'
        and decided.scope = 'mapped'

),

between_neighbours as (

    select
        hs_revision,
        hs_code,
        place,
        lead(place) over (partition by hs_code order by place) as next_place,
    from decided

),

forgotten_between as (

    select
        ['H0', 'H4', 'H5', 'H6'][place + 1] as hs_revision,
        hs_code,
        'decided on in an earlier and a later revision, forgotten here' as problem,
    from between_neighbours
    -- Not over a longer gap: 854800 of HS92 was deleted, and came back in 2022 with another meaning.
    where next_place = place + 2

)

select * from badly_written
union all
select * from with_spaces
union all
select * from not_in_the_list
union all
select * from forgotten_in_hs92
union all
select * from forgotten_between
order by hs_code, hs_revision, problem
