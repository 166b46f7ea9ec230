"""One small mineral market that every test of `minerals.sourcing` can be checked on by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


@pytest.fixture()
def market() -> pd.DataFrame:
    """Copper: four exporters in two years; Gallium: two exporters, never imported.

    ln_gdp is the only regressor that differs, and it is the same in both years.
    """
    rows = [
        ("Copper", "AUS", 2019, 3.0, 0.0),
        ("Copper", "AUS", 2020, 3.0, 500.0),
        ("Copper", "BRA", 2019, 2.0, 400.0),
        ("Copper", "BRA", 2020, 2.0, 300.0),
        ("Copper", "CHL", 2019, 1.0, 600.0),
        ("Copper", "CHL", 2020, 1.0, 200.0),
        ("Copper", "PER", 2019, 0.0, 0.0),
        ("Copper", "PER", 2020, 0.0, np.nan),
        ("Gallium", "AUS", 2019, 3.0, 0.0),
        ("Gallium", "AUS", 2020, 3.0, 0.0),
        ("Gallium", "CHN", 2019, 5.0, 0.0),
        ("Gallium", "CHN", 2020, 5.0, 0.0),
    ]
    columns = ["mineral", "exporter_iso3", "year", "ln_gdp", "ores_qty_kg"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(
        importer_iso3="IND",
        products_qty_kg=0.0,
        scrap_qty_kg=0.0,
        is_producer=True,
        is_imputed_ln_gdp=False,
        is_trading_partner=True,
    )


@pytest.fixture()
def coefficients() -> Callable[..., pd.DataFrame]:
    """Builds a `ppml_coefficients` frame from terms, as in `ln_gdp=("covariate", 1.0)`."""

    def build(
        source: str = "estimated",
        category: str = "ores",
        std_error: float = 0.1,
        **terms: tuple[str, float],
    ) -> pd.DataFrame:
        rows = [
            {"term": term.lstrip("_"), "term_type": kind, "estimate": estimate}
            for term, (kind, estimate) in terms.items()
        ]
        return pd.DataFrame(rows).assign(
            importer_iso3="IND",
            category=category,
            coefficient_source=source,
            se_type="clustered_exporter" if source == "estimated" else "published",
            std_error=std_error,
        )

    return build


@pytest.fixture()
def copper_model(coefficients: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """ln quantity = 2 + ln_gdp, +1 in 2020; the effect of Gallium is not identified."""
    return coefficients(
        ln_gdp=("covariate", 1.0),
        Copper=("mineral", 0.0),
        _2019=("year", 0.0),
        _2020=("year", 1.0),
        Constant=("constant", 2.0),
    )
