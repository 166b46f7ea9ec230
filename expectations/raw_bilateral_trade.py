"""Raw bilateral trade, of either provider, before dbt reads it.

Bands are outside what BACI shows for 1995-2024 over 220 importers and for India alone. What rows
mean (countries, minerals) is judged in `fct_trade_flow`. That World rows equal the sum of partners
is checked when UN Comtrade's answers are taken in.
"""

from typing import Final

from expectations import rules
from expectations.previous import Tolerance, totals
from expectations.rules import Connection, Gate, Given, Rule, Suite

MIN_FLOWS: Final = 30  # of a code in a year, for its median to say something
MOST_ROWS: Final = 1_000_000  # in memory: the last year of the bundle is some 45,000

# The rows of either provider in common columns, by a column that only its layout has.
LAYOUTS: Final = {
    "v": """
        select try_cast(t as integer) as year, i as exporter_code, j as importer_code,
            k as hs_code, try_cast(v as double) as value_thousand_usd,
            try_cast(q as double) as quantity_t
        from raw.bilateral_trade""",
    "primaryValue": """
        select period as year, partnerCode as exporter_code, reporterCode as importer_code,
            cmdCode as hs_code, round(primaryValue, 2) / 1000 as value_thousand_usd,
            nullif(netWgt, 0) / 1000 as quantity_t
        from raw.bilateral_trade""",
}


def load_trade(connection: Connection) -> None:
    columns = connection.sql("from raw.bilateral_trade limit 0").columns
    layout = next(sql for column, sql in LAYOUTS.items() if column in columns)
    connection.execute(f"create temp table if not exists trade as {layout}")


FLOWS: Final = (
    rules.in_range("year", 1988, 2100, "The Harmonized System begins in 1988."),
    rules.in_range("value_thousand_usd", 0.0001, 1e9, unit="thousand USD",
        why="A flow is worth something, and less than a trillion USD."),
    rules.in_range("quantity_t", 1e-9, 1e9, unit="t",
        why="Tons are positive and fewer than a billion per flow."),
    rules.is_always("is_own_trade", False, name="exporter_is_not_importer", severity="warn",
        why="Trade with oneself is re-imports; the panel leaves it out."),
    rules.is_always("is_with_world", False, name="partner_is_not_the_world",
        why="A World row beside the partners doubles every total."),
)  # fmt: skip
ROWS: Final = Suite(
    "rows",
    f"One row per flow: what breaks a rule, and the last year; at most {MOST_ROWS:,} rows.",
    ("year", "exporter_code", "importer_code", "hs_code"),
    FLOWS,
    rules.query(
        f"""
        with flows as (
            select * replace (lpad(hs_code::varchar, 6, '0') as hs_code),
                exporter_code = importer_code as is_own_trade,
                exporter_code in ('0', '000', '001', 'WLD')
                or importer_code in ('0', '000', '001', 'WLD') as is_with_world
            from trade
        )
        from flows
        where year = (select max(year) from trade where year < 2100) or {rules.breaks(FLOWS)}
        order by {rules.breaks(FLOWS)} desc, year, exporter_code, importer_code, hs_code
        limit {MOST_ROWS}""",
        of_rows="select count(*) from trade",
    ),
)


def years(given: Given) -> Suite:
    severity = "warn" if given.of_few_importers else "block"

    def steady(what: str, low: float, high: float, words: str) -> Rule:
        return rules.in_range(
            f"{what}_to_neighbours", low, high, name=f"{what}_are_steady", severity=severity,
            why=f"{words} of a year are near those of the years around: less is a year cut short, "
            "more is one counted twice.",
        )  # fmt: skip

    judged = (
        rules.has_all("year", given.years, name="years_are_present",
            why="Every year of the window has trade."),
        rules.in_range("years_missing_before", 0, 0, name="years_have_no_gap",
            why="A year missing in the middle is a year lost, not one without trade."),
        steady("rows", 0.7, 1.4, "The rows"),
        steady("values", 0.4, 2.5, "The value (USD)"),
        steady("quantities", 0.5, 2.0, "The quantity (t)"),
        steady("exporters", 0.8, 1.25, "The exporting countries"),
        steady("importers", 0.8, 1.25, "The importing countries"),
        steady("codes", 0.85, 1.15, "The codes"),
        rules.in_range("share_as_the_year_before", 0, 0.1, name="year_is_not_the_year_before",
            why="Of the flows 0.2% repeat a year later; many more are last year's file."),
        rules.in_range("share_without_quantity", 0, 0.3, name="quantities_are_given",
            why="At most 14% of a year's flows came without a quantity."),
        rules.in_range("leading_exporters_lost", 0, 0, name="no_leading_exporter_is_lost",
            rows=rules.where("is_in_window", "==", True), severity=severity,
            why="An exporter of at least 1% of the value of the years around sells in each "
            "year of the window at least a hundredth of what it usually does."),
    )  # fmt: skip
    return Suite(
        "years",
        "One row per year, with ratios to the median of the four years around it.",
        ("year", "lost_exporters"),
        judged,
        rules.query(YEARS_SQL, years=given.years),
    )


