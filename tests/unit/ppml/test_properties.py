"""What must hold on any panel: first-order conditions, no wrong row dropped, no effect of units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("hypothesis", reason="hypothesis is a development dependency")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minerals.ppml.columns import Columns
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.separation import separated_rows

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
REGRESSORS = ("x0", "x1", "x2")
SPEC = ModelSpec("qty", REGRESSORS, base_levels={})


@st.composite
def panels(draw: st.DrawFn) -> tuple[str, pd.DataFrame]:
    """60 to 200 rows, three regressors and two effects, with one of the faults of real panels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(60, 200))
    a, b = rng.integers(0, 6, n), rng.integers(0, 4, n)
    x = rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-6, 7, 3)
    y = rng.gamma(1, 1, n) * np.exp(rng.normal(size=6)[a]) * (rng.random(n) < 0.7)
    faults = ["none", "separated", "collinear", "constant", "single", "empty", "one"]
    fault = draw(st.sampled_from(faults))
    if fault == "separated":
        x[:, 0] = np.where(rng.random(n) < 0.3, np.abs(x[:, 0]), 0.0)
        y[x[:, 0] > 0] = 0.0
    elif fault == "collinear":
        x[:, 2] = 3.0 * x[:, 0] / np.abs(x[:, 0]).max() - x[:, 1] / np.abs(x[:, 1]).max()
    elif fault == "constant":
        x[:, 1] = 7.0
    elif fault == "single":
        a[:3] = [10, 11, 12]
    elif fault == "empty":
        y[(a == 0) | (b == 1)] = 0.0
    elif fault == "one":
        a[:] = b[:] = 0
    frame = pd.DataFrame(x, columns=list(REGRESSORS))
    exporters = rng.integers(0, 30, n)
    return fault, frame.assign(qty=y, mineral=a, year=b, exporter_iso3=exporters)


@EXAMPLES
@given(panels())
def test_the_first_order_conditions_hold_wherever_a_fit_is_returned(
    drawn: tuple[str, pd.DataFrame],
) -> None:
    """sum of x (y - mu) = 0 for every regressor and level: the definition of the estimate."""
    fault, frame = drawn
    design = build_design(frame, SPEC)
    fit = fit_ppml(design)
    assert fit.is_converged
    assert design.y.sum() == pytest.approx(frame["qty"].sum())  # no positive row is dropped
    residual = design.y - np.exp(fit.linear_predictor)
    X = design.X
    assert np.all(np.abs(residual @ X) <= 1e-7 * design.y.sum() * np.abs(X).max(axis=0))
    names = {
        "separated": {"x0"} & {term.name for term in design.dropped.separated},
        "collinear": {"x2"} & {term.name for term in design.dropped.collinear},
        "constant": {"x1"} & {term.name for term in design.dropped.collinear},
    }
    assert names.get(fault, {"nothing to drop"})
    if fault == "separated":
        assert len(design.y) <= (frame["x0"] == 0).sum()


@EXAMPLES
@given(panels(), st.sampled_from([1e-8, 1e4, 1e8]))
def test_units_and_the_order_of_rows_change_nothing(
    drawn: tuple[str, pd.DataFrame], factor: float
) -> None:
    frame = drawn[1]
    design = build_design(frame, SPEC)
    fit = fit_ppml(design)
    moved = frame.sample(frac=1.0, random_state=0)
    moved = moved.assign(qty=factor * moved["qty"])
    moved[list(REGRESSORS)] /= factor
    again = build_design(moved, SPEC)
    assert again.dropped == design.dropped
    p = len(design.covariates)
    scale = np.abs(design.columns.dense).max(axis=0)
    np.testing.assert_allclose(
        fit_ppml(again).coefficients[:p] / factor * scale,
        fit.coefficients[:p] * scale,
        rtol=1e-8,
        atol=1e-8,
    )


@EXAMPLES
@given(panels())
def test_a_second_search_finds_nothing_more(drawn: tuple[str, pd.DataFrame]) -> None:
    frame = drawn[1]
    y, a, b = (frame[name].to_numpy() for name in ("qty", "mineral", "year"))
    x = frame[list(REGRESSORS)].to_numpy()
    columns = Columns.of(x, [a, b], [int(a.max()), int(b.max())])
    is_out = separated_rows(y, columns)
    assert not y[is_out].any()
    assert not separated_rows(y[~is_out], columns.take(~is_out)).any()
