"""The products model with refined output beside the base fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.names import REGRESSORS
from minerals.ppml.variants import product_variants, with_refined_output

TYPES = ["exporter_iso3", "mineral", "category", "refined_output_kg"]


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    """60 exporters x 3 minerals x 4 years: what is sold follows refined output, not the mines."""
    rng = np.random.default_rng(5)
    frame = pd.MultiIndex.from_product(
        [[f"E{n:02d}" for n in range(60)], ["Antimony", "Copper", "Tin"], range(2019, 2023)],
        names=["exporter_iso3", "mineral", "year"],
    ).to_frame(index=False)
    for name in REGRESSORS:
        of_exporter = dict(zip(frame["exporter_iso3"].unique(), rng.normal(size=60), strict=True))
        frame[name] = frame["exporter_iso3"].map(of_exporter) + 0.1 * rng.normal(size=len(frame))
    frame["landlocked"] = (frame["landlocked"] > 0).astype(int)
    frame["ln_production_qty"] = rng.uniform(0, 10, len(frame))
    refined = np.expm1(rng.uniform(0, 10, 60))
    frame["refined"] = frame["exporter_iso3"].map(
        dict(zip(frame["exporter_iso3"].unique(), refined, strict=True))
    )
    mean = np.exp(3 + 0.5 * np.log1p(frame["refined"]))
    return frame.assign(products_qty_kg=rng.poisson(mean).astype(float), importer_iso3="IND")


@pytest.fixture(scope="module")
def types(panel: pd.DataFrame) -> pd.DataFrame:
    """Known for all but the first exporter, and not for Tin."""
    known = panel.loc[(panel["exporter_iso3"] != "E00") & (panel["mineral"] != "Tin")]
    rows = known[["exporter_iso3", "mineral", "refined"]].drop_duplicates()
    products = rows.rename(columns={"refined": "refined_output_kg"}).assign(category="products")
    return pd.concat([products, products.assign(category="ores", refined_output_kg=1.0)])[TYPES]


def test_refined_output_takes_the_place_of_mine_output_where_it_is_known(
    panel: pd.DataFrame, types: pd.DataFrame
) -> None:
    frame = with_refined_output(panel, types)
    assert len(frame) == len(panel)
    known = frame["is_refined_known"]
    assert known.sum() == 59 * 2 * 4
    assert np.allclose(frame.loc[known, "ln_refined_qty"], np.log1p(panel.loc[known, "refined"]))
    assert frame.loc[~known, "ln_refined_qty"].equals(frame.loc[~known, "ln_production_qty"])


def test_a_variant_is_judged_by_years_that_it_has_not_seen(
    panel: pd.DataFrame, types: pd.DataFrame
) -> None:
    frame = with_refined_output(panel, types)
    made = product_variants(frame.loc[frame["is_refined_known"]], "IND")
    comparison = made["model_comparison"].set_index("variant")
    assert comparison["n_years_left_out"].tolist() == [4, 4]
    assert comparison["n_years_better_than_base"].to_dict() == {"base": 0, "refined": 4}
    deviance = comparison["deviance_left_out"]
    assert deviance["refined"] < 0.5 * deviance["base"]
    estimates = made["ppml_variants"].set_index(["variant", "term"])["estimate"]
    assert estimates["refined", "ln_refined_qty"] == pytest.approx(0.5, abs=0.05)
    assert abs(estimates["base", "ln_production_qty"]) < 0.1


def test_a_variant_without_imports_says_why(panel: pd.DataFrame, types: pd.DataFrame) -> None:
    made = product_variants(with_refined_output(panel.assign(products_qty_kg=0.0), types), "IND")
    assert made["ppml_variants"].empty
    assert made["model_comparison"]["n_observations"].isna().all()
    assert made["model_comparison"]["reason"].str.len().min() > 10
