"""Ranking: whom each model expects, how surely, and whom the importer buys from."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words
from minerals.names import ALIGNMENTS, MODEL_DESCRIPTIONS

SHOWN = 20

show.title("Ranking", "Whom does the model expect, how surely, and whom do we buy from?")
market = filters.market()
forward = reading.rows(
    f"""
    select * exclude (importer_iso3, mineral, category, release_id)
    from marts.ranking_forward
    where {filters.OF_MARKET}
    order by forward_rank, exporter_iso3
    """,
    **market.keys,
)
if show.empty(forward, market.words):
    filters.offer_categories(market, "ranking_forward")
    st.stop()
headline = forward.loc[forward["is_headline"], "coefficient_source"].iloc[0]
models = [model for model in MODEL_DESCRIPTIONS if model in set(forward["coefficient_source"])]
model = filters.choice("model", "Model", models, default=headline)
ranked = forward[forward["coefficient_source"] == model]

st.markdown(
    f"**{market.words}.** Model *{model}*: {MODEL_DESCRIPTIONS[model]}. "
    + (
        f"It speaks for this market: {ranked['headline_reason'].iloc[0]}."
        if model == headline
        else f"For this market the model *{headline}* speaks."
    )
)
first = ranked.iloc[0]
st.markdown(
    f"First: **{words.country(first['exporter_iso3'])}**, with 90% between rank "
    f"{first['rank_low']} and {first['rank_high']}; among the first {first['effective_k']} with a "
    f"probability of {words.percent(first['top_k_probability'])}."
)
top = ranked.head(SHOWN)
shown = words.readable(top)
base = alt.Chart(shown, height=show.height(len(shown))).encode(
    alt.Y("exporter_iso3:N", title=None, sort=None),
    tooltip=[
        alt.Tooltip("exporter_iso3", title="Supplier"),
        alt.Tooltip("forward_rank", title="Rank"),
        alt.Tooltip("rank_low", title="from"),
        alt.Tooltip("rank_high", title="to"),
        alt.Tooltip("top_k_probability", title="Probability of leading", format=".0%"),
        alt.Tooltip("model_share", title="Share by the model", format=".1%"),
        alt.Tooltip("actual_share", title="Share today", format=".1%"),
    ],
)
rank_axis = alt.X("rank_low:Q", title="Rank with its 90% interval", scale=alt.Scale(domainMin=1))
st.header("Rank and how sure it is", anchor=False)
show.chart(
    base.mark_rule(strokeWidth=4, color=show.GREY, opacity=0.5).encode(rank_axis, x2="rank_high:Q")
    + base.mark_point(filled=True, size=90, opacity=1).encode(
        alt.X("forward_rank:Q"),
        alt.Color(
            "top_k_probability:Q",
            title=f"Probability among the first {top['effective_k'].iloc[0]}",
            scale=alt.Scale(scheme="viridis", domain=[0, 1], reverse=True),
            legend=alt.Legend(format="%", orient="top"),
        ),
    ),
    ranked,
    "ranking_forward",
    f"Suppliers ranked by the model {model} with 90% intervals: {market.words}",
)

show.sanctions(market.importer)
st.header("The models side by side", anchor=False)
beside = reading.rows(
    f"""
    select
        exporter_iso3, supplier_type, headline_rank, world_rank, expected_rank, estimated_rank,
        published_rank, actual_rank, actual_share, model_share, alignment, persistence,
        doubtful_qty_kg > 0 as is_doubtful, evidence
    from marts.supplier_overview
    where {filters.OF_MARKET}
    order by headline_rank, exporter_iso3
    """,
    **market.keys,
)
show.table(
    beside,
    "models_side_by_side",
    doubtful="is_doubtful",
)

annual = reading.rows(
    f"""
    select year, exporter_iso3, predicted_rank, actual_rank, actual_qty_kg, actual_share,
        model_share, alignment
    from marts.ranking_annual
    where {filters.OF_MARKET} and coefficient_source = $model
    order by year, predicted_rank, exporter_iso3
    """,
    **market.keys,
    model=model,
)
left, right = st.columns(2)
with left:
    st.header("Bought against expected", anchor=False)
    if not show.empty(annual, f"yearly ranks of the model {model}: {market.words}"):
        all_years = sorted(annual["year"].unique(), reverse=True)
        year = filters.choice("year", "Year of the comparison", [int(y) for y in all_years])
        of_year = annual[annual["year"] == year]
        bought = of_year[of_year["actual_rank"].notna()]
        if not show.empty(bought, f"{market.words}, {year}"):
            show.chart(
                alt.Chart(words.readable(bought), height=380)
                .mark_point(filled=True, size=90, opacity=0.9)
                .encode(
                    alt.X("predicted_rank:Q", title="Rank by the model"),
                    alt.Y("actual_rank:Q", title="Rank by quantity bought"),
                    show.colour("alignment", ALIGNMENTS, columns=2),
                    alt.Shape("alignment:N", scale=alt.Scale(domain=list(ALIGNMENTS))),
                    tooltip=show.tips(
                        "exporter_iso3", "predicted_rank", "actual_rank", "alignment"
                    ),
                ),
                of_year,
                "bought_against_expected",
                f"Rank by the model against rank by quantity bought in {year}: {market.words}",
                beside=2,
            )
with right:
    st.header("Ranks through the years", anchor=False)
    if not show.empty(annual, f"yearly ranks of the model {model}: {market.words}"):
        leading = annual[annual["exporter_iso3"].isin(ranked["exporter_iso3"].head(8))]
        lines = words.readable(leading)
        show.chart(
            alt.Chart(lines, height=380)
            .mark_line(point=True)
            .encode(
                alt.X("year:O", title=None, axis=show.YEAR_AXIS),
                alt.Y(
                    "predicted_rank:Q",
                    title="Rank by the model",
                    scale=alt.Scale(reverse=True, domainMin=1),
                ),
                show.colour("exporter_iso3", lines["exporter_iso3"].unique(), columns=2),
                tooltip=show.tips("exporter_iso3", "year", "predicted_rank"),
            ),
            leading,
            "ranks_through_the_years",
            f"Rank of the first eight suppliers in each year: {market.words}",
            beside=2,
        )

st.header("How well did each model foretell purchases?", anchor=False)
skill = reading.rows(
    """
    select scope, model, metric, mean_score, n_markets, difference_to_past, conf_low, conf_high
    from marts.ranking_skill
    where category = $category and metric in ('top_k_value_share', 'ndcg', 'new_supplier_auc')
    order by scope, metric, mean_score desc
    """,
    category=market.category,
)
if not show.empty(skill, f"backtest of {market.category}"):
    st.markdown(
        "Each model saw the years up to an origin and was judged by what was bought in the three "
        "years after it; *persistence* is past purchases carried on. Higher is better."
    )
    shown = skill.assign(metric=skill["metric"].map(
        {"top_k_value_share": "purchases from the first k", "ndcg": "order of the first ten (NDCG)",
         "new_supplier_auc": "new suppliers found (AUC)"}), scope=skill["scope"].map(
        {"all_importers": "all importers", "chosen_importers": "chosen importers"}))  # fmt: skip
    show.chart(
        alt.Chart(shown, height=130, width=220)
        .mark_bar()
        .encode(
            alt.X("mean_score:Q", title="mean score", scale=alt.Scale(domain=[0, 1])),
            alt.Y("model:N", title=None, sort=None),
            alt.Color("model:N", legend=None, scale=alt.Scale(range=show.COLOURS)),
            alt.Column("metric:N", title=None),
            alt.Row("scope:N", title=None),
            tooltip=show.tips("model", "metric", "n_markets", mean_score=".3f"),
        ),
        skill,
        "skill",
        f"Mean score of each model in the backtest, {market.category}",
        is_faceted=True,
    )
