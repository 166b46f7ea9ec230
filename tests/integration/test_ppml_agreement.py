"""Our fits against statsmodels and pyfixest, and against themselves in other units."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from minerals.ppml.absorbed import AbsorbedFit, fit_absorbed
from minerals.ppml.columns import Columns
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import NotEstimable, estimate, fit_ppml
from minerals.ppml.inference import two_way_covariance
from minerals.ppml.reference import compare_with_statsmodels


def panel(seed: int, n: int = 1500, scale: float = 1e6) -> pd.DataFrame:
    """Rows of three effects and four regressors of very different scale, half without quantity."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "exporter_iso3": rng.integers(0, 40, n),
            "mineral": rng.integers(0, 12, n),
            "year": rng.integers(2019, 2024, n),
            "a": rng.normal(25, 2, n),
            "b": rng.uniform(0, 1e9, n),
            "c": 1e-6 * rng.normal(size=n),
            "landlocked": rng.integers(0, 2, n).astype(float),
        }
    )
    eta = 0.3 * frame["a"] + 1e-9 * frame["b"] + 4e5 * frame["c"] - frame["landlocked"]
    eta += rng.normal(0, 1.5, 12)[frame["mineral"]] - 7.5
    frame["qty"] = scale * np.exp(eta) * rng.gamma(0.5, 2.0, n) * (rng.random(n) < 0.5)
    return frame


SPEC = ModelSpec(dependent="qty", regressors=("a", "b", "c", "landlocked"))
EFFECTS = {2: ("mineral", "year"), 3: ("mineral", "year", "exporter_iso3")}


@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_statsmodels_on_the_same_matrix(seed: int) -> None:
    design = build_design(panel(seed), SPEC)
    fit = fit_ppml(design)
    comparison = compare_with_statsmodels(design, fit)
    assert comparison.coefficients < 1e-8
    assert comparison.std_errors < 1e-6
    assert comparison.log_likelihood < 1e-10
    assert comparison.agrees
    off = fit.coefficients * (1 + 1e-7)
    wrong = compare_with_statsmodels(design, dataclasses.replace(fit, coefficients=off))
    assert not wrong.agrees and wrong.coefficients == pytest.approx(1e-7, rel=0.1)


