"""What `import_panel` must satisfy before a model is fitted on it and suppliers are ranked from it.

One row an importer, exporter, mineral and year. Here belong the rules and thresholds of that table.
Bands are set well outside what the open data of 2019-2023 show and do not depend on the importer,
so that a rule fails for a broken source, a lost join or a slip of unit, not for another importer.
The rules on countries, whatever they supply, are in `country_covariates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from expectations.rules import (
    FULL_SHARE_PCT,
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
    is_observed,
    key_is_unique,
    median_in_band,
    near_previous,
    needs,
    not_null,
    total_in_band,
    where,
    years_are,
)

KEY_COLUMNS: Final = ("importer_iso3", "exporter_iso3", "mineral", "year")
CATEGORIES: Final = ("ores", "products", "scrap")


@dataclass(frozen=True)
class Regressor:
    """What a regressor may look like. `observed_floor` is a share of the rows (0 to 1)."""

    low: float
    high: float
    unit: str
    observed_floor: float
    median_band: tuple[float, float] | None = None


# Observed shares measured on the panel of India, 2019-2023: debt 0.38, every other 0.97 or more.
REGRESSORS: Final[Mapping[str, Regressor]] = {
    "ln_production_qty": Regressor(0, 28, "ln(1 + kg)", 0.85),
    "ln_gdp": Regressor(16, 32.5, "ln of USD of 2021 at PPP", 0.85, (24, 30)),
    "ln_population": Regressor(6, 21.5, "ln of persons", 0.85, (14.5, 19)),
    "ln_distance": Regressor(0, 9.91, "ln of km, half the Earth's girth at most", 1, (6, 9.7)),
    "access_to_electricity_pct": Regressor(
        0, FULL_SHARE_PCT, "% of population", 0.85, (60, FULL_SHARE_PCT)
    ),
    "central_govt_debt_pct_gdp": Regressor(0, 400, "% of GDP", 0.20, (20, 150)),
    "electricity_fossil_pct": Regressor(0, FULL_SHARE_PCT, "% of generation", 0.70, (20, 95)),
    "electricity_renewable_ex_hydro_pct": Regressor(
        0, FULL_SHARE_PCT, "% of generation", 0.70, (1.5, 50)
    ),
    "fdi_pct_gdp": Regressor(-5000, 5000, "% of GDP", 0.85, (0.2, 20)),
    "wgi_average": Regressor(-3.5, 3.5, "points of a standard normal scale", 0.85, (-1.5, 1.5)),
    "landlocked": Regressor(0, 1, "0 or 1", 1),
}

# The leading producer's output in kg a year, 2019-2023. Each may be thirty times less or more: far
# enough for any importer to be left out of its own panel, near enough for a factor of 1,000 to
# show. The first three come in metric tons, the others in kg.
LEADING_PRODUCER_KG: Final[Mapping[str, float]] = {
    "Copper": 5.8e9,
    "Lithium": 2.0e8,
    "Rare Earths": 2.6e8,
    "Palladium": 9.3e4,
    "Platinum": 1.4e5,
    "Rhenium": 5.1e4,
    "Rhodium": 2.1e4,
}
_LEADING_PRODUCER_FACTOR: Final = 30

# USD a kg. In the trade of 2019-2023 at least half of each importer's flows lie inside (importers
# with thirty flows or more), and with a factor of 1,000 up or down fewer than half of any. The open
# bundle holds no scrap: that band is a guess from the other two, and only warns.
UNIT_VALUE_USD_PER_KG: Final[Mapping[str, tuple[float, float]]] = {
    "ores": (0.02, 200),
    "products": (1, 4000),
    "scrap": (0.05, 4000),
}

# World mine production of the minerals with a sheet is 1.5e11 kg a year, mostly phosphate, potash
# and copper.
_PRODUCTION_KG_A_YEAR: Final = (2e10, 1e12)


# How far a figure may be from the release served. Publishers revise single countries and years;
# the median over all suppliers and years hardly moves.
DRIFT: Final[Mapping[str, float]] = {
    "ln_production_qty": 2.0,
    "ln_gdp": 0.3,
    "ln_population": 0.3,
    "ln_distance": 0.2,
    "access_to_electricity_pct": 5,
    "central_govt_debt_pct_gdp": 15,
    "electricity_fossil_pct": 10,
    "electricity_renewable_ex_hydro_pct": 8,
    "fdi_pct_gdp": 1.5,
    "wgi_average": 0.3,
}
"""Tolerated change of the median of the observed values, in the column's own unit."""

LEADING_SUPPLIER_SHARE: Final = 0.01


