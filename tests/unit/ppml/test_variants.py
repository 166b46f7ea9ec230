"""The importer's model with what the study would add, beside the base fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from minerals import marts
from minerals.names import CATEGORIES, REGRESSORS
from minerals.ppml.tables import estimation_tables
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


def test_a_year_without_which_a_regressor_does_not_vary_is_not_predicted(
    made: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    panel, covariates = made
    severity = covariates["logistics_performance_index"].where(covariates["year"] == 2021, 0.0)
    restricted = covariates.assign(products_restriction_severity=severity)
    row = _row(model_variants(panel, restricted, "IND", CHOICES), "restrictions")
    assert row["n_years_left_out"] == 3


def test_candidates_are_ranked_by_each_variant(
    made: tuple[pd.DataFrame, pd.DataFrame], tables: dict[str, pd.DataFrame]
) -> None:
    """What is sold is exp(3 + 0.5 refined - distance of votes): 'all', which knows both, ranks by
    that; the base fit, which knows neither, does not. Nothing is sold of ores."""
    covariates = made[1]
    ranked = tables["ranking_forward_variants"].set_index(["mineral", "exporter_iso3"])
    comparison = tables["model_comparison"]
    estimated = comparison.loc[comparison["n_parameters"].notna(), "variant"]
    assert set(ranked["category"]) == {"products"}
    assert ranked["variant"].value_counts().to_dict() == dict.fromkeys(estimated, 60 * 3)
    by = dict(list(ranked.groupby("variant")))
    truth = covariates.assign(score=covariates.eval("0.5 * ln_refined_qty - ideal_point_distance"))
    score = truth.groupby(["mineral", "exporter_iso3"])["score"].mean()
    best = score.groupby("mineral").rank(ascending=False)
    assert (by[ALL]["forward_rank"] - best).abs().max() <= 3
    assert (by[BASE]["forward_rank"] - best).abs().mean() > 10
    assert (by[BASE]["rank_change_from_base"] == 0).all()
    moved = by[BASE]["forward_rank"] - by[ALL]["forward_rank"]
    pd.testing.assert_series_equal(by[ALL]["rank_change_from_base"], moved, check_names=False)
    places = ranked["rank_high"] - ranked["rank_low"]
    assert places.min() >= 0
    assert places[ranked["variant"] == ALL].mean() < places[ranked["variant"] == BASE].mean() / 3
    sums = ranked.groupby(["variant", "mineral"])["top_k_probability"].sum()
    assert sums.to_numpy() == pytest.approx(CHOICES.top_k)


def test_variants_of_a_model_that_is_not_publishable_rank_nobody(
    made: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """Of products 25 flows are left, too few to publish the fit; the variants are compared."""
    panel, covariates = made
    sold = panel.groupby("mineral")["products_qty_kg"].rank(ascending=False, method="first")
    few = panel["products_qty_kg"].where((sold <= 25) & (panel["mineral"] == "Tin"), 0.0)
    panel = panel.assign(products_qty_kg=few, **{f"{c}_estimated_qty_kg": 0.0 for c in CATEGORIES})
    assert len(model_variants(panel, covariates, "IND", CHOICES)["ranking_forward_variants"])
    printed = marts.empty("ppml_coefficients").rename(columns={"z_value": "t_value"})
    tables, _ = estimation_tables(panel, ["IND"], CHOICES, printed, covariates)
    assert (
        "25 positive quantities"
        in tables["ppml_fit"].set_index("category").loc["products", "reason"]
    )
    assert tables["model_comparison"]["n_parameters"].notna().any()
    assert tables["ranking_forward_variants"].empty


def test_a_variant_ranks_on_the_last_years_as_the_forward_ranking_does(
    made: tuple[pd.DataFrame, pd.DataFrame], tables: dict[str, pd.DataFrame]
) -> None:
    """Votes turn round in the last year, which the fit hardly sees and the ranking sees alone."""
    panel, covariates = made
    last = covariates["year"] == 2022
    turned = covariates["ideal_point_distance"].where(~last, -covariates["ideal_point_distance"])
    covariates = covariates.assign(ideal_point_distance=turned)
    panel = panel.assign(products_qty_kg=panel["products_qty_kg"].where(~last, 0.0))
    choices = CHOICES.model_copy(update={"forward_years": 1})

    def first(choices: Choices) -> pd.Series:
        ranked = model_variants(panel, covariates, "IND", choices)["ranking_forward_variants"]
        own = ranked[(ranked["variant"] == "alignment") & (ranked["mineral"] == "Copper")]
        return own.set_index("exporter_iso3")["forward_rank"]

    assert first(choices).corr(first(CHOICES)) < 0


def test_a_panel_and_covariates_of_other_rows_are_refused(
    made: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    with pytest.raises(ValueError, match="lacks 1 rows of the panel of IND"):
        model_variants(made[0], made[1].iloc[1:], "IND", CHOICES)


def _row(made: dict[str, pd.DataFrame], variant: str) -> pd.Series:
    comparison = made["model_comparison"]
    return comparison[comparison["category"] == "products"].set_index("variant").loc[variant]