def absorbed(frame: pd.DataFrame, effects: int, **options: object) -> AbsorbedFit:
    return fit_absorbed(
        frame["qty"].to_numpy(),
        frame[["a", "b", "c", "landlocked"]].to_numpy(),
        [frame[name].to_numpy() for name in EFFECTS[effects]],
        frame["exporter_iso3"].to_numpy(),
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("effects", [2, 3])
@pytest.mark.parametrize("max_levels", [3000, 0])
def test_agrees_with_pyfixest(effects: int, max_levels: int) -> None:
    pf = pytest.importorskip("pyfixest", reason="pyfixest is a development dependency")
    frame = panel(7)
    model = pf.fepois(
        f"qty ~ a + b + c + landlocked | {' + '.join(EFFECTS[effects])}",
        frame.assign(qty=frame["qty"] / 1e6, b=frame["b"] / 1e9, c=frame["c"] * 1e6),
        vcov={"CRV1": "exporter_iso3"},
        ssc=pf.ssc(k_adj=False, G_adj=True),
        iwls_tol=1e-12,
        demeaner=pf.MapDemeaner(fixef_tol=1e-10),
    )
    unit = np.array([1.0, 1e9, 1e-6, 1.0])
    got = absorbed(frame, effects, max_levels=max_levels)
    np.testing.assert_allclose(got.coefficients * unit, model.coef().to_numpy(), rtol=1e-6)
    se = np.sqrt(np.diag(got.cov)) * unit
    np.testing.assert_allclose(se, model.se().to_numpy(), rtol=1e-5)


def test_both_ways_to_absorb_effects_give_the_same() -> None:
    frame = panel(8)
    exact, projected = (absorbed(frame, 3, max_levels=m) for m in (3000, 0))
    np.testing.assert_allclose(projected.coefficients, exact.coefficients, rtol=1e-8)
    np.testing.assert_allclose(projected.cov, exact.cov, rtol=1e-6)
    assert projected.log_likelihood == pytest.approx(exact.log_likelihood, rel=1e-10)
    np.testing.assert_array_equal(projected.is_separated, exact.is_separated)


def test_absorbed_effects_give_the_study_models_coefficients() -> None:
    frame = panel(9)
    fit = fit_ppml(build_design(frame, SPEC))
    got = absorbed(frame, 2)
    np.testing.assert_allclose(got.coefficients, fit.coefficients[:4], rtol=1e-8)
    np.testing.assert_allclose(got.cov, fit.cov_clustered[:4, :4], rtol=1e-6)


def test_a_regressor_that_the_effects_imply_is_dropped_and_the_first_of_two_kept() -> None:
    frame = panel(10)
    level = frame["mineral"].to_numpy() * 3.0
    X = np.column_stack([level, frame["a"], 2 - 5 * frame["a"], frame["landlocked"]])
    for max_levels in (3000, 0):
        got = fit_absorbed(
            frame["qty"].to_numpy(), X, [frame["mineral"], frame["year"]], max_levels=max_levels
        )
        assert got.is_collinear.tolist() == [True, False, True, False]
        assert np.isnan(got.coefficients).tolist() == [True, False, True, False]


@pytest.mark.parametrize("scale", [1e-9, 1e15])
def test_quantities_of_any_size_give_the_same_coefficients(scale: float) -> None:
    frame = panel(11, scale=1.0)
    one = fit_ppml(build_design(frame, SPEC))
    other = fit_ppml(build_design(frame.assign(qty=frame["qty"] * scale), SPEC))
    assert other.is_converged and np.isfinite(other.log_likelihood)
    np.testing.assert_allclose(other.coefficients[:-1], one.coefficients[:-1], rtol=1e-8)
    np.testing.assert_allclose(other.cov_clustered, one.cov_clustered, rtol=1e-6, atol=1e-12)


def test_a_weight_is_a_number_of_copies_and_zero_is_none() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    y = rng.gamma(1, 1, 200) * np.exp(x[:, 0])
    w = rng.integers(0, 4, 200)
    weighted = estimate(y, Columns.of(x), w.astype(float))
    copied = estimate(np.repeat(y, w), Columns.of(np.repeat(x, w, axis=0)))
    np.testing.assert_allclose(weighted.coefficients, copied.coefficients, rtol=1e-9)
    y[w == 0] = 1e12  # where the weight is zero, y has no say
    again = fit_absorbed(y, x, [np.zeros(200, dtype=int)], weights=w.astype(float))
    np.testing.assert_allclose(again.coefficients, copied.coefficients[:2], rtol=1e-8)


def test_a_warm_start_ends_where_a_cold_one_does() -> None:
    design = build_design(panel(12), SPEC)
    cold = estimate(design.y, design.columns)
    warm = estimate(design.y, design.columns, start=cold.coefficients)
    far = estimate(design.y, design.columns, start=cold.coefficients * 1.3)
    np.testing.assert_allclose(warm.coefficients, cold.coefficients, rtol=1e-9)
    np.testing.assert_allclose(far.coefficients, cold.coefficients, rtol=1e-9)
    assert warm.iterations.n_iterations <= 2 < cold.iterations.n_iterations


def test_nothing_to_fit_says_so() -> None:
    with pytest.raises(NotEstimable, match="must be positive"):
        estimate(np.zeros(5), Columns.of(np.ones((5, 0))))
    with pytest.raises(NotEstimable, match="nothing to estimate"):
        fit_absorbed(np.zeros(5), np.ones((5, 1)), [np.arange(5)])
    with pytest.raises(ValueError, match="must be finite"):
        fit_absorbed(np.array([1.0, np.nan]), np.ones((2, 1)), [np.arange(2)])


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


def test_importing_the_estimator_is_light() -> None:
    code = (
        "import sys; from minerals.ppml import absorbed, bootstrap, model; "
        "heavy = {'pandas', 'statsmodels', 'matplotlib', 'scipy.optimize', 'scipy.stats'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
