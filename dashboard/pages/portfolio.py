"""Portfolio: today's shares beside the recommended ones, what binds and what it costs."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

SHOWN = 15
SHARES = {
    "actual_share": "today",
    "model_share": "by the model",
    "recommended_share": "recommended",
}

show.title("Portfolio", "Which mix is recommended, what binds, what does less concentration cost?")
market = filters.market()
plan = reading.rows(
    f"""
    select
        s.strategy, rationale, o.* exclude (importer_iso3, mineral, category, release_id),
        s.hhi_actual, instruments, author, p.location
    from marts.portfolio_strategy as s
    inner join marts.portfolio_optimization as o using (importer_iso3, mineral, category)
    left join marts.policy_options as p using (importer_iso3, mineral, category)
    left join marts.cited_sources using (source_id)
    where {filters.OF_MARKET}
    """,
    **market.keys,
)
if show.empty(plan, market.words):
    filters.offer_categories(market, "portfolio_strategy")
    st.stop()
plan = plan.iloc[0]
partners = reading.rows(
    f"""
    select
        exporter_iso3, action, role, actual_share, model_share, recommended_share, change_share,
        capacity_share, is_at_capacity, forward_rank, rank_low, rank_high, top_k_probability,
        supplier_risk, annual_qty_kg, capacity_qty_kg, doubtful_qty_kg > 0 as is_doubtful, evidence
    from marts.portfolio_partners
    where {filters.OF_MARKET}
    order by
        greatest(coalesce(actual_share, 0), coalesce(recommended_share, model_share, 0)) desc,
        exporter_iso3
    """,
    **market.keys,
)

st.markdown(
    f"**{market.words}: {words.strategy(plan['strategy'])}.** {words.named(plan['rationale'])}"
)
if isinstance(plan["instruments"], str):
    st.markdown(
        f"**Instruments that a source names for it**: {plan['instruments']}. "
        f"*{plan['author']}, {plan['location']}*"
    )
show.sanctions(market.importer)
show.tiles(
    {
        "HHI today": (
            words.figure(plan["hhi_actual"]),
            "Herfindahl index of the imports over the window, 0 to 1.",
        ),
        "HHI recommended": (
            words.figure(plan["hhi_recommended"]),
            "The same of the recommended shares.",
        ),
        "Equal suppliers": (
            words.figure(plan["effective_suppliers"]),
            "How many suppliers of equal share would be as concentrated as the recommendation.",
        ),
        "To be moved": (
            words.percent(plan["change_share"]),
            "Part of the imports that changes its supplier.",
        ),
    }
)
binds = words.named(plan["binding_constraints"]) or "nothing"
st.caption(f"What binds, as it is met exactly: {binds}.")
if not plan["is_feasible"]:
    st.warning(f"No portfolio meets the constraints: {plan['infeasible_because']}")

st.header("Today, by the model, recommended", anchor=False)
top = partners.head(SHOWN)
shown = words.readable(top)
shown["exporter"] = words.marked(shown["exporter_iso3"], shown["is_doubtful"])
long = shown.melt(["exporter"], list(SHARES), "which", "share").dropna()
long["which"] = long["which"].map(SHARES)
show.chart(
    alt.Chart(long, height=alt.Step(9))
    .mark_bar()
    .encode(
        alt.X("share:Q", title="Share of the imports", axis=alt.Axis(format="%")),
        alt.Y("exporter:N", title=None, sort=None),
        alt.YOffset("which:N", sort=list(SHARES.values())),
        show.colour("which", SHARES.values(), [show.GREY, *show.COLOURS[:2]]),
        tooltip=show.tips("exporter", "which", share=".1%"),
    ),
    partners,
    "portfolio_partners",
    f"Share of each supplier today, by the model and recommended: {market.words}",
)
if plan["hhi_actual"] != plan["hhi_actual"]:
    st.caption("No imports of known quantity in the window, so there are no current shares.")

left, right = st.columns(2)
with left:
    st.header("What less concentration costs", anchor=False)
    frontier = reading.rows(
        f"""
        select concentration_penalty, is_recommended, hhi, effective_suppliers, divergence,
            supplier_risk, change_share
        from marts.portfolio_frontier
        where {filters.OF_MARKET}
        order by concentration_penalty
        """,
        **market.keys,
    )
    if not show.empty(frontier, f"frontier of {market.words}"):
        which = frontier["is_recommended"].map({True: "in use", False: "other penalties"})
        base = alt.Chart(frontier.assign(which=which), height=300).encode(
            alt.X("hhi:Q", title="Concentration (HHI)"),
            alt.Y("divergence:Q", title="Distance from the model, nats"),
            tooltip=show.tips("concentration_penalty", "hhi", "effective_suppliers", "divergence"),
        )
        show.chart(
            base.mark_line(color=show.GREY)
            + base.mark_point(filled=True, size=110, opacity=1).encode(
                show.colour("which", ["in use", "other penalties"], [show.COLOURS[4], show.GREY])
            )
            + base.mark_text(dy=-12).encode(alt.Text("concentration_penalty:Q")),
            frontier,
            "frontier",
            f"Distance from the model against concentration, by penalty: {market.words}",
            beside=2,
        )
        st.caption("The figure at each point is the penalty on concentration.")
with right:
    st.header("Where to buy more and less", anchor=False)
    moved = partners[partners["action"].isin(["more", "less"])].head(SHOWN)
    if not show.empty(moved, f"recommended changes of {market.words}"):
        shown = words.readable(moved)
        show.chart(
            alt.Chart(shown, height=show.height(len(shown)))
            .mark_bar()
            .encode(
                alt.X("change_share:Q", title="Change of the share", axis=alt.Axis(format="+%")),
                alt.Y("exporter_iso3:N", title=None, sort=None),
                show.colour("action", ["more", "less"]),
                tooltip=show.tips("exporter_iso3", "role", change_share="+.1%"),
            ),
            moved,
            "changes",
            f"Recommended change of each supplier's share: {market.words}",
            beside=2,
        )

st.header("Every candidate, with the evidence", anchor=False)
show.table(
    partners,
    "partners",
    doubtful="is_doubtful",
)