_NEIGHBOURS = "order by year rows between 2 preceding and 2 following exclude current row"
YEARS_SQL: Final = f"""
    with by_year as (
        select year, count(*) as n_flows, sum(value_thousand_usd) as v, sum(quantity_t) as q,
            count(distinct exporter_code) as e, count(distinct importer_code) as i,
            count(distinct hs_code) as k, avg((quantity_t is null)::int) as share_without_quantity
        from trade where year is not null group by year
    ),
    repeated as (
        select now.year, avg((now.value_thousand_usd = before.value_thousand_usd)::int) as share
        from trade as now join trade as before on now.year = before.year + 1
            and now.exporter_code = before.exporter_code
            and now.importer_code = before.importer_code and now.hs_code = before.hs_code
        where list_contains($years, now.year) and list_contains($years, before.year + 1)
        group by now.year
    ),
    exporters as (
        select exporter_code, year, coalesce(any_value(x.v), 0) as v, any_value(by_year.v) as total
        from (select distinct exporter_code from trade) cross join by_year
        left join (
            select exporter_code, year, sum(value_thousand_usd) as v from trade group by all
        ) as x using (exporter_code, year)
        group by all
    ),
    usual as (
        select *, median(v) over around as usual_v, median(total) over around as usual_total
        from exporters window around as (partition by exporter_code {_NEIGHBOURS})
    ),
    lost as (
        select year, count(*) as n, string_agg(exporter_code, ', ' order by exporter_code) as codes
        from usual where usual_v >= 0.01 * usual_total and v < 0.01 * usual_v group by year
    )
    select year, n_flows,
        coalesce(year - lag(year) over (order by year) - 1, 0) as years_missing_before,
        n_flows / median(n_flows) over around as rows_to_neighbours,
        v / median(v) over around as values_to_neighbours,
        q / median(q) over around as quantities_to_neighbours,
        e / median(e) over around as exporters_to_neighbours,
        i / median(i) over around as importers_to_neighbours,
        k / median(k) over around as codes_to_neighbours,
        share_without_quantity,
        coalesce(repeated.share, 0) as share_as_the_year_before,
        coalesce(lost.n, 0) as leading_exporters_lost,
        coalesce(lost.codes, '') as lost_exporters,
        list_contains($years, year) as is_in_window
    from by_year left join repeated using (year) left join lost using (year)
    window around as ({_NEIGHBOURS}) order by year"""

CODES: Final = Suite(
    "codes",
    "One row per code and year: what a kilogram costs.",
    ("hs_code", "year"),
    (
        rules.in_range("unit_value_to_code", 1 / 50, 50, name="unit_value_of_each_code_is_steady",
            rows=rules.where("n_flows", ">=", MIN_FLOWS),
            why="The median USD per kg of a code and year is within a factor of 50 of the "
            "same code's over all years (at most 33 is seen); tons for kg, or USD for "
            "thousands, are a factor of 1,000."),
        rules.figure_in_band("median", "unit_value_usd_per_kg", 0.1, 300, unit="USD per kg",
            name="unit_values_have_the_right_unit",
            why="Half of the codes cost less than 3 USD per kg in all of BACI's, 20 in "
            "the mapped ones."),
    ),
    rules.query(
        """
        with cells as (
            select lpad(hs_code::varchar, 6, '0') as hs_code, year, count(*) as n_flows,
                median(value_thousand_usd / quantity_t) filter (quantity_t > 0)
                    as unit_value_usd_per_kg
            from trade group by trade.hs_code, year
        )
        select *, unit_value_usd_per_kg / median(unit_value_usd_per_kg) over (partition by hs_code)
            as unit_value_to_code
        from cells where unit_value_usd_per_kg is not null order by hs_code, year"""
    ),
)  # fmt: skip

TOTALS: Final = totals(
    (
        Tolerance("n_rows", 0.05, 0.30, "rows"),
        Tolerance("value_usd", 0.10, 0.25, "USD"),
        Tolerance("n_importers", 0.05, 0.25, "importing countries"),
        Tolerance("n_years", 0.0, 0.25, "years"),
    ),
    "trade_balance",
    before="""
        select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd,
            count(distinct importer_code) as n_importers, count(distinct year) as n_years
        from {file}""",
    now="""
        select count(*) as n_rows, sum(value_thousand_usd) * 1000 as value_usd,
            count(distinct importer_code) as n_importers, count(distinct year) as n_years
        from trade""",
)
GATE: Final = Gate(
    "raw_bilateral_trade",
    "raw",
    lambda given: (ROWS, years(given), CODES, TOTALS),
    prepare=load_trade,
)
