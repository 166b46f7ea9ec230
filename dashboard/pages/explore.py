"""Explore indicators: any variable of the study's Table 1 by country, mineral and year."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

SHOWN = 20
STATES = ["observed", "imputed"]
VIEWS = {"bars": "Ranked bars", "cities": "Map of main cities, without boundaries"}

show.title(
    "Explore indicators", "How does any variable differ across countries, minerals and years?"
)
catalogue = reading.rows("from marts.indicator_catalogue order by table_order")
names = dict(zip(catalogue["indicator_id"], catalogue["study_name"], strict=True))
indicator = filters.choice("indicator", "Indicator", list(names), words=names.__getitem__)
about = catalogue[catalogue["indicator_id"] == indicator].iloc[0]
keys = reading.rows(
    """
    select
        coalesce(bool_or(importer_iso3 <> ''), false) as has_importer,
        coalesce(bool_or(mineral <> ''), false) as has_mineral,
        coalesce(max(year) > 0, false) as has_years
    from marts.indicator_values where indicator_id = $indicator
    """,
    indicator=indicator,
).iloc[0]
importer = filters.importer() if keys["has_importer"] else ""
mineral = filters.mineral() if keys["has_mineral"] else ""
values = reading.rows(
    """
    select country_iso3, year, value, unit, is_imputed, imputation, source_dataset, snapshot_id
    from marts.indicator_values
    where indicator_id = $indicator and importer_iso3 = $importer and mineral = $mineral
    order by year, value desc nulls last, country_iso3
    """,
    indicator=indicator,
    importer=importer,
    mineral=mineral,
)
details = [
    about["study_name"],
    *([mineral] if mineral else []),
    *([f"imports of {words.country(importer)}" if indicator != "distance"
       else f"from {words.country(importer)}"] if importer else []),
]  # fmt: skip
what = ", ".join(details)
st.markdown(
    f"**{what}.** {str(about['reason']).capitalize()}. In the model: {about['role_in_model']}. "
    f"Here from {about['our_source']}."
)
if isinstance(about["our_difference"], str) and about["our_difference"]:
    st.caption(f"Beside the study: {about['our_difference']}")
if show.empty(values, what):
    st.stop()

datasets = tuple(values["source_dataset"].unique())
years = sorted({int(year) for year in values["year"]}, reverse=True)
year = filters.choice("year", "Year of the bars", years) if keys["has_years"] else 0
view = filters.choice("view", "Shown as", list(VIEWS), words=VIEWS.__getitem__)
of_year = values[values["year"] == year]
known = list(of_year.loc[of_year["value"].notna(), "country_iso3"])
every = sorted(values["country_iso3"].unique(), key=words.country)
compared = filters.choices(
    "countries", "Countries compared (up to five)", every, default=known[:3], words=words.country
)
scaled, unit = words.in_reading_unit(values)
scaled["state"] = scaled["is_imputed"].map(dict(zip((False, True), STATES, strict=True)))
scaled["country"] = words.countries(scaled["country_iso3"])
tooltip = show.tips("country", "year", "state", "imputation", value=",.4~g")

at = f" in {year}" if year else ""
st.header(f"{VIEWS[view]}{at}", anchor=False)
now = scaled[scaled["year"] == year]
if view == "bars":
    top = now.head(SHOWN)
    show.chart(
        alt.Chart(top, height=show.height(len(top)))
        .mark_bar(stroke=show.COLOURS[0])
        .encode(
            alt.X("value:Q", title=unit, axis=show.AMOUNT_AXIS),
            alt.Y("country:N", title=None, sort=None),
            show.colour("state", STATES, [show.COLOURS[0], "white"]),
            alt.StrokeDash(
                "state:N", title=None, scale=alt.Scale(domain=STATES, range=[[1, 0], [4, 3]])
            ),
            tooltip=tooltip,
        ),
        of_year,
        "indicator_bars",
        f"The {SHOWN} countries with the highest values: {what}{at}",
        datasets,
    )
    st.caption(
        f"{len(top)} of {len(now)} countries with a row, highest first. A country without a row "
        "has no observation; in trade, no flow. Dashed and hollow: imputed."
    )
else:
    cities = reading.rows("select country_iso3, longitude_deg, latitude_deg from marts.dim_country")
    show.chart(
        alt.Chart(now.merge(cities, on="country_iso3"), height=440)
        .mark_square(size=170, stroke=show.COLOURS[0], strokeWidth=0.5)
        .encode(
            alt.X("longitude_deg:Q", title="Longitude", scale=alt.Scale(domain=[-180, 180])),
            alt.Y("latitude_deg:Q", title="Latitude", scale=alt.Scale(domain=[-60, 75])),
            alt.Color("value:Q", title=unit, scale=alt.Scale(scheme="viridis", reverse=True)),
            alt.Shape("state:N", title=None,
                      scale=alt.Scale(domain=STATES, range=["square", "diamond"])),
            tooltip=tooltip,
        ),
        of_year,
        "indicator_map",
        f"Values at the main city of each country: {what}{at}",
        datasets,
    )  # fmt: skip

left, right = st.columns(2)
with left:
    st.header("Countries compared", anchor=False)
    lines = scaled[scaled["country_iso3"].isin(compared)]
    if show.empty(lines, f"the countries chosen: {what}"):
        pass
    elif keys["has_years"]:
        show.chart(
            alt.Chart(lines, height=300)
            .mark_line(point=alt.OverlayMarkDef(filled=False, fill="white", size=45))
            .encode(
                alt.X("year:O", title=None, axis=show.YEAR_AXIS),
                alt.Y("value:Q", title=unit, axis=show.AMOUNT_AXIS),
                show.colour("country", columns=2),
                tooltip=tooltip,
            ),
            values[values["country_iso3"].isin(compared)],
            "indicator_lines",
            f"Values by year of the countries compared: {what}",
            datasets,
            beside=2,
        )  # fmt: skip
with right:
    st.header(f"Distribution{at}", anchor=False)
    show.chart(
        alt.Chart(now, height=300)
        .mark_bar()
        .encode(
            alt.X("value:Q", bin=alt.Bin(maxbins=25), title=unit, axis=show.AMOUNT_AXIS),
            alt.Y("count():Q", title="Countries"),
            show.colour("state", STATES, [show.COLOURS[0], show.GREY]),
            tooltip=[alt.Tooltip("value:Q", bin=alt.Bin(maxbins=25), title=unit),
                     *show.tips("state"), alt.Tooltip("count():Q", title="Countries")],
        ),
        of_year,
        "indicator_distribution",
        f"How many countries have which value: {what}{at}",
        datasets,
        beside=2,
    )  # fmt: skip

st.header("The values of the countries compared", anchor=False)
if not show.empty(lines, f"the countries chosen: {what}"):
    show.values_table(
        values[values["country_iso3"].isin(compared)], compared, "indicator_values", datasets
    )
