"""From ranks to recommended shares on one small market."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.portfolio import recommend, suppliers
from minerals.sourcing.programme import Weights
from minerals.sourcing.risk import weighted_risk
from minerals.sourcing.roles import action, evidence, partners, role, strategies

DEFAULT = Weights(concentration_penalty=2.0, risk_penalty=1.0, change_limit=0.3)
KEY = {"importer_iso3": "IND", "category": "ores", "mineral": "Copper"}


def ranks(**change: object) -> pd.DataFrame:
    rows = [
        ("AUS", 1, 0.5, 0.95, 1, 2),
        ("BRA", 2, 0.3, 0.60, 1, 4),
        ("CHL", 3, 0.2, 0.10, 2, 9),
    ]
    columns = ["exporter_iso3", "forward_rank", "model_share", "top_k_probability"]
    columns += ["rank_low", "rank_high"]
    frame = pd.DataFrame(rows, columns=columns).assign(
        **KEY, coefficient_source="estimated", is_headline=True, effective_k=1
    )
    return frame.assign(**change)


def persisting(*words: str) -> pd.DataFrame:
    return pd.DataFrame({"exporter_iso3": ["AUS", "BRA", "CHL"], "persistence": words}).assign(
        **KEY, coefficient_source="estimated"
    )


PERSISTENCE = persisting("persistent", "episodic", "never")
GOVERNANCE = pd.DataFrame(
    {"wgi_average": [2.5, 0.0, -2.5], "is_imputed_governance": False}, index=["AUS", "BRA", "CHL"]
)


def ceilings(*annual: float) -> pd.DataFrame:
    total = sum(annual)
    return pd.DataFrame(
        {
            **KEY,
            "exporter_iso3": ["AUS", "BRA", "CHL"],
            "annual_qty_kg": annual,
            "demand_qty_kg": total,
            "actual_share": [a / total if total else np.nan for a in annual],
            "capacity_qty_kg": [60.0, np.nan, 400.0],
            "headroom_qty_kg": [60.0, 0.0, 400.0],
            "n_unknown_qty": 0,
            "doubtful_qty_kg": 0.0,
            "is_excluded": False,
            "supplier_type": "producer",
        }
    )


def rated(capacity: pd.DataFrame, ranking: pd.DataFrame | None = None) -> pd.DataFrame:
    frame = suppliers(ranks() if ranking is None else ranking, PERSISTENCE, capacity, GOVERNANCE)
    frame["rank_risk"] = 1 - frame["top_k_probability"]
    return frame.assign(supplier_risk=weighted_risk(frame, {"governance": 0.5, "rank": 0.5}))


def test_suppliers_carry_rank_risk_and_capacity() -> None:
    frame = rated(ceilings(0.0, 50.0, 150.0))
    rows = frame.set_index("exporter_iso3")
    assert rows["actual_rank"].tolist() == [pd.NA, 2, 1]
    assert rows["alignment"].tolist() == ["underutilized", "peripheral", "overrepresented"]
    assert rows["governance_risk"].tolist() == [0.0, 0.5, 1.0]
    assert rows["supplier_risk"].tolist() == pytest.approx([0.025, 0.45, 0.95])
    assert rows["capacity_share"].tolist() == pytest.approx([0.3, np.nan, 1.0], nan_ok=True)
    assert rows["persistence"].tolist() == ["persistent", "episodic", "never"]


def test_a_supplier_without_governance_counts_as_the_mean_over_countries() -> None:
    frame = suppliers(ranks(), PERSISTENCE, ceilings(0, 1, 1), GOVERNANCE.iloc[:2])
    # AUS 2.5 and BRA 0: CHL counts as 1.25
    assert frame["governance_risk"].tolist() == [0.0, 0.5, 0.25]


def recommended(annual: tuple[float, float, float], weights: Weights = DEFAULT):
    return recommend(rated(ceilings(*annual)), weights)


def test_recommended_shares_keep_the_limits_and_are_explained() -> None:
    result = recommended((0.0, 0.0, 200.0), Weights(0.0, 0.0, 0.4))
    frame = result.suppliers.set_index("exporter_iso3")
    # 0.4 may leave CHL; AUS would get 0.25 of it and BRA 0.15, below AUS's capacity of 0.3
    assert frame["recommended_share"].tolist() == pytest.approx([0.25, 0.15, 0.6], abs=1e-4)
    assert frame["change_share"].tolist() == pytest.approx([0.25, 0.15, -0.4], abs=1e-4)
    row = result.optimization.iloc[0]
    assert row["binding_constraints"] == "limit on change"
    assert row["change_share"] == pytest.approx(0.4, abs=1e-6)
    assert row["hhi_recommended"] == pytest.approx(0.25**2 + 0.15**2 + 0.6**2, abs=1e-4)
    bound = recommended((0.0, 0.0, 200.0), Weights(0.0, 0.0, 0.9)).optimization.iloc[0]
    assert bound["binding_constraints"] == "capacity of AUS"


def test_without_imports_there_is_no_limit_on_change() -> None:
    result = recommended((0.0, 0.0, 0.0), Weights(0.0, 0.0, 0.0))
    frame = result.suppliers
    assert frame["recommended_share"].tolist() == pytest.approx([0.5, 0.3, 0.2], abs=1e-4)
    assert frame["change_share"].isna().all()
    assert not result.optimization["is_change_limited"].any()


def test_the_frontier_marks_the_portfolio_in_use() -> None:
    frame = recommended((0.0, 50.0, 150.0), Weights(3.0, 1.0, 1.0)).frontier
    used = frame.loc[frame["is_recommended"]]
    assert used["concentration_penalty"].tolist() == [3.0]
    assert frame["hhi"].is_monotonic_decreasing
    assert frame["concentration_penalty"].tolist() == [0.0, 1.0, 3.0, 4.0, 16.0, 64.0]


def test_an_infeasible_market_is_said_and_has_no_shares() -> None:
    tight = ceilings(0.0, 0.0, 200.0).assign(capacity_qty_kg=[20.0, 20.0, 60.0])
    result = recommend(rated(tight), DEFAULT)
    assert result.suppliers["recommended_share"].isna().all()
    row = result.optimization.iloc[0]
    assert not row["is_feasible"]
    assert "capacity: all suppliers together can take 50%" in row["infeasible_because"]
    assert result.frontier.empty


@pytest.mark.parametrize(
    ("alignment", "persistence", "probability", "is_concentrated", "expected"),
    [
        ("aligned", "persistent", 0.99, True, "established"),
        ("aligned", "episodic", 0.99, True, "unsettled"),
        ("aligned", "recent_entrant", 0.99, True, "unsettled"),
        ("overrepresented", "never", 0.10, True, "relied_on"),
        ("overrepresented", "never", 0.10, False, "unsettled"),
        ("overrepresented", "never", 0.10, pd.NA, "unsettled"),
        ("underutilized", "persistent", 0.80, False, "untapped"),
        ("underutilized", "persistent", 0.79, False, "unsettled"),
        ("peripheral", "recent_entrant", 0.40, True, "unsettled"),
        ("peripheral", "never", 0.40, True, "peripheral"),
    ],
)
def test_roles(alignment, persistence, probability, is_concentrated, expected) -> None:
    frame = pd.DataFrame(
        {
            "alignment": [alignment],
            "persistence": [persistence],
            "top_k_probability": [probability],
            "is_concentrated": pd.array([is_concentrated], dtype="boolean"),
            "is_excluded": False,
        }
    )
    assert role(frame).tolist() == [expected]
    assert role(frame.assign(is_excluded=True)).tolist() == ["excluded"]


def test_the_action_follows_the_change_of_the_share() -> None:
    changes = pd.Series([0.01, 0.0099, 0.0, -0.0099, -0.09, np.nan])
    words = action(changes).tolist()
    assert words[:-1] == ["more", "keep", "keep", "keep", "less"] and pd.isna(words[-1])


def test_evidence_says_the_figures() -> None:
    row = {
        "forward_rank": 2, "rank_low": 1, "rank_high": 4, "top_k_probability": 0.97,
        "effective_k": 7, "persistence": "persistent", "actual_share": 0.264, "actual_rank": 1,
        "recommended_share": 0.201, "is_at_capacity": True, "capacity_share": 0.2,
        "annual_qty_kg": 5.0, "n_unknown_qty": 0, "action": "less", "is_excluded": False,
        "doubtful_qty_kg": 0.4,
    }  # fmt: skip
    assert evidence(row) == (
        "Rank 2 by the model (90% interval 1 to 4; among the 7 leading with probability 0.97), "
        "every year among the 7 leading. Supplies 26.4%, rank 1. Recommended: 20.1%, less, "
        "at its capacity."
    )
    doubtful = {**row, "doubtful_qty_kg": 4.6}
    assert "Supplies 26.4%, rank 1, 92% of it estimated from its value. Rec" in evidence(doubtful)
    excluded = {**row, "recommended_share": 0.0, "is_excluded": True}
    assert evidence(excluded).endswith("Supplies 26.4%, rank 1. Excluded by the settings.")
    small = {**row, "is_at_capacity": False, "action": "keep"}
    assert evidence(small).endswith("Recommended: 20.1%.")
    assert evidence({**small, "action": "more"}).endswith("Recommended: 20.1%, more.")


@pytest.mark.parametrize(
    ("actual_share", "n_unknown_qty", "words"),
    [
        (0.0, 0, "Supplies nothing."),
        (0.0, 2, "Supplies an unknown quantity."),
        (np.nan, 1, "Supplies an unknown quantity."),
        (np.nan, 0, "No import of known quantity."),
    ],
)
def test_evidence_of_who_supplies_no_known_quantity(actual_share, n_unknown_qty, words) -> None:
    row = {
        "forward_rank": 9, "rank_low": 1, "rank_high": 20, "top_k_probability": 0.5,
        "effective_k": 7, "persistence": "never", "actual_share": actual_share,
        "annual_qty_kg": 0.0, "n_unknown_qty": n_unknown_qty, "recommended_share": np.nan,
        "is_excluded": False,
    }  # fmt: skip
    assert evidence(row).endswith(words)


def test_a_market_of_estimated_weights_says_so() -> None:
    doubt = ceilings(0, 50, 150).assign(doubtful_qty_kg=[0.0, 5.0, 15.0])
    result = recommend(rated(doubt), DEFAULT)
    frame = partners(result.suppliers, measured())
    (told,) = strategies(frame, result.optimization, measured())["rationale"]
    assert "10% of the quantity is estimated from its value, of CHL, BRA." in told
    sound = partners(result.suppliers.assign(doubtful_qty_kg=1.0), measured())
    (told,) = strategies(sound, result.optimization, measured())["rationale"]
    assert "estimated" not in told


def test_who_is_excluded_is_not_named_first() -> None:
    excluded = ceilings(0, 0, 0).assign(is_excluded=[True, False, False])
    result = recommend(rated(excluded), DEFAULT)
    nothing = measured(hhi_actual=np.nan, is_concentrated=pd.NA)
    frame = partners(result.suppliers, nothing)
    assert frame["role"].tolist()[0] == "excluded"
    table = strategies(frame, result.optimization, nothing)
    assert table["rationale"].iloc[0].endswith("First by the model: BRA, CHL.")


def measured(**change: object) -> pd.DataFrame:
    row = {
        **KEY, "is_concentrated": False, "is_narrow_pool": False, "hhi_actual": 0.6,
        "top1_exporter_iso3": "CHL", "top1_share": 0.75, "top1_share_trend": 0.02,
        "top3_model_share": 1.0, "n_candidates": 3, "effective_suppliers": 1 / 0.6,
    }  # fmt: skip
    return pd.DataFrame([row | change]).astype({"is_concentrated": "boolean"})


@pytest.mark.parametrize(
    ("change", "annual", "expected", "words"),
    [
        ({"is_narrow_pool": True, "is_concentrated": True}, (0, 50, 150), "secure_long_term",
         "Few to choose from: 3 candidate suppliers"),
        ({"hhi_actual": np.nan, "is_concentrated": pd.NA}, (0, 0, 0), "build_data",
         "First by the model: AUS, BRA, CHL."),
        ({"is_concentrated": True}, (0, 50, 150), "diversify",
         "CHL supplies 75% of the imports, +2.0 points a year"),
        ({}, (0, 50, 150), "rebalance", "mostly from CHL to AUS"),
        ({}, (100, 60, 40), "maintain", "near what is recommended"),
    ],
)  # fmt: skip
def test_strategies(change, annual, expected, words) -> None:
    # a concentration penalty of zero: the target is (0.5, 0.3, 0.2), less risk
    result = recommended(annual, Weights(0.0, 0.0, 0.3))
    concentration = measured(**change)
    frame = partners(result.suppliers, concentration)
    table = strategies(frame, result.optimization, concentration)
    assert table["strategy"].tolist() == [expected]
    assert words in table["rationale"].iloc[0]


@pytest.mark.parametrize(
    ("annual", "is_concentrated", "told"),
    [
        # BRA can sell no more than 2%, and the model expects more of AUS than of CHL
        ((80, 0, 120), True, "of AUS: 40% today, 70% recommended, 50% by the model; others at "
         "their capacity: 1."),
        ((80, 0, 120), False, ""),
        ((200, 0, 0), True, ""),
    ],
)  # fmt: skip
def test_a_leader_whose_share_does_not_fall_is_told(annual, is_concentrated, told) -> None:
    roomy = ceilings(*annual).assign(capacity_qty_kg=[400.0, 4.0, 400.0])
    result = recommend(rated(roomy), Weights(0.0, 0.0, 0.9))
    concentration = measured(top1_exporter_iso3="AUS", is_concentrated=is_concentrated)
    frame = partners(result.suppliers, concentration)
    (rationale,) = strategies(frame, result.optimization, concentration)["rationale"]
    assert ("It does not lower the share" in rationale) == bool(told)
    assert told in rationale


def test_share_at_stake_over_the_window() -> None:
    result = recommended((0.0, 50.0, 150.0))
    frame = partners(result.suppliers, measured())
    table = strategies(frame, result.optimization, measured())
    # actual 0, 0.25, 0.75; model 0.5, 0.3, 0.2
    assert table["misallocated_share"].iloc[0] == pytest.approx((0.5 + 0.05 + 0.55) / 2)


def test_no_suppliers_no_rows() -> None:
    nothing = rated(ceilings(1, 1, 1), ranks().iloc[:0])
    result = recommend(nothing, DEFAULT)
    assert result.suppliers.empty and result.optimization.empty and result.frontier.empty
    assert partners(result.suppliers, measured()).empty
