"""Our fits against statsmodels and pyfixest."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.reference import compare_with_statsmodels

REGRESSORS = ("a", "b", "c", "landlocked")
SPEC = ModelSpec(dependent="qty", regressors=REGRESSORS)


def panel(seed: int, n: int = 1500, scale: float = 1e6) -> pd.DataFrame:
    """Rows of two effects and four regressors of very different scale, half without quantity."""
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


def test_a_reference_out_of_its_range_confirms_nothing() -> None:
    """statsmodels takes fitted values below 2e-16 of the mean for that, and leaves the maximum."""
    frame = panel(3)
    far = frame["landlocked"] * frame["exporter_iso3"].isin(range(30)) * 100.0
    frame["far"] = far + np.arange(len(frame)) % 7
    sold = frame["qty"] * np.exp(-frame["far"])
    frame["qty"] = sold.where((frame["far"] < 90) | (frame["exporter_iso3"] == 3))
    frame["qty"] = frame["qty"].fillna(0.0)
    design = build_design(frame, dataclasses.replace(SPEC, regressors=("far", "a", "b", "c")))
    fit = fit_ppml(design)
    mu = np.exp(fit.linear_predictor)
    assert mu.min() < 1e-30 * design.y.mean()
    np.testing.assert_allclose(design.X.T @ mu, design.X.T @ design.y, rtol=1e-9)
    assert compare_with_statsmodels(design, fit).coefficients == np.inf


def test_agrees_with_pyfixest() -> None:
    pf = pytest.importorskip("pyfixest", reason="pyfixest is a development dependency")
    frame = panel(7)
    model = pf.fepois(
        "qty ~ a + b + c + landlocked | mineral + year",
        frame.assign(qty=frame["qty"] / 1e6, b=frame["b"] / 1e9, c=frame["c"] * 1e6),
        vcov={"CRV1": "exporter_iso3"},
        ssc=pf.ssc(k_adj=False, G_adj=True),
        iwls_tol=1e-12,
        demeaner=pf.MapDemeaner(fixef_tol=1e-10),
    )
    unit = np.array([1.0, 1e9, 1e-6, 1.0])
    fit = fit_ppml(build_design(frame, SPEC))
    errors = np.sqrt(np.diag(fit.cov_clustered[:4, :4]))
    np.testing.assert_allclose(fit.coefficients[:4] * unit, model.coef().to_numpy(), rtol=1e-6)
    np.testing.assert_allclose(errors * unit, model.se().to_numpy(), rtol=1e-5)


def test_importing_the_estimator_is_light() -> None:
    code = (
        "import sys; from minerals.ppml import bootstrap, model; "
        "heavy = {'pandas', 'statsmodels', 'matplotlib', 'scipy.optimize', 'scipy.stats'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
