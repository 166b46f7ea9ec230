"""Which coefficients speak for a mineral, case by case."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.headline import (
    NO_IMPORTS,
    NO_MODEL,
    OWN_IMPORTS,
    STUDY_IMPORTS,
    with_headline,
)


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
    result = with_headline(frame).set_index("coefficient_source")
    assert result["is_headline"].sum() == 1
    assert result.loc[leader, "is_headline"]
    assert result.loc[leader, "headline_reason"] == reason
    assert (result.drop(leader)["headline_reason"] == "").all()


def test_minerals_are_decided_apart() -> None:
    copper = ranks("IND", estimated=5.0, published=7.0)
    tin = ranks("IND", estimated=np.nan, published=7.0).assign(mineral="Tin")
    result = with_headline(pd.concat([copper, tin], ignore_index=True))
    assert result["is_headline"].tolist() == [True, False, False, True]
