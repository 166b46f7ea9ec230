"""What raw bilateral trade must satisfy before dbt reads it, whichever provider it is from.

Judged in four shapes: `rows` (the last year, and every row of any year that may break a rule),
`years`, `codes` (a code in a year) and `totals` (one row, against the release served); of UN
Comtrade's rows also `world` (World rows against the sum of partners). Bands are set outside what
BACI shows for 1995-2024 over 220 importers and for India alone. What rows mean (countries,
minerals) is judged in `trade_flow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from expectations.rules import (
    NO_RELEASE,
    ColumnKind,
    Figures,
    Rule,
    Severity,
    Suite,
    columns_are_present,
    columns_have_kind,
    has_all,
    has_rows,
    in_range,
    in_set,
    key_is_unique,
    median_in_band,
    near_previous,
    needs,
    not_null,
    where,
)

TABLE: Final = "raw_bilateral_trade"
KEY_COLUMNS: Final = ("year", "exporter_code", "importer_code", "hs_code")
MIN_FLOWS: Final = 30  # of a code in a year, for its median to say something

_KINDS: Final[dict[str, ColumnKind]] = {
    "year": "number",
    "exporter_code": "text",
    "importer_code": "text",
    "hs_code": "text",
    "value_thousand_usd": "number",
    "quantity_t": "number",
    "is_own_trade": "boolean",
}


def rows_suite() -> Suite:
    """The rows themselves."""
    required = ("year", "exporter_code", "importer_code", "hs_code", "value_thousand_usd")
    rules = (
        has_rows(),
        columns_are_present(_KINDS),
        columns_have_kind(_KINDS),
        key_is_unique(KEY_COLUMNS, "A flow given twice would be counted twice."),
        *(not_null(c, "Empty, or not a number: nothing can be said of such a row.")
          for c in required),
        in_range("year", 1988, 2100, "The Harmonized System begins in 1988."),
        in_range(
            "value_thousand_usd",
            0.0001,
            1e9,
            "A flow is worth something, and less than a trillion USD.",
        ),
        in_range("quantity_t", 1e-9, 1e9, "Tons are positive and fewer than a billion a flow."),
        Rule(
            name="hs_code_is_six_digits",
            severity="block",
            why="A code that lost a digit means another commodity, or none.",
            expectation="expect_column_values_to_match_regex",
            arguments={"column": "hs_code", "regex": "^[0-9]{6}$"},
        ),
        in_set(
            "is_own_trade",
            [False],
            "Trade with oneself is re-imports; the panel leaves it out.",
            name="exporter_is_not_importer",
            severity="warn",
        ),
        *(
            Rule(
                name=f"{role}_is_not_the_world",
                severity="block",
                why="A World row beside the partners' doubles every total.",
                expectation="expect_column_values_to_not_be_in_set",
                arguments={"column": f"{role}_code", "value_set": ["0", "000", "001", "WLD"]},
            )
            for role in ("exporter", "importer")
        ),
    )  # fmt: skip
    return Suite(f"{TABLE}__rows", KEY_COLUMNS, rules)


def years_suite(years: Sequence[int], *, of_few_importers: bool = False) -> Suite:
    """One row a year; `*_to_neighbours` are ratios to the median of the four years around.

    What one importer buys changes from year to year as the world's trade does not:
    `of_few_importers` makes unsteady years and the loss of a leading exporter warnings.
    """

    severity: Severity = "warn" if of_few_importers else "block"

    def steady(what: str, low: float, high: float, words: str) -> Rule:
        return in_range(
            f"{what}_to_neighbours",
            low,
            high,
            f"{words} of a year lie between {low:g} and {high:g} times those of the years around: "
            "less is a year cut short, more is one counted twice.",
            name=f"{what}_{'is' if what in ('value', 'quantity') else 'are'}_steady",
            severity=severity,
        )

    rules = (
        has_all("year", years, "Every year of the window has trade.", name="years_are_present"),
        in_range(
            "years_missing_before",
            0,
            0,
            "A year missing in the middle is a year lost, not one without trade.",
            name="years_have_no_gap",
        ),
        steady("rows", 0.7, 1.4, "The rows"),
        steady("value", 0.4, 2.5, "The value"),
        steady("quantity", 0.5, 2.0, "The tons"),
        steady("exporters", 0.8, 1.25, "The exporting countries"),
        steady("importers", 0.8, 1.25, "The importing countries"),
        steady("codes", 0.85, 1.15, "The codes"),
        in_range(
            "share_as_the_year_before",
            0,
            0.1,
            "Of the flows 0.2% repeat a year later; many more are last year's file again.",
            name="year_is_not_the_year_before",
        ),
        in_range(
            "share_without_quantity",
            0,
            0.3,
            "At most 14% of a year's flows came without a quantity.",
            name="quantities_are_given",
        ),
        in_range(
            "leading_exporters_lost",
            0,
            0,
            "An exporter of at least 1% of the value of the years around sells in each year of the "
            "window at least a hundredth of what it usually does.",
            name="no_leading_exporter_is_lost",
            rows=where("is_in_window", "==", True),
            severity=severity,
        ),
    )
    return Suite(f"{TABLE}__years", ("year", "lost_exporters"), rules)


def codes_suite() -> Suite:
    """One row a code and year: what a kilogram costs."""
    rules = (
        in_range(
            "unit_value_to_code",
            1 / 50,
            50,
            "The median USD a kg of a code and year is within a factor of 50 of the same code's "
            "over all years (at most 33 is seen); tons for kg, or USD for thousands, are a "
            "factor of 1,000.",
            name="unit_value_of_each_code_is_steady",
            rows=where("n_flows", ">=", MIN_FLOWS),
        ),
        median_in_band(
            "unit_value_usd_per_kg",
            0.1,
            300,
            "Half of the codes cost less than 3 USD a kg in all of BACI's, 20 in the mapped ones.",
            name="unit_values_have_the_right_unit",
        ),
    )
    return Suite(f"{TABLE}__codes", ("hs_code", "year"), rules)


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """One row: all trade of the snapshot, against the release served."""
    rules = [
        near_previous("n_rows", previous, 0.05, 0.30, "the rows"),
        near_previous("value_usd", previous, 0.10, 0.25, "the value (USD)"),
        near_previous("n_importers", previous, 0.05, 0.25, "the importing countries"),
        near_previous("n_years", previous, 0.0, 0.25, "the years"),
    ]
    return Suite(f"{TABLE}__totals", (), tuple(needs(previous, rules, why_not)))


def world_suite() -> Suite:
    """One row an importer, year and code of UN Comtrade: World against the sum of partners."""
    rules = (
        in_range(
            "relative_difference",
            -0.01,
            0.01,
            "The partners add up to the World row within 1%, unless the case is known and listed.",
            name="partners_add_up_to_world",
            rows=where("is_known", "==", False),
        ),
    )
    return Suite(f"{TABLE}__world", ("importer_code", "year", "hs_code"), rules)
