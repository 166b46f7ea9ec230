"""Mineral: what there is to know of one mineral, on two sheets of paper."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

STAGES = {"mined": "Mined", "refined": "Refined", "reserves": "Reserves"}
LARGEST = 6

importer, mineral = filters.importer(), filters.mineral()
others = [other for other in filters.importers() if other != importer]
beside = filters.choices("beside", "Compare with", others, words=words.country) if others else []
asked = {"importer": importer, "mineral": mineral}
show.title(mineral, f"What is there to know of {mineral} for {words.country(importer)}?")

markets = reading.rows(
    """
    select category, s.strategy, rationale, instruments, author, o.location
    from marts.portfolio_concentration as c
    inner join marts.portfolio_strategy as s using (importer_iso3, mineral, category)
    left join marts.policy_options as o using (importer_iso3, mineral, category)
    left join marts.cited_sources using (source_id)
    where importer_iso3 = $importer and mineral = $mineral
    order by c.hhi_actual is null, category
    """,
    **asked,
)
about = reading.rows("from marts.dim_mineral where mineral = $mineral", mineral=mineral).iloc[0]
if isinstance(about["note"], str) and about["note"]:
    st.caption(about["note"])
if markets.empty:
    st.info(f"No ranking and no portfolio of {mineral} in this release: no line of the trade data "
            "and no sheet of production is its own.")  # fmt: skip

st.header("Where it is mined and refined", anchor=False)
world = reading.rows(
    """
    with newest as (
        select stage, form, max((year, source_dataset)) as pair
        from marts.world_production_shares
        where mineral = $mineral and world_total > 0
        group by all
    )

    select s.stage, s.form, s.source_dataset, s.year, s.country_iso3, s.share, s.quantity_kg,
        s.world_rank, s.is_estimated, s.evidence_label
    from marts.world_production_shares as s
    inner join newest as n
        on s.stage = n.stage and s.form = n.form and (s.year, s.source_dataset) = n.pair
    where mineral = $mineral and s.share > 0
    order by s.stage, s.form, s.world_rank
    """,
    mineral=mineral,
)
if not show.empty(world, f"mining, refining or reserves of {mineral}"):
    for column, (stage, heading) in zip(st.columns(3), STAGES.items(), strict=True):
        of_stage = world[world["stage"] == stage]
        of_stage = of_stage[of_stage["form"] == of_stage["form"].min()]
        with column:
            if of_stage.empty:
                st.markdown(f"**{heading}**: no figure by country available.")
                continue
            one = of_stage.iloc[0]
            st.markdown(
                f"**{heading}** {one['form']} {one['year']}, {words.source(one['source_dataset'])}"
            )
            show.chart(
                show.bars(of_stage.head(LARGEST), "share", "Share of the world", "country_iso3"),
                of_stage,
                f"{stage}_shares",
                f"Largest countries, {heading.lower()}: {mineral}",
                ("production",),
                show.USGS,
                beside=3,
            )
    outlook = reading.rows(
        """
        select stage, contestability, leader_iso3, leader_share_first, leader_share_last,
            first_year, last_year, entrants, evidence_label
        from marts.market_contestability where mineral = $mineral order by stage
        """,
        mineral=mineral,
    )
    for row in words.readable(outlook).itertuples():
        st.markdown(
            f"**{row.stage.capitalize()}: {row.contestability}.** "
            f"{row.leader_iso3} leads with {words.percent(row.leader_share_last)} "
            f"in {row.last_year} ({words.percent(row.leader_share_first)} in {row.first_year}). "
            f"New with 1% or more: {row.entrants or 'none'}. *{row.evidence_label}*"
        )

measures = reading.rows(
    """
    select event, any_value(is_in_force) as is_in_force, any_value(status) as status,
        min(from_date) as from_date, max(end_date) as end_date, measure_type, evidence_label
    from marts.policy_events
    where mineral = $mineral and direction = 'restricts'
    group by event, measure_type, evidence_label
    order by is_in_force desc, from_date desc nulls last, event
    """,
    mineral=mineral,
)
for row in words.readable(measures).itertuples():
    state = "in force" if row.is_in_force else f"not in force, {row.status}"
    st.markdown(
        f"**Measure: {row.event}.** {str(row.measure_type).capitalize()}, {state}, from "
        f"{words.cell('from_date', row.from_date, 'a day not recorded')} to "
        f"{words.cell('end_date', row.end_date, 'no end recorded')}. *{row.evidence_label}*"
    )

st.header(f"What {words.country(importer)} buys", anchor=False)
bought = reading.rows(
    """
    select category, year, sum(value_usd)::double as value_usd, sum(qty_kg) as qty_kg,
        count(*) filter (where is_quantity_unknown) as n_flows_without_quantity,
        count(*) filter (where is_doubtful) as n_doubtful_flows
    from marts.trade_flows where importer_iso3 = $importer and mineral = $mineral
    group by all order by year, category
    """,
    **asked,
)
if not show.empty(bought, f"imports of {mineral} by {words.country(importer)}"):
    show.chart(
        show.by_category(
            alt.Chart(bought, height=190).mark_line(point=alt.OverlayMarkDef(size=18))
        ),
        bought,
        "imports_by_category",
        f"Imports of {mineral} by {importer}, USD, by category and year",
        show.TRADE,
    )

if beside:
    st.header("Beside other importers", anchor=False)
    compared = reading.rows(
        """
        select category, c.importer_iso3, top1_exporter_iso3, top1_share, top3_share, n_suppliers,
            c.hhi_actual, hhi_recommended, strategy
        from marts.portfolio_concentration as c
        inner join marts.portfolio_strategy using (importer_iso3, mineral, category)
        where mineral = $mineral and list_contains($importers, c.importer_iso3)
        order by max(c.hhi_actual) over (partition by category) is null, category,
            list_position($importers, c.importer_iso3)
        """,
        mineral=mineral,
        importers=(importer, *beside),
    )
    show.table(compared, "beside", missing="no imports")

with st.container(key="second_sheet"):
    st.header("From whom to buy", anchor=False)
    show.sanctions(importer)
    for row in words.readable(markets).itertuples():
        st.markdown(f"**{row.category.capitalize()}: {row.strategy}.** {row.rationale}")
    if len(named := markets[markets["instruments"].notna()]):
        first = named.iloc[0]
        st.markdown(
            f"**Instruments that a source names for such {first['category']}**: "
            f"{first['instruments']}. *{first['author']}, {first['location']}*"
        )
    suppliers = reading.rows(
        """
        select category, headline_rank, exporter_iso3, supplier_type, rank_low, rank_high,
            top_k_probability, actual_share, recommended_share, action,
            doubtful_qty_kg > 0 as is_doubtful
        from marts.supplier_overview
        where importer_iso3 = $importer and mineral = $mineral and headline_rank <= 5
        order by category, headline_rank, exporter_iso3
        """,
        **asked,
    )
    for category in markets["category"]:
        of_category = suppliers[suppliers["category"] == category]
        if len(of_category):
            st.markdown(f"**First suppliers of {category}**")
            show.table(
                of_category.drop(columns="category"),
                f"first_suppliers_{category}",
                doubtful="is_doubtful",
                on_paper=True,
            )

    st.header("What if a supplier falls away?", anchor=False)
    shocks = reading.rows(
        """
        select category, shock, lost_share, replaceable_share, next_best
        from marts.portfolio_shocks
        where importer_iso3 = $importer and mineral = $mineral and lost_share >= 0.01
        order by lost_share desc, category, shock
        limit 6
        """,
        **asked,
    )
    if not show.empty(shocks, f"losses of 1% or more of the imports of {mineral}"):
        show.table(shocks, "shocks", headings={"shock": "Loss"}, on_paper=True)
