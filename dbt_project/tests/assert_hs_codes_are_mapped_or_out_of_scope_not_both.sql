-- A code in both seeds counts as out of scope, so the mapping would be ignored.
{{ config(meta={
    'description': 'No HS code is both mapped to a mineral and declared out of scope.',
    'dagster': {'ref': {'name': 'dim_hs_code'}},
}) }}

select
    mapped.hs_revision,
    mapped.hs_code,
    mapped.mineral,
    out_of_scope.commodity,
from {{ ref('hs_mineral_map') }} as mapped
inner join {{ ref('hs_out_of_scope') }} as out_of_scope
    on mapped.hs_revision = out_of_scope.hs_revision and mapped.hs_code = out_of_scope.hs_code
inner join {{ ref('dim_hs_code') }} as hs
    on mapped.hs_revision = hs.hs_revision and mapped.hs_code = hs.hs_code
order by mapped.hs_revision, mapped.hs_code
