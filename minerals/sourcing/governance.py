"""How well suppliers are governed, and what replaces a missing indicator."""

from __future__ import annotations

from typing import Any

import pandas as pd

HIGHEST_GOVERNANCE = 2.5
"""The Worldwide Governance Indicators run from about -2.5 (weak) to 2.5 (strong)."""


def governance(country_covariates: pd.DataFrame) -> pd.DataFrame:
    """By country_iso3: wgi_average, the mean over the years of `fct_country_covariates`, and
    is_imputed_governance, whether no year of it is observed."""
    countries = country_covariates.groupby("country_iso3", sort=True)
    return pd.DataFrame(
        {
            "wgi_average": countries["wgi_average"].mean(),
            "is_imputed_governance": countries["is_imputed_wgi_average"].all(),
        }
    )


def with_governance(
    frame: pd.DataFrame, governance: pd.DataFrame, country: str = "exporter_iso3"
) -> pd.DataFrame:
    """`frame` with governance_risk and is_imputed_governance of the countries in column `country`.

    A country that `governance` lacks counts as the mean over countries, and as imputed.
    """
    known = frame[[country]].merge(governance, how="left", left_on=country, right_index=True)
    wgi = known["wgi_average"].fillna(governance["wgi_average"].mean())
    is_observed = known["is_imputed_governance"].eq(False) & known["wgi_average"].notna()
    return frame.assign(governance_risk=governance_risk(wgi), is_imputed_governance=~is_observed)


def governance_risk(wgi_average: Any) -> Any:
    """(2.5 - WGI) / 5, held within 0 (strongest governance) and 1 (weakest)."""
    return ((HIGHEST_GOVERNANCE - wgi_average) / (2 * HIGHEST_GOVERNANCE)).clip(0.0, 1.0)
