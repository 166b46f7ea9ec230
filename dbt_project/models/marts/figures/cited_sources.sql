select
    source_id,
    author,
    title,
    year,
    url,
    licence,
    retrieved_at,
    note
from {{ ref('register_of_sources') }}
order by source_id
