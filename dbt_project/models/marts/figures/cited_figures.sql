-- What the sources print, each figure with its citation. Nothing here is computed.

with figures as (

    select * from {{ ref('register_of_figures') }}

),

sources as (

    select * from {{ ref('register_of_sources') }}

)

select
    -- key
    figures.figure_id,

    -- where it is printed
    figures.source_id,
    {{ citation() }} as citation,
    figures.location,

    -- what it is of
    figures.subject,
    figures.mineral,
    coalesce(figures.form, '') as form,
    figures.stage,
    figures.country_iso3,
    figures.partner_iso3,
    figures.year,
    figures.base_year,
    figures.period_type,

    -- the figure
    figures.value,
    figures.value_low,
    figures.value_high,
    figures.unit,
    figures.qualifier,
    figures.as_printed,

    -- how well it is supported
    figures.cited_source,
    figures.edition,
    figures.evidence_label,
    figures.note
from figures
inner join sources on figures.source_id = sources.source_id
order by figures.figure_id
