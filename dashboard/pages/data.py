"""Data and downloads: what is imputed or doubtful, where the figures come from, and every mart."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

EVERYTHING = "all rows"
SHOWN = 200
DISPOSITIONS = {
    "conformed": "used",
    "out_of_scope": "of no critical mineral",
    "non_country": "with no country",
    "unmapped": "of a code without a mineral",
    "quarantined": "in quarantine",
}
IMPUTATIONS = {
    "": "observed",
    "carried_forward": "last figure, carried forward",
    "nearest_year": "nearest year of the country",
    "region_income_median": "median of region and income",
    "region_median": "median of the region",
    "global_median": "median of the world",
    "world_median": "median of the world",
    "median_unit_value": "weight from the median price",
}

show.title(
    "Data and downloads",
    "What is imputed, doubtful or unmapped, where does it come from, and how do I get it?",
)
importer = filters.importer()

st.markdown("Below: [where it comes from](#sources), [download a mart](#download).")

st.header("What is imputed", anchor=False)
imputed = reading.rows(
    """
    select study_name, imputation, count(*) as n_values
    from marts.indicator_values
    inner join marts.indicator_catalogue using (indicator_id)
    where importer_iso3 in ('', $importer)
    group by study_name, table_order, imputation
    order by table_order, imputation
    """,
    importer=importer,
)
shown = imputed.assign(
    how=imputed["imputation"].replace(IMPUTATIONS),
    place=imputed["imputation"].map(list(IMPUTATIONS).index),
)
ways = list(dict.fromkeys(IMPUTATIONS.values()))
show.chart(
    alt.Chart(shown, height=show.height(shown["study_name"].nunique(), 20))
    .mark_bar()
    .encode(
        alt.X("n_values:Q", title="Share of the values", stack="normalize",
              axis=alt.Axis(format="%")),
        alt.Y("study_name:N", title=None, sort=None, axis=alt.Axis(labelLimit=420)),
        show.colour("how", ways, ["#D0D0D0", *show.COLOURS], columns=3),
        alt.Order("place:Q"),
        tooltip=show.tips("study_name", "how", n_values=","),
    ),
    imputed,
    "imputed",
    "Observed and imputed values of each variable of the study's Table 1",
)  # fmt: skip
coverage = reading.rows(
    """
    select study_name, year, n_countries, n_observed, observed_share, imports_covered_share
    from marts.covariate_coverage
    inner join marts.indicator_catalogue using (indicator_id)
    where year = (select max(year) from marts.import_panel)
    order by table_order
    """
)
show.table(coverage, "covariate_coverage")

st.header(f"Doubtful weights in the trade of {words.country(importer)}", anchor=False)
outliers = reading.rows(
    """
    select year, exporter_iso3, mineral, category, hs_code, value_usd::double as value_usd,
        reported_qty_kg, used_qty_kg, unit_value_usd_per_kg, median_unit_value_usd_per_kg,
        unit_value_ratio, correction_action, correction_status, correction_reason
    from marts.trade_unit_value_outliers
    where importer_iso3 = $importer
    order by year desc, value_usd desc, exporter_iso3, hs_code
    """,
    importer=importer,
)
if not show.empty(outliers, f"doubtful weights of {words.country(importer)}"):
    st.markdown(
        f"{len(outliers):,} flows are far off the median price of their code and year "
        f"({(outliers['year'] == outliers['year'].max()).sum()} in {outliers['year'].max()})."
    )
    show.table(
        outliers,
        "trade_unit_value_outliers",
        show.TRADE,
        headings={"reported_qty_kg": "Weight reported (t)", "used_qty_kg": "Weight used (t)",
                  "unit_value_ratio": "Price over the median"},
    )  # fmt: skip

st.header(f"How the trade rows of {words.country(importer)} were used", anchor=False)
balance = reading.rows(
    """
    select year, disposition, sum(n_rows) as n_rows, sum(value_usd)::double as value_usd,
        sum(qty_kg) as qty_kg
    from marts.trade_balance
    where importer_iso3 = $importer
    group by all
    order by year, disposition
    """,
    importer=importer,
)
if not show.empty(balance, f"trade of {words.country(importer)}"):
    shown = balance.assign(what=balance["disposition"].replace(DISPOSITIONS))
    show.chart(
        alt.Chart(shown, height=240)
        .mark_bar()
        .encode(
            alt.X("year:O", title=None, axis=show.YEAR_AXIS),
            alt.Y("n_rows:Q", title="Rows of the source", axis=show.AMOUNT_AXIS),
            show.colour("what", DISPOSITIONS.values(), [
                show.COLOURS[0], show.GREY, *(show.COLOURS[i] for i in (4, 1, 3))
            ]),
            tooltip=show.tips("year", "what", n_rows=",", value_usd=",.0f"),
        ),
        balance,
        "trade_balance",
        f"Rows of trade of {importer} by year, used and not used",
        show.TRADE,
    )  # fmt: skip
others = reading.rows(
    """
    select 'Trade of a code without a mineral' as what, count(*) as n_rows
    from marts.unmapped_trade where importer_iso3 = $importer
    union all
    select 'Rows in quarantine, with the rule that each breaks', count(*)
    from marts.trade_quarantine where importer_iso3 = $importer
    union all
    select 'Flows that differ from UN Comtrade', count(*)
    from marts.trade_reconciliation where importer_iso3 = $importer
    """,
    importer=importer,
)
for row in others.itertuples():
    st.markdown(f"{row.what}: **{row.n_rows or 'none'}**.")

st.header("Where it comes from", anchor="sources")
snapshots = reading.rows(
    """
    select dataset, provider, retrieved_at, row_count, licence, citation, snapshot_id, sha256
    from marts.source_snapshots order by dataset
    """
)
show.table(snapshots, "source_snapshots")

st.header("Download a mart", anchor="download")
name = filters.choice("mart", "Mart", reading.marts(), default="supplier_overview")
mart = reading.mart(name)
columns = [column.name for column in mart.columns]
has_importer = "importer_iso3" in columns
scope = EVERYTHING
if has_importer:
    scope = filters.choice(
        "rows",
        "Rows of the mart",
        [EVERYTHING, "importer"],
        words=lambda key: words.country(importer) if key == "importer" else key,
    )
where = "where importer_iso3 = $importer" if scope == "importer" else ""
asked = {"importer": importer} if scope == "importer" else {}
size = reading.rows(f"select count(*) as n_rows from marts.{name} {where}", **asked)
n_rows = int(size["n_rows"].iloc[0])
st.markdown(
    f"**{name}**: {mart.description} Key: {', '.join(mart.key)}. "
    f"{n_rows:,} rows, {len(columns)} columns."
)
show.whole_mart(name, n_rows, where, asked)
about, preview = st.tabs(["What the columns mean", "First rows"])
with about:
    show.meanings(name)
with preview:
    rows = reading.rows(f"select * from marts.{name} {where} limit {SHOWN}", **asked)
    if not show.empty(rows, f"rows of {name}"):
        show.table(rows, "first_rows", (), also=show.WHOLE_MART)
        st.caption(f"The first {len(rows):,} of {n_rows:,} rows.")
