"""Components of risk, what restrictions leave of capacity, and whether a recommendation moves."""

import numpy as np
import pandas as pd
import pytest

from minerals.settings import Choices
from minerals.sourcing.programme import Weights
from minerals.sourcing.risk import (
    COMPONENTS,
    limited,
    portfolio_sensitivity,
    risk_weights,
    weighted_risk,
    with_risk,
)

MARKET = {"importer_iso3": "IND", "category": "ores", "mineral": "Nickel"}
WEIGHTS = Weights(concentration_penalty=2.0, risk_penalty=1.0, change_limit=0.5)


def suppliers() -> pd.DataFrame:
    """IDN and AUS sell half each; PHL could."""
    return pd.DataFrame(
        {
            **MARKET,
            "exporter_iso3": ["AUS", "IDN", "PHL"],
            "coefficient_source": "world",
            "governance_risk": [0.2, 0.6, 0.6],
            "top_k_probability": [0.8, 0.9, 0.5],
            "model_share": [0.3, 0.5, 0.2],
            "actual_share": [0.5, 0.5, 0.0],
            "capacity_share": [1.0, 1.0, np.nan],
            "recommended_share": [0.4, 0.5, 0.1],
            "is_at_capacity": False,
        }
    )


ATTRIBUTES = pd.DataFrame(
    {
        "importer_iso3": "IND",
        "exporter_iso3": ["AUS", "IDN", "PHL"],
        "ideal_point_distance": [1.5, 0.5, 0.75],
        "logistics_performance_index": [3.7, 3.0, np.nan],
        "wgi_political_stability": [2.5, 0.0, 0.0],
        "wgi_regulatory_quality": [2.5, 0.0, -2.5],
    }
)


def restriction(**change: object) -> pd.DataFrame:
    ban = {
        "actor_iso3": "IDN", "target_iso3": None, "mineral": "Nickel", "category": "ores",
        "measure_type": "ban", "severity": 1.0, "is_in_force": True,
    }  # fmt: skip
    return pd.DataFrame([{**ban, **change}])


def test_the_default_is_governance_and_rank_alike():
    own = risk_weights(Choices())
    assert own == {**dict.fromkeys(COMPONENTS, 0.0), "governance": 0.5, "rank": 0.5}
    frame = with_risk(suppliers(), ATTRIBUTES, restriction(), own)
    assert frame["supplier_risk"].tolist() == pytest.approx([0.2, 0.35, 0.55])


def test_components_lie_between_0_and_1_and_an_unknown_one_is_left_out():
    frame = with_risk(suppliers(), ATTRIBUTES, restriction(), {})
    assert frame["alignment_risk"].tolist() == pytest.approx([1.0, 1 / 3, 0.5])
    assert frame["logistics_risk"].tolist() == pytest.approx([0.325, 0.5, np.nan], nan_ok=True)
    assert frame["regulatory_risk"].tolist() == pytest.approx([0.0, 0.5, 0.75])
    assert frame["restriction_risk"].tolist() == [0.0, 1.0, 0.0]
    mean = weighted_risk(frame, {"governance": 1.0, "logistics": 1.0})
    assert mean.tolist() == pytest.approx([0.2625, 0.55, 0.6])


def test_bans_and_quotas_in_force_limit_capacity_and_headroom():
    ceilings = pd.DataFrame(
        {
            **MARKET,
            "exporter_iso3": ["IDN", "IDN"],
            "annual_qty_kg": [40.0, 40.0],
            "capacity_qty_kg": [100.0, np.nan],
            "headroom_qty_kg": [60.0, 20.0],
        }
    )
    banned = limited(ceilings, restriction())
    assert banned["capacity_qty_kg"].tolist() == [0.0, 0.0]
    assert banned["headroom_qty_kg"].tolist() == [0.0, 0.0]
    quota = limited(ceilings, restriction(measure_type="quota", severity=0.5))
    assert quota["capacity_qty_kg"].tolist() == pytest.approx([50.0, np.nan], nan_ok=True)
    assert quota["headroom_qty_kg"].tolist() == [10.0, 10.0]
    for idle in (
        restriction(is_in_force=False),
        restriction(measure_type="licence", severity=0.4),
        restriction(target_iso3="USA;JPN"),
    ):
        pd.testing.assert_frame_equal(limited(ceilings, idle), ceilings)


def test_a_ban_moves_the_recommendation_and_the_base_stays():
    frame = with_risk(suppliers(), ATTRIBUTES, restriction(), risk_weights(Choices()))
    found = portfolio_sensitivity(frame, restriction(), Choices(), WEIGHTS)
    of = found.set_index(["variant", "exporter_iso3"])
    assert set(found["variant"]) == {"base", "policy", "logistics", "alignment", "equal"}
    assert of["recommended_share"]["base"].to_dict() == {"AUS": 0.4, "IDN": 0.5, "PHL": 0.1}
    assert (of["change_from_base"]["base"] == 0).all()
    assert of["recommended_share"]["policy", "IDN"] == 0.0
    assert of["moved_share"]["policy", "AUS"] == pytest.approx(0.5)
    assert of["recommended_share"]["policy"].sum() == pytest.approx(1.0)
    # Votes of Australia are the farthest from India's.
    assert of["supplier_risk"]["alignment", "AUS"] > of["supplier_risk"]["base", "AUS"]


def test_a_variant_without_a_solution_says_why():
    frame = with_risk(suppliers(), ATTRIBUTES, restriction(), risk_weights(Choices()))
    frame["capacity_share"] = [0.3, 1.0, 0.2]
    found = portfolio_sensitivity(frame, restriction(), Choices(), WEIGHTS)
    policy = found[found["variant"] == "policy"]
    assert policy["recommended_share"].isna().all() and policy["moved_share"].isna().all()
    assert policy["why_none"].str.contains("can take 50%").all()
