"""Which coefficients speak for a mineral, case by case."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals import marts
from minerals.sourcing.headline import (
    NO_IMPORTS,
    NO_MODEL,
    OWN_IMPORTS,
    STUDY_IMPORTS,
    best_model,
    with_headline,
)

NOT_JUDGED = marts.empty("ranking_skill")


def ranks(importer: str, **predicted: float) -> pd.DataFrame:
    """One supplier's row a source, with the quantity that the source predicts."""
    return pd.DataFrame(
        {
            "importer_iso3": importer,
            "category": "ores",
            "mineral": "Copper",
            "coefficient_source": list(predicted),
            "predicted_qty_kg": list(predicted.values()),
        }
    )


@pytest.mark.parametrize(
    ("frame", "leader", "reason"),
    [
        (ranks("IND", estimated=5.0, published=7.0), "estimated", OWN_IMPORTS),
        (ranks("IND", estimated=np.nan, published=7.0), "published", STUDY_IMPORTS),
        (ranks("JPN", estimated=np.nan, published=7.0), "estimated", NO_IMPORTS),
        (ranks("IND", estimated=np.nan, published=np.nan), "estimated", NO_IMPORTS),
        (ranks("IND", published=7.0), "published", NO_MODEL),
        (ranks("JPN", published=np.nan), "published", NO_MODEL),
    ],
)
def test_one_source_leads_and_says_why(frame: pd.DataFrame, leader: str, reason: str) -> None:
    result = with_headline(frame, NOT_JUDGED).set_index("coefficient_source")
    assert result["is_headline"].sum() == 1
    assert result.loc[leader, "is_headline"]
    assert result.loc[leader, "headline_reason"] == reason
    assert (result.drop(leader)["headline_reason"] == "").all()


def test_minerals_are_decided_apart() -> None:
    copper = ranks("IND", estimated=5.0, published=7.0)
    tin = ranks("IND", estimated=np.nan, published=7.0).assign(mineral="Tin")
    result = with_headline(pd.concat([copper, tin], ignore_index=True), NOT_JUDGED)
    assert result["is_headline"].tolist() == [True, False, False, True]


def judged(**scores: tuple[float, float]) -> pd.DataFrame:
    """`ranking_skill` of ores: AUC of new suppliers and part of later purchases, by model."""
    rows = [
        {"model": model, "metric": metric, "mean_score": score}
        for model, pair in scores.items()
        for metric, score in zip(("new_supplier_auc", "top_k_value_share"), pair, strict=True)
    ]
    return pd.DataFrame(rows).assign(category="ores", scope="chosen_importers")


def test_the_best_of_the_models_of_who_could_supply_leads_and_its_figures_are_given() -> None:
    skill = judged(
        world=(0.8, 0.7), estimated=(0.7, 0.5), persistence=(0.6, 0.9), expected=(0.9, 0.9)
    )
    frame = ranks("IND", world=5.0, estimated=5.0, expected=1.0)
    result = with_headline(frame, skill).set_index("coefficient_source")
    assert result.index[result["is_headline"]].tolist() == ["world"]
    assert "world 0.80, estimated 0.70" in result.loc["world", "headline_reason"]
    assert "world 70%, estimated 50%" in result.loc["world", "headline_reason"]


def test_of_equal_places_the_better_finder_of_new_suppliers_leads() -> None:
    assert best_model(judged(world=(0.7, 0.7), estimated=(0.8, 0.5)), "ores")[0] == "estimated"
    assert best_model(judged(world=(0.8, 0.5), published=(0.7, 0.7)), "ores")[0] == "world"
    assert best_model(judged(world=(0.8, 0.5)), "scrap") == ("", "")


def test_a_market_that_the_best_model_does_not_rank_falls_back() -> None:
    frame = ranks("IND", estimated=5.0, published=7.0)
    result = with_headline(frame, judged(world=(0.8, 0.7), estimated=(0.7, 0.5)))
    assert result["headline_reason"].tolist() == [OWN_IMPORTS, ""]
