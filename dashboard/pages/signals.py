"""Signals: dated news of supply, how well each is supported, and whom it touches."""

import streamlit as st

from dashboard import filters, reading, show, words

ALL = "all"

show.title("Signals", "What is being reported, how well supported, and whom does it touch?")
importer = filters.importer()
signals = reading.rows(
    """
    select signal_date, subject, direction, signal_type, maturity, partner_iso3, mineral,
        evidence_label, importer_iso3, third_party_iso3, region, form, category, stage,
        organisations, age_days, promoted_event_id, source_chain, citation, note, signal_id
    from marts.supply_signals
    where importer_iso3 is null or importer_iso3 = $importer
    order by signal_date desc nulls last, signal_id
    """,
    importer=importer,
)
if show.empty(signals, f"signals for {words.country(importer)}"):
    st.stop()
direction = filters.choice("direction", "Direction", [ALL, *sorted(signals["direction"].unique())])
support = filters.choice(
    "support",
    "Support",
    [ALL, *(label for label in words.EVIDENCE if label in set(signals["evidence_label"]))],
    words=lambda label: words.EVIDENCE.get(label, label),
)
picked = signals[
    ((signals["direction"] == direction) | (direction == ALL))
    & ((signals["evidence_label"] == support) | (support == ALL))
]
st.caption("A signal never moves a portfolio: it is shown beside it.")
st.header("Reported", anchor=False)
if not show.empty(picked, "signals of this direction and support"):
    show.table(
        picked,
        "supply_signals",
        (),
        headings={"signal_date": "Day", "partner_iso3": "Partner", "third_party_iso3": "Turns on"},
        also=show.DOCUMENTS,
    )

    st.header("Markets that one signal affects", anchor=False)
    subjects = dict(zip(picked["signal_id"], picked["subject"], strict=True))
    signal = filters.choice("signal", "Signal", list(subjects), words=subjects.get)
    about = words.readable(picked[picked["signal_id"] == signal]).iloc[0]
    st.markdown(f"**{about['subject']}** {about['evidence_label']}. {about['citation']}")
    if isinstance(about["source_chain"], str):
        st.caption(f"On the word of: {about['source_chain']}")
    exposure = reading.rows(
        """
        select exporter_iso3, mineral, category, actual_share, import_share_latest,
            recommended_share, forward_rank, role, actor_world_share, headroom_qty_kg,
            is_named, has_event
        from marts.signal_exposure
        where signal_id = $signal and importer_iso3 = $importer
        order by is_named desc, actual_share desc nulls last, forward_rank nulls last,
            mineral, category, exporter_iso3
        """,
        signal=signal,
        importer=importer,
    )
    if not show.empty(exposure, f"markets of {words.country(importer)} that it touches"):
        show.table(
            exposure,
            "signal_exposure",
            headings={"actual_share": "Share of imports",
                      "import_share_latest": "in the last year",
                      "actor_world_share": "Share of the world's output",
                      "has_event": "Restriction in force", "is_named": "Named by the signal"},
            also=show.USGS,
        )  # fmt: skip
