"""The words the whole domain shares: categories, regressors, base levels, labels.

Minerals and countries are dbt seeds; a threshold of one method is beside it.
"""

from __future__ import annotations

from typing import Final

CATEGORIES: Final = ("ores", "products", "scrap")

MARKET: Final = ["importer_iso3", "category", "mineral"]
"""What a market is: one importer, category and mineral."""
SUPPLIER: Final = [*MARKET, "exporter_iso3"]

REGRESSORS: Final = (
    "ln_production_qty",
    "ln_gdp",
    "ln_population",
    "ln_distance",
    "access_to_electricity_pct",
    "central_govt_debt_pct_gdp",
    "electricity_fossil_pct",
    "electricity_renewable_ex_hydro_pct",
    "fdi_pct_gdp",
    "wgi_average",
    "landlocked",
)
"""The study's eleven regressors, in the order of its Tables 2-4."""

BASE_MINERAL: Final = "Antimony"
BASE_YEAR: Final = 2019
CONSTANT: Final = "Constant"

ESTIMATED: Final = "estimated"
PUBLISHED: Final = "published"
WORLD: Final = "world"
EXPECTED: Final = "expected"
PERSISTENCE: Final = "persistence"
MODELS: Final = (WORLD, EXPECTED, ESTIMATED, PUBLISHED)
"""The models of supply that rank suppliers (`coefficient_source`); past purchases (`persistence`)
are what they are judged against."""
MODEL_DESCRIPTIONS: Final = {
    WORLD: "who could supply: what all other countries buy, distance and neighbours",
    EXPECTED: "who will supply if nothing changes: own purchases, shrunk to the world model",
    ESTIMATED: "the study's method, fitted on the importer's own trade",
    PUBLISHED: "the study's method with its printed coefficients",
}

SE_CLUSTERED: Final = "clustered_exporter"
SE_TWO_WAY: Final = "clustered_exporter_mineral"
SE_ROBUST: Final = "robust_hc1"
SE_BOOTSTRAP: Final = "bootstrap_exporter"
SE_PUBLISHED: Final = "published"

STATUS_FREE: Final = "free"
STATUS_BASE: Final = "base"
STATUS_COLLINEAR: Final = "collinear"
STATUS_SEPARATED: Final = "separated"
"""Why a coefficient has the value it has; `minerals.ppml.tables` says what each means."""

ALIGNMENTS: Final = ("aligned", "overrepresented", "underutilized", "peripheral")

EVERY_IMPORTER: Final = "ALL"
"""Stands in the settings for every country with imports in the window."""

STUDY_IMPORTER: Final = "IND"
"""The importer whose trade the study models."""

WEAKEST_FIRST = ("unverified", "modelled", "single_source", "verified")
"""Evidence labels of cited figures, as the macro `weakest_label` orders them."""


def quantity_column(category: str) -> str:
    """Name of the panel's import quantity (kg) of a category; ValueError when unknown."""
    if category not in CATEGORIES:
        raise ValueError(f"category {category!r} is not one of {', '.join(CATEGORIES)}")
    return f"{category}_qty_kg"
