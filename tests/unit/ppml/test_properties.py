"""What must hold on any panel: no warning turned result, no wrong row dropped, no column twice."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="hypothesis is a development dependency")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minerals.ppml.absorbed import fit_absorbed
from minerals.ppml.columns import Columns
from minerals.ppml.estimator import NotEstimable
from minerals.ppml.separation import separated_rows

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def panels(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """60 to 200 rows, three regressors and two effects, with one of the plagues of real panels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(60, 200))
    a, b = rng.integers(0, 6, n), rng.integers(0, 4, n)
    x = rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-6, 7, 3)
    y = rng.gamma(1, 1, n) * np.exp(rng.normal(size=6)[a]) * (rng.random(n) < 0.7)
    w = np.ones(n)
    plague = draw(
        st.sampled_from(
            ["none", "separated", "collinear", "constant", "single", "empty", "one", "weights"]
        )
    )
    if plague == "separated":
        x[:, 0] = np.where(rng.random(n) < 0.3, np.abs(x[:, 0]), 0.0)
        y[x[:, 0] > 0] = 0.0
    elif plague == "collinear":
        x[:, 2] = 3.0 * x[:, 0] / np.abs(x[:, 0]).max() - x[:, 1] / np.abs(x[:, 1]).max()
    elif plague == "constant":
        x[:, 1] = 7.0
    elif plague == "single":
        a[:3] = [10, 11, 12]
    elif plague == "empty":
        y[(a == 0) | (b == 1)] = 0.0
    elif plague == "one":
        a[:] = b[:] = 0
    elif plague == "weights":
        w = (rng.random(n) < 0.6).astype(float)
    return {"y": y, "x": x, "a": a, "b": b, "w": w, "plague": np.array(plague)}


@EXAMPLES
@given(panels())
def test_the_first_order_conditions_hold_wherever_a_fit_is_returned(p: dict) -> None:
    """sum of x (y - mu) = 0 for every regressor and level: the definition of the estimate."""
    try:
        fit = fit_absorbed(p["y"], p["x"], [p["a"], p["b"]], weights=p["w"])
    except NotEstimable:
        assert not (p["y"][p["w"] > 0] > 0).any()
        return
    assert fit.iterations.is_converged
    assert not p["y"][fit.is_separated].any()
    used = np.isfinite(fit.linear_predictor)
    np.testing.assert_array_equal(used, (p["w"] > 0) & ~fit.is_separated)
    residual = p["y"][used] - np.exp(fit.linear_predictor[used])
    total = p["y"][used].sum()
    for x in p["x"][used].T:
        assert abs(residual @ x) <= 1e-7 * total * np.abs(x).max()
    for effect in (p["a"], p["b"]):
        for level in np.unique(effect[used]):
            assert abs(residual[effect[used] == level].sum()) <= 1e-8 * total
    if p["plague"] == "separated":
        assert fit.is_separated[(p["x"][:, 0] > 0) & (p["w"] > 0)].all()
        assert np.isnan(fit.coefficients[0])
    if p["plague"] == "collinear":
        assert fit.is_collinear.tolist() == [False, False, True]
    if p["plague"] == "constant":
        assert fit.is_collinear[1]


@EXAMPLES
@given(panels(), st.sampled_from([1e-8, 1e4, 1e8]))
def test_units_and_the_order_of_rows_change_nothing(p: dict, factor: float) -> None:
    if not (p["y"][p["w"] > 0] > 0).any():
        return
    fit = fit_absorbed(p["y"], p["x"], [p["a"], p["b"]], weights=p["w"])
    order = np.random.default_rng(0).permutation(len(p["y"]))
    again = fit_absorbed(
        factor * p["y"][order],
        p["x"][order] / factor,
        [p["a"][order], p["b"][order]],
        weights=p["w"][order],
    )
    np.testing.assert_array_equal(again.is_separated, fit.is_separated[order])
    np.testing.assert_array_equal(again.is_collinear, fit.is_collinear)
    scale = np.abs(p["x"]).max(axis=0)
    np.testing.assert_allclose(
        again.coefficients / factor * scale, fit.coefficients * scale, rtol=1e-8, atol=1e-8
    )


@EXAMPLES
@given(panels())
def test_a_second_search_finds_nothing_more(p: dict) -> None:
    columns = Columns.of(p["x"], [p["a"], p["b"]], [int(p["a"].max()), int(p["b"].max())])
    is_out = separated_rows(p["y"], columns)
    assert not p["y"][is_out].any()
    if not is_out.all():
        assert not separated_rows(p["y"][~is_out], columns.take(~is_out)).any()
