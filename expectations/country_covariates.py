"""What `fct_country_covariates` must satisfy: one row a country and year, imputed and flagged.

Here belong the rules and thresholds of that table. Bounds are stated in the column's unit; floors
and bands are set well outside what the open data of 2019-2023 show, so that a rule fails for a
broken source or a slip of unit, not for a bad year. The rules on suppliers are in `import_panel`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from expectations.rules import (
    FULL_SHARE_PCT,
    ColumnKind,
    Rule,
    Suite,
    columns_are_present,
    columns_have_kind,
    every,
    every_group_counts,
    has_rows,
    in_range,
    is_iso3,
    is_observed,
    key_is_unique,
    median_in_band,
    not_null,
    total_in_band,
    where,
    years_are,
)

KEY_COLUMNS: Final = ("country_iso3", "year")
MEASURED_IN: Final = ("observed", "register")
FILLED_FROM: Final = ("nearest_year", "region_income_median", "region_median", "global_median")


@dataclass(frozen=True)
class Covariate:
    """What one indicator may look like; `observed_floor` is a share of the rows (0 to 1)."""

    low: float
    high: float
    unit: str
    observed_floor: float
    median_band: tuple[float, float]


# Measured on the World Bank figures for 2019-2023, 238 economies (21 of them outside its tables):
# observed shares are 0.91 population, 0.90 access, 0.85 governance, 0.83 GDP, 0.82 electricity
# mix and FDI, and only 0.20 for debt, which most governments do not report.
COVARIATES: Final[Mapping[str, Covariate]] = {
    "gdp_ppp_2021_usd": Covariate(1e7, 1e14, "USD of 2021 at PPP", 0.70, (1e10, 6e11)),
    "population": Covariate(500, 2e9, "persons", 0.80, (1e6, 5e7)),
    "access_to_electricity_pct": Covariate(
        0, FULL_SHARE_PCT, "% of population", 0.75, (60, FULL_SHARE_PCT)
    ),
    "central_govt_debt_pct_gdp": Covariate(0, 400, "% of GDP", 0.10, (20, 150)),
    "electricity_fossil_pct": Covariate(0, FULL_SHARE_PCT, "% of generation", 0.60, (20, 95)),
    "electricity_renewable_ex_hydro_pct": Covariate(
        0, FULL_SHARE_PCT, "% of generation", 0.60, (1, 50)
    ),
    "fdi_pct_gdp": Covariate(-5000, 5000, "% of GDP", 0.65, (0.2, 20)),
    "wgi_average": Covariate(-3.5, 3.5, "points of a standard normal scale", 0.70, (-1, 1)),
}

# Of the economies whose figure is observed: 8.0e9 persons and 1.7e14 USD in 2023.
_WORLD_TOTAL_A_YEAR: Final[Mapping[str, tuple[float, float]]] = {
    "population": (5e9, 1.5e10),
    "gdp_ppp_2021_usd": (5e13, 5e14),
}


def suite(years: Sequence[int], *, min_countries: int = 200) -> Suite:
    """The rules for a window of these years; at least `min_countries` countries are asked for."""
    rules = (
        *_shape(),
        *_coverage(years, min_countries),
        *(rule for name, covariate in COVARIATES.items() for rule in _of(name, covariate)),
        *_magnitudes(len(years)),
    )
    return Suite("fct_country_covariates", KEY_COLUMNS, rules)


def _shape() -> list[Rule]:
    kinds: dict[str, ColumnKind] = {
        "country_iso3": "text",
        "year": "integer",
        "is_landlocked": "boolean",
        **dict.fromkeys(COVARIATES, "number"),
        **{f"is_imputed_{name}": "boolean" for name in COVARIATES},
        **{f"{name}_imputation": "text" for name in COVARIATES},
    }
    return [
        has_rows(),
        columns_are_present(kinds),
        columns_have_kind(kinds),
        key_is_unique(KEY_COLUMNS, "A repeated country-year would repeat every supplier's rows."),
        not_null("country_iso3", "Indicators of no country cannot be joined."),
        not_null("year", "Indicators of no year cannot be joined."),
        is_iso3("country_iso3"),
    ]


def _coverage(years: Sequence[int], min_countries: int) -> list[Rule]:
    return [
        years_are(years),
        every_group_counts(
            ["country_iso3"],
            "year",
            len(years),
            len(years),
            "A country without a year would drop out of the panel for that year.",
            name="every_country_has_every_year",
        ),
        Rule(
            name="enough_countries",
            severity="block",
            why="A supplier without covariates cannot be ranked; about 240 economies are known.",
            expectation="expect_column_unique_value_count_to_be_between",
            arguments={"column": "country_iso3", "min_value": min_countries, "max_value": 300},
        ),
    ]


def _of(name: str, covariate: Covariate) -> list[Rule]:
    flag, origin = f"is_imputed_{name}", f"{name}_imputation"
    return [
        not_null(name, "Imputation ends with the median of all countries, so none is left empty."),
        in_range(
            name,
            covariate.low,
            covariate.high,
            f"In {covariate.unit}, a value outside {covariate.low:,.6g} to {covariate.high:,.6g} "
            "is an error of unit or of parsing.",
        ),
        median_in_band(
            name,
            *covariate.median_band,
            f"The median country's value ({covariate.unit}) moves slowly; a slip of unit moves it.",
        ),
        is_observed(
            flag,
            name,
            covariate.observed_floor,
            "Below this share the model would be fitted on medians, not on measurements.",
        ),
        not_null(origin, "Each value says where it comes from."),
        Rule(
            name=f"{name}_flag_agrees_with_origin",
            severity="block",
            why="The flag is what readers trust to tell a measured value from an imputed one.",
            expectation="expect_column_pair_values_to_be_in_set",
            arguments={
                "column_A": flag,
                "column_B": origin,
                "value_pairs_set": [
                    *((False, f) for f in MEASURED_IN),
                    *((True, f) for f in FILLED_FROM),
                ],
            },
        ),
    ]


def _magnitudes(n_years: int) -> list[Rule]:
    return [
        *(_world_total(column, band, n_years) for column, band in _WORLD_TOTAL_A_YEAR.items()),
        Rule(
            name="gdp_per_person_in_range",
            severity="block",
            why="GDP per person lies between 200 and 500,000 USD (PPP) everywhere; one country's "
            "slip of unit, in GDP or in population, shows here.",
            expectation="expect_column_pair_ratio_to_be_between",
            arguments={
                "column_A": "gdp_ppp_2021_usd",
                "column_B": "population",
                "min_value": 200,
                "max_value": 500_000,
                "row_condition": every(_observed("gdp_ppp_2021_usd"), _observed("population")),
            },
        ),
        Rule(
            name="landlocked_share_in_band",
            severity="block",
            why="About a fifth of the economies have no coast; none or all means a lost join.",
            expectation="expect_column_mean_to_be_between",
            arguments={"column": "is_landlocked", "min_value": 0.05, "max_value": 0.40},
        ),
    ]


def _world_total(column: str, band: tuple[float, float], n_years: int) -> Rule:
    low, high = band
    return total_in_band(
        column,
        low * n_years,
        high * n_years,
        f"The world's total a year lies between {low:,.6g} and {high:,.6g} "
        f"{COVARIATES[column].unit}; only observed values are summed.",
        name=f"world_{column}_in_band",
        rows=_observed(column),
    )


def _observed(name: str) -> dict[str, Any]:
    return where(f"is_imputed_{name}", "==", False)
