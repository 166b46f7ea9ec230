"""What raw mineral production must satisfy before dbt reads it (World Mining Data).

Judged in four shapes: `rows`, `years`, `sheets` (a sheet in a year: its own Total against the sum
of countries, and against its other years) and `totals` (one row, against the release served).
Bands are set outside what the editions of 2018-2024 show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from expectations.rules import (
    NO_RELEASE,
    ColumnKind,
    Figures,
    Suite,
    columns_are_present,
    columns_have_kind,
    has_all,
    has_rows,
    in_range,
    in_set,
    key_is_unique,
    near_previous,
    needs,
    not_null,
    where,
)

TABLE: Final = "raw_production"
KEY_COLUMNS: Final = ("sheet", "country", "year")
UNITS: Final = ("metr. t", "kg", "ct", "Mio m3")

# What the world produced in a year of 2018-2024, in the sheet's own unit, and ten times more or
# less: a thousandfold slip shows, a boom (lithium: 2.6 times in six years) does not.
WORLD_OUTPUT: Final[Mapping[str, float]] = {
    "Copper": 2.2e7,
    "Lithium (Li2O)": 2.5e5,
    "Nickel": 3.0e6,
    "Potash (K2O)": 4.3e7,
    "Rare Earths (REO)": 3.0e5,
    "Platinum": 1.8e5,
    "Palladium": 2.1e5,
}
_FACTOR: Final = 10

_KINDS: Final[dict[str, ColumnKind]] = {
    "sheet": "text",
    "country": "text",
    "country_iso": "text",
    "year": "integer",
    "quantity": "number",
    "unit": "text",
}


def rows_suite() -> Suite:
    """The rows as they came."""
    rules = (
        has_rows(),
        columns_are_present(_KINDS),
        columns_have_kind(_KINDS),
        key_is_unique(KEY_COLUMNS, "A country twice in a sheet and year would be counted twice."),
        *(
            not_null(c, "A figure of no sheet, country, year or unit says nothing.")
            for c in ("sheet", "country", "year", "unit")
        ),
        in_range("quantity", 0, 1e10, "Production is not negative; null is not zero."),
        in_set("unit", UNITS, "Any other unit has no factor to kg.", name="units_are_known"),
        in_range(
            "name_length",
            2,
            60,
            "A country's name is a name; a cell that slipped a column is not.",
            name="country_is_a_name",
        ),
        in_range(
            "n_broken_letters",
            0,
            0,
            "A replacement sign, or Ã for é, means that the file was read in the wrong encoding.",
            name="names_are_read_in_the_right_encoding",
        ),
    )
    return Suite(f"{TABLE}__rows", KEY_COLUMNS, rules)


def years_suite(years: Sequence[int], sheets: Sequence[str]) -> Suite:
    """One row a year and sheet with figures; the rules on years and on sheets."""
    rules = (
        has_all("year", years, "Every year of the window has figures.", name="years_are_present"),
        has_all(
            "sheet",
            sheets,
            "Without its sheet a mineral's production would be zero everywhere.",
            name="sheets_are_present",
        ),
        in_range(
            "n_sheets_of_year",
            len(sheets),
            None,
            "Every year has as many sheets with figures as there are minerals with one.",
            name="sheets_of_each_year_are_present",
        ),
        in_range(
            "n_countries_of_year",
            120,
            None,
            "More than 150 countries mine something each year.",
            name="countries_of_each_year_are_present",
        ),
        in_range(
            "share_without_figure_of_year",
            0,
            0.15,
            "At most 4% of the cells of a year are empty.",
            name="figures_of_each_year_are_given",
        ),
        in_range(
            "share_as_the_year_before",
            0,
            0.5,
            "A tenth of the figures repeat the year before; half is last year's file again.",
            name="year_is_not_the_year_before",
        ),
    )
    return Suite(f"{TABLE}__years", ("sheet", "year"), rules)


def sheets_suite(sheets: Sequence[str]) -> Suite:
    """One row a sheet and year: the sum of countries beside the sheet's own total."""
    of_minerals = where("is_mineral", "==", True)
    rules = (
        in_range(
            "sum_to_total",
            0.99,
            1.01,
            "The countries add up to the sheet's Total within 1% in 98% of the sheets and years.",
            name="countries_add_up_to_the_total",
            mostly=0.9,
        ),
        in_range(
            "sum_to_total",
            0.6,
            1.7,
            "No Total is off by more than a half (selenium's is, by 48%).",
            name="no_total_is_far_off",
        ),
        in_range(
            "sum_to_other_years",
            0.2,
            5,
            "A mineral's world output changes by less than a factor of 5 from its usual year.",
            name="world_output_is_steady",
            rows=of_minerals,
        ),
        *(
            in_range(
                "sum_of_countries",
                output / _FACTOR,
                output * _FACTOR,
                f"The world produces about {output:,.6g} a year, in the sheet's unit.",
                name=f"{sheet.split(' (')[0].lower().replace(' ', '_')}_output_in_band",
                rows=where("sheet", "==", sheet),
            )
            for sheet, output in WORLD_OUTPUT.items()
            if sheet in sheets
        ),
    )
    return Suite(f"{TABLE}__sheets", ("sheet", "year"), rules)


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """One row: the table as a whole, against the release served."""
    rules = [near_previous("n_rows", previous, 0.05, 0.40, "the rows")]
    return Suite(f"{TABLE}__totals", (), tuple(needs(previous, rules, why_not)))
