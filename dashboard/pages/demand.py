"""Demand and recycling: projected demand beside achieved supply, and what recycling could save."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

PAIR = {"needed_cagr": "needed, cited", "achieved_cagr": "achieved by output, computed"}

show.title(
    "Demand and recycling",
    "How fast will demand grow, can supply follow, and what can recycling save?",
)
importer = filters.importer()

st.header("Can supply follow?", anchor=False)
gaps = reading.rows(
    """
    select mineral, form, stage, scenario, base_year, year, needed_cagr, achieved_cagr,
        gap_points, achieved_first_year, achieved_last_year, achieved_source, needed_edition,
        evidence_label, citation
    from marts.supply_growth_gap
    order by gap_points desc, mineral, form, stage, scenario, year
    """
)
if not show.empty(gaps, "projected demand beside output"):
    shown = words.readable(gaps)
    form = shown["form"].where(shown["form"] == "", " (" + shown["form"] + ")")
    shown["what"] = (
        shown["mineral"] + form + ", " + shown["stage"] + "; " + shown["scenario"] + ", "
        + shown["year"].map(str)
    )  # fmt: skip
    long = shown.melt(["what", "evidence_label"], list(PAIR), "which", "growth")
    long["which"] = long["which"].map(PAIR)
    show.chart(
        alt.Chart(long, height=alt.Step(10))
        .mark_bar()
        .encode(
            alt.X("growth:Q", title="Growth a year", axis=alt.Axis(format="%")),
            alt.Y("what:N", title=None, sort=list(shown["what"]), axis=alt.Axis(labelLimit=420)),
            alt.YOffset("which:N", sort=list(PAIR.values())),
            show.colour("which", PAIR.values(), show.COLOURS[1::-1]),
            tooltip=show.tips("what", "which", "evidence_label", growth=".1%"),
        ),
        gaps,
        "growth_gap",
        "Growth a year that demand needs, and that output achieved, by mineral and scenario",
        ("production",),
        f"{show.USGS}; demand: {show.DOCUMENTS}",
    )
    st.caption("The demand is cited; the growth of output is computed. Largest gap first.")
    show.table(
        gaps,
        "supply_growth_gap",
        ("production",),
        headings={"needed_cagr": "Needed a year", "achieved_cagr": "Achieved a year",
                  "gap_points": "Gap (points a year)", "evidence_label": "Support of the demand"},
        also=f"{show.USGS}; demand: {show.DOCUMENTS}",
    )  # fmt: skip

st.header("Demand of one mineral", anchor=False)
outlook = reading.rows(
    """
    select mineral, form, region_iso3, scenario, year, indicator, value, unit, base_year,
        growth_from_base, cagr_from_base, edition, evidence_label, citation, location, note
    from marts.demand_outlook
    order by mineral, form, region_iso3, indicator, scenario, year
    """
)
held = sorted(outlook["mineral"].unique())
mineral = filters.mineral()
of_mineral = outlook[outlook["mineral"] == mineral]
if show.empty(of_mineral, f"demand of {mineral}"):
    st.caption(f"There is demand of: {', '.join(held)}.")
else:
    show.table(of_mineral.drop(columns="mineral"), "demand_outlook", (), also=show.DOCUMENTS)

st.header("What recycling could save", anchor=False)
recycling = reading.rows(
    """
    select mineral, year, primary_saved_low, primary_saved_high, basis, as_printed,
        scrap_imports_qty_kg, evidence_label, citation, note
    from marts.recycling_outlook
    where importer_iso3 = $importer
    order by mineral, year
    """,
    importer=importer,
)
if not show.empty(recycling, f"recycling for {words.country(importer)}"):
    show.table(
        recycling,
        "recycling_outlook",
        show.TRADE,
        headings={"primary_saved_low": "Saved, low", "primary_saved_high": "Saved, high",
                  "scrap_imports_qty_kg": "Scrap bought a year (t)"},
        also=show.DOCUMENTS,
        missing="unknown",
    )  # fmt: skip
    st.caption("One printed range for several minerals together: it does not say which is whose.")
