"""Shocks: what is lost without the suppliers that the reader picks, and in the standing cases."""

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
HEADINGS = {"lost_share": "Lost", "lost_qty_kg": "Lost a year (t)",
            "replaceable_share": "Others can replace", "next_best": "Who replaces",
            "n_candidates_left": "Candidates left", "hhi_before": "HHI before",
            "hhi_after": "HHI after", "shock": "Loss"}  # fmt: skip

show.title("Shocks", "What is lost if a supplier falls away, and who can step in?")
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
sellers = reading.rows(
    """
    select
        exporter_iso3,
        max(year) as year,
        sum(value_usd)::double as value_usd
    from marts.trade_flows
    where
        importer_iso3 = $importer
        and year = (select max(year) from marts.trade_flows where importer_iso3 = $importer)
    group by exporter_iso3
    order by value_usd desc, exporter_iso3
    """,
    importer=importer,
)
supplies = sorted(
    set(partners.loc[partners["annual_qty_kg"] > 0, "exporter_iso3"]), key=words.country
)
if show.empty(partners, f"imports of {words.country(importer)}") or not supplies:
    st.stop()
largest = [iso3 for iso3 in sellers["exporter_iso3"] if iso3 in supplies]
lost = filters.choices(
    "lose", "Suppliers to lose (up to five)", supplies, largest[:1], words.country
)
without = ", ".join(words.country(iso3) for iso3 in lost) or "nobody"
of_lost = partners[partners["exporter_iso3"].isin(lost)]
doubtful = of_lost[of_lost["doubtful_qty_kg"] > 0].groupby(["mineral", "category"]).size()
hit = losses(partners, lost)[[
    "mineral", "category", "lost_share", "lost_qty_kg", "replaceable_share", "next_best",
    "n_candidates_left", "hhi_before", "hhi_after",
]]  # fmt: skip
hit["is_doubtful"] = hit.set_index(["mineral", "category"]).index.isin(doubtful.index)

st.subheader(f"{words.country(importer)} without {without}", anchor=False)
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
    shown["market"] = shown["mineral"] + ", " + shown["category"]
    shown["market"] = shown["market"].where(
        ~shown["is_doubtful"], words.DOUBTFUL + " " + shown["market"]
    )
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
            alt.Color(
                "state:N",
                title=None,
                scale=alt.Scale(domain=STATES, range=[show.COLOURS[0], show.COLOURS[4]]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["market", "figure", "next_best"],
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
        missing="none",
    )
    unknown = of_lost[(of_lost["n_unknown_qty"] > 0) & ~(of_lost["annual_qty_kg"] > 0)]
    st.caption(
        "Computed now from the published portfolio: the loss is shared among the other candidates "
        "in proportion to what the model expects of each, within its headroom. Trade without a "
        f"known quantity is left out: that of {len(unknown)} further markets is all such."
    )

st.subheader("Standing cases", anchor=False)
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
    show.table(standing, "standing_shocks", headings=HEADINGS, missing="none")
