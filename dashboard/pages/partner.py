"""Partner: one country to this importer, over all minerals."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

SHOWN = 20
SHARES = {"actual_share": "today", "recommended_share": "recommended"}
TYPES = {
    "core": "Core partner",
    "regular": "Regular partner",
    "mineral_specific": "For a few minerals",
}
HEADINGS = {"years_in_top_k": "Years among the leading",
            "years_observed": "of", "persistence": "Over the years",
            "headline_model": "Model"}  # fmt: skip

show.title("Partner", "What is one country to this importer, over all minerals?")
importer = filters.importer()
candidates = reading.rows(
    """
    select distinct exporter_iso3 from marts.supplier_overview
    where importer_iso3 = $importer
    order by 1
    """,
    importer=importer,
)
if show.empty(candidates, f"suppliers of {words.country(importer)}"):
    st.stop()
able = sorted(candidates["exporter_iso3"], key=words.country)
value_usd = reading.sellers(importer).set_index("exporter_iso3")["value_usd"]
largest = next((iso3 for iso3 in value_usd.index if iso3 in able), None)
partner = filters.choice("partner", "Partner", able, largest, words.country)
pair = {"importer": importer, "partner": partner}
markets = reading.rows(
    """
    select
        mineral, category, action, role, actual_share, recommended_share, change_share,
        headline_rank, rank_low, rank_high, top_k_probability, actual_rank, supplier_type,
        o.persistence, years_in_top_k, years_observed, annual_qty_kg, headline_model, evidence,
        doubtful_qty_kg > 0 as is_doubtful
    from marts.supplier_overview as o
    left join marts.ranking_persistence as p
        using (importer_iso3, exporter_iso3, mineral, category)
    where
        importer_iso3 = $importer
        and exporter_iso3 = $partner
        and (p.coefficient_source is null or p.coefficient_source = o.headline_model)
    order by
        greatest(coalesce(actual_share, 0), coalesce(recommended_share, 0)) desc,
        headline_rank, mineral, category
    """,
    **pair,
)
bought = markets[markets["actual_share"] > 0]
core = reading.rows(
    """
    select partner_type, n_markets
    from marts.portfolio_core_partners
    where importer_iso3 = $importer and exporter_iso3 = $partner
    """,
    **pair,
)
flows = reading.rows(
    """
    select year, mineral, category, sum(value_usd)::double as value_usd, sum(qty_kg) as qty_kg,
        bool_or(is_quantity_unknown) as is_unknown, bool_or(is_doubtful) as is_doubtful
    from marts.trade_flows
    where importer_iso3 = $importer and exporter_iso3 = $partner
    group by all
    order by year, value_usd desc, mineral, category
    """,
    **pair,
)

st.header(f"{words.country(partner)} to {words.country(importer)}", anchor=False)
of_model = core.iloc[0] if len(core) else None
show.tiles(
    {
        "Kind of partner": (
            "Leads nowhere" if of_model is None else TYPES[of_model["partner_type"]],
            "Core: the model has it among the leading suppliers of at least half of the markets.",
        ),
        "Sells in": (
            f"{len(bought)} of {len(markets)} markets",
            "Minerals and categories with imports of known quantity in the window, of those where "
            "it is a candidate.",
        ),
        "Largest supplier in": (
            str((bought["actual_rank"] == 1).sum()),
            "Markets where more was bought from it than from any other.",
        ),
        "Leads by the model in": (
            f"{0 if of_model is None else of_model['n_markets']} of {len(markets)}",
            "Markets where the model has it among the leading suppliers.",
        ),
        "Bought in the last year": (
            words.amount(value_usd.get(partner), "USD"),
            "Value of all critical minerals.",
        ),
    }
)

left, right = st.columns(2)
with left:
    st.header("Today and recommended", anchor=False)
    weighty = markets[
        (markets["actual_share"] > 0.005) | (markets["recommended_share"] > 0.005)
    ].head(SHOWN)
    if not show.empty(weighty, f"markets where {words.country(partner)} has half a per cent"):
        shown = words.readable(weighty)
        shown["market"] = words.markets(shown)
        long = shown.melt(["market", "role"], list(SHARES), "which", "share").dropna()
        long["which"] = long["which"].map(SHARES)
        base = alt.Chart(long, height=show.height(len(shown))).encode(
            alt.X("share:Q", title="Share of the imports", axis=alt.Axis(format="%")),
            alt.Y("market:N", title=None, sort=list(shown["market"])),
        )
        show.chart(
            base.mark_line(color=show.GREY).encode(alt.Detail("market:N"))
            + base.mark_point(filled=True, size=80, opacity=1).encode(
                show.colour("which", SHARES.values()),
                alt.Shape(
                    "which:N",
                    scale=alt.Scale(
                        domain=list(SHARES.values()), range=["circle", "triangle-right"]
                    ),
                ),
                tooltip=show.tips("market", "role", "which", share=".1%"),
            ),
            weighty,
            "partner_shares",
            f"Share of {partner} in the imports of {importer}, today and recommended, by market",
            beside=2,
        )
        st.caption(f"{len(weighty)} of {len(markets)} markets, the largest first.")
with right:
    st.header("What is bought, year by year", anchor=False)
    if not show.empty(flows, f"imports from {words.country(partner)}"):
        by_year = flows.groupby(["year", "category"], as_index=False)["value_usd"].sum()
        show.chart(
            show.by_category(alt.Chart(by_year, height=show.height(SHOWN)).mark_bar()),
            flows,
            "bought_by_year",
            f"Imports of {importer} from {partner}, USD, by category and year",
            show.TRADE,
            beside=2,
        )

if len(flows):
    newest = flows["year"].max()
    st.header(f"Bought in {newest}", anchor=False)
    show.table(
        flows[flows["year"] == newest].drop(columns="year"),
        "bought_now",
        show.TRADE,
        headings={"qty_kg": "Quantity (t)", "value_usd": "Value (USD)",
                  "is_unknown": "Quantity of a part unknown"},
        doubtful="is_doubtful",
        missing="unknown",
    )  # fmt: skip

st.header("Every market where it could sell", anchor=False)
show.table(markets, "partner_markets", headings=HEADINGS, doubtful="is_doubtful")

st.header("Does it make what it sells?", anchor=False)
types = reading.rows(
    """
    select mineral, category, supplier_type, mines, refines, exports_qty_kg, imports_qty_kg,
        reexport_ratio
    from marts.supplier_types
    where exporter_iso3 = $partner
    order by exports_qty_kg desc nulls last, mineral, category
    """,
    partner=partner,
)
if not show.empty(types, f"exports of {words.country(partner)}"):
    show.table(
        types,
        "supplier_types",
        ("bilateral_trade", "production"),
        headings={"exports_qty_kg": "Exports to all (t)", "imports_qty_kg": "Imports (t)",
                  "reexport_ratio": "Imported for each ton exported"},
        also=show.USGS,
        missing="no figure",
    )  # fmt: skip

st.header("Agreements, restrictions and signals", anchor=False)
agreements = reading.rows(
    """
    select name, scope, mode, status, signed_date, in_force_date, evidence_label, citation
    from marts.partner_agreements
    where importer_iso3 = $importer and partner_iso3 = $partner
    order by scope, name
    """,
    **pair,
)
if not show.empty(agreements, f"agreements with {words.country(partner)} in the register"):
    show.table(agreements, "partner_agreements", (), also=show.DOCUMENTS, missing="not recorded")
restrictions = reading.rows(
    """
    select event, mineral, category, measure_type, is_in_force, from_date, end_date, status,
        target_iso3, instrument, evidence_label, citation
    from marts.policy_events
    where actor_iso3 = $partner and direction = 'restricts'
    order by is_in_force desc, from_date desc, event, mineral, category
    """,
    partner=partner,
)
if not show.empty(restrictions, f"restrictions by {words.country(partner)} in the register"):
    show.table(restrictions, "partner_restrictions", (), also=show.DOCUMENTS)
signals = reading.rows(
    """
    select signal_date, subject, direction, mineral, maturity, evidence_label, citation
    from marts.supply_signals
    where partner_iso3 = $partner and (importer_iso3 is null or importer_iso3 = $importer)
    order by signal_date desc nulls last, subject
    """,
    **pair,
)
show.sanctions(importer)
if not show.empty(signals, f"signals of {words.country(partner)}"):
    show.table(signals, "partner_signals", (), also=show.DOCUMENTS)

st.header("Beside the median partner", anchor=False)
attributes = reading.rows(
    """
    with here as (
        select
            unnest([
                'Distance, km', 'Governance, -2.5 to 2.5', 'Political stability',
                'Regulatory quality', 'Logistics performance, 1 to 5', 'Distance of votes',
                'Agreements', 'Minerals restricted'
            ]) as attribute,
            unnest([
                distance_km, wgi_average, wgi_political_stability, wgi_regulatory_quality,
                logistics_performance_index, ideal_point_distance, n_agreements,
                n_minerals_restricted
            ]) as value,
            exporter_iso3
        from marts.partner_attributes
        where importer_iso3 = $importer
    )

    select attribute, any_value(value) filter (where exporter_iso3 = $partner) as of_partner,
        median(value) as median_of_partners
    from here
    group by attribute
    order by attribute
    """,
    **pair,
)
show.table(
    attributes,
    "partner_attributes",
    headings={"of_partner": words.country(partner), "median_of_partners": "Median partner"},
    also="votes in the UN General Assembly (Bailey, Strezhnev and Voeten)",
)
st.caption("Votes are not alliances: read their distance beside the agreements.")
