"""What the raw geography must satisfy before dbt reads it: one row an economy (GeoDist).

Judged in two shapes: `rows` and `totals` (one row, against the release served). Nothing in it
should ever change but for new economies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from expectations.rules import (
    NO_RELEASE,
    ColumnKind,
    Figures,
    Rule,
    Suite,
    columns_are_present,
    columns_have_kind,
    has_all,
    has_rows,
    in_range,
    in_set,
    is_iso3,
    key_is_unique,
    near_previous,
    needs,
    not_null,
    where,
)

TABLE: Final = "raw_country_geography"
KEY_COLUMNS: Final = ("iso3",)
REGIONS: Final = (
    "East Asia & Pacific", "Europe & Central Asia", "Latin America & Caribbean",
    "Middle East & North Africa", "Middle East, North Africa, Afghanistan & Pakistan",
    "North America", "South Asia", "Sub-Saharan Africa",
)  # fmt: skip
INCOME_GROUPS: Final = (
    "Low income", "Lower middle income", "Upper middle income", "High income", "Not classified",
)  # fmt: skip

# Latitude and longitude of main cities whose hemisphere nobody doubts, in degrees, with room for
# another city of the same country: swapped or unsigned coordinates fall outside.
ANCHORS: Final[Mapping[str, tuple[tuple[float, float], tuple[float, float]]]] = {
    "IND": ((6, 37), (68, 98)),
    "USA": ((24, 50), (-125, -66)),
    "AUS": ((-44, -10), (112, 154)),
    "CHL": ((-56, -17), (-76, -66)),
    "ZAF": ((-35, -22), (16, 33)),
}

_KINDS: Final[dict[str, ColumnKind]] = {
    "iso3": "text",
    "name": "text",
    "region": "text",
    "income_group": "text",
    "landlocked": "integer",
    "area_km2": "number",
    "main_city_lat_deg": "number",
    "main_city_lon_deg": "number",
}


def rows_suite() -> Suite:
    """One row an economy."""
    rules = (
        has_rows(),
        columns_are_present(_KINDS),
        columns_have_kind(_KINDS),
        key_is_unique(KEY_COLUMNS, "An economy twice would repeat its suppliers' rows."),
        is_iso3("iso3"),
        *(
            not_null(c, "Without it the economy has no distance to anybody.")
            for c in ("iso3", "name", "landlocked", "main_city_lat_deg", "main_city_lon_deg")
        ),
        in_range("main_city_lat_deg", -90, 90, "Latitude in degrees."),
        in_range("main_city_lon_deg", -180, 180, "Longitude in degrees."),
        in_range("area_km2", 0.1, 2e7, "Area in square km; Russia has 17 million."),
        in_set("landlocked", [0, 1], "Landlocked or not: 1 or 0.", name="landlocked_is_a_flag"),
        in_set("region", REGIONS, "Gaps are filled by World Bank region.", name="regions_known"),
        in_set(
            "income_group",
            INCOME_GROUPS,
            "Gaps are filled by income group.",
            name="income_groups_known",
        ),
        Rule(
            name="landlocked_share_in_band",
            severity="block",
            why="About a fifth of the economies have no coast.",
            expectation="expect_column_mean_to_be_between",
            arguments={"column": "landlocked", "min_value": 0.1, "max_value": 0.35},
        ),
        Rule(
            name="enough_economies",
            severity="block",
            why="A supplier without coordinates has no distance; about 240 economies are known.",
            expectation="expect_column_unique_value_count_to_be_between",
            arguments={"column": "iso3", "min_value": 200, "max_value": 300},
        ),
        in_range(
            "n_broken_letters",
            0,
            0,
            "A replacement sign, or Ã for é, means that the file was read in the wrong encoding.",
            name="names_are_read_in_the_right_encoding",
        ),
        has_all(
            "iso3",
            ANCHORS,
            "Countries that every such list has; their cities are looked at one by one.",
            name="anchor_countries_are_there",
        ),
        *(rule for iso3 in ANCHORS for rule in _anchor(iso3)),
    )
    return Suite(f"{TABLE}__rows", KEY_COLUMNS, rules)


def _anchor(iso3: str) -> list[Rule]:
    return [
        in_range(
            f"main_city_{axis}_deg",
            *ANCHORS[iso3][place],
            f"The main city of {iso3} is in {iso3}; swapped or unsigned coordinates are not.",
            name=f"{iso3.lower()}_{axis}_is_there",
            rows=where("iso3", "==", iso3),
        )
        for place, axis in enumerate(("lat", "lon"))
    ]


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """One row: the table as a whole, against the release served."""
    rules = [near_previous("n_rows", previous, 0.0, 0.1, "the economies")]
    return Suite(f"{TABLE}__totals", (), tuple(needs(previous, rules, why_not)))
