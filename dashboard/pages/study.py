"""The study and the check figures: what the sources print, beside what this release computes."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

ALL = "all"
ORES = "ores"  # the study prints the rankings of no other category
PRINTED = ("printed by the study", "estimated here")
HEADINGS = {"figure_id": "Figure", "as_printed": "As printed", "cited_value": "Cited",
            "computed_value": "Computed", "relative_difference": "Relative difference",
            "cited_evidence_label": "Support of the cited", "dataset": "Computed from",
            "computed_evidence_label": "Support of the computed",
            "our_rank": "Rank here", "rank": "Printed rank",
            "our_rank_as_served": "as served",
            "country_as_printed": "As printed", "overlap_share": "In both lists",
            "spearman_rho": "Rank correlation", "is_top1_match": "Same first",
            "n_years_better_than_base": "Years better than the base",
            "n_years_left_out": "of years left out", "not_supported_by": "What speaks against it",
            "added_terms": "Adds, with the sign expected",
            "deviance_left_out": "Deviance of years left out",
            "top_k_overlap_with_base": "Leaders that stay",
            "difference_to_base": "Divergence less the base's",
            "n_better_than_base": "Better than the base", "n_left_out": "of left out",
            "difference": "Kind of difference", "driver": "What drives it"}  # fmt: skip

show.title("Study and check figures", "What did the sources print, and what do we compute?")
importer = filters.importer()
st.header("Cited figures, checked", anchor=False)
checks = reading.rows(
    """
    select f.subject, c.verdict, f.as_printed, c.cited_value, c.computed_value, c.unit,
        c.explanation, c.cited_evidence_label, c.computed_evidence_label,
        nullif(c.dataset, '') as dataset, c.cited_low, c.cited_high,
        c.relative_difference, f.qualifier, f.mineral, f.stage, f.country_iso3,
        f.year, f.source_id, f.location, f.cited_source, f.edition, f.citation, f.figure_id
    from marts.figure_checks as c
    inner join marts.cited_figures as f using (figure_id)
    order by f.figure_id, dataset
    """
)
sources = reading.rows("from marts.cited_sources order by source_id")
names = {
    row.source_id: f"{row.source_id} {row.author} ({row.year})" for row in sources.itertuples()
}
source = filters.choice(
    "cited", "Source of the cited figures", [ALL, *names], words=lambda key: names.get(key, key)
)
verdict = filters.choice(
    "verdict",
    "Verdict",
    [ALL, *words.VERDICTS],
    words=lambda key: words.VERDICTS.get(key, key),
)
of_source = checks if source == ALL else checks[checks["source_id"] == source]
counts = of_source.groupby(["source_id", "verdict"]).size().reset_index(name="n_checks")
shown = words.readable(counts)
shown["source"] = shown["source_id"].map(names)
shown["place"] = counts["verdict"].map(list(words.VERDICTS).index)
show.chart(
    alt.Chart(shown, height=show.height(shown["source"].nunique(), 34))
    .mark_bar()
    .encode(
        alt.X("n_checks:Q", title="Checks", axis=alt.Axis(tickMinStep=1)),
        alt.Y("source:N", title=None, sort=None, axis=alt.Axis(labelLimit=420)),
        show.colour("verdict", words.VERDICTS.values(), [
            *(show.COLOURS[i] for i in (2, 5, 4, 1)), "#D0D0D0"
        ]),
        alt.Order("place:Q"),
        tooltip=show.tips("source", "verdict", "n_checks"),
    ),
    counts,
    "verdicts",
    "How many checks of cited figures agree, by source",
)  # fmt: skip
picked = of_source if verdict == ALL else of_source[of_source["verdict"] == verdict]
if not show.empty(picked, f"checks of {names.get(source, 'any source')} with this verdict"):
    show.table(
        picked,
        "figure_checks",
        headings=HEADINGS,
        also=show.USGS,
    )
st.caption(
    "A cited and a computed value are never in one column. near: within 15%, or 5 points of a "
    "growth rate; superseded: a newer edition of what the source cites says otherwise; not "
    "computable: no dataset here holds it."
)
with st.expander("The sources"):
    for row in sources.itertuples():
        link = f" {row.url}" if isinstance(row.url, str) else ""
        st.markdown(f"**{row.source_id}** {row.author} ({row.year}). *{row.title}*.{link}")
        st.caption(f"{row.licence}. {row.note}")

st.header("The study's model and ours", anchor=False)
category = filters.category()
fits = reading.rows(
    """
    select
        unnest([
            'Observations', 'Parameters', 'Pseudo R2', 'Mean import, kg',
            'Standard deviation, kg', 'Chi-squared', 'AIC', 'BIC', 'Total import, kg'
        ]) as measure,
        unnest([
            n_observations, n_parameters_implied, pseudo_r2, mean_dependent, sd_dependent, chi2,
            aic, bic, total_implied
        ]) as printed,
        unnest([
            our_n_observations, our_n_parameters, our_pseudo_r2, our_mean_dependent_kg,
            our_sd_dependent_kg, our_wald_chi2, our_aic, our_bic, our_total_kg
        ]) as computed,
        evidence_label
    from marts.published_fit
    where category = $category
    """,
    category=category,
)
terms = reading.rows(
    """
    select term, coefficient_source, estimate, std_error, p_value, conf_low, conf_high, status
    from marts.ppml_coefficients
    where
        importer_iso3 = $importer and category = $category and term_type = 'covariate'
        and se_type in ('published', 'clustered_exporter')
    order by term, coefficient_source desc
    """,
    importer=importer,
    category=category,
)
left, right = st.columns(2)
with left:
    st.markdown(f"**Fit of {category}, India: printed beside ours**")
    if not show.empty(fits, f"the study's fit of {category}"):
        show.table(
            fits,
            "fits",
            headings={"printed": "Printed, or implied by it", "computed": "Here",
                      "evidence_label": "Support of the printed"},
        )  # fmt: skip
with right:
    st.markdown(f"**Coefficients of {category}, {words.country(importer)}, with 95% interval**")
    if not show.empty(terms, f"coefficients of {category}"):
        shown = words.readable(terms)
        shown["which"] = shown["coefficient_source"].map(
            dict(zip(("published", "estimated"), PRINTED, strict=True))
        )
        base = alt.Chart(shown, height=alt.Step(14)).encode(
            alt.Y("term:N", title=None),
            alt.YOffset("which:N", sort=list(PRINTED)),
            show.colour("which", PRINTED),
        )
        show.chart(
            base.mark_rule().encode(alt.X("conf_low:Q", title="Coefficient"), alt.X2("conf_high:Q"))
            + base.mark_point(filled=True, size=60, opacity=1).encode(
                alt.X("estimate:Q"),
                alt.Shape("which:N", title=None),
                tooltip=show.tips("term", "which", "estimate", "std_error", "p_value", "status"),
            ),
            terms,
            "coefficients",
            f"Coefficients of {category} with 95% interval, printed by the study and estimated",
            beside=2,
        )
        if (terms["coefficient_source"] == "estimated").sum() == 0:
            st.caption(f"Nothing is estimated here for {category}: the trade data have none.")

st.header("What the study would add to its model", anchor=False)
variants = reading.rows(
    """
    select variant, is_supported, n_years_better_than_base, n_years_left_out, not_supported_by,
        added_terms, n_observed, pseudo_r2, deviance_left_out, top_k_overlap_with_base, caution,
        reason
    from marts.model_comparison
    where importer_iso3 = $importer and category = $category
    order by is_supported is null desc, is_supported desc, deviance_left_out nulls last, variant
    """,
    importer=importer,
    category=category,
)
st.caption(
    "Fitted beside the base model, never used by a portfolio. Supported: signs as expected, "
    "distinguishable from the other regressors, better in at least four of five years left out, "
    "90% intervals without zero."
)
if not show.empty(variants, f"variants of the model of {category}"):
    show.table(variants, "model_comparison", headings=HEADINGS, also=show.USGS)
st.markdown("**The same in the world model: between two countries, and of who has not sold yet**")
of_world = reading.rows(
    """
    select variant, part, term, is_supported, difference_to_base, conf_low, conf_high,
        n_better_than_base, n_left_out, not_supported_by, expected_sign, estimate, std_error,
        observed_share, caution, reason
    from marts.world_variants
    where category = $category
    order by part, is_supported desc, difference_to_base nulls last, variant, term
    """,
    category=category,
)
if not show.empty(of_world, f"variants of the world model of {category}"):
    show.table(of_world, "world_variants", headings=HEADINGS, also=show.USGS)
    st.caption("A difference in divergence below zero helps; its interval is of 90%.")

st.header("The study's rankings of ores, place by place", anchor=False)
mineral = filters.mineral()
scores = reading.rows(
    """
    select mineral, n_published, n_common, overlap_share, overlap_share_as_served, spearman_rho,
        is_top1_match
    from marts.replication_scorecard
    where category = $ores and n_published > 0
    order by overlap_share desc nulls last, mineral
    """,
    ores=ORES,
)
if not show.empty(scores, "printed rankings of ores"):
    left, right = st.columns(2)
    with left:
        st.markdown("**Printed suppliers that are also ours, with its coefficients**")
        show.chart(
            show.bars(
                scores[scores["overlap_share"].notna()],
                "overlap_share",
                "Share in both lists",
                "mineral",
            ),
            scores,
            "replication_scorecard",
            "Share of the printed suppliers of ores that this release also ranks first",
            beside=2,
        )
    ranks = reading.rows(
        """
        select rank, our_rank, our_rank_as_served, exporter_iso3, country_as_printed
        from marts.published_rankings
        where category = $ores and mineral = $mineral
        order by rank
        """,
        ores=ORES,
        mineral=mineral,
    )
    with right:
        st.markdown(f"**{mineral}**")
        if not show.empty(ranks, f"a printed ranking of {mineral}, ores"):
            show.table(ranks, "published_rankings", headings=HEADINGS, missing="no candidate")
        differences = reading.rows(
            """
            select exporter_iso3, difference, published_rank, our_rank, driver, is_driver_imputed
            from marts.replication_differences
            where category = $ores and mineral = $mineral
            order by published_rank nulls last, our_rank, exporter_iso3
            """,
            ores=ORES,
            mineral=mineral,
        )
        if not show.empty(differences, f"differences from the printed ranking of {mineral}"):
            st.markdown("**Why they differ**")
            show.table(differences, "replication_differences", headings=HEADINGS)
