"""What `fct_trade_flow` must satisfy: trade of critical minerals between two countries.

Judged in three shapes: `rows` (the last year, and every row of any year that may break a rule),
`codes` (a mineral, category, code and year) and `totals` (one row, against the release served). The
raw rows are judged in `raw_trade`; what one importer buys in `import_panel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from expectations.import_panel import CATEGORIES
from expectations.raw_trade import MIN_FLOWS
from expectations.rules import (
    NO_RELEASE,
    ColumnKind,
    Figures,
    Rule,
    Suite,
    columns_are_present,
    columns_have_kind,
    every,
    every_group_counts,
    has_all,
    has_rows,
    in_range,
    in_set,
    is_iso3,
    near_previous,
    needs,
    not_null,
    where,
)

TABLE: Final = "fct_trade_flow"
KEY_COLUMNS: Final = ("importer_iso3", "exporter_iso3", "hs_code", "year")

# Median USD a kg of a code in a year, over all importers; BACI 1995-2024 shows 0.13 to 28 for ores
# and 0.4 to 550,000 (rhodium) for products. With a factor of 1,000 up or down most codes fall out.
UNIT_VALUE_USD_PER_KG: Final[Mapping[str, tuple[float, float]]] = {
    "ores": (0.02, 300),
    "products": (0.1, 1e6),
}
# The same for codes whose price lies far from both ends, where a slip of unit shows in one code.
MINERAL_UNIT_VALUE_USD_PER_KG: Final[Mapping[tuple[str, str], tuple[float, float]]] = {
    ("Copper", "ores"): (0.1, 20),
    ("Titanium", "ores"): (0.05, 20),
    ("Lithium", "products"): (0.5, 300),
    ("Cobalt", "products"): (3, 500),
    ("Tungsten", "products"): (3, 500),
    ("Platinum", "products"): (100, 2e5),
    ("Palladium", "products"): (500, 5e5),
}

_KINDS: Final[dict[str, ColumnKind]] = {
    "importer_iso3": "text",
    "exporter_iso3": "text",
    "mineral": "text",
    "category": "text",
    "year": "integer",
    "hs_code": "text",
    "qty_kg": "number",
    "value_usd": "number",
}


def rows_suite() -> Suite:
    """The flows themselves."""
    rules = (
        has_rows(),
        columns_are_present(_KINDS),
        columns_have_kind(_KINDS),
        *(
            not_null(c, "A flow without its key or its value is nobody's.")
            for c in (*KEY_COLUMNS, "mineral", "category", "value_usd")
        ),
        is_iso3("importer_iso3"),
        is_iso3("exporter_iso3"),
        in_range("value_usd", 0.01, 1e12, "A flow is worth a cent to a trillion USD."),
        in_range("qty_kg", 1e-6, 1e12, "Kilograms are positive and fewer than a trillion a flow."),
    )
    return Suite(f"{TABLE}__rows", KEY_COLUMNS, rules)


def codes_suite(
    years: Sequence[int], minerals: Sequence[str], *, of_few_importers: bool = False
) -> Suite:
    """One row a mineral, category, code and year of the window.

    One importer may buy a mineral in some years only: `of_few_importers` makes that a warning.
    """
    rules = (
        in_set(
            "mineral",
            minerals,
            "A mineral spelt otherwise than in the list joins nothing.",
            name="minerals_are_the_listed",
        ),
        in_set("category", CATEGORIES, "Ores, products or scrap.", name="categories_are_known"),
        has_all("year", years, "Every year of the window has trade.", name="years_are_present"),
        every_group_counts(
            ["mineral"],
            "year",
            len(years),
            None,
            "A mineral with a mapped code that is traded is traded in every year of the window.",
            name="every_mineral_has_every_year",
            severity="warn" if of_few_importers else "block",
        ),
        in_range(
            "share_without_quantity",
            0,
            0.6,
            "A code of which most flows have no quantity says little of quantities.",
            name="quantities_of_codes_are_given",
            rows=where("n_flows", ">=", MIN_FLOWS),
            mostly=0.9,
        ),
        in_range(
            "share_of_outliers",
            0,
            0.3,
            "Some 5% of the flows cost ten times more or less than their code usually does.",
            name="outliers_are_few",
            rows=where("n_flows", ">=", MIN_FLOWS),
            mostly=0.95,
            severity="warn",
        ),
        *(
            in_range(
                "median_unit_value_usd_per_kg",
                low,
                high,
                f"Codes of {category} cost {low:g} to {high:,.6g} USD a kg.",
                name=f"{category}_unit_values_in_range",
                rows=where("category", "==", category),
                mostly=0.95,
            )
            for category, (low, high) in UNIT_VALUE_USD_PER_KG.items()
        ),
        *(
            in_range(
                "median_unit_value_usd_per_kg",
                low,
                high,
                f"{mineral} {category} cost {low:g} to {high:,.6g} USD a kg in every year.",
                name=f"{mineral.lower()}_{category}_unit_value_in_range",
                rows=_of(mineral, category),
            )
            for (mineral, category), (low, high) in MINERAL_UNIT_VALUE_USD_PER_KG.items()
        ),
    )
    return Suite(f"{TABLE}__codes", ("mineral", "category", "hs_code", "year"), rules)


def _of(mineral: str, category: str) -> dict[str, object]:
    return every(
        where("mineral", "==", mineral),
        where("category", "==", category),
        where("n_flows", ">=", MIN_FLOWS),
    )


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """One row: all conformed trade, against the release served."""
    rules: list[Rule] = [
        near_previous("n_rows", previous, 0.05, 0.30, "the flows"),
        near_previous("value_usd", previous, 0.05, 0.25, "the value (USD)"),
        near_previous("qty_kg", previous, 0.15, 0.30, "the quantity (kg)"),
        near_previous("n_importers", previous, 0.05, 0.25, "the importing countries"),
    ]
    return Suite(f"{TABLE}__totals", (), tuple(needs(previous, rules, why_not)))
