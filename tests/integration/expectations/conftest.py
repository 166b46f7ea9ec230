"""Frames made by hand that satisfy every rule, for the tests to damage one cell at a time."""

from __future__ import annotations

import itertools
import math

import pandas as pd
import pytest

YEARS = (2019, 2020)
MINERALS = ("Copper", "Platinum", "Potash", "Silicon")

# mineral, exporter, kg mined a year, products bought by India a year (kg), their value (USD)
CANDIDATES = (
    ("Copper", "CHL", 5.3e9, 0.0, 0.0),
    ("Copper", "DEU", 0.0, 2_000.0, 30_000.0),
    ("Platinum", "ZAF", 1.3e5, 100.0, 3_000_000.0),
    ("Potash", "CAN", 1.5e10, 1e6, 2_500_000.0),
    ("Potash", "RUS", 0.9e10, 1e6, 2_000_000.0),
    ("Silicon", "DEU", 0.0, 5_000.0, 90_000.0),
)

# exporter: GDP (USD of 2021 at PPP), population, km to India, access, debt, fossil, renewable
# without hydropower, FDI (all %), governance
SUPPLIERS = {
    "CHL": (5.6e11, 1.95e7, 16_900, 100, 38, 45, 30, 6.0, 0.9),
    "DEU": (5.2e12, 8.3e7, 6_300, 100, 66, 45, 45, 1.0, 1.4),
    "ZAF": (8.5e11, 6.1e7, 8_000, 88, 72, 85, 12, 1.5, 0.0),
    "CAN": (2.2e12, 4.0e7, 11_600, 100, 60, 18, 9, 2.2, 1.5),
    "RUS": (5.8e12, 1.44e8, 4_350, 100, 20, 60, 2, 0.5, -0.8),
}

COVARIATES = (
    "access_to_electricity_pct",
    "central_govt_debt_pct_gdp",
    "electricity_fossil_pct",
    "electricity_renewable_ex_hydro_pct",
    "fdi_pct_gdp",
    "wgi_average",
)


def _panel_row(
    mineral: str, exporter: str, mined_kg: float, bought_kg: float, value_usd: float, year: int
) -> dict[str, object]:
    gdp, population, km, *covariates = SUPPLIERS[exporter]
    regressors = {
        "ln_production_qty": math.log1p(mined_kg),
        "ln_gdp": math.log(gdp),
        "ln_population": math.log(population),
        "ln_distance": math.log(km),
        **dict(zip(COVARIATES, map(float, covariates), strict=True)),
        "landlocked": 0,
    }
    return {
        "importer_iso3": "IND",
        "exporter_iso3": exporter,
        "mineral": mineral,
        "year": year,
        "is_producer": mined_kg > 0,
        "is_trading_partner": value_usd > 0,
        "ores_qty_kg": 0.0,
        "products_qty_kg": bought_kg,
        "scrap_qty_kg": 0.0,
        "ores_value_usd": 0.0,
        "products_value_usd": value_usd,
        "scrap_value_usd": 0.0,
        "production_kg": mined_kg,
        "has_production_data": mineral != "Silicon",
        **regressors,
        **{f"is_imputed_{name}": False for name in regressors},
    }


@pytest.fixture
def panel() -> pd.DataFrame:
    """Twelve rows of `import_panel`: six candidates in two years, India importing."""
    rows = itertools.product(CANDIDATES, YEARS)
    return pd.DataFrame([_panel_row(*candidate, year) for candidate, year in rows])


# country: GDP, population, access, debt, fossil, renewable without hydropower, FDI, governance,
# landlocked. Three giants, each with a third of the world, bring its totals into their bands.
COUNTRIES = {
    "CHL": (5.6e11, 1.95e7, 100, 38, 45, 30, 6.0, 0.9, False),
    "CHN": (3.3e13, 2e9, 100, 50, 65, 16, 1.0, -0.3, False),
    "ECU": (2.5e11, 1.8e7, 99, 60, 20, 2, 0.8, -0.3, False),
    "IND": (3.3e13, 2e9, 99, 55, 77, 12, 1.2, -0.1, False),
    "MAR": (3.4e11, 3.7e7, 100, 70, 80, 18, 1.8, -0.2, False),
    "TCD": (3.6e10, 1.9e7, 12, 40, 97, 3, 4.0, -1.3, True),
    "USA": (3.3e13, 2e9, 100, 120, 60, 15, 1.4, 1.1, False),
}


@pytest.fixture
def covariates() -> pd.DataFrame:
    """Fourteen rows of `fct_country_covariates`: seven countries in two years, all observed."""
    names = ("gdp_ppp_2021_usd", "population", *COVARIATES)
    rows = []
    for (iso3, (*values, is_landlocked)), year in itertools.product(COUNTRIES.items(), YEARS):
        row: dict[str, object] = {"country_iso3": iso3, "year": year}
        row |= dict(zip(names, map(float, values), strict=True))
        row |= {"is_landlocked": is_landlocked}
        row |= {f"is_imputed_{name}": False for name in names}
        row |= {f"{name}_imputation": "observed" for name in names}
        rows.append(row)
    return pd.DataFrame(rows)