def suite(
    years: Sequence[int],
    importers: Sequence[str],
    minerals: Sequence[str],
    *,
    mined: Sequence[str] = (),
    min_minerals: int = 25,
) -> Suite:
    """The rules for a window of these years, these importers (ISO3) and this list of minerals.

    Each importer must have candidate suppliers for at least `min_minerals` of the minerals, and for
    all of those in `mined`: the minerals with a sheet in the production statistics.
    """
    rules = (
        *_shape(importers, minerals),
        *_coverage(years, importers, mined, min_minerals),
        *(rule for name, regressor in REGRESSORS.items() for rule in _of(name, regressor)),
        *(rule for category in CATEGORIES for rule in _trade(category)),
        *_production(len(years) * len(importers), minerals),
        *_universe(),
    )
    return Suite("import_panel", KEY_COLUMNS, rules)


def totals_suite(previous: Figures | None, why_not: str = NO_RELEASE) -> Suite:
    """The panel's figures, one row, against those of the release served."""
    near = [
        near_previous("n_rows", previous, 0.05, 0.15, "the panel's rows"),
        near_previous("n_suppliers", previous, 0.05, 0.15, "the number of suppliers"),
        near_previous("n_minerals", previous, 0.0, 0.3, "the number of minerals"),
        near_previous("import_value_usd", previous, 0.10, 0.25, "the value of imports (USD)"),
        near_previous("import_qty_kg", previous, 0.20, 0.40, "the quantity of imports (kg)"),
        near_previous("production_kg", previous, 0.15, 0.30, "production (kg)"),
        *(_drift(name, tolerated, previous) for name, tolerated in DRIFT.items()),
    ]
    return Suite("import_panel__totals", (), tuple(needs(previous, near, why_not)))


def suppliers_suite() -> Suite:
    """The suppliers of the release served, one row an importer and exporter, as they are now."""
    leading = where("share_before", ">=", LEADING_SUPPLIER_SHARE)
    rules = (
        in_range(
            "value_to_previous",
            0.5,
            2.0,
            f"A supplier of at least {LEADING_SUPPLIER_SHARE:.0%} of the imports of the release "
            "served neither vanishes nor doubles over the window; a code that means another "
            "country now, or a reporter left out, looks like that.",
            name="leading_suppliers_keep_their_trade",
            rows=leading,
        ),
    )
    return Suite("import_panel__suppliers", ("importer_iso3", "exporter_iso3"), rules)


def _drift(name: str, tolerated: float, previous: Figures | None) -> Rule:
    unit = REGRESSORS[name].unit
    before = (previous or {}).get(f"median_{name}", 0.0)
    return in_range(
        f"median_{name}",
        before - tolerated,
        before + tolerated,
        f"The median of the observed values ({unit}) stays within {tolerated:g} of that of the "
        "release served; another definition, base year or unit moves it further.",
        name=f"{name}_near_previous",
    )


def _shape(importers: Iterable[str], minerals: Iterable[str]) -> list[Rule]:
    kinds: dict[str, ColumnKind] = {
        "importer_iso3": "text",
        "exporter_iso3": "text",
        "mineral": "text",
        "year": "integer",
        "is_producer": "boolean",
        "is_trading_partner": "boolean",
        **{f"{category}_qty_kg": "number" for category in CATEGORIES},
        **{f"{category}_value_usd": "number" for category in CATEGORIES},
        "production_kg": "number",
        "has_production_data": "boolean",
        **dict.fromkeys(REGRESSORS, "number"),
        **{f"is_imputed_{name}": "boolean" for name in REGRESSORS},
    }
    return [
        has_rows(),
        columns_are_present(kinds),
        columns_have_kind(kinds),
        key_is_unique(KEY_COLUMNS, "A repeated row counts a supplier's trade twice."),
        *(not_null(column, "A row without its whole key is nobody's.") for column in KEY_COLUMNS),
        in_set(
            "importer_iso3",
            importers,
            "The panel is built for the importers of the settings.",
            name="importers_are_the_asked",
        ),
        is_iso3("exporter_iso3"),
        in_set(
            "mineral",
            minerals,
            "A mineral spelt otherwise than in the list of minerals joins nothing.",
            name="minerals_are_the_listed",
        ),
        Rule(
            name="importer_is_not_exporter",
            severity="block",
            why="A country does not import from itself; such rows are re-imports or a wrong join.",
            expectation="expect_select_column_values_to_be_unique_within_record",
            arguments={"column_list": ["importer_iso3", "exporter_iso3"]},
        ),
    ]


def _coverage(
    years: Sequence[int], importers: Sequence[str], mined: Sequence[str], min_minerals: int
) -> list[Rule]:
    return [
        years_are(years),
        has_all(
            "mineral",
            mined,
            "A mineral with a sheet in the production statistics has producers, and so candidates. "
            "For the others the codes of the trade source decide.",
            name="every_mined_mineral_has_candidates",
        ),
        every_group_counts(
            ["importer_iso3", "exporter_iso3", "mineral"],
            "year",
            len(years),
            len(years),
            "The panel is balanced: a candidate missing in a year would be a zero left out.",
            name="every_candidate_has_every_year",
        ),
        every_group_counts(
            ["importer_iso3"],
            "mineral",
            min_minerals,
            None,
            f"Fewer than {min_minerals} minerals with candidate suppliers means that a source or "
            "the mapping of codes was lost.",
            name="enough_minerals_have_candidates",
        ),
        has_all(
            "importer_iso3",
            importers,
            "An importer of the settings without a single trading partner has no data.",
            name="every_importer_has_trade",
            rows=where("is_trading_partner", "==", True),
        ),
    ]


