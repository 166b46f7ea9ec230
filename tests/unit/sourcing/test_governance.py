"""One rule for governance, wherever it is used."""

from __future__ import annotations

import pandas as pd
import pytest

from minerals.sourcing.governance import governance, governance_risk, with_governance


def test_governance_is_the_mean_over_the_years() -> None:
    covariates = pd.DataFrame(
        {
            "country_iso3": ["AUS", "AUS", "BRA", "BRA"],
            "wgi_average": [1.0, 2.0, -1.0, -1.0],
            "is_imputed_wgi_average": [True, False, True, True],
        }
    )
    frame = governance(covariates)
    assert frame["wgi_average"].to_dict() == {"AUS": 1.5, "BRA": -1.0}
    assert frame["is_imputed_governance"].to_dict() == {"AUS": False, "BRA": True}


def test_a_missing_country_counts_as_the_mean_over_countries_not_over_rows() -> None:
    known = pd.DataFrame(
        {"wgi_average": [2.5, 0.0], "is_imputed_governance": False}, index=["AUS", "BRA"]
    )
    rows = pd.DataFrame({"exporter_iso3": ["AUS", "AUS", "AUS", "BRA", "CHL"]}, index=range(5, 10))
    frame = with_governance(rows, known)
    assert frame["governance_risk"].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.5, 0.25])
    assert frame["is_imputed_governance"].tolist() == [False] * 4 + [True]


def test_governance_risk_runs_from_strong_to_weak_and_stays_within_bounds() -> None:
    assert governance_risk(pd.Series([2.5, 0.0, -2.5, -2.7])).tolist() == [0.0, 0.5, 1.0, 1.0]
