-- Dated news of supply, with its citation. A signal moves nothing; the event that it is promoted to does.

select
    signals.signal_id,
    signals.signal_date,
    signals.date_precision,
    {{ days_between('signals.signal_date', as_of()) }} as age_days,
    signals.subject,
    signals.signal_type,
    signals.direction,
    signals.importer_iso3,
    signals.partner_iso3,
    signals.third_party_iso3,
    signals.region,
    signals.mineral,
    signals.form,
    signals.category,
    signals.stage,
    signals.organisations,
    signals.maturity,
    signals.figure_ids,
    signals.source_id,
    {{ citation() }} as citation,
    signals.source_chain,
    signals.evidence_label,
    signals.promoted_event_id,
    signals.note
from {{ ref('register_of_signals') }} as signals
inner join {{ ref('register_of_sources') }} as sources on signals.source_id = sources.source_id
order by signals.signal_id