def _of(name: str, regressor: Regressor) -> list[Rule]:
    found = [
        not_null(name, "The model takes complete rows; an empty cell would drop the supplier."),
        in_range(
            name,
            regressor.low,
            regressor.high,
            f"In {regressor.unit}, a value outside {regressor.low:g} to {regressor.high:g} "
            "is an error of unit or of parsing.",
        ),
        is_observed(
            f"is_imputed_{name}",
            name,
            regressor.observed_floor,
            "Below this share the model would be fitted on imputed values.",
        ),
    ]
    if regressor.median_band:
        found.append(
            median_in_band(
                name,
                *regressor.median_band,
                f"The median supplier ({regressor.unit}) moves little; a slip of unit moves it.",
            )
        )
    return found


def _trade(category: str) -> list[Rule]:
    quantity, value = f"{category}_qty_kg", f"{category}_value_usd"
    low, high = UNIT_VALUE_USD_PER_KG[category]
    return [
        in_range(
            quantity, 0, 1e12, "A quantity (kg) is finite and not negative; zero is no trade."
        ),
        in_range(value, 0, 1e12, "A value (USD) is finite and not negative; zero is no trade."),
        not_null(value, "Trade without a value is set aside earlier; no trade is zero."),
        Rule(
            name=f"{category}_no_trade_has_zero_quantity",
            severity="block",
            why="Without trade the quantity is zero; empty means traded but not weighed.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": quantity, "row_condition": where(value, "==", 0)},
        ),
        Rule(
            name=f"{category}_quantities_are_known",
            severity="block",
            why="Traded but not weighed rows leave the model; it must not lose half of the trade.",
            expectation="expect_column_values_to_not_be_null",
            arguments={"column": quantity, "mostly": 0.5, "row_condition": where(value, ">", 0)},
        ),
        Rule(
            name=f"{category}_unit_values_in_range",
            severity="warn" if category == "scrap" else "block",
            why=f"Most {category} are worth {low:g} to {high:,} USD a kg; tons taken for kg, or "
            "thousands of dollars for dollars, move most of them out.",
            expectation="expect_column_pair_ratio_to_be_between",
            arguments={
                "column_A": value,
                "column_B": quantity,
                "min_value": low,
                "max_value": high,
                "mostly": 0.5,
                "row_condition": every(where(quantity, ">", 0), where(value, ">", 0)),
            },
        ),
    ]


def _production(n_importer_years: int, minerals: Iterable[str]) -> list[Rule]:
    low, high = _PRODUCTION_KG_A_YEAR
    return [
        not_null("production_kg", "A year without a figure is imputed; no production is zero."),
        in_range("production_kg", 0, 1e12, "No country mines a billion tons of these minerals."),
        total_in_band(
            "production_kg",
            low * n_importer_years,
            high * n_importer_years,
            f"The world mines {low:,.6g} to {high:,.6g} kg of these minerals a year, "
            "whoever is left out as importer.",
            name="world_production_in_band",
        ),
        *(
            _leading_producer(mineral, kg)
            for mineral, kg in LEADING_PRODUCER_KG.items()
            if mineral in set(minerals)
        ),
    ]


def _leading_producer(mineral: str, kg: float) -> Rule:
    low, high = kg / _LEADING_PRODUCER_FACTOR, kg * _LEADING_PRODUCER_FACTOR
    return Rule(
        name=f"{mineral.lower().replace(' ', '_')}_leader_in_band",
        severity="block",
        why=f"The leading producer of {mineral.lower()} mines about {kg:,.6g} kg a year.",
        expectation="expect_column_max_to_be_between",
        arguments={
            "column": "production_kg",
            "min_value": low,
            "max_value": high,
            "row_condition": where("mineral", "==", mineral),
        },
    )


def _universe() -> list[Rule]:
    not_producer = where("is_producer", "==", False)
    not_partner = where("is_trading_partner", "==", False)
    return [
        in_set(
            "is_trading_partner",
            [True],
            "A candidate mines the mineral or sold it to the importer; one that did neither is no "
            "candidate.",
            name="candidates_mine_or_trade",
            rows=not_producer,
        ),
        in_set(
            "production_kg",
            [0],
            "Who mined nothing in any year of the window is no producer.",
            name="only_producers_produce",
            rows=not_producer,
        ),
        in_set(
            "production_kg",
            [0],
            "Where the mining statistics have no sheet for a mineral, production is unknown.",
            name="production_only_where_known",
            rows=where("has_production_data", "==", False),
        ),
        *(
            in_set(
                f"{category}_value_usd",
                [0],
                "Who sold the importer nothing in any year of the window is no trading partner.",
                name=f"only_partners_trade_{category}",
                rows=not_partner,
            )
            for category in CATEGORIES
        ),
    ]
