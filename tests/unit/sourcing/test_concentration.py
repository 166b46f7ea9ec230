"""Shares and the Herfindahl-Hirschman index by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.concentration import (
    concentration,
    concentration_by_year,
    production_concentration,
)


def forward(source: str = "estimated") -> pd.DataFrame:
    """Copper's model shares are 0.4, 0.3, 0.2 and 0.1; Gallium's 0.9 and 0.1."""
    rows = [
        ("Copper", "AUS", 0.4),
        ("Copper", "BRA", 0.3),
        ("Copper", "CHL", 0.2),
        ("Copper", "PER", 0.1),
        ("Gallium", "AUS", 0.9),
        ("Gallium", "CHN", 0.1),
    ]
    frame = pd.DataFrame(rows, columns=["mineral", "exporter_iso3", "model_share"])
    return frame.assign(
        importer_iso3="IND", category="ores", coefficient_source=source, is_headline=True
    )


GOVERNANCE = pd.DataFrame(
    {
        "wgi_average": [2.5, 0.0, 1.5, -0.5, 0.0],
        "is_imputed_governance": [False, True, False, False, False],
    },
    index=["AUS", "BRA", "CHL", "CHN", "PER"],
)
"""Risks of 0, 0.5, 0.2, 0.6 and 0.5."""

PRODUCTION = pd.DataFrame(
    {
        "mineral": ["Copper", "Copper", "Copper", "Copper"],
        "country_iso3": ["CHL", "CHL", "PER", "IND"],
        "production_kg": [100.0, 200.0, 100.0, 100.0],
    }
)


def measured(
    market: pd.DataFrame,
    ranks: pd.DataFrame,
    concentrated_above: float = 0.25,
) -> pd.DataFrame:
    production = production_concentration(PRODUCTION, GOVERNANCE)
    frame = concentration(market, ranks, production, GOVERNANCE, concentrated_above)
    return frame.set_index("mineral")


def test_actual_and_model_concentration(market: pd.DataFrame) -> None:
    frame = measured(market, forward())
    copper = frame.loc["Copper"]
    # actual: AUS 500, BRA 700, CHL 800 of 2000, PER unknown in one year and else zero
    assert copper["hhi_actual"] == pytest.approx(0.25**2 + 0.35**2 + 0.4**2)
    assert copper["effective_suppliers"] == pytest.approx(1 / 0.345)
    assert copper["hhi_actual_governance"] == pytest.approx(0.35**2 * 0.5 + 0.4**2 * 0.2)
    assert (copper["top1_exporter_iso3"], copper["top1_share"]) == ("CHL", pytest.approx(0.4))
    assert copper["top3_share"] == pytest.approx(1.0)
    assert copper["hhi_model"] == pytest.approx(0.16 + 0.09 + 0.04 + 0.01)
    assert copper["top3_model_share"] == pytest.approx(0.9)
    assert (copper["n_candidates"], copper["n_suppliers"], copper["n_unknown_qty"]) == (4, 3, 1)
    assert copper["is_concentrated"] and copper["is_narrow_pool"]
    assert np.isnan(copper["top1_share_trend"])  # two years make no trend


def test_concentration_of_world_production_counts_the_importer(market: pd.DataFrame) -> None:
    copper = measured(market, forward()).loc["Copper"]
    # CHL 300, PER 100, IND 100 of 500; India has no indicator and counts as the mean over the five
    # countries, 0.7 (a risk of 0.36), however many rows each of them has
    assert copper["hhi_production"] == pytest.approx(0.6**2 + 0.2**2 + 0.2**2)
    assert copper["hhi_production_governance"] == pytest.approx(
        0.36 * 0.2 + 0.04 * 0.5 + 0.04 * 0.36
    )
    assert (copper["top1_producer_iso3"], copper["top1_production_share"]) == ("CHL", 0.6)


def test_concentration_fills_governance_as_the_portfolio_does_and_counts_it(
    market: pd.DataFrame,
) -> None:
    """Without an indicator of CHL, which sells 40%, its part of the index was dropped."""
    known = GOVERNANCE.drop(index="CHL")
    production = production_concentration(PRODUCTION, known)
    frame = concentration(market, forward(), production, known, 0.25).set_index("mineral")
    copper = frame.loc["Copper"]
    # the mean over AUS, BRA, CHN and PER is 0.5, a risk of 0.4
    assert copper["hhi_actual_governance"] == pytest.approx(0.35**2 * 0.5 + 0.4**2 * 0.4)
    assert frame["n_imputed_governance"].to_dict() == {"Copper": 2, "Gallium": 0}  # BRA and CHL


def test_trend_of_the_largest_suppliers_share(market: pd.DataFrame) -> None:
    copper = market.loc[market["exporter_iso3"].isin(["BRA", "CHL"])]
    copper = copper.loc[copper["mineral"] == "Copper", :]
    years = pd.concat([copper, copper.query("year == 2020").assign(year=2021)], ignore_index=True)
    years["ores_qty_kg"] = [60.0, 50.0, 40.0, 50.0, 40.0, 60.0]
    years["exporter_iso3"] = ["BRA", "BRA", "CHL", "CHL", "BRA", "CHL"]
    ranks = forward().query("mineral == 'Copper' and exporter_iso3 in ['BRA', 'CHL']")
    row = measured(years, ranks).loc["Copper"]
    # both sell 150 over three years: the first by code leads; its share falls 0.6, 0.5, 0.4
    assert row["top1_exporter_iso3"] == "BRA"
    assert row["top1_share_trend"] == pytest.approx(-0.1)


def test_thresholds_decide(market: pd.DataFrame) -> None:
    # hhi_actual is 0.345; four candidates are narrow, six of equal shares are not
    assert measured(market, forward(), 0.34)["is_concentrated"]["Copper"]
    assert not measured(market, forward(), 0.35)["is_concentrated"]["Copper"]
    six = pd.concat([forward().iloc[[0]].assign(exporter_iso3=name) for name in "ABCDEF"])
    assert not measured(market, six.assign(model_share=1 / 6))["is_narrow_pool"]["Copper"]
    assert measured(market, six.assign(model_share=[0.3, 0.3, 0.3, 0.05, 0.03, 0.02]))[
        "is_narrow_pool"
    ]["Copper"]


def test_a_mineral_without_imports_has_model_shares_only(market: pd.DataFrame) -> None:
    gallium = measured(market, forward()).loc["Gallium"]
    assert gallium["hhi_model"] == pytest.approx(0.82)
    for name in ("hhi_actual", "top1_share", "top3_share", "effective_suppliers", "hhi_production"):
        assert np.isnan(gallium[name]), name
    assert gallium["is_concentrated"] is pd.NA
    assert gallium["is_narrow_pool"]


def test_the_headline_coefficients_are_taken(market: pd.DataFrame) -> None:
    published = forward("published").assign(model_share=0.25, is_headline=False)
    both = measured(market, pd.concat([published, forward()]))
    assert set(both["coefficient_source"]) == {"estimated"}
    assert both["hhi_model"]["Copper"] == pytest.approx(0.3)


def test_concentration_by_year(market: pd.DataFrame) -> None:
    frame = concentration_by_year(market).set_index(["mineral", "year"])
    assert list(frame.index) == [("Copper", 2019), ("Copper", 2020)]  # Gallium was never imported
    # 2019: BRA 400, CHL 600; 2020: AUS 500, BRA 300, CHL 200, PER unknown
    assert frame["hhi_actual"].tolist() == pytest.approx([0.52, 0.38])
    assert frame["top1_exporter_iso3"].tolist() == ["CHL", "AUS"]
    assert frame["top1_share"].tolist() == pytest.approx([0.6, 0.5])
    assert frame["n_suppliers"].tolist() == [2, 3]
    assert frame["imports_qty_kg"].tolist() == [1000.0, 1000.0]


def test_no_ranks_no_rows(market: pd.DataFrame) -> None:
    assert measured(market, forward().iloc[:0]).empty
