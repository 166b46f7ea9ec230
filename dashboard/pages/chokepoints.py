"""Chokepoints: where in each chain a country is hollow, by kind of score and with its support."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

PLACES = {
    "C1": "C1 mined to concentrate",
    "C2": "C2 refined",
    "C3": "C3 material",
    "C4": "C4 downstream",
}
KINDS = {
    "computed": "computed by this release",
    "printed": "printed by a source",
    "judged": "judged by an analyst",
}

show.title("Chokepoints", "Where in each chain is the country hollow, and what would move it?")
importer = filters.importer()
scores = reading.rows(
    """
    select sector, mineral, chokepoint, score_kind, score, word, stage_in_sector, n_indicators,
        evidence_label, source_id, location, note, installed_score, funded_score, control_score
    from marts.chokepoint_scores
    where country_iso3 = $importer
    order by score_kind, sector, mineral, chokepoint
    """,
    importer=importer,
)
if show.empty(scores, f"scores of {words.country(importer)}"):
    st.stop()
kinds = [kind for kind in KINDS if kind in set(scores["score_kind"])]
kind = filters.choice("kind_of_score", "Kind of score", kinds, words=KINDS.get)
of_kind = scores[scores["score_kind"] == kind]

st.header(f"{words.country(importer)}, {KINDS[kind]}", anchor=False)
shown = words.readable(of_kind)
shown["place"] = shown["chokepoint"].map(PLACES)
named = shown["mineral"].fillna("")
shown["chain"] = named.where(shown["sector"].isin(["", "all"]), shown["sector"] + ": " + named)
shown["chain"] = shown["chain"].where(shown["chain"] != "", "all sectors")
sign = shown["evidence_label"].str.split(" ").str[0]
text = (
    shown["score"]
    .map(words.figure)
    .where(shown["score"].notna(), shown["word"].astype("object").fillna("-"))
)
shown["text"] = sign + " " + text
base = alt.Chart(shown, height=show.height(shown["chain"].nunique(), 26)).encode(
    alt.X(
        "place:N",
        title=None,
        sort=list(PLACES.values()),
        scale=alt.Scale(domain=list(PLACES.values())),
        axis=alt.Axis(orient="top", labelAngle=0),
    ),
    alt.Y("chain:N", title=None),
    tooltip=show.tips(
        "chain", "place", "stage_in_sector", "score", "word", "evidence_label", "note"
    ),
)
show.chart(
    base.mark_rect(stroke="white").encode(
        alt.Color(
            "score:Q",
            title="1 hollow, 5 strong",
            scale=alt.Scale(domain=[1, 5], scheme="viridis"),
            legend=alt.Legend(orient="bottom"),
        )
    )
    + base.mark_text().encode(
        alt.Text("text:N"),
        color=alt.condition("datum.score >= 3", alt.value("black"), alt.value("white")),
    ),
    of_kind,
    "chokepoint_matrix",
    f"Scores 1 to 5 of {importer} by chain and chokepoint, {KINDS[kind]}",
    show.EVERY_DATASET,
    show.USGS,
)
st.caption(
    f"{words.EVIDENCE_MEANING}. An empty cell has no score: no data describe materials (C3) "
    "and downstream (C4). The kinds of score may disagree and are never merged."
)

st.header("The weakest place of each chain", anchor=False)
summary = reading.rows(
    """
    select sector, mineral, weakest_chokepoint, min_score, mean_score, middle_gap, n_scored,
        hhi_world_at_weakest, world_top1_iso3, world_top1_share, evidence_label
    from marts.chokepoint_summary
    where country_iso3 = $importer and score_kind = $kind
    order by min_score, mean_score, sector, mineral
    """,
    importer=importer,
    kind=kind,
)
if not show.empty(summary, f"chains of {words.country(importer)} with a score"):
    show.table(
        summary if summary["sector"].any() else summary.drop(columns="sector"),
        "chokepoint_summary",
        headings={"world_top1_iso3": "Largest in the world there", "world_top1_share": "Its share",
                  "middle_gap": "Middle behind the ends", "n_scored": "Places scored"},
        also=show.USGS,
        missing="not scored",
    )  # fmt: skip

st.header("Countries compared", anchor=False)
mineral = filters.mineral()
indicators = reading.rows(
    """
    select country_iso3, chokepoint, own_share, own_reserves_share, import_top1_iso3,
        import_top1_share, import_china_share, exports_over_imports, score, score_label,
        world_top1_iso3, world_top1_share, output_year, source_dataset, evidence_label
    from marts.chokepoint_indicators
    where mineral = $mineral
    order by chokepoint, score desc nulls last, own_share desc nulls last, country_iso3
    """,
    mineral=mineral,
)
if not show.empty(indicators, f"chokepoint indicators of {mineral}"):
    every = sorted(indicators["country_iso3"].unique(), key=words.country)
    default = [iso3 for iso3 in (importer, "IND", "JPN", "USA", "CHN") if iso3 in every]
    peers = filters.choices(
        "peers",
        "Countries compared (up to five)",
        every,
        list(dict.fromkeys(default)),
        words.country,
    )
    show.table(
        indicators[indicators["country_iso3"].isin(peers)],
        "chokepoint_indicators",
        headings={"country_iso3": "Country", "own_share": "Share of the world's output",
                  "own_reserves_share": "Of its reserves", "import_top1_iso3": "Largest supplier",
                  "import_top1_share": "Its share", "import_china_share": "From China",
                  "score_label": "Support of the score"},
        also=show.USGS,
        missing="no figure",
    )  # fmt: skip

st.header("What would move it", anchor=False)
scenarios = reading.rows(
    """
    select chokepoint, sector, scenario_order, scenario, words, year, score_target,
        probability_low, probability_high, expected_low, expected_high, evidence_label, entered_by
    from marts.chokepoint_scenarios
    where country_iso3 = $importer
    order by sector, chokepoint, scenario_order
    """,
    importer=importer,
)
if not show.empty(scenarios, f"scenarios of {words.country(importer)}"):
    show.table(
        scenarios,
        "chokepoint_scenarios",
        (),
        headings={"scenario_order": "Likeliest first", "words": "What it holds",
                  "score_target": "Score then"},
        also="the documents of cited_sources",
        missing="not entered",
    )  # fmt: skip
