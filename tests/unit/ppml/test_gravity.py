"""Gravity of squares of countries: against dummies and refits, and what cannot be estimated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from minerals.ppml import EstimationError
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.gravity import FloatArray, Gravity, effects_given, fit_gravity, leave_out


def square(
    seed: int = 0, minerals: int = 3, countries: int = 12, sold: float = 0.3
) -> tuple[FloatArray, FloatArray]:
    """Trade (M, N, N), most of it zero, and ln distance and a border (2, N, N)."""
    rng = np.random.default_rng(seed)
    shape = (minerals, countries, countries)
    distance = rng.normal(8, 1, shape[1:])
    border = (rng.random(shape[1:]) < 0.2).astype(float)
    size = rng.normal(0, 2, (2, minerals, countries))
    eta = size[0][:, :, None] + size[1][:, None, :] - distance + border
    y = 1e9 * np.exp(eta) * rng.gamma(0.5, 2, shape) * (rng.random(shape) < sold)
    y[:, range(countries), range(countries)] = 0.0
    return y, np.stack([distance, border])


def with_dummies(y: FloatArray, x: FloatArray):
    """The same model with a dummy per importer and mineral, and per exporter and mineral; clustered
    by importer, which the design calls exporter_iso3."""
    m, i, j = (index.ravel() for index in np.indices(y.shape))
    frame = pd.DataFrame({"y": y.ravel(), "ln_distance": x[0][i, j], "border": x[1][i, j]})
    frame["buyer"] = [f"{a}-{b}" for a, b in zip(m, i, strict=True)]
    frame["seller"] = [f"{a}-{b}" for a, b in zip(m, j, strict=True)]
    frame["exporter_iso3"], frame["mineral"] = i.astype(str), m.astype(str)
    spec = ModelSpec("y", ("ln_distance", "border"), ("buyer", "seller"), {})
    return fit_ppml(build_design(frame[i != j].reset_index(drop=True), spec))


def fitted(model: Gravity) -> FloatArray:
    effects = model.importer_effects[:, :, None] * model.exporter_effects[:, None, :]
    return np.asarray(effects * model.ease)


def test_agrees_with_dummies() -> None:
    y, x = square()
    got, fit = fit_gravity(y, x), with_dummies(y, x)
    assert fit.is_converged
    np.testing.assert_allclose(got.slopes, fit.coefficients[:2], rtol=1e-7)
    np.testing.assert_allclose(got.cov, fit.cov_clustered[:2, :2], rtol=1e-5)
    np.testing.assert_allclose(fitted(got).sum(axis=1), y.sum(axis=1), rtol=1e-7)
    np.testing.assert_allclose(fitted(got).sum(axis=2), y.sum(axis=2), rtol=1e-7)


def test_a_start_far_off_comes_to_the_same() -> None:
    y, x = square()
    np.testing.assert_allclose(
        fit_gravity(y, x, np.array([3.0, -4.0])).slopes, fit_gravity(y, x).slopes, rtol=1e-7
    )


def test_a_mineral_that_one_country_buys_or_sells_says_nothing_and_nothing_else_is_separated() -> (
    None
):
    """Country 0 buys or sells all there is of the first mineral: its other cells are separated, as
    the search on the design with dummies finds."""
    y, x = square(seed=2)
    star = np.zeros_like(y[:1])
    star[0, 0, 1:5], star[0, 6:9, 0] = [3.0, 5.0, 1.0, 9.0], [2.0, 7.0, 1.0]
    both = np.concatenate([star, y])
    got = fit_gravity(both, x)
    assert got.is_informative.tolist() == [False, True, True, True]
    np.testing.assert_allclose(got.slopes, fit_gravity(y, x).slopes, rtol=1e-9)
    fit = with_dummies(both, x)
    np.testing.assert_allclose(got.slopes, fit.coefficients[:2], rtol=1e-6)


@pytest.mark.parametrize("importer", [0, 3, 5, 8, 11])
def test_left_out_effects_are_those_of_the_others_purchases(importer: int) -> None:
    """Given slopes and importer effects, each exporter's effect maximises the likelihood of what
    the others buy; and a refit without the importer gives nearly the same scores."""
    y, x = square(seed=1, countries=20)
    got = fit_gravity(y, x)
    scores = got.leave_out()
    others = np.arange(20) != importer
    for j in np.flatnonzero(others):
        bought, base = y[0, others, j], (got.importer_effects[0][:, None] * got.ease)[others, j]
        if not bought.any():
            assert scores[0, importer, j] == 0
            continue
        best = minimize(lambda b: np.exp(b[0]) * base.sum() - b[0] * bought.sum(), [0.0], tol=1e-12)  # noqa: B023
        found = np.log(scores[0, importer, j] / got.ease[importer, j])
        assert found == pytest.approx(best.x[0], abs=1e-5)
    without = y.copy()
    without[:, importer] = 0.0
    again = fit_gravity(without, x)
    known = scores[0, importer] > 0
    refit = np.log(again.exporter_effects[0, known] * again.ease[importer, known])
    assert np.corrcoef(np.log(scores[0, importer, known]), refit)[0, 1] > 0.99


def test_an_importers_own_purchases_leave_its_scores_as_they_are() -> None:
    y, x = square(countries=20)
    got = fit_gravity(y, x)
    changed = y.copy()
    changed[:, 4] = np.random.default_rng(0).gamma(1, 1e6, changed[:, 4].shape)
    changed[:, 4, 4] = 0.0
    after = leave_out(changed, got.importer_effects, got.ease)
    np.testing.assert_allclose(after[:, 4], got.leave_out()[:, 4], rtol=1e-12)
    assert not np.allclose(after[:, 5], got.leave_out()[:, 5])


def test_effects_given_slopes_meet_all_totals() -> None:
    y, x = square()
    got = fit_gravity(y, x)
    sold = y.sum(axis=1)
    a, b = effects_given(y.sum(axis=2), sold, got.ease, (sold > 0) * 1.0, 500)
    product = a[:, :, None] * b[:, None, :] * got.ease
    np.testing.assert_allclose(product, fitted(got), rtol=1e-5, atol=1e-3)


def test_what_cannot_be_estimated_is_named() -> None:
    y, x = square()
    with pytest.raises(EstimationError, match="one country buys or sells all"):
        fit_gravity(np.zeros_like(y), x)
    with pytest.raises(EstimationError, match=r"regressors \[1\] are the same for all pairs"):
        fit_gravity(y, np.stack([x[0], np.ones_like(x[1])]))
    with pytest.raises(EstimationError, match="imply a regressor; leave it out"):
        fit_gravity(y, np.stack([x[0], 2 * x[0]]))
    with pytest.raises(EstimationError, match="imply a regressor; leave it out"):
        fit_gravity(y, np.stack([x[0], np.arange(12.0)[:, None] + np.zeros((12, 12))]))
    with pytest.raises(ValueError, match="trade must be finite and not negative"):
        fit_gravity(-y, x)
