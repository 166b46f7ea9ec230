"""Imports: from whom, how much and at what price, since the first year of the trade data."""

import altair as alt
import streamlit as st

from dashboard import filters, reading, show, words

ALL_CODES = "all"
NAMED = 7  # suppliers with a colour of their own
MEASURES = {"value": "Value", "quantity": "Quantity", "unit_value": "Price (unit value)"}
VIEWS = {"absolute": "Amounts", "share": "Shares of the year"}

show.title("Imports", "From whom, how much, at what price, since when?")
market = filters.market()
codes = reading.rows(
    f"""
    select hs_code, any_value(hs_description) as hs_description
    from (from marts.trade_flows where {filters.OF_MARKET})
    left join marts.dim_hs_code using (hs_code)
    group by hs_code
    order by hs_code
    """,
    **market.keys,
)
if show.empty(codes, f"{market.words}: the trade data have no flow in any year"):
    filters.offer_categories(market, "trade_flows")
    st.stop()
texts = dict(zip(codes["hs_code"], codes["hs_description"], strict=True))
code = filters.choice(
    "hs",
    "HS code",
    [ALL_CODES, *codes["hs_code"]],
    words=lambda code: f"{code} {texts[code]}" if texts.get(code) else f"{code} codes",
)
measure = filters.choice("measure", "Measure", list(MEASURES), words=MEASURES.__getitem__)
view = filters.choice("amounts", "Shown as", list(VIEWS), words=VIEWS.__getitem__)
bounds = reading.rows("select min(year) as first, max(year) as last from marts.trade_flows").iloc[0]
first, last = filters.years("years", "Years", int(bounds["first"]), int(bounds["last"]))
asked = {**market.keys, "code": code, "first": first, "last": last}
FLOWS = f"""
    from marts.trade_flows
    where {filters.OF_MARKET} and $code in ('{ALL_CODES}', hs_code)
        and year between $first and $last
"""
flows = reading.rows(
    f"""
    select exporter_iso3, hs_code, year, qty_kg, value_usd::double as value_usd,
        unit_value_usd_per_kg, is_quantity_unknown, is_doubtful, valuation
    {FLOWS}
    order by year desc, value_usd desc, exporter_iso3, hs_code
    """,
    **asked,
)
if show.empty(flows, f"{market.words}, {first}-{last}"):
    st.stop()
st.markdown(f"**{market.words}**, values {' and '.join(sorted(flows['valuation'].unique()))}.")

if measure == "unit_value":
    st.header("Price of the importer and of the world", anchor=False)
    prices = reading.rows(
        f"""
        select year, unit_value_usd_per_kg, world_unit_value_usd_per_kg, premium_share,
            change_on_year, n_flows, n_outliers_excluded
        from marts.trade_unit_values
        where {filters.OF_MARKET} and year between $first and $last
        order by year
        """,
        **market.keys,
        first=first,
        last=last,
    )
    if not show.empty(prices, f"unit values of {market.words}"):
        names = {
            "unit_value_usd_per_kg": words.country(market.importer),
            "world_unit_value_usd_per_kg": "World",
        }
        shown = prices.rename(columns=names).melt(
            ["year", "n_flows", "n_outliers_excluded"], list(names.values()), "who", "price"
        )
        show.chart(
            alt.Chart(shown, height=320)
            .mark_line(point=True)
            .encode(
                alt.X("year:O", title=None, axis=show.YEAR_AXIS),
                alt.Y("price:Q", title="USD per kg, logarithmic",
                      scale=alt.Scale(type="log"), axis=alt.Axis(format="~g")),
                show.colour("who", names.values()),
                alt.StrokeDash("who:N", title=None, sort=list(names.values())),
                tooltip=show.tips("who", "year", price=".3s"),
            ),
            prices,
            "unit_values",
            f"Unit value, USD per kg, of the importer and of the world: {market.words}",
            show.TRADE,
        )  # fmt: skip
        st.caption(
            "All HS codes of the market together; flows of unknown or doubtful weight are left "
            "out. A unit value is no price of one quality: the mix of goods changes too. In the "
            f"table, one more than {words.COMPARABLE} times another, or less than a hundredth of "
            "it, is of other goods."
        )
        now = words.readable(prices).iloc[-1]
        changed, premium = (
            words.cell(name, now[name], "no figure") for name in ("change_on_year", "premium_share")
        )
        st.markdown(
            f"**In {now['year']}**: {words.figure(now['unit_value_usd_per_kg'])} USD per kg "
            f"({changed} against the year before), {premium} against the world's "
            f"{words.figure(now['world_unit_value_usd_per_kg'])}."
        )
        prices = prices.sort_values("year", ascending=False)
        show.table(prices, "unit_value_years", show.TRADE, missing="no flow with a weight")
else:
    st.header("Suppliers through the years", anchor=False)
    column = {"value": "value_usd", "quantity": "qty_kg"}[measure]
    years = reading.rows(
        f"""
        with flows as (select * {FLOWS}),

        placed as (
            select exporter_iso3, row_number() over (
                order by sum({column}) desc nulls last, exporter_iso3
            ) as place
            from flows
            group by exporter_iso3
        )

        select
            case when place <= {NAMED} then exporter_iso3 else 'Other' end as exporter_iso3,
            year, sum(value_usd)::double as value_usd, sum(qty_kg) as qty_kg,
            count(*) filter (where is_quantity_unknown) as n_flows_without_quantity,
            count(*) filter (where is_doubtful) as n_doubtful_flows,
            min(place) as place
        from flows
        inner join placed using (exporter_iso3)
        group by all
        order by year, min(place)
        """,
        **asked,
    )
    shown = words.readable(years)
    legend = shown.sort_values("place")["exporter_iso3"].unique()
    titles = {"value": "USD", "quantity": "tons"}
    is_share = view == "share"
    show.chart(
        alt.Chart(shown, height=360)
        .mark_bar()
        .encode(
            alt.X("year:O", title=None, axis=show.YEAR_AXIS),
            alt.Y(
                f"{column}:Q",
                title="Share of the year" if is_share else titles[measure],
                stack="normalize" if is_share else "zero",
                axis=alt.Axis(format="%") if is_share else show.AMOUNT_AXIS,
            ),
            alt.Color(
                "exporter_iso3:N", title=None, sort=None, scale=show.colours(legend)
            ),
            alt.Order("place:Q"),
            tooltip=show.tips("exporter_iso3", "year", "n_flows_without_quantity",
                              "n_doubtful_flows", **{column: ",.0f"}),
        ),
        years,
        "suppliers_by_year",
        f"{MEASURES[measure]} by supplier and year: {market.words}",
        show.TRADE,
    )  # fmt: skip
    gaps = flows["is_quantity_unknown"].sum(), flows["is_doubtful"].sum()
    st.caption(
        f"{gaps[0]} of {len(flows)} flows have no known quantity (their value counts, their "
        f"quantity cannot); {gaps[1]} have a doubtful weight, replaced by an estimate from the "
        "value."
    )

    st.header("Supplier by year", anchor=False)
    cells = reading.rows(
        f"""
        select exporter_iso3, year, sum({column})::double as amount,
            bool_or(is_quantity_unknown) as is_unknown, bool_or(is_doubtful) as is_doubtful
        {FLOWS}
        group by all
        order by year, exporter_iso3
        """,
        **asked,
    )
    show.years_table(cells, "supplier_by_year", titles[measure], has_weight=measure == "quantity")

st.header("Every flow", anchor=False)
show.table(
    flows.drop(columns="is_quantity_unknown"),
    "flows",
    show.TRADE,
    doubtful="is_doubtful",
    missing="unknown",
)
