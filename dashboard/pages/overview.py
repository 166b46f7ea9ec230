"""Overview: where the importer is exposed, market by market."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

FIRST = 6  # markets with their reasons
HEADINGS = {"priority_rank": "Priority", "lost_share": "Lost without the largest",
            "unreplaceable_share": "Nobody can replace",
            "largest_expected_loss_share": "Lost by a measure in force, as judged",
            "n_events_in_force": "Measures in force", "rationale": "Why"}  # fmt: skip

show.title("Overview", "Where is this importer exposed, and what changed since the last release?")
importer = filters.importer()

markets = reading.rows(
    """
    with doubtful as (
        select importer_iso3, mineral, category, sum(doubtful_qty_kg) > 0 as is_doubtful
        from marts.portfolio_partners
        group by all
    )

    select
        c.mineral, c.category, strategy, c.hhi_actual, top1_exporter_iso3, top1_share, top3_share,
        n_suppliers, n_candidates, is_concentrated, is_narrow_pool, is_doubtful, rationale,
        priority_rank, lost_share, unreplaceable_share, largest_expected_loss_share,
        n_events_in_force
    from marts.portfolio_concentration as c
    inner join marts.portfolio_strategy using (importer_iso3, mineral, category)
    left join doubtful using (importer_iso3, mineral, category)
    left join marts.contingency_priorities using (importer_iso3, mineral, category)
    where importer_iso3 = $importer
    order by c.hhi_actual desc nulls last, mineral, category
    """,
    importer=importer,
)
partners = reading.sellers(importer)
bought = markets[markets["hhi_actual"].notna()]
if show.empty(bought, f"imports of {words.country(importer)}"):
    st.stop()

show.tiles(
    {
        f"Imports in {partners['year'].max()}": (
            words.amount(partners["value_usd"].sum(), "USD"),
            "Critical minerals of all categories, in the last year of trade.",
        ),
        "Markets concentrated": (
            f"{bought['is_concentrated'].sum()} of {len(bought)}",
            "Minerals and categories bought whose Herfindahl index is above the limit.",
        ),
        "Narrow pools": (
            f"{markets['is_narrow_pool'].sum()} of {len(markets)}",
            "Fewer than five candidates, or the model gives three of them more than 80%.",
        ),
        "Largest partner": (
            words.country(partners["exporter_iso3"].iloc[0]),
            "By value of all critical minerals in that year.",
        ),
        f"{words.DOUBTFUL} Doubtful weights": (
            f"{bought['is_doubtful'].sum()} of {len(bought)} markets",
            "A part of the imports has a weight that is far off for its price.",
        ),
    }
)

st.header("The most concentrated markets", anchor=False)
risky = bought.head(12).sort_values("top1_share", ascending=False)
shown = words.readable(risky)
shown["market"] = words.markets(shown)
bar = alt.Chart(shown, height=show.height(len(shown))).encode(
    alt.X(
        "top1_share:Q",
        title="Share of the largest supplier in the imports of the model's years",
        axis=alt.Axis(format="%"),
        scale=alt.Scale(domain=[0, 1]),
    ),
    alt.Y("market:N", title=None, sort=None),
)
show.chart(
    bar.mark_bar(color=show.COLOURS[0])
    + bar.mark_text(align="left", dx=4).encode(alt.Text("top1_exporter_iso3:N")),
    risky,
    "most_concentrated",
    f"Share of the largest supplier in the twelve most concentrated markets of {importer}",
)

st.header("What to prepare for first, and why", anchor=False)
first = markets[markets["priority_rank"].notna()].sort_values("priority_rank").head(FIRST)
show.table(
    first[["priority_rank", "mineral", "category", "lost_share", "unreplaceable_share",
           "largest_expected_loss_share", "rationale"]],
    "contingency_priorities",
    headings=HEADINGS,
    missing="no measure in force",
    on_paper=True,
)  # fmt: skip
st.caption("In the order of what the loss of the largest supplier costs and nobody replaces.")

left, right = st.columns(2)
with left:
    st.header("What to do, in how many markets", anchor=False)
    strategies = bought.groupby("strategy").size().reset_index(name="n_markets")
    shown = words.readable(strategies)
    show.chart(
        alt.Chart(shown, height=show.height(len(shown)))
        .mark_bar(color=show.COLOURS[2])
        .encode(
            alt.X("n_markets:Q", title="Markets with imports", axis=alt.Axis(tickMinStep=1)),
            alt.Y("strategy:N", title=None, sort="-x"),
        ),
        strategies,
        "strategies",
        "Number of markets by strategy",
        beside=2,
    )
with right:
    st.header("Largest partners", anchor=False)
    top = partners.head(8)
    show.chart(
        alt.Chart(words.readable(top), height=show.height(len(top)))
        .mark_bar(color=show.COLOURS[0])
        .encode(
            alt.X("value_usd:Q", title="Imports, USD", axis=show.AMOUNT_AXIS),
            alt.Y("exporter_iso3:N", title=None, sort=None),
        ),
        top,
        "largest_partners",
        f"Largest partners of {importer} by value of all critical minerals",
        show.TRADE,
        beside=2,
    )

st.header("What changed since the release before", anchor=False)
older = reading.before()
if older is None:
    st.info("There is no release before this one.")
elif filters.switch("changes", f"Compare with {older.name}"):
    changed = reading.changed_markets(older)
    changed = changed[changed["importer_iso3"] == importer]
    if not show.empty(changed, f"a market of {words.country(importer)} that changed"):
        show.table(
            changed[["mineral", "category", "n_moved", "entered", "left", "source_before",
                     "source_after", "candidates_before", "candidates_after"]],
            "changes",
            headings={"n_moved": "Suppliers that moved", "entered": "Entered the leading ones",
                      "left": "Left them", "source_before": "Model before",
                      "source_after": "Model now"},
        )  # fmt: skip

st.header("All markets", anchor=False)
if filters.switch("markets", f"Show the table of all {len(markets)} markets"):
    show.table(markets, "markets", headings=HEADINGS, doubtful="is_doubtful", missing="no imports")
