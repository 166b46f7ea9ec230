"""Overview: where the importer is exposed, market by market."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

show.title("Overview", "Where is this importer exposed?")
importer = filters.importer()

markets = reading.rows(
    """
    select c.mineral, c.category, strategy, c.hhi_actual, top1_exporter_iso3, top1_share,
        top3_share, n_suppliers, n_candidates, is_concentrated, is_narrow_pool,
        coalesce(doubtful_qty_kg, 0) > 0 as is_doubtful, rationale
    from marts.portfolio_concentration as c
    inner join marts.portfolio_strategy using (importer_iso3, mineral, category)
    left join (
        select importer_iso3, mineral, category, sum(doubtful_qty_kg) as doubtful_qty_kg
        from marts.portfolio_partners group by all
    ) using (importer_iso3, mineral, category)
    where importer_iso3 = $importer
    order by c.hhi_actual desc nulls last, mineral, category
    """,
    importer=importer,
)
bought = markets[markets["hhi_actual"].notna()]
value = reading.rows(
    """
    select year, sum(value_usd) as value_usd from marts.trade_flows
    where importer_iso3 = $importer group by year order by year desc limit 1
    """,
    importer=importer,
)
partners = reading.rows(
    """
    select exporter_iso3, sum(value_usd) as value_usd from marts.trade_flows
    where importer_iso3 = $importer
        and year = (select max(year) from marts.trade_flows where importer_iso3 = $importer)
    group by exporter_iso3 order by value_usd desc, exporter_iso3
    """,
    importer=importer,
)
show.tiles(
    {
        f"Imports, {value['year'].max()}": (
            words.amount(float(value["value_usd"].sum()), "USD"),
            "Critical minerals of all categories, in the last year of trade.",
        ),
        "Markets concentrated": (
            f"{int(bought['is_concentrated'].sum())} of {len(bought)}",
            "Minerals and categories bought whose Herfindahl index is above the limit.",
        ),
        "Narrow pools": (
            f"{int(markets['is_narrow_pool'].sum())} of {len(markets)}",
            "Fewer than five candidates, or the model gives three of them more than 80%.",
        ),
        "Largest partner": (
            words.country(partners["exporter_iso3"].iloc[0]) if len(partners) else "none",
            "By value of all critical minerals in that year.",
        ),
        "Markets with doubtful weights": (
            f"{int(bought['is_doubtful'].sum())} of {len(bought)}",
            "A part of the imports has a weight that is far off for its price.",
        ),
    }
)

st.subheader("The most concentrated markets", anchor=False)
if not show.empty(bought, f"imports of {words.country(importer)}"):
    risky = bought.head(15)
    shown = words.readable(risky).assign(market=risky["mineral"] + ", " + risky["category"])
    drawing = (
        alt.Chart(shown)
        .mark_bar()
        .encode(
            alt.X("top1_share:Q", title="Share of the largest supplier", axis=alt.Axis(format="%")),
            alt.Y("market:N", title=None, sort=None),
            alt.Color("top1_exporter_iso3:N", title="Largest supplier"),
            tooltip=["market", "top1_exporter_iso3", alt.Tooltip("top1_share", format=".0%")],
        )
    )
    show.chart(
        drawing,
        risky,
        "most_concentrated",
        f"Share of the largest supplier in the most concentrated markets of {importer}",
    )
st.subheader("All markets", anchor=False)
show.table(markets, "markets", doubtful="is_doubtful", missing="no imports")
