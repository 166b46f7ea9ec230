{%- set is_live = var('profile') == 'live' %}
{%- set crosses_2022 = is_live and var('first_year') | int < 2022 <= var('last_year') | int %}
{%- set group_before_2022 = 'Gallium, Germanium, Hafnium, Indium, Niobium, Rhenium and Vanadium' %}
-- HS 2022 took hafnium and rhenium out of the line of several metals, 811292. In a window with years
-- before and after, all of these lines are the group that they were before: otherwise its trade would
-- move from one mineral to others in 2022.
with reference_codes as (

    select
        hs_revision,
        hs_code,
        hs_description
    from {{ trade_product() }}

),

mapped_codes as (

    select
        hs_revision,
        hs_code,
        {%- if crosses_2022 %}
            case
                when hs_revision = 'H6' and {{ matches('hs_code', '8112(31|39|41|49|92|99)') }}
                    then '{{ group_before_2022 }}'
                else mineral
            end as mineral,
        {%- else %}
            mineral,
        {%- endif %}
        category,
        is_mixed,
        nullif(mix_note, '') as mix_note,
        nullif(reason, '') as reason
    from {{ ref('hs_mineral_map') }}

),

out_of_scope_codes as (

    select
        hs_revision,
        hs_code,
        commodity,
        nullif(reason, '') as reason
    from {{ ref('hs_out_of_scope') }}

),

traded_codes as (

    select distinct
        hs_revision,
        hs_code
    from {{ trade_flow() }}

),

all_codes as (

    select
        hs_revision,
        hs_code
    from reference_codes
    union
    select
        hs_revision,
        hs_code
    from mapped_codes
    union
    select
        hs_revision,
        hs_code
    from out_of_scope_codes
    union
    select
        hs_revision,
        hs_code
    from traded_codes

)

select
    -- key
    all_codes.hs_revision,
    all_codes.hs_code,
    reference_codes.hs_description,

    -- what it means here: a code that is out of scope stays so, also where a row maps it
    case
        when out_of_scope_codes.hs_code is not null then 'out_of_scope'
        when mapped_codes.hs_code is not null then 'mapped'
        else 'unmapped'
    end as scope,
    mapped_codes.mineral,
    mapped_codes.category,
    mapped_codes.is_mixed,
    mapped_codes.mix_note,
    out_of_scope_codes.commodity,
    coalesce(out_of_scope_codes.reason, mapped_codes.reason) as reason,

    -- coverage
    traded_codes.hs_code is not null as has_trade
from all_codes
left join reference_codes
    on all_codes.hs_revision = reference_codes.hs_revision and all_codes.hs_code = reference_codes.hs_code
left join mapped_codes
    on all_codes.hs_revision = mapped_codes.hs_revision and all_codes.hs_code = mapped_codes.hs_code
left join out_of_scope_codes
    on
        all_codes.hs_revision = out_of_scope_codes.hs_revision
        and all_codes.hs_code = out_of_scope_codes.hs_code
left join traded_codes
    on all_codes.hs_revision = traded_codes.hs_revision and all_codes.hs_code = traded_codes.hs_code
order by all_codes.hs_revision, all_codes.hs_code
