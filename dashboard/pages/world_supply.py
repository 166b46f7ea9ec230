"""World supply: who mines, who refines, and how concentrated each stage is."""

import altair as alt
import streamlit as st

from dashboard import filters, maps, reading, show, words

NAMED = 7  # countries with a colour of their own
HEADINGS = {"country_iso3": "Country", "source_dataset": "Source", "world_rank": "Rank",
            "counts": "What is counted", "is_estimated": "Estimated by the source"}  # fmt: skip

show.title("World supply", "Who mines, who refines, and how concentrated is each stage?")
importer, mineral = filters.importer(), filters.mineral()
held = reading.rows(
    """
    select source_dataset, year, count(distinct stage) as n_stages,
        bool_or(stage = 'refined') as has_refined
    from marts.world_production_shares
    where mineral = $mineral and share is not null
    group by all
    order by source_dataset, year
    """,
    mineral=mineral,
)
if show.empty(held, f"mining, refining or reserves of {mineral}"):
    st.stop()
held = held.sort_values(["n_stages", "year"], ascending=False)
source = filters.choice(
    "source", "Source", list(held["source_dataset"].unique()), words=words.source
)
of_source = held[held["source_dataset"] == source]
year = filters.choice("year", "Year", [int(year) for year in of_source["year"]])
shares = reading.rows(
    """
    select stage, form, country_iso3, world_rank, share, quantity_kg, counts, is_estimated,
        source_dataset, year, evidence_label
    from marts.world_production_shares
    where mineral = $mineral and source_dataset = $source and year = $year
    order by stage, form, world_rank nulls last, country_iso3
    """,
    mineral=mineral,
    source=source,
    year=year,
)
told = reading.rows(
    """
    select stage, form, top1_iso3, top1_share, top3_share, hhi, hhi_is_lower_bound
    from marts.world_production_concentration
    where mineral = $mineral and source_dataset = $source and year = $year and hhi is not null
    order by stage, form
    """,
    mineral=mineral,
    source=source,
    year=year,
)
for row in words.readable(told).itertuples():
    least = "at least " if row.hhi_is_lower_bound else ""
    st.markdown(
        f"**{' '.join(filter(None, [row.stage.capitalize(), row.form]))}, {year}**: "
        f"{row.top1_iso3} has {words.percent(row.top1_share)}, the three largest "
        f"{words.percent(row.top3_share)}; the Herfindahl index is {least}{row.hhi:.2f}, "
        "where 1 is a single country."
    )
if not held["has_refined"].any():
    st.caption(
        f"No source here has refining of {mineral} by country. Who sells products of it is on the "
        "page Imports."
    )
also = show.USGS if source.startswith("usgs") else ""
datasets = () if also else ("production",)

stages = dict.fromkeys(shares.loc[shares["share"] > 0, "stage"])
st.header(f"{' beside '.join(stages).capitalize()}, {year}", anchor=False)
shown = words.readable(shares[shares["share"] > 0])
shown["step"] = shown["stage"].where(shown["form"] == "", shown["stage"] + ": " + shown["form"])
leaders = shown.sort_values("share", ascending=False)["country_iso3"].unique()[:NAMED]
shown["country"] = shown["country_iso3"].where(shown["country_iso3"].isin(leaders), "Other")
drawn = shown.groupby(["step", "country"], as_index=False)["share"].sum()
steps = drawn["step"].unique()
show.chart(
    alt.Chart(drawn, height=show.height(len(steps), 48))
    .mark_bar()
    .encode(
        alt.X("share:Q", title="Share of the world", axis=alt.Axis(format="%"),
              scale=alt.Scale(domain=[0, 1])),
        alt.Y("step:N", title=None),
        alt.Color("country:N", title=None, sort=None, scale=show.colours(leaders)),
        tooltip=show.tips("country", "step", share=".1%"),
    ),
    shares,
    "mined_beside_refined",
    f"Shares of countries in each stage of {mineral}, {year}, {words.source(source)}",
    datasets,
    also,
)  # fmt: skip
st.caption("What a bar lacks to 100% the source does not split by country.")
if len(steps) == 1 and held["n_stages"].max() > 1:
    st.caption(
        f"{words.source(source)} has {steps[0]} alone for {mineral} in {year}: of other stages no "
        "figure by country is available here. Another source may have one."
    )

