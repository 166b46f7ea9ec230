select
    -- key
    indicator_id,

    -- as the study prints it
    table_order,
    study_name,
    study_type,
    study_source,
    reason,
    role_in_model,
    expected_sign,

    -- as it is here
    unit,
    our_source,
    our_difference
from {{ ref('study_variables') }}
order by table_order
