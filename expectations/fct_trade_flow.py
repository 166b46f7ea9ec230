"""Trade in critical minerals between two countries, as conformed by dbt.

The range of each flow is judged in `raw_bilateral_trade`, what one importer buys in `import_panel`.
"""

from collections import namedtuple
from typing import Final

from expectations import rules
from expectations.previous import Tolerance, totals
from expectations.raw_bilateral_trade import MIN_FLOWS
from expectations.rules import Gate, Given, Suite

# Median USD per kg of a code in a year, over all importers; BACI 1995-2024 shows 0.13 to 28 for
# ores and 0.4 to 550,000 (rhodium) for products. With a factor of 1,000 up or down most codes fall
# out.
CATEGORY_USD_PER_KG: Final = (("ores", 0.02, 300), ("products", 0.1, 1e6))


# What a code of a mineral costs in every year, in USD per kg, of minerals that lie far from both
# ends of their category, where a slip of unit shows in one code.
Price = namedtuple("Price", "mineral category low high")
MINERAL_USD_PER_KG: Final = (
    Price("Copper", "ores", 0.1, 20),
    Price("Titanium", "ores", 0.05, 20),
    Price("Lithium", "products", 0.5, 300),
    Price("Cobalt", "products", 3, 500),
    Price("Tungsten", "products", 3, 500),
    Price("Platinum", "products", 100, 2e5),
    Price("Palladium", "products", 500, 5e5),
)


def codes(given: Given) -> Suite:
    has_flows = rules.where("n_flows", ">=", MIN_FLOWS)
    judged = (
        rules.has_all("year", given.years, name="years_are_present",
            why="Every year of the window has trade."),
        # One importer may buy a mineral in some years only.
        rules.in_range("n_years_of_mineral", len(given.years), None,
            name="every_mineral_has_every_year",
            severity="warn" if given.of_few_importers else "block",
            why="A mineral with a mapped code that is traded is traded in every year of the "
            "window."),
        rules.in_range("share_without_quantity", 0, 0.6, name="quantities_of_codes_are_given",
            rows=has_flows, mostly=0.9,
            why="A code of which most flows have no quantity says little of quantities."),
        rules.in_range("share_of_outliers", 0, 0.3, name="outliers_are_few",
            rows=has_flows, mostly=0.95, severity="warn",
            why="Some 5% of the flows cost ten times more or less than their code usually "
            "does."),
        *(
            rules.in_range("median_usd_per_kg", low, high, name=f"{category}_unit_values_in_range",
                rows=rules.where("category", "==", category), mostly=0.95, unit="USD per kg",
                why=f"Codes of {category} cost that much; with a wrong unit most fall out.")
            for category, low, high in CATEGORY_USD_PER_KG
        ),
        rules.within("median_usd_per_kg", "low_usd_per_kg", "high_usd_per_kg",
            name="unit_values_of_minerals_in_range",
            why="Codes of these minerals cost that much in every year; a wrong unit in one code "
            "shows here."),
    )  # fmt: skip
    sql = """
        with codes as (
            select mineral, category, hs_code, year, count(*) as n_flows,
                avg((not has_quantity)::int) as share_without_quantity,
                avg(is_unit_value_outlier::int) as share_of_outliers,
                median(unit_value_usd_per_kg) as median_usd_per_kg
            from conformed.fct_trade_flow
            where list_contains($years, year) group by all
        )
        select codes.*, count(distinct year) over (partition by mineral) as n_years_of_mineral,
            n_flows >= $min_flows and median_usd_per_kg is not null as is_judged,
            if(is_judged, low, null) as low_usd_per_kg, if(is_judged, high, null) as high_usd_per_kg
        from codes left join prices using (mineral, category)
        order by mineral, category, hs_code, year"""
    return Suite(
        "codes",
        "One row per mineral, category, code and year of the window.",
        ("mineral", "category", "hs_code", "year"),
        judged,
        rules.query(sql, years=given.years, min_flows=MIN_FLOWS),
    )


TOTALS: Final = totals(
    (
        Tolerance("n_rows", 0.05, 0.30, "rows"),
        Tolerance("value_usd", 0.05, 0.25, "USD"),
        Tolerance("qty_kg", 0.15, 0.30, "kg"),
        Tolerance("n_importers", 0.05, 0.25, "importing countries"),
    ),
    "trade_balance",
    before="""
        select sum(n_rows) as n_rows, sum(value_usd)::double as value_usd, sum(qty_kg) as qty_kg,
            count(distinct importer_iso3) as n_importers
        from {file} where disposition = 'conformed'""",
    now="""
        select count(*) as n_rows, sum(value_usd)::double as value_usd,
            sum(reported_qty_kg) as qty_kg, count(distinct importer_iso3) as n_importers
        from conformed.fct_trade_flow""",
)
GATE: Final = Gate(
    "fct_trade_flow",
    "conformed",
    lambda given: (codes(given), TOTALS),
    {"prices": MINERAL_USD_PER_KG},
)
