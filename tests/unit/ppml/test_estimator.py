"""The estimator against closed forms, statsmodels' formula interface, and a direct maximisation."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from minerals.ppml import EstimationError
from minerals.ppml.columns import Columns
from minerals.ppml.design import Design, ModelSpec, build_design
from minerals.ppml.diagnostics import reset_p_value
from minerals.ppml.estimator import Fit, fit_ppml
from minerals.ppml.inference import (
    clustered_covariance,
    normal_inference,
    poisson_log_likelihood,
    robust_covariance,
    two_way_covariance,
    wald_statistic,
)

SPEC = ModelSpec(dependent="qty", regressors=("x", "z"))


def random_panel(seed: int = 3, scale: float = 1e6) -> pd.DataFrame:
    """600 rows: 30 exporters x 4 minerals x 5 years, half of the quantities zero."""
    rng = np.random.default_rng(seed)
    index = pd.MultiIndex.from_product(
        [
            [f"E{number:02d}" for number in range(30)],
            ["Antimony", "Copper", "Lithium", "Zirconium"],
            range(2019, 2024),
        ],
        names=["exporter_iso3", "mineral", "year"],
    )
    frame = index.to_frame(index=False)
    frame["x"] = rng.normal(25, 2, len(frame))
    frame["z"] = rng.uniform(0, 100, len(frame))
    effect = frame["mineral"].map({"Antimony": 0, "Copper": 2, "Lithium": -3, "Zirconium": -6})
    eta = 0.3 * (frame["x"] - 25) - 0.02 * frame["z"] + effect
    noise = rng.gamma(0.5, 2.0, len(frame)) * (rng.random(len(frame)) < 0.5)
    frame["qty"] = scale * np.exp(eta) * noise
    return frame


@pytest.fixture(scope="module")
def design() -> Design:
    return build_design(random_panel(), SPEC)


@pytest.fixture(scope="module")
def fit(design: Design) -> Fit:
    return fit_ppml(design)


def reset(design: Design) -> float:
    return reset_p_value(design, fit_ppml(design))


def named(fit: Fit) -> dict[str, float]:
    return {t.name: float(b) for t, b in zip(fit.terms, fit.coefficients, strict=True)}


def test_one_dummy_gives_the_logarithms_of_the_group_means() -> None:
    frame = pd.DataFrame(
        {
            "exporter_iso3": ["A", "B", "C", "D", "E"],
            "mineral": "Tin",
            "d": [0.0, 0.0, 1.0, 1.0, 1.0],
            "qty": [1e9, 3e9, 0.0, 4e3, 2e3],
        }
    )
    spec = ModelSpec(dependent="qty", regressors=("d",), effects=())
    got = named(fit_ppml(build_design(frame, spec)))
    assert got["Constant"] == pytest.approx(np.log(2e9), abs=1e-12)
    assert got["d"] == pytest.approx(np.log(2e3 / 2e9), abs=1e-10)


def test_agrees_with_the_formula_interface_of_statsmodels(fit: Fit) -> None:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf

    frame = random_panel()
    model = smf.glm("qty ~ x + z + C(mineral) + C(year)", frame, family=sm.families.Poisson())
    n, k, clusters = len(frame), fit.n_parameters, frame["exporter_iso3"].nunique()
    robust = model.fit(cov_type="HC0", tol=1e-12)
    grouped = model.fit(
        cov_type="cluster",
        cov_kwds={"groups": frame["exporter_iso3"], "use_correction": False},
        tol=1e-12,
    )
    order = ["x", "z"]
    order += [f"C(mineral)[T.{m}]" for m in ("Copper", "Lithium", "Zirconium")]
    order += [f"C(year)[T.{year}]" for year in range(2020, 2024)] + ["Intercept"]
    np.testing.assert_allclose(fit.coefficients, robust.params[order], rtol=1e-7)
    np.testing.assert_allclose(
        np.sqrt(np.diag(fit.cov_robust)), robust.bse[order] * np.sqrt(n / (n - k)), rtol=1e-6
    )
    np.testing.assert_allclose(
        np.sqrt(np.diag(fit.cov_clustered)),
        grouped.bse[order] * np.sqrt(clusters / (clusters - 1)),
        rtol=1e-6,
    )
    assert fit.log_likelihood == pytest.approx(float(robust.llf), rel=1e-10)
    assert fit.null_log_likelihood == pytest.approx(float(robust.llnull), rel=1e-10)


def test_agrees_with_a_direct_maximisation_of_the_likelihood() -> None:
    design = build_design(random_panel(scale=1.0), SPEC)
    fit = fit_ppml(design)
    center = design.X - np.r_[25.0, 50.0, np.zeros(design.X.shape[1] - 2)]

    def minus_ll(b: np.ndarray) -> float:
        return float(np.sum(np.exp(center @ b) - design.y * (center @ b)))

    def minus_score(b: np.ndarray) -> np.ndarray:
        return np.asarray(center.T @ (np.exp(center @ b) - design.y))

    start = np.zeros(design.X.shape[1])
    best = optimize.minimize(minus_ll, start, jac=minus_score, method="BFGS", tol=1e-9)
    np.testing.assert_allclose(fit.coefficients[:-1], best.x[:-1], atol=1e-5)
    assert fit.linear_predictor == pytest.approx(center @ best.x, abs=1e-4)


def test_log_likelihood_is_that_of_the_poisson_distribution() -> None:
    y = np.array([0.0, 1.0, 7.0, 250.0])
    eta = np.log([0.5, 2.0, 6.0, 240.0])
    expected = stats.poisson.logpmf(y, np.exp(eta)).sum()
    assert poisson_log_likelihood(y, eta) == pytest.approx(expected, rel=1e-12)


def test_fit_statistics_follow_from_the_log_likelihood(fit: Fit, design: Design) -> None:
    n, k = design.X.shape
    assert (n, k, fit.n_parameters, fit.n_observations) == (600, 10, 10, 600)
    constant_only = poisson_log_likelihood(design.y, np.full(n, np.log(design.y.mean())))
    assert fit.null_log_likelihood == pytest.approx(constant_only)
    assert fit.pseudo_r2 == pytest.approx(1 - fit.log_likelihood / constant_only)
    assert fit.aic == pytest.approx(-2 * fit.log_likelihood + 20)
    assert fit.bic == pytest.approx(-2 * fit.log_likelihood + 10 * np.log(600))
    assert (fit.n_clusters, fit.n_nonzero) == (30, int((design.y > 0).sum()))
    assert fit.is_converged and fit.is_full_rank
    # first-order conditions: fitted equals actual in all, and within each mineral
    mu = np.exp(fit.linear_predictor)
    np.testing.assert_allclose(design.X[:, 2:].T @ mu, design.X[:, 2:].T @ design.y, rtol=1e-9)


@pytest.mark.parametrize("factor", [1e-15, 1e9])
def test_scale_of_the_quantity_and_order_of_rows_change_the_constant_only(
    fit: Fit, design: Design, factor: float
) -> None:
    frame = random_panel().sample(frac=1.0, random_state=1)
    frame["qty"] *= factor
    shuffled = build_design(frame, SPEC)
    again = fit_ppml(shuffled)
    np.testing.assert_allclose(again.coefficients[:-1], fit.coefficients[:-1], rtol=1e-8)
    shift = again.coefficients[-1] - fit.coefficients[-1]
    assert shift == pytest.approx(np.log(factor), abs=1e-8)
    np.testing.assert_allclose(again.cov_clustered, fit.cov_clustered, rtol=1e-6, atol=1e-12)
    assert reset(shuffled) == pytest.approx(reset(design), rel=1e-6)
    assert again.wald_chi2 == pytest.approx(fit.wald_chi2, rel=1e-6)


def test_regressors_of_very_different_scale_only_rescale_their_coefficients(fit: Fit) -> None:
    frame = random_panel()
    frame["x"] = 1e9 + 1e3 * frame["x"]
    frame["z"] *= 1e-7
    again = fit_ppml(build_design(frame, SPEC))
    assert named(again)["x"] == pytest.approx(named(fit)["x"] / 1e3, rel=1e-7)
    assert named(again)["z"] == pytest.approx(named(fit)["z"] / 1e-7, rel=1e-7)
    np.testing.assert_allclose(again.cov_robust[1, 1] * 1e-14, fit.cov_robust[1, 1], rtol=1e-6)


def test_sandwiches_by_hand() -> None:
    Z = np.array([[1.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    residual = np.array([1.0, -2.0, 0.5])
    bread = np.eye(2)
    meat = np.array([[1 + 16 + 4, 1 + 8 + 1], [10, 1 + 4 + 0.25]])
    np.testing.assert_allclose(robust_covariance(Z, residual, bread), 3 * meat)  # n/(n-k) = 3
    codes = np.array([0, 0, 1])  # scores (-3, -1) and (2, 0.5); G/(G-1) = 2
    clustered = 2 * np.array([[9 + 4, 3 + 1], [4, 1 + 0.25]])
    np.testing.assert_allclose(clustered_covariance(Z, residual, bread, codes), clustered)
    assert np.isnan(clustered_covariance(Z, residual, bread, np.zeros(3, dtype=int))).all()


def test_two_way_clusters_by_hand() -> None:
    Z = np.array([[1.0], [2.0], [4.0], [3.0]])
    residual = np.array([1.0, -2.0, 0.5, 1.0])  # scores 1, -4, 2, 3
    g, h = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    # V_g = 9 + 25, V_h = 9 + 1, V_gh = 1 + 16 + 4 + 9 = 30, factor 2
    got = two_way_covariance(Z, residual, np.eye(1), g, h)
    assert got[0, 0] == pytest.approx(2 * (34 + 10 - 30))
    assert np.isnan(two_way_covariance(Z, residual, np.eye(1), g, 0 * h)).all()
    negative = two_way_covariance(Z, np.array([1.0, -0.5, -0.25, 1 / 3]), np.eye(1), g, h)
    assert negative[0, 0] == 0.0  # V_g + V_h - V_gh = 0 + 0 + 4 - 4 is cut at zero


def test_wald_statistic_by_hand_and_undefined_when_singular() -> None:
    b = np.array([2.0, -3.0])
    assert wald_statistic(b, np.diag([4.0, 1.0])) == pytest.approx(1.0 + 9.0)
    cov = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert wald_statistic(b, cov) == pytest.approx(b @ np.linalg.inv(cov) @ b)
    assert np.isnan(wald_statistic(b, np.array([[1.0, 1.0], [1.0, 1.0]])))
    assert np.isnan(wald_statistic(b, np.diag([0.0, 1.0])))


def test_normal_inference_by_hand() -> None:
    z, p, low, high = normal_inference(np.array([1.96, 0.5]), np.array([1.0, 0.0]))
    assert z[0] == 1.96
    assert p[0] == pytest.approx(0.04999579, abs=1e-7)
    assert (low[0], high[0]) == pytest.approx((0.000036, 3.919964), abs=1e-6)
    assert np.isnan(z[1]) and np.isnan(p[1])


def test_reset_equals_the_enlarged_model_of_statsmodels(fit: Fit, design: Design) -> None:
    import statsmodels.api as sm

    squared = (fit.linear_predictor - fit.linear_predictor.mean()) ** 2
    center = design.X - np.r_[25.0, 50.0, np.zeros(design.X.shape[1] - 2)]
    model = sm.GLM(
        design.y / design.y.mean(),
        np.column_stack([center, squared]),
        family=sm.families.Poisson(),
    ).fit(
        cov_type="cluster",
        cov_kwds={"groups": design.clusters.codes, "use_correction": False},
        tol=1e-12,
    )
    z = model.params[-1] / (model.bse[-1] * np.sqrt(30 / 29))
    assert reset_p_value(design, fit) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-4)


def test_reset_rejects_a_wrong_functional_form() -> None:
    frame = random_panel()
    u = (frame["x"] - 25) / 2
    frame["qty"] *= np.exp(0.3 * u**2)  # the model has x, not its square
    assert reset(build_design(frame, SPEC)) < 0.01


def test_reset_accepts_the_right_one_in_most_samples() -> None:
    p_values = [reset(build_design(random_panel(s), SPEC)) for s in range(8)]
    assert np.median(p_values) > 0.1


def separated_panel(kind: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = random_panel(scale=1.0)
    d, e = rng.integers(0, 2, (2, len(frame))).astype(float)
    if kind == "interaction":
        frame["x"], frame["z"] = d, 2.0 * d * e
        frame.loc[d * e == 1, "qty"] = 0.0
    elif kind == "zero_side":
        frame["z"] = d
        frame.loc[d == 0, "qty"] = 0.0
    else:
        frame["z"] = np.where(d == 1, rng.random(len(frame)), 0.0)
        frame.loc[frame["z"] > 0, "qty"] = 0.0
    return frame


@pytest.mark.parametrize("kind", ["interaction", "zero_side", "continuous"])
def test_separation_by_any_regressor_is_dropped_and_the_rest_converges(kind: str) -> None:
    design = build_design(separated_panel(kind), SPEC)
    assert [term.name for term in design.dropped.separated] == ["z"]
    assert design.dropped.n_separated == design.dropped.n_separated_by_combination > 100
    fit = fit_ppml(design)
    assert fit.is_converged and fit.is_full_rank
    assert fit.n_observations + design.dropped.n_separated == 600


@pytest.mark.parametrize("kind", ["interaction", "zero_side", "continuous"])
def test_a_fit_that_skips_the_search_is_not_called_sound(kind: str) -> None:
    frame = separated_panel(kind)
    design = build_design(frame.assign(qty=1.0), SPEC)  # no zeros: nothing is separated
    blind = fit_ppml(dataclasses.replace(design, y=frame["qty"].to_numpy()))
    assert not (blind.is_converged and blind.is_full_rank)


def test_too_few_rows_for_the_parameters() -> None:
    frame = random_panel().groupby("mineral").head(2)
    frame["qty"] = frame["qty"] + 1.0
    design = build_design(frame, SPEC)
    wide = Columns.of(np.random.default_rng(0).normal(size=(8, 7)))
    with pytest.raises(EstimationError, match="8 observations cannot support 8 parameters"):
        fit_ppml(dataclasses.replace(design, columns=wide))


def test_the_study_scale_of_the_log_likelihood() -> None:
    """The study prints an AIC of 1.9e10 for 3,859 rows of mean 1.13e6 kg: some 2.2 mean a row.

    That is only so when the log-likelihood is in kg; in units of the mean it would be near 1e4.
    """
    frame = random_panel(scale=1e6)
    fit = fit_ppml(build_design(frame, SPEC))
    assert 0.5 < fit.aic / (fit.n_observations * fit.mean_dependent_kg) < 10


def test_robust_errors_survive_a_base_level_of_a_millionth() -> None:
    """Against the QR of sqrt(mu) Z, which does not square the condition number."""
    frame = random_panel()
    frame.loc[frame["mineral"] == "Antimony", "qty"] *= 1e-8
    design = build_design(frame, ModelSpec(dependent="qty", regressors=("x", "z")))
    fit = fit_ppml(design)
    mu = np.exp(fit.linear_predictor)
    sizes = np.abs(design.X).max(axis=0)
    Q, R = np.linalg.qr(design.X / sizes * np.sqrt(mu)[:, None])
    influence = np.linalg.solve(R, (Q * ((design.y - mu) / np.sqrt(mu))[:, None]).T)
    n, k = design.X.shape
    expected = np.sqrt(n / (n - k) * (influence**2).sum(axis=1)) / sizes
    assert np.sqrt(np.diag(fit.cov_robust)) == pytest.approx(expected, rel=1e-5)
