"""The tables of estimation: which terms have a row, what is publishable, and why not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from minerals import marts
from minerals.names import CATEGORIES, REGRESSORS
from minerals.ppml import EstimationError
from minerals.ppml.bootstrap import Bootstrap
from minerals.ppml.design import Dropped, Term
from minerals.ppml.diagnostics import Diagnostics
from minerals.ppml.estimator import Fit
from minerals.ppml.model import Model, Stability
from minerals.ppml.reference import Comparison
from minerals.ppml.tables import (
    NOT_CONFIRMED,
    Estimates,
    coefficients_frame,
    estimate_categories,
    fit_frame,
    publishable_coefficients,
    published_coefficients_frame,
    unpublishable_reasons,
)
from minerals.settings import Choices

CHOICES = Choices(bootstrap_replications=100, seed=2)


def study_panel() -> pd.DataFrame:
    """40 exporters x 3 minerals x 2 years; no product of Gallium, no scrap at all."""
    rng = np.random.default_rng(11)
    frame = pd.MultiIndex.from_product(
        [[f"E{n:02d}" for n in range(40)], ["Antimony", "Copper", "Gallium"], [2019, 2020]],
        names=["exporter_iso3", "mineral", "year"],
    ).to_frame(index=False)
    for name in REGRESSORS:
        frame[name] = rng.normal(size=len(frame))
    frame["landlocked"] = (frame["exporter_iso3"] < "E10").astype(int)
    size = np.exp(5 + frame["ln_gdp"] + frame["wgi_average"])
    for category in CATEGORIES:
        frame[f"{category}_qty_kg"] = size * rng.gamma(1.0, 1.0, len(frame))
        frame[f"{category}_estimated_qty_kg"] = 0.0
    frame.loc[frame["mineral"] == "Gallium", "products_qty_kg"] = 0.0
    frame.loc[frame["landlocked"] == 1, "products_qty_kg"] = 0.0
    frame["scrap_qty_kg"] = 0.0
    return frame.assign(importer_iso3="IND")


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    return study_panel()


def small_fit(**changes: object) -> Fit:
    fit = Fit(
        terms=(Term("x", "covariate"), Term("Copper", "mineral"), Term("Constant", "constant")),
        coefficients=np.array([0.5, -1.0, 3.0]),
        cov_robust=np.diag([0.01, 0.04, 0.09]),
        cov_clustered=np.diag([0.0625, 0.25, 1.0]),
        cov_two_way=np.diag([0.04, 0.16, 0.64]),
        linear_predictor=np.zeros(100),
        log_likelihood=-50.0,
        null_log_likelihood=-100.0,
        pseudo_r2=0.5,
        aic=106.0,
        bic=110.0,
        wald_chi2=8.0,
        n_observations=100,
        n_nonzero=60,
        n_clusters=20,
        n_parameters=3,
        n_iterations=7,
        is_converged=True,
        is_full_rank=True,
        mean_dependent_kg=1.0,
        sd_dependent_kg=2.0,
        base_levels=(Term("Antimony", "mineral"),),
        dropped=Dropped(
            n_missing=2,
            n_separated=5,
            separated=(Term("Gallium", "mineral"), Term("landlocked", "covariate")),
            collinear=(Term("flat", "covariate"),),
        ),
    )
    return dataclasses.replace(fit, **changes)  # type: ignore[arg-type]


NO_DRAWS = Bootstrap(("x",), np.empty((0, 1)), np.empty(0), 0, 0, 0)
ESTIMATED = pd.DataFrame({f"{c}_estimated_qty_kg": [0.0, 3.5, 7.0] for c in CATEGORIES})
AGREES = Comparison(1e-12, 1e-10, 1e-15)


def small_model(**changes: object) -> Model:
    nan = float("nan")
    return Model(
        design=None,  # type: ignore[arg-type]
        fit=small_fit(**changes),
        diagnostics=Diagnostics(nan, nan, nan, nan, None, nan, nan, nan, {}, nan),
        bootstrap=NO_DRAWS,
        stability=Stability(),
        comparison=AGREES,
    )


def test_a_fit_has_every_term_by_each_kind_of_error() -> None:
    frame = coefficients_frame(small_fit(), NO_DRAWS)
    kinds = {"clustered_exporter": 6, "robust_hc1": 6, "clustered_exporter_mineral": 6}
    assert frame["se_type"].value_counts().to_dict() == kinds
    rows = frame.loc[frame["se_type"] == "clustered_exporter"].set_index("term")
    assert rows["status"].to_dict() == {
        "Constant": "free",
        "flat": "collinear",
        "landlocked": "separated",
        "x": "free",
        "Antimony": "base",
        "Copper": "free",
    }
    assert "Gallium" not in rows.index
    assert rows["std_error"][["x", "Copper"]].tolist() == [0.25, 0.5]
    assert rows["z_value"]["x"] == 2.0
    assert rows["conf_low"]["x"] == pytest.approx(0.5 - 1.959964 * 0.25)
    assert rows["estimate"][["Antimony", "flat"]].tolist() == [0.0, 0.0]
    assert rows.loc[["Antimony", "flat", "landlocked"], "std_error"].isna().all()
    assert np.isnan(rows["estimate"]["landlocked"])
    robust = frame.loc[frame["se_type"] == "robust_hc1"].set_index("term")
    assert robust["std_error"]["x"] == pytest.approx(0.1)


def test_a_sound_fit_is_publishable_and_counts_what_was_dropped() -> None:
    row = fit_frame("IND", {"ores": small_model()}, ESTIMATED).iloc[0]
    assert bool(row["is_publishable"]) and pd.isna(row["reason"])
    assert (row["n_missing_dropped"], row["n_separated_dropped"]) == (2, 5)
    assert row["separated_terms"] == "Gallium; landlocked"
    assert row["collinear_terms"] == "flat"
    assert (row["n_parameters"], row["n_estimated_qty"]) == (3, 2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"is_converged": False}, "did not settle in 7 iterations"),
        ({"is_full_rank": False}, "not of full rank"),
        ({"n_nonzero": 29}, "29 positive quantities were observed, fewer than 30"),
        ({"n_clusters": 1}, "one exporter only"),
    ],
)
def test_unsound_fits_say_why(changes: dict[str, object], words: str) -> None:
    (reason,) = unpublishable_reasons(small_fit(**changes), NO_DRAWS, AGREES)
    assert words in reason
    row = fit_frame("IND", {"ores": small_model(**changes)}, ESTIMATED).iloc[0]
    assert (row["is_publishable"], row["reason"]) == (False, reason)


def test_a_model_that_the_reference_cannot_confirm_is_not_published() -> None:
    inf = float("inf")
    (reason,) = unpublishable_reasons(small_fit(), NO_DRAWS, Comparison(inf, inf, 0.3))
    assert "statsmodels breaks down" in reason
    (reason,) = unpublishable_reasons(small_fit(), NO_DRAWS, Comparison(0.1, 0.2, 0.3))
    assert reason.startswith(f"{NOT_CONFIRMED}: coefficients 1.0e-01, standard errors 2.0e-01")
    only = unpublishable_reasons(small_fit(n_clusters=1), NO_DRAWS, Comparison(inf, inf, inf))
    assert len(only) == 1 and "one exporter only" in only[0]


def test_thirty_positive_quantities_are_enough() -> None:
    assert unpublishable_reasons(small_fit(n_nonzero=30), NO_DRAWS, AGREES) == []


def test_no_fit_is_a_row_of_nulls_with_a_reason() -> None:
    error = EstimationError("no positive quantity was observed", Dropped(n_missing=4))
    row = fit_frame("IND", {"scrap": error}, ESTIMATED).iloc[0]
    assert (row["is_publishable"], row["n_missing_dropped"]) == (False, 4)
    assert row["reason"] == "no positive quantity was observed"
    for name in ("n_observations", "pseudo_r2", "aic", "is_converged", "wald_chi2"):
        assert pd.isna(row[name]), name


@pytest.fixture(scope="module")
def estimated(panel: pd.DataFrame) -> Estimates:
    other = panel.assign(importer_iso3="JPN", ores_qty_kg=-1.0)  # must not be touched
    return estimate_categories(pd.concat([panel, other], ignore_index=True), "IND", CHOICES)


def test_all_categories_of_an_importer(estimated: Estimates) -> None:
    estimates = estimated
    fit = estimates.fit.set_index("category")
    assert list(fit.index) == ["ores", "products", "scrap"]
    assert fit["is_publishable"].tolist() == [True, True, False]
    assert fit["n_parameters"]["ores"] == 11 + 2 + 1 + 1
    assert fit["n_observations"]["products"] == 30 * 2 * 2  # landlocked and Gallium are out
    assert fit["n_separated_dropped"]["products"] == 240 - 120
    assert fit["separated_terms"]["products"] == "Gallium; landlocked"
    assert "of 240 rows of scrap_qty_kg, 240 are zero" in fit["reason"]["scrap"]
    assert set(estimates.coefficients["category"]) == {"ores", "products"}
    by_term = estimates.coefficients.set_index(["category", "se_type", "term"])["estimate"]
    assert by_term["ores", "robust_hc1", "ln_gdp"] == pytest.approx(1.0, abs=0.35)


def test_an_importer_with_one_exporter_has_no_model_and_says_why(panel: pd.DataFrame) -> None:
    alone = panel.loc[panel["exporter_iso3"] > "E15"].assign(exporter_iso3="E00")
    fit = estimate_categories(alone, "IND", CHOICES).fit.iloc[0]
    assert not fit["is_publishable"]
    assert "there is one exporter only" in fit["reason"]


def test_nothing_estimable_still_has_the_declared_columns(panel: pd.DataFrame) -> None:
    nobody = estimate_categories(panel, "XYZ", CHOICES)
    assert nobody.fit["reason"].str.contains("the panel has no rows").all()
    pd.testing.assert_frame_equal(nobody.coefficients, marts.empty("ppml_coefficients"))
    pd.testing.assert_frame_equal(nobody.bootstrap, marts.empty("ppml_bootstrap"))


def published_seed() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "category": "ores",
            "term_type": ["covariate", "mineral", "year", "constant"],
            "term": ["ln_gdp", "Gallium", "2020", "Constant"],
            "estimate": [0.089, -30.834, 0.466, -7.916],
            "std_error": [0.283, 1.545, 0.589, 9.442],
            "t_value": [0.31, -19.95, 0.79, -0.84],
            "p_value": [0.753, 0.0, 0.428, 0.402],
            "conf_low": [-0.465, -33.863, -0.687, -26.422],
            "conf_high": [0.643, -27.805, 1.62, 10.59],
            "significance": [None, "***", None, None],
            "estimate_as_printed": [0.89, -30.834, 0.466, -7.916],
            "conf_low_as_printed": [-0.465, -33.863, -0.687, -26.422],
            "conf_high_as_printed": [0.643, -27.805, 1.62, 10.59],
            "erratum": ["0.89 for 0.089", None, None, None],
        }
    )


def test_published_coefficients_keep_the_same_contract_with_their_base_levels() -> None:
    frame = published_coefficients_frame("IND", published_seed())
    assert frame.dtypes.equals(marts.empty("ppml_coefficients").dtypes)
    rows = frame.set_index("term")
    assert set(rows["se_type"]) == set(rows["coefficient_source"]) == {"published"}
    assert rows.loc["Gallium", "z_value"] == -19.95
    printed = rows.loc["ln_gdp", ["estimate", "estimate_as_printed", "erratum"]]
    assert printed.tolist() == [0.089, 0.89, "0.89 for 0.089"]
    assert rows.loc[["Antimony", "2019"], "estimate"].tolist() == [0.0, 0.0]
    assert rows.loc[["Antimony", "2019"], "status"].tolist() == ["base", "base"]
    clash = published_seed().replace({"term": {"Gallium": "Antimony"}})
    with pytest.raises(ValueError, match="base levels"):
        published_coefficients_frame("IND", clash)


def test_only_publishable_estimates_are_ranked_on() -> None:
    ours = coefficients_frame(small_fit(), NO_DRAWS).assign(
        importer_iso3="IND", coefficient_source="estimated"
    )
    study = published_coefficients_frame("IND", published_seed().assign(category="products"))
    coefficients = pd.concat(
        [ours.assign(category="ores"), ours.assign(category="products"), study]
    )
    results = {"ores": small_model(), "products": small_model(is_converged=False)}
    fits = fit_frame("IND", results, ESTIMATED)
    kept = publishable_coefficients(coefficients, fits)
    sets = set(zip(kept["category"], kept["coefficient_source"], strict=True))
    assert sets == {("ores", "estimated"), ("products", "published")}


def test_the_evidence_is_in_the_row_of_the_fit(estimated: Estimates) -> None:
    row = estimated.fit.iloc[0]
    assert (row["n_bootstrap_replications"], row["n_separated_by_combination"]) == (100, 0)
    assert row["statsmodels_coefficient_difference"] < 1e-8
    assert 1 <= row["max_vif"] < 2 and row["max_vif_term"] in REGRESSORS
    assert 0.5 < row["top_k_stability_min"] <= row["top_k_stability"] <= 1
    assert row["least_stable_exporter_iso3"].startswith("E")
    assert row["rank_correlations"].startswith("Antimony 0.")
    assert 0.02 < row["top5_deviance_share"] < 0.5
    assert (row["zero_share"], row["is_publishable"]) == (0.0, True)
    known_to_be_null = {"reason", "separated_terms", "collinear_terms"}
    assert set(row.index[row.isna()]) == known_to_be_null  # every declared column is filled


def test_the_bootstrap_is_a_table_and_a_kind_of_standard_error(estimated: Estimates) -> None:
    own = estimated.bootstrap.query("category == 'ores'")
    draws = own.pivot(index="replication", columns="term", values="estimate")
    assert draws.shape == (100, 11)
    rows = estimated.coefficients.query("category == 'ores'").set_index(["se_type", "term"])
    rows = rows.sort_index()
    assert rows.loc["bootstrap_exporter"].index.tolist() == sorted(REGRESSORS)
    gdp = rows.loc["bootstrap_exporter", "ln_gdp"]
    assert gdp["std_error"] == pytest.approx(draws["ln_gdp"].std())
    assert gdp["conf_low"] == pytest.approx(draws["ln_gdp"].quantile(0.025))
    assert "Copper" in rows.loc["clustered_exporter_mineral"].index


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_separated_by_combination": 3}, "3 rows are separated by a combination"),
        ({"usable": 49}, "only 49 of 100 bootstrap samples"),
    ],
)
def test_separation_by_combination_and_lost_samples_are_not_published(
    estimated: Estimates, changes: dict[str, int], words: str
) -> None:
    bootstrap = estimated.models["ores"].bootstrap
    usable = changes.pop("usable", None)
    if usable is not None:
        bootstrap = dataclasses.replace(bootstrap, draws=bootstrap.draws[:usable])
    fit = small_fit(dropped=Dropped(**changes))
    (reason,) = unpublishable_reasons(fit, bootstrap, AGREES)
    assert words in reason


def test_the_plots_are_pictures_of_a_page_or_less(estimated: Estimates) -> None:
    pytest.importorskip("matplotlib")
    from minerals.ppml.plots import coefficient_plot, fitted_plot

    for draw in (coefficient_plot, fitted_plot):
        image = draw(estimated.models["ores"], "IND, ores")
        assert image.startswith(b"\x89PNG") and 5_000 < len(image) < 100_000
        assert draw(estimated.models["ores"], "IND, ores") == image
