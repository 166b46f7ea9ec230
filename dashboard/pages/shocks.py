"""Shocks and policy events: what is lost without the suppliers that the reader picks, in the
standing cases, and under the measures of other countries; and what past measures did."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words
from minerals.sourcing.shocks import losses

SHOWN = 15
ALL = 0.995  # of the loss: shown as 100%
STATES = ["others can replace all of it", "others can replace a part"]
KINDS = {
    "largest_supplier": "Largest supplier",
    "partner": "One of the ten largest",
    "event": "A decreed restriction",
}
HEADINGS = {"lost_qty_kg": "Lost a year (t)", "shock": "Loss"}

show.title(
    "Shocks and policy events",
    "What would a loss, ban, quota or licence cost us, and what did past ones do?",
)
importer = filters.importer()
partners = reading.rows(
    """
    select category, mineral, exporter_iso3, importer_iso3, forward_rank, annual_qty_kg,
        headroom_qty_kg, actual_share, model_share, doubtful_qty_kg, n_unknown_qty
    from marts.portfolio_partners
    where importer_iso3 = $importer
    order by category, mineral, forward_rank
    """,
    importer=importer,
)
sellers = reading.sellers(importer)
supplied = partners[partners["annual_qty_kg"] > 0]
if show.empty(supplied, f"imports of {words.country(importer)} with a known quantity"):
    st.stop()
supplies = sorted(supplied["exporter_iso3"].unique(), key=words.country)
largest = [iso3 for iso3 in sellers["exporter_iso3"] if iso3 in supplies]
lost = filters.choices(
    "lose",
    "Suppliers to lose (up to five)",
    supplies,
    largest[:1],
    words.country,
    gives_way=True,
)
without = ", ".join(words.country(iso3) for iso3 in lost) or "nobody"
of_lost = partners[partners["exporter_iso3"].isin(lost)]
doubtful = of_lost[of_lost["doubtful_qty_kg"] > 0].groupby(["mineral", "category"]).size()
hit = losses(partners, lost)[[
    "mineral", "category", "lost_share", "lost_qty_kg", "replaceable_share", "next_best",
    "n_candidates_left", "hhi_before", "hhi_after",
]]  # fmt: skip
hit["is_doubtful"] = hit.set_index(["mineral", "category"]).index.isin(doubtful.index)

st.markdown("Below: [measures of other countries](#measures), [what past measures did](#past).")
st.header(f"{words.country(importer)} without {without}", anchor=False)
if hit.empty:
    st.info("Nothing of known quantity is lost. Pick the suppliers to lose in the side bar.")
else:
    short = hit[hit["replaceable_share"] < ALL]
    value = sellers[sellers["exporter_iso3"].isin(lost)]
    show.tiles(
        {
            "Markets hit": (
                f"{len(hit)} of {partners.groupby(['mineral', 'category']).ngroups}",
                "Minerals and categories that lose a known quantity.",
            ),
            "More than half lost": (
                str((hit["lost_share"] > 0.5).sum()),
                "Markets that lose more than half of their imports.",
            ),
            "Not all replaceable": (
                f"{len(short)} of {len(hit)}",
                "Markets where the other candidates' headroom is less than the loss.",
            ),
            f"Bought from them in {sellers['year'].max()}": (
                words.amount(value["value_usd"].sum(), "USD"),
                "Value of all critical minerals, in the last year of trade.",
            ),
        }
    )
    top = hit.head(SHOWN)
    shown = words.readable(top)
    shown["market"] = words.markets(shown)
    is_replaceable = shown["replaceable_share"] >= ALL
    shown["state"] = is_replaceable.map(dict(zip((True, False), STATES, strict=True)))
    figure = shown["lost_share"].map("{:.1%}".format)
    part = ", " + shown["replaceable_share"].map(words.percent) + " of it replaceable"
    shown["figure"] = figure.where(is_replaceable, figure + part)
    bar = alt.Chart(shown, height=show.height(len(shown))).encode(
        alt.X(
            "lost_share:Q",
            title="Share of the imports that is lost",
            axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
            scale=alt.Scale(domain=[0, 1.2]),
        ),
        alt.Y("market:N", title=None, sort=None),
    )
    show.chart(
        bar.mark_bar().encode(
            show.colour("state", STATES, [show.COLOURS[0], show.COLOURS[4]]),
            tooltip=show.tips("market", "figure", "next_best"),
        )
        + bar.mark_text(align="left", dx=4).encode(alt.Text("figure:N")),
        top,
        "hardest_hit",
        f"Share lost in the {len(top)} markets hit hardest without {without}",
    )
    show.table(
        hit,
        "losses",
        headings=HEADINGS,
        doubtful="is_doubtful",
    )
    show.sanctions(importer)
    unknown = of_lost[(of_lost["n_unknown_qty"] > 0) & ~(of_lost["annual_qty_kg"] > 0)]
    further = {(m, c) for m, c in zip(unknown["mineral"], unknown["category"], strict=True)} - {
        (m, c) for m, c in zip(hit["mineral"], hit["category"], strict=True)
    }
    st.caption(
        "Computed now from the published portfolio: the loss is shared among the other candidates "
        "in proportion to what the model expects of each, within its headroom. Trade without a "
        f"known quantity is left out: in {len(further)} further markets all of it is."
    )

st.header("Standing cases", anchor=False)
st.markdown("The same, computed with each release for a fixed list of losses.")
kind = filters.choice("kind", "Standing cases", list(KINDS), words=KINDS.__getitem__)
standing = reading.rows(
    """
    select shock, mineral, category, lost_share, lost_qty_kg, replaceable_share, next_best,
        hhi_before, hhi_after, event_date, event_source
    from marts.portfolio_shocks
    where importer_iso3 = $importer and shock_kind = $kind
    order by lost_share desc nulls last, shock, mineral, category
    """,
    importer=importer,
    kind=kind,
)
if kind != "event":
    standing = standing.drop(columns=["event_date", "event_source"])
if not show.empty(standing, f"{KINDS[kind]}, {words.country(importer)}"):
    show.table(standing, "standing_shocks", headings=HEADINGS)

st.header("Measures of other countries", anchor="measures")
exposure = reading.rows(
    """
    select event, x.mineral, x.category, lost_share_full, lost_share_expected, exposure_basis,
        x.severity, x.severity_label, x.measure_type, x.is_in_force, x.actor_iso3,
        import_share_window, import_share_latest, replaceable_share, next_best, x.evidence_label,
        e.from_date, e.status, e.status_checked_date, e.is_status_outdated, e.instrument,
        e.citation, event_id, e.as_of_date
    from marts.policy_event_exposure as x
    inner join marts.policy_events as e using (event_id, mineral, category, event)
    where importer_iso3 = $importer and e.actor_iso3 = x.actor_iso3
    order by lost_share_expected desc nulls last, lost_share_full desc nulls last, event,
        mineral, category
    """,
    importer=importer,
)
if not show.empty(exposure, f"measures that touch {words.country(importer)}"):
    in_force = filters.choice("measures", "Measures", ["in force", "all"])
    touching = exposure if in_force == "all" else exposure[exposure["is_in_force"]]
    show.table(
        touching.drop(columns=["event_id", "as_of_date"]),
        "policy_event_exposure",
        headings={"actor_iso3": "By", "lost_share_full": "Lost if supply stops",
                  "lost_share_expected": "Lost as judged", "exposure_basis": "Measured by",
                  "severity": "Severity, judged", "severity_label": "Support of the severity",
                  "import_share_window": "Share of imports", "from_date": "From",
                  "import_share_latest": "in the last year", "is_status_outdated": "Look again",
                  **HEADINGS},
        also=show.USGS,
    )  # fmt: skip
    st.caption(
        f"In force on {exposure['as_of_date'].iloc[0]:%d %B %Y}. Lost as judged is the full loss "
        "times a severity that an analyst judged by the kind of measure: it is not computed from "
        "trade. Where a market has no trade data, the share of world output stands in."
    )

events = reading.rows(
    """
    select event, event_id, actor_iso3, measure_type, direction, is_in_force,
        min(from_date) as from_date,
        coalesce(
            max(end_date), max(as_of_date) filter (where is_in_force), min(from_date)
        ) as until_date,
        max(end_date) as end_date, any_value(status) as status,
        string_agg(distinct mineral, ', ' order by mineral) as minerals,
        any_value(evidence_label) as evidence_label, any_value(citation) as citation
    from marts.policy_events
    where from_date is not null and direction = 'restricts'
    group by all
    order by from_date, event
    """
)
if not show.empty(events, "dated measures"):
    shown = words.readable(events)
    shown["state"] = shown["is_in_force"].map({True: "in force", False: "not in force"})
    base = alt.Chart(shown, height=show.height(shown["event"].nunique(), 20))
    show.chart(
        base.mark_bar(height=9, cornerRadius=2).encode(
            alt.X("from_date:T", title=None),
            alt.X2("until_date:T"),
            alt.Y("event:N", title=None, sort=None,
                  axis=alt.Axis(labelLimit=420, labelOverlap=False)),
            show.colour("measure_type", columns=4),
            alt.Opacity("state:N", title=None, scale=alt.Scale(
                domain=["in force", "not in force"], range=[1, 0.4]), legend=None),
            tooltip=show.tips("event", "actor_iso3", "minerals", "measure_type", "status",
                              "from_date", "end_date", "evidence_label"),
        )
        + base.mark_tick(thickness=3, height=14).encode(
            alt.X("from_date:T"), alt.Y("event:N", sort=None), alt.Color("measure_type:N")
        ),
        events,
        "policy_timeline",
        f"Timeline of {len(events)} restrictions, by measure",
        (),
        show.DOCUMENTS,
    )  # fmt: skip
    st.caption(
        "Restrictions by the day from which they hold. Pale: not in force. A mark without a bar: "
        "not in force, and its last day is not recorded."
    )

st.header("What past measures did", anchor="past")
with_effects = reading.rows(
    """
    select event_id, any_value(event) as event, min(from_date) as from_date
    from marts.policy_event_effects
    inner join marts.policy_events using (event_id, mineral, category)
    group by event_id
    order by from_date, event_id
    """
)
if not show.empty(with_effects, "exports before and after measures"):
    of_event = dict(zip(with_effects["event_id"], with_effects["event"], strict=True))
    event = filters.choice("event", "Past measure to look at", list(of_event), words=of_event.get)
    effects = reading.rows(
        """
        select mineral, category, hs_code, year, years_from_effective, exports_qty_kg,
            exports_value_usd, exports_of_world_share, before_qty_kg, change_on_before,
            evidence_label
        from marts.policy_event_effects
        where event_id = $event
        order by mineral, hs_code, year
        """,
        event=event,
    )
    st.markdown(f"**{of_event[event]}**: exports of the acting country, before and after.")
    shown = words.readable(effects)
    shown["line"] = shown["mineral"] + ", " + shown["category"] + " " + shown["hs_code"]
    lines = alt.Chart(shown, height=260).mark_line(point=True).encode(
        alt.X("year:O", title=None, axis=show.YEAR_AXIS),
        alt.Y("exports_qty_kg:Q", title="Exports, t", axis=show.AMOUNT_AXIS),
        show.colour("line", columns=3),
        tooltip=show.tips("line", "year", "evidence_label", exports_qty_kg=",.0f",
                          change_on_before="+.0%"),
    )  # fmt: skip
    began = (
        alt.Chart(shown[shown["years_from_effective"] == 0])
        .mark_rule(strokeDash=[4, 3], color=show.COLOURS[4])
        .encode(alt.X("year:O"))
    )
    show.chart(
        lines + began,
        effects,
        "policy_event_effects",
        f"Exports of the acting country by year: {of_event[event]}",
        show.TRADE,
    )
    st.caption(
        "The dashed line is the year in which it took effect. What follows a measure need not be "
        "its effect: prices and other buyers move exports too."
    )
