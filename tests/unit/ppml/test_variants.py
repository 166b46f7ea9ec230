"""The importer's model with what the study would add, beside the base fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from minerals.names import REGRESSORS
from minerals.ppml.variants import ALL, BASE, VARIANTS, model_variants
from minerals.settings import Choices

KEY = ["importer_iso3", "exporter_iso3", "mineral", "year"]
CHOICES = Choices(bootstrap_replications=100)


@pytest.fixture(scope="module")
def made() -> tuple[pd.DataFrame, pd.DataFrame]:
    """60 exporters x 3 minerals x 4 years. What is sold of products follows refined output and
    alignment, and nothing that is mined; ores are not sold."""
    rng = np.random.default_rng(5)
    exporters = [f"E{n:02d}" for n in range(60)]
    panel = pd.MultiIndex.from_product(
        [["IND"], exporters, ["Antimony", "Copper", "Tin"], range(2019, 2023)], names=KEY
    ).to_frame(index=False)

    def of_exporter(values: np.ndarray) -> np.ndarray:
        return panel["exporter_iso3"].map(dict(zip(exporters, values, strict=True))).to_numpy()

    for name in REGRESSORS:
        panel[name] = of_exporter(rng.normal(size=60)) + 0.1 * rng.normal(size=len(panel))
    panel["landlocked"] = (panel["landlocked"] > 0).astype(int)
    panel["ln_production_qty"] = rng.uniform(0, 10, len(panel))
    covariates = panel[KEY].copy()
    for variant in VARIANTS:
        for category in variant.categories:
            for name in variant.added(category):
                covariates[name] = of_exporter(rng.uniform(0, 1, 60))
                covariates[f"is_imputed_{name}"] = False
    covariates["ln_refined_qty"] = of_exporter(rng.uniform(0, 6, 60))
    covariates["ideal_point_distance"] = of_exporter(rng.uniform(0, 3, 60))
    covariates["is_imputed_ln_refined_qty"] = panel["mineral"] == "Tin"
    covariates["products_restriction_severity"] = 0.0
    covariates["is_imputed_ln_products_unit_value_ratio"] = True
    mean = np.exp(3 + 0.5 * covariates["ln_refined_qty"] - covariates["ideal_point_distance"])
    panel = panel.assign(
        ores_qty_kg=0.0, products_qty_kg=rng.poisson(mean).astype(float), scrap_qty_kg=0.0
    )
    return panel, covariates


@pytest.fixture(scope="module")
def tables(made: tuple[pd.DataFrame, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return model_variants(*made, "IND", CHOICES)


@pytest.fixture(scope="module")
def products(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    comparison = tables["model_comparison"]
    return comparison[comparison["category"] == "products"].set_index("variant")


def test_every_declared_variant_has_a_row(tables: dict[str, pd.DataFrame]) -> None:
    found = tables["model_comparison"].groupby("category")["variant"].agg(set).to_dict()
    for category, names in found.items():
        declared = {v.name for v in VARIANTS if category in v.categories}
        assert names == declared | ({ALL} if category == "products" else set())


def test_what_helps_in_years_not_seen_is_supported(
    tables: dict[str, pd.DataFrame], products: pd.DataFrame
) -> None:
    assert products.loc["refined", "n_years_better_than_base"] == 4
    assert products.loc["refined", "deviance_left_out"] < products.loc[BASE, "deviance_left_out"]
    assert products.loc[["alignment", "refined"], "is_supported"].all()
    assert products["is_supported"].drop(["alignment", "refined"]).fillna(False).sum() == 0
    assert pd.isna(products.loc[BASE, "is_supported"])
    terms = tables["ppml_variants"].set_index(["variant", "term"])
    of = terms.loc[("all", "ln_refined_qty")]
    assert of["estimate"] == pytest.approx(0.5, abs=0.02)
    assert terms.loc[("all", "ideal_point_distance"), "estimate"] == pytest.approx(-1.0, abs=0.05)
    low, high = terms.loc[("refined", "ln_refined_qty"), ["bootstrap_low", "bootstrap_high"]]
    assert low < terms.loc[("refined", "ln_refined_qty"), "estimate"] < high
    assert terms.loc[("logistics", "logistics_performance_index")].isna()["bootstrap_low"]
    assert ("refined", "ln_production_qty") not in terms.index


def test_a_sign_against_expectation_is_not_supported(
    made: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    panel, covariates = made
    turned = covariates.assign(ideal_point_distance=-covariates["ideal_point_distance"])
    row = _row(model_variants(panel, turned, "IND", CHOICES), "alignment")
    assert row["n_years_better_than_base"] == 4
    assert (row["is_sign_as_expected"], row["is_supported"]) == (False, False)
    assert row["not_supported_by"] == "sign"


def test_what_cannot_be_estimated_says_why(
    tables: dict[str, pd.DataFrame], products: pd.DataFrame
) -> None:
    reasons = products["reason"]
    assert "does not vary" in reasons["restrictions"]
    assert reasons["cost"] == "the data hold no ln_products_unit_value_ratio of any supplier"
    assert "value added" in reasons["value_added"]
    assert products.loc["refined", "n_observed"] == 60 * 2 * 4
    ores = tables["model_comparison"].query("category == 'ores'")
    assert ores["n_observations"].isna().all() and ores["reason"].str.len().min() > 10


def test_the_deviance_of_a_year_is_that_of_a_fit_without_it(
    made: tuple[pd.DataFrame, pd.DataFrame], products: pd.DataFrame
) -> None:
    """Against statsmodels: fit the other years, scale to the year's total, mean deviance."""
    panel = made[0]
    X = pd.get_dummies(panel[["mineral"]], drop_first=True).astype(float)
    X = pd.concat([X, panel[list(REGRESSORS)]], axis=1).assign(constant=1.0)
    deviances = []
    for year in range(2019, 2023):
        seen = panel["year"] != year
        effects = pd.get_dummies(panel.loc[seen, "year"], drop_first=True).astype(float)
        with_years = pd.concat([X[seen], effects], axis=1).rename(columns=str)
        fit = sm.GLM(panel.loc[seen, "products_qty_kg"], with_years, sm.families.Poisson()).fit()
        mu = np.exp(X[~seen] @ fit.params[X.columns])
        y = panel.loc[~seen, "products_qty_kg"]
        deviances.append(sm.families.Poisson().deviance(y, mu * y.sum() / mu.sum()) / len(y))
    assert products.loc[BASE, "deviance_left_out"] == pytest.approx(np.mean(deviances), rel=1e-6)


def test_a_panel_and_covariates_of_other_rows_are_refused(
    made: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    with pytest.raises(ValueError, match="lacks 1 rows of the panel of IND"):
        model_variants(made[0], made[1].iloc[1:], "IND", CHOICES)


def _row(made: dict[str, pd.DataFrame], variant: str) -> pd.Series:
    comparison = made["model_comparison"]
    return comparison[comparison["category"] == "products"].set_index("variant").loc[variant]
