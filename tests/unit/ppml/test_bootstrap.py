"""The cluster bootstrap: weights are copies, seeds decide, and what fails is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.ppml.bootstrap import Bootstrap, cluster_bootstrap, leave_one_out
from minerals.ppml.design import Clusters, Design, ModelSpec, build_design
from minerals.ppml.diagnostics import (
    deviance_share,
    overdispersion,
    rank_correlations,
    top_k_kept,
    variance_inflation,
)
from minerals.ppml.estimator import Fit, fit_ppml

SPEC = ModelSpec(dependent="qty", regressors=("x", "landlocked"), base_levels={})


def panel() -> pd.DataFrame:
    """12 exporters x 3 minerals x 2 years; Zinc is sold by two exporters only, E01 and E02."""
    rng = np.random.default_rng(0)
    frame = pd.MultiIndex.from_product(
        [[f"E{n:02d}" for n in range(12)], ["Cobalt", "Tin", "Zinc"], [2019, 2020]],
        names=["exporter_iso3", "mineral", "year"],
    ).to_frame(index=False)
    frame["x"] = rng.normal(size=len(frame))
    frame["landlocked"] = (frame["exporter_iso3"] >= "E06").astype(float)
    frame["qty"] = 1e6 * np.exp(frame["x"] - frame["landlocked"]) * rng.gamma(1, 1, len(frame))
    is_zinc = frame["mineral"] == "Zinc"
    frame.loc[is_zinc & ~frame["exporter_iso3"].isin(["E01", "E02"]), "qty"] = 0.0
    return frame


@pytest.fixture(scope="module")
def model() -> tuple[Design, Fit]:
    design = build_design(panel(), SPEC)
    return design, fit_ppml(design)


@pytest.fixture(scope="module")
def bootstrap(model: tuple[Design, Fit]) -> Bootstrap:
    return cluster_bootstrap(*model, 60, 4)


def test_a_replication_is_the_fit_on_the_drawn_exporters(bootstrap: Bootstrap) -> None:
    """Exporters copied as rows, estimated from the start, for the first five samples."""
    frame, names = panel(), [f"E{n:02d}" for n in range(12)]
    rng = np.random.default_rng(4)
    draws = [rng.multinomial(12, np.full(12, 1 / 12)) for _ in range(5)]
    for number, counts in enumerate(draws):
        copies = [frame[frame["exporter_iso3"] == names[j]] for j in np.repeat(range(12), counts)]
        fit = fit_ppml(build_design(pd.concat(copies, ignore_index=True), SPEC))
        (place,) = np.flatnonzero(bootstrap.replications == number)
        np.testing.assert_allclose(bootstrap.draws[place], fit.coefficients[:2], rtol=1e-6)


def test_the_seed_decides(model: tuple[Design, Fit], bootstrap: Bootstrap) -> None:
    again = cluster_bootstrap(*model, 60, 4)
    np.testing.assert_array_equal(again.draws, bootstrap.draws)
    other = cluster_bootstrap(*model, 60, 5)
    assert not np.array_equal(other.draws[:10], bootstrap.draws[:10])
    assert bootstrap.terms == ("x", "landlocked")
    assert len(bootstrap.draws) + bootstrap.n_separated + bootstrap.n_failed == 60


def test_what_rows_without_a_quantity_identify_is_identified() -> None:
    """`tilt` differs where nothing is sold alone: up in E10, down in E11. A sample with both knows
    its coefficient, a sample with one of them has an infinite one, a sample with none knows none.
    """
    frame = panel()
    frame["tilt"] = frame["exporter_iso3"].map({"E10": 1.0, "E11": -1.0}).fillna(0.0)
    frame.loc[frame["tilt"] != 0, "qty"] = 0.0
    spec = ModelSpec(dependent="qty", regressors=("x", "tilt"), base_levels={})
    design = build_design(frame, spec)
    got = cluster_bootstrap(design, fit_ppml(design), 100, 4)
    rng = np.random.default_rng(4)
    drawn = [rng.multinomial(12, np.full(12, 1 / 12))[10:] > 0 for _ in range(100)]
    assert got.n_separated == sum(one != other for one, other in drawn)
    assert got.n_failed == sum(not one and not other for one, other in drawn)
    assert len(got.draws) > 30


def test_samples_that_separate_a_regressor_are_counted_and_left_out() -> None:
    """Only one landlocked exporter sells: some third of the samples miss it."""
    frame = panel()
    frame.loc[(frame["exporter_iso3"] > "E06"), "qty"] = 0.0
    design = build_design(frame, SPEC)
    got = cluster_bootstrap(design, fit_ppml(design), 100, 1)
    assert 20 <= got.n_separated + got.n_failed <= 55
    assert got.n_separated > 15
    assert np.isfinite(got.draws).all()
    assert got.usable_share == len(got.draws) / 100


def test_bounds_and_errors_are_those_of_the_draws(bootstrap: Bootstrap) -> None:
    low, high = bootstrap.bounds()
    np.testing.assert_allclose(low, np.percentile(bootstrap.draws, 2.5, axis=0))
    np.testing.assert_allclose(high, np.percentile(bootstrap.draws, 97.5, axis=0))
    np.testing.assert_allclose(bootstrap.std_errors(), np.std(bootstrap.draws, axis=0, ddof=1))


def test_leaving_one_exporter_out_is_the_fit_without_it(model: tuple[Design, Fit]) -> None:
    estimates, names = leave_one_out(*model), model[0].clusters.names
    frame = panel()
    for place in (0, 1, 7):
        fit = fit_ppml(build_design(frame[frame["exporter_iso3"] != names[place]], SPEC))
        np.testing.assert_allclose(estimates[place], fit.coefficients[:2], rtol=1e-6)


def test_variance_inflation_by_regression(model: tuple[Design, Fit]) -> None:
    X = model[0].X
    others = np.delete(X, 0, axis=1)
    rest = X[:, 0] - others @ np.linalg.lstsq(others, X[:, 0], rcond=None)[0]
    expected = np.sum((X[:, 0] - X[:, 0].mean()) ** 2) / np.sum(rest**2)
    assert variance_inflation(model[0].columns)[0] == pytest.approx(expected)


def test_diagnostics_by_hand() -> None:
    y, mu = np.array([0.0, 2.0, 9.0]), np.array([1.0, 2.0, 4.0])
    # half deviances: 1, 0, 9 ln(9/4) - 5
    last = 9 * np.log(9 / 4) - 5
    assert deviance_share(y, np.log(mu), 1) == pytest.approx(last / (1 + last))
    dispersion, p_value = overdispersion(y, mu, 1)
    assert dispersion == pytest.approx((1 + 0 + 25 / 4) / 2)
    assert 0 < p_value < 0.5
    groups = Clusters(np.zeros(3, dtype=int), np.array(["a"]))
    assert rank_correlations(y, np.array([3.0, 1.0, 2.0]), groups) == {"a": pytest.approx(-0.5)}
    assert np.isnan(rank_correlations(0 * y, y, groups)["a"])


def test_share_of_the_leading_that_stay() -> None:
    scores = np.array([5.0, 4.0, 3.0, 2.0, 9.0])
    others = np.column_stack([scores, -scores, [5.0, 1.0, 4.0, 0.0, 9.0]])
    groups = [np.array([0, 1, 2, 3]), np.array([4])]  # the second has no more than two
    np.testing.assert_allclose(top_k_kept(scores, others, groups, 2), [1.0, 0.0, 0.5])
    assert np.isnan(top_k_kept(scores, others, groups[1:], 2)).all()
