-- The rules of `minerals hs check` that hold without the lists of HS codes, which are not in the
-- warehouse: only HS92 may have one here, the product table of BACI (UN Comtrade's lists the codes that
-- are traded and no others). A code that the revisions before and after one decide on exists in it too.
{{ config(meta={
    'description': 'HS codes exist, are either mapped or out of scope, in every revision that has them, without stray spaces.',
    'dagster': {'ref': {'name': 'dim_hs_code'}}
}) }}

with codes as (

    select * from {{ ref('dim_hs_code') }}

),

decided as (

    select
        *,
        -- HS92, 2012, 2017, 2022
        case hs_revision when 'H0' then 1 when 'H4' then 2 when 'H5' then 3 when 'H6' then 4 end as place,
        lead(hs_revision) over (partition by hs_code order by hs_revision) as next_revision
    from codes
    where scope <> 'unmapped'

)

select
    'a text begins or ends with a space, or holds a non-breaking one' as problem,
    hs_revision,
    hs_code
from decided
where
    {{ matches(
        "concat_ws('|', mineral, category, commodity, mix_note, reason, '')",
        '(.*[|])?\\s.*|.*\\s([|].*)?|.*\\x{00A0}.*'
    ) }}
union all
-- The mapping would be ignored.
select
    'both mapped (' || mineral || ') and out of scope (' || commodity || '): delete one row' as problem,
    hs_revision,
    hs_code
from decided
where scope = 'out_of_scope' and mineral is not null
union all
select
    'there is no such code in HS92: look it up in the list of that revision' as problem,
    hs_revision,
    hs_code
from decided
where
    hs_revision = 'H0'
    and hs_description is null
    and (select count(codes.hs_description) filter (where codes.hs_revision = 'H0') from codes) > 4000
union all
select
    'mapped in H4 and forgotten in H0: map it, or declare it out of scope' as problem,
    codes.hs_revision,
    codes.hs_code
from codes
inner join decided on codes.hs_code = decided.hs_code
where
    codes.hs_revision = 'H0'
    and codes.scope = 'unmapped'
    and decided.hs_revision = 'H4'
    and decided.scope = 'mapped'
union all
-- Not over a longer gap: 854800 of HS92 was deleted, and came back in 2022 with another meaning.
select
    'decided on in an earlier and a later revision, forgotten here' as problem,
    case hs_revision when 'H0' then 'H4' else 'H5' end as hs_revision,
    hs_code
from decided
where (hs_revision, next_revision) in (('H0', 'H5'), ('H4', 'H6'))
order by hs_code, hs_revision, problem
