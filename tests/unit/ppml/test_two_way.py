"""Two effects of many levels: against dummies and a linear programme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from minerals.ppml import EstimationError
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.two_way import TwoWay, fit_two_way, separated_by_effects

REGRESSORS = ("ln_distance", "is_neighbour")
EFFECTS = (["importer_iso3", "mineral"], ["exporter_iso3", "mineral"])


def world(seed: int = 0, importers: int = 14, exporters: int = 9) -> pd.DataFrame:
    """Three minerals traded between all countries, four of five quantities zero, the others from
    1 to 1e9 kg."""
    rng = np.random.default_rng(seed)
    frame = pd.MultiIndex.from_product(
        [range(importers), range(exporters), ["Cobalt", "Tin", "Zinc"]],
        names=["importer_iso3", "exporter_iso3", "mineral"],
    ).to_frame(index=False)
    n = len(frame)
    frame["ln_distance"] = rng.normal(8, 1, n)
    frame["is_neighbour"] = (rng.random(n) < 0.2).astype(float)
    size = rng.normal(0, 3, (2, max(importers, exporters)))
    eta = size[0][frame["importer_iso3"]] + size[1][frame["exporter_iso3"]] - frame["ln_distance"]
    frame["qty"] = 1e9 * np.exp(eta) * rng.gamma(0.5, 2, n) * (rng.random(n) < 0.2)
    return frame


def test_agrees_with_dummies() -> None:
    frame = world()
    got = fit_two_way(frame, "qty", REGRESSORS, EFFECTS, "exporter_iso3")
    levels = {
        name: frame[columns].astype(str).agg("-".join, axis=1)
        for name, columns in zip(("first", "second"), EFFECTS, strict=True)
    }
    design = build_design(
        frame.drop(columns="importer_iso3").assign(**levels),
        ModelSpec("qty", REGRESSORS, ("first", "second"), {}),
    )
    fit = fit_ppml(design)
    assert got.is_converged and fit.is_converged
    assert got.is_separated.sum() == design.dropped.n_separated > 0
    np.testing.assert_allclose(got.coefficients, fit.coefficients[:2], rtol=1e-8)
    np.testing.assert_allclose(got.cov, fit.cov_clustered[:2, :2], rtol=1e-6)
    assert got.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)


def chain(n_blocks: int, link: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Blocks of four countries of which each is tied to the next by one row of weight `link`:
    projections that alternate need some 1/link rounds. And the weights."""
    rows = [
        (4 * b + i, 4 * b + j, 1.0) for b in range(n_blocks) for i in range(4) for j in range(4)
    ]
    rows += [(4 * b, 4 * b + 4, link) for b in range(n_blocks - 1)]
    frame = pd.DataFrame(rows, columns=["first", "second", "weight"])
    return frame, frame.pop("weight").to_numpy()


def test_projects_exactly_where_blocks_hang_together_by_a_thread() -> None:
    frame, w = chain(n_blocks=6, link=1e-8)
    V = np.random.default_rng(0).normal(size=(3, len(w)))
    model = TwoWay.of(V, frame["first"].to_numpy(), frame["second"].to_numpy())
    assert len(model.blocks) == 1
    D = pd.get_dummies(frame.astype(str)).to_numpy(dtype=float) * np.sqrt(w)[:, None]
    fitted = D @ np.linalg.lstsq(D, (V * np.sqrt(w)).T, rcond=1e-14)[0]
    np.testing.assert_allclose(
        model.project(w, list(V * w)), (fitted / np.sqrt(w)[:, None]).T, atol=1e-6
    )


def test_the_start_meets_the_totals_of_a_model_of_effects_alone() -> None:
    """Where y is exp(u + v) itself, the closed form finds it in one round."""
    rng = np.random.default_rng(0)
    first, second = np.divmod(np.arange(12), 3)
    eta = rng.normal(0, 5, 4)[first] + rng.normal(0, 5, 3)[second]
    np.testing.assert_allclose(TwoWay.of(eta[None], first, second).start(np.exp(eta)), eta)


def test_separated_rows_are_those_of_a_linear_programme() -> None:
    """Maximise the sum of s, where 0 <= s <= 1 and s <= u_i + v_j on rows of zero, and u_i + v_j is
    zero on the others (Correia, Guimaraes and Zylkin 2019, proposition 1)."""
    n_found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(10, 60))
        a, b = rng.integers(0, 8, n), rng.integers(0, 6, n)
        y = (rng.random(n) < rng.choice([0.1, 0.3])).astype(float)
        y[0] = 1.0
        X, zero = np.hstack([np.eye(8)[a], np.eye(6)[b]]), y == 0
        solution = linprog(
            np.r_[np.zeros(14), -np.ones(zero.sum())],
            A_ub=np.hstack([-X[zero], np.eye(zero.sum())]),
            b_ub=np.zeros(zero.sum()),
            A_eq=np.hstack([X[~zero], np.zeros(((~zero).sum(), zero.sum()))]),
            b_eq=np.zeros((~zero).sum()),
            bounds=[(None, None)] * 14 + [(0, 1)] * zero.sum(),
        )
        expected = np.zeros(n, dtype=bool)
        expected[np.flatnonzero(zero)[solution.x[14:] > 0.5]] = True
        np.testing.assert_array_equal(separated_by_effects(y, a, b), expected, err_msg=str(seed))
        n_found += int(expected.sum())
    assert n_found > 200


def test_what_cannot_be_estimated_is_named() -> None:
    frame = world()

    def fit(**changes: object) -> None:
        fit_two_way(frame.assign(**changes), "qty", REGRESSORS, EFFECTS, "exporter_iso3")

    with pytest.raises(EstimationError, match="qty is nowhere positive"):
        fit(qty=0.0)
    with pytest.raises(EstimationError, match="other regressors imply is_neighbour; leave it out"):
        fit(is_neighbour=frame["importer_iso3"] * 2.0)
    with pytest.raises(EstimationError, match="imply is_neighbour"):
        fit(qty=frame["qty"] * (frame["is_neighbour"] == 0))
    with pytest.raises(ValueError, match="qty has null, infinite or negative values"):
        fit(qty=frame["qty"].where(frame["qty"] == 0))
    with pytest.raises(ValueError, match="regressors must be finite"):
        fit(ln_distance=-np.inf)
    with pytest.raises(ValueError, match="lacks the columns mineral"):
        fit_two_way(frame.drop(columns="mineral"), "qty", REGRESSORS, EFFECTS, "exporter_iso3")
