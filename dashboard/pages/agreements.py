"""Agreements and attributes: what binds a partner to the importer, and what it is beyond supply."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

SHOWN = 25
ATTRIBUTES = {
    "distance_km": "Distance, km",
    "wgi_average": "Governance, -2.5 to 2.5",
    "wgi_political_stability": "Political stability, -2.5 to 2.5",
    "wgi_regulatory_quality": "Regulatory quality, -2.5 to 2.5",
    "logistics_performance_index": "Logistics performance, 1 to 5",
    "ideal_point_distance": "Distance of votes in the UN",
    "access_to_electricity_pct": "Access to electricity, %",
    "fdi_pct_gdp": "Foreign direct investment, % of GDP",
    "ores_metals_exports_pct_merchandise": "Ores and metals in exports, %",
}
SOURCES = ("CEPII GeoDist, World Bank, and votes in the UN General Assembly (Bailey, Strezhnev "
           "and Voeten); agreements: the documents named in the table")  # fmt: skip
EVERY_FORUM = "all"
BOUND = ["bilateral agreement on minerals", "minerals forum alone", "neither in the register"]

show.title(
    "Agreements and attributes",
    "Which partners are near, open, well served, bound by agreements, and eligible?",
)
importer = filters.importer()
partners = reading.rows(
    """
    select
        a.*,
        coalesce(partner_type, 'leads nowhere') as partner_type,
        coalesce(n_markets, 0) as n_markets
    from marts.partner_attributes as a
    left join marts.portfolio_core_partners as c using (importer_iso3, exporter_iso3)
    where importer_iso3 = $importer
    order by n_markets desc, exporter_iso3
    """,
    importer=importer,
)
if show.empty(partners, f"partners of {words.country(importer)}"):
    st.stop()

st.header("Who is bound by what", anchor=False)
agreements = reading.rows(
    """
    select partner_iso3, name, mode, scope, status, partner_role, signed_date, in_force_date,
        status_checked_date, is_trade_agreement, evidence_label, citation, location, note
    from marts.partner_agreements
    where importer_iso3 = $importer
    order by scope <> 'minerals', scope, name, partner_iso3
    """,
    importer=importer,
)
if not show.empty(agreements, f"agreements of {words.country(importer)} in the register"):
    on_minerals = agreements[agreements["scope"] == "minerals"]
    for (name, mode, status), of_name in on_minerals.groupby(["name", "mode", "status"]):
        st.markdown(
            f"**{name}**, {words.plain(mode)}, status {words.plain(status)}: "
            f"{', '.join(words.countries(of_name['partner_iso3']))}."
        )
    forum = filters.choice(
        "forum", "Agreement or forum", [EVERY_FORUM, *sorted(agreements["name"].unique())]
    )
    picked = agreements if forum == EVERY_FORUM else agreements[agreements["name"] == forum]
    shown = words.readable(picked)
    by_number = shown.groupby("partner_iso3").size().sort_values(ascending=False)
    first = list(by_number.head(SHOWN).index)
    show.chart(
        alt.Chart(
            shown[shown["partner_iso3"].isin(first)],
            height=show.height(shown["name"].nunique(), 20),
        )
        .mark_square(size=150)
        .encode(
            alt.X("partner_iso3:N", title=None, sort=first,
                  axis=alt.Axis(orient="top", labelAngle=-50, labelOverlap=False)),
            alt.Y("name:N", title=None, sort=list(shown["name"].unique()),
                  axis=alt.Axis(labelLimit=330, labelOverlap=False)),
            show.colour("scope", orient="bottom"),
            tooltip=show.tips("partner_iso3", "name", "scope", "status", "evidence_label"),
        ),
        picked,
        "agreement_matrix",
        f"Agreements of {importer} by partner: {len(by_number)} partners",
        (),
        show.DOCUMENTS,
    )  # fmt: skip
    st.caption(
        f"{len(first)} of {len(by_number)} partners, those with most agreements "
        "first. The register does not list all agreements: a partner without a mark may have more."
    )
    show.table(picked, "partner_agreements", (), missing="not recorded",
               also=show.DOCUMENTS)  # fmt: skip

st.header("Partners by attribute", anchor=False)
attribute = filters.choice("attribute", "Attribute", list(ATTRIBUTES), words=ATTRIBUTES.get)
leading = partners[partners[attribute].notna()].head(SHOWN).sort_values(attribute)
shown = words.readable(leading)
is_in_forum = leading["exporter_iso3"].isin(
    agreements.loc[agreements["scope"] == "minerals", "partner_iso3"]
)
shown["bound"] = is_in_forum.map({True: BOUND[1], False: BOUND[2]}).mask(
    leading["has_minerals_agreement"], BOUND[0]
)
show.chart(
    alt.Chart(shown, height=show.height(len(shown), 20))
    .mark_bar()
    .encode(
        alt.X(f"{attribute}:Q", title=ATTRIBUTES[attribute]),
        alt.Y("exporter_iso3:N", title=None, sort=None),
        show.colour("bound", BOUND, [show.COLOURS[2], show.COLOURS[5], show.GREY]),
        tooltip=show.tips("exporter_iso3", attribute, "n_agreements", "minerals_restricted"),
    ),
    leading,
    "attribute_bars",
    f"{ATTRIBUTES[attribute]} of the partners that lead in most markets of {importer}",
    show.EVERY_DATASET,
    SOURCES,
)
st.caption(
    f"The {len(leading)} partners that the model has among the leading suppliers of most markets. "
    "Votes are not alliances: read their distance beside the agreements."
)
show.table(
    partners[["exporter_iso3", "partner_type", "n_markets", "n_agreements",
              "has_minerals_agreement", "has_trade_agreement", "n_minerals_restricted",
              "minerals_restricted", *ATTRIBUTES, "lpi_year", "is_imputed_wgi_average",
              "is_imputed_access_to_electricity_pct", "is_imputed_fdi_pct_gdp"]],
    "partner_attributes",
    headings={"exporter_iso3": "Partner", "n_markets": "Leads in markets",
              "is_imputed_wgi_average": f"{words.IMPUTED} Governance",
              "is_imputed_access_to_electricity_pct": f"{words.IMPUTED} Electricity",
              "is_imputed_fdi_pct_gdp": f"{words.IMPUTED} Investment"},
    also=SOURCES,
)  # fmt: skip
st.caption(f"{words.IMPUTED} a year of it is filled in.")

st.header("Whose value counts under a content scheme", anchor=False)
schemes = reading.rows("from marts.content_requirements order by scheme, content, year_from")
if not show.empty(schemes, "content schemes"):
    scheme = filters.choice("scheme", "Scheme", sorted(schemes["scheme"].unique()))
    mineral, category = filters.mineral(), filters.category()
    gap = reading.rows(
        """
        select year, qualifying_value_share, threshold_share, gap_share, status
        from marts.content_requirement_gap
        where scheme = $scheme and importer_iso3 = $importer and mineral = $mineral
            and category = $category
        order by year
        """,
        scheme=scheme,
        importer=importer,
        mineral=mineral,
        category=category,
    )
    of_scheme = schemes[schemes["scheme"] == scheme]
    status = of_scheme.iloc[0]
    st.markdown(f"**{scheme}**: {words.plain(status['status'])}. {status['note'] or ''}")
    left, right = st.columns(2)
    with left:
        st.markdown(f"**{mineral}, {category}: what qualifies against the threshold**")
        if not show.empty(gap, f"purchases of {mineral}, {category}"):
            base = alt.Chart(gap, height=240).encode(alt.X("year:O", title=None))
            show.chart(
                base.mark_bar(color=show.COLOURS[0]).encode(
                    alt.Y(
                        "qualifying_value_share:Q",
                        title="Share of the import value (bar), threshold (line)",
                        axis=alt.Axis(format="%"),
                        scale=alt.Scale(domain=[0, 1]),
                    ),
                    tooltip=show.tips(
                        "year", "qualifying_value_share", "threshold_share", "gap_share"
                    ),
                )
                + base.mark_tick(color=show.COLOURS[4], thickness=3, width=60).encode(
                    alt.Y("threshold_share:Q")
                ),
                gap,
                "content_gap",
                f"Qualifying share of purchases of {mineral}, {category}, and threshold by year",
                show.TRADE,
                "thresholds: the documents named below",
                beside=2,
            )
    with right:
        st.markdown("**Countries that qualify**")
        eligible = reading.rows(
            """
            select exporter_iso3, is_qualifying, is_domestic, is_trade_agreement_partner,
                is_special_agreement, is_excluded_entity_country, evidence_label
            from marts.content_eligibility where scheme = $scheme
            order by is_qualifying desc, exporter_iso3
            """,
            scheme=scheme,
        )
        show.table(
            eligible,
            "content_eligibility",
            (),
            headings={"exporter_iso3": "Country"},
            also="public record",
        )
    show.table(of_scheme.drop(columns="scheme"), "content_requirements", (), also=show.DOCUMENTS)
