-- The thresholds of schemes that ask where value comes from, with their present status.

select
    requirements.scheme,
    requirements.content,
    requirements.year_from,
    requirements.jurisdiction_iso3,
    requirements.threshold_share,
    requirements.basis,
    requirements.is_open_ended,
    requirements.status,
    requirements.status_date,
    requirements.source_id,
    {{ citation() }} as citation,
    requirements.location,
    requirements.cited_source,
    requirements.evidence_label,
    requirements.note
from {{ ref('register_of_content_requirements') }} as requirements
inner join {{ ref('register_of_sources') }} as sources on requirements.source_id = sources.source_id
order by requirements.scheme, requirements.content, requirements.year_from