stage = filters.choice("stage", "Stage on the map", list(steps))
view = filters.choice("map", "Draw it as", list(maps.DRAWINGS), words=maps.DRAWINGS.get)
st.header(f"Where in the world: {stage}", anchor=False)
of_stage = shown[shown["step"] == stage].index
by_country = shares.loc[of_stage].groupby("country_iso3", as_index=False)["share"].sum()
show.chart(
    maps.world(by_country, view),
    by_country,
    "where_in_the_world",
    f"Shares of countries in {mineral}, {stage}, {year}, {words.source(source)}",
    datasets,
    also,
)
st.caption("Grey: the source has no figure of the country.")
if view == "boundaries":
    st.caption(maps.DISCLAIMER)

st.header("Concentration through the years", anchor=False)
concentration = reading.rows(
    """
    select stage, form, source_dataset, year, hhi, hhi_is_lower_bound, hhi_governance,
        top1_iso3, top1_share, top3_share, n_producers, rest_share, is_estimated, withheld_note,
        evidence_label
    from marts.world_production_concentration
    where mineral = $mineral
    order by stage, form, source_dataset, year
    """,
    mineral=mineral,
)
left, right = st.columns(2)
drawn = words.readable(concentration)
steps = (drawn["stage"] + " " + drawn["form"]).str.strip()
drawn["series"] = steps + ", " + drawn["source_dataset"]
for column, measure, heading in (
    (left, "hhi", "Herfindahl index"),
    (right, "top3_share", "Three largest"),
):
    with column:
        show.chart(
            alt.Chart(drawn, height=260)
            .mark_line(point=True)
            .encode(
                alt.X("year:O", title=None, axis=show.YEAR_AXIS),
                alt.Y(f"{measure}:Q", title=heading, scale=alt.Scale(domain=[0, 1])),
                show.colour("series", orient="bottom", columns=2),
                alt.Shape("series:N", title=None),
                tooltip=show.tips("series", "year", "top1_iso3", **{measure: ".3f"}),
            ),
            concentration,
            f"concentration_{measure}",
            f"{heading} over countries by year, stage and source: {mineral}",
            ("production",),
            show.USGS,
            beside=2,
        )  # fmt: skip

st.header(f"Where {words.country(importer)} stands", anchor=False)
position = reading.rows(
    """
    select stage, form, source_dataset, year, own_share, own_rank, own_quantity_kg,
        imports_qty_kg, exports_qty_kg, import_reliance_share, why_null, is_estimated
    from marts.importer_position
    where importer_iso3 = $importer and mineral = $mineral and source_dataset = $source
    order by stage, form, year desc
    """,
    importer=importer,
    mineral=mineral,
    source=source,
)
if not show.empty(position, f"position of {words.country(importer)} in {mineral}"):
    show.table(
        position,
        "importer_position",
        headings={"why_null": "Why no import reliance"},
        missing="no figure",
        also=also,
    )

outlook = reading.rows(
    """
    select stage, contestability, leader_iso3, leader_share_first, leader_share_last, first_year,
        last_year, entrants, exits, hhi_change, growth_leader, growth_rest, evidence_label
    from marts.market_contestability
    where mineral = $mineral
    order by stage
    """,
    mineral=mineral,
)
if len(outlook):
    st.header("Is the leader's share opening?", anchor=False)
    show.table(outlook, "contestability", datasets=("production",))

st.header("Every country", anchor=False)
show.table(
    shares,
    "world_production_shares",
    datasets,
    headings=HEADINGS,
    also=also,
    missing="no figure",
)
