"""The estimator at size: recovery of known coefficients on the real covariates, and agreement with
pyfixest on a panel of all importers."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pytest

from minerals.names import CATEGORIES, REGRESSORS
from minerals.ppml.design import ModelSpec, build_design
from minerals.ppml.estimator import fit_ppml
from minerals.ppml.gravity import fit_gravity
from minerals.sourcing.world import Pairs, Trade

PANELS = 20
SPEC = ModelSpec("qty")


@pytest.fixture(scope="module")
def panel(refreshed) -> pd.DataFrame:
    columns = ["importer_iso3", "exporter_iso3", "mineral", "year", *REGRESSORS]
    rows = refreshed.served(
        f"select {', '.join(columns)} from marts.import_panel where importer_iso3 = 'IND' "
        "order by all"
    )
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def published(refreshed) -> pd.DataFrame:
    columns = ["category", "term_type", "term", "estimate"]
    rows = refreshed.served(
        f"select {', '.join(columns)} from marts.ppml_coefficients where importer_iso3 = 'IND' "
        "and coefficient_source = 'published' order by all"
    )
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("category", CATEGORIES)
def test_known_coefficients_are_recovered_within_their_standard_errors(
    panel: pd.DataFrame, published: pd.DataFrame, category: str
) -> None:
    """Twenty panels from the study's coefficients, quantities gamma-Poisson around their mean.

    HC1 intervals of 95% cover some 0.87 to 0.90 of the truths: a handful of suppliers carry most of
    the quantity, which makes standard errors by formula a little small (docs/method.md).
    """
    own = published.loc[published["category"] == category]
    truth = {kind: rows.set_index("term")["estimate"] for kind, rows in own.groupby("term_type")}
    eta = truth["constant"].iloc[0] + panel["mineral"].map(truth["mineral"]).fillna(0.0)
    eta += panel["year"].astype(str).map(truth["year"]).fillna(0.0)
    eta += panel[list(REGRESSORS)].to_numpy(dtype=float) @ truth["covariate"][list(REGRESSORS)]
    rng = np.random.default_rng(1)
    z = []
    for _ in range(PANELS):
        quantity = rng.poisson(np.exp(eta) * rng.gamma(1.0, 1.0, len(panel))).astype(float)
        fit = fit_ppml(build_design(panel.assign(qty=quantity), SPEC))
        assert fit.is_converged and fit.is_full_rank
        assert [term.name for term in fit.terms[:11]] == list(REGRESSORS)
        error = fit.coefficients[:11] - truth["covariate"][list(REGRESSORS)].to_numpy()
        z.append(error / np.sqrt(np.diag(fit.cov_robust)[:11]))
    assert 0.80 <= np.mean(np.abs(z) < 1.96) <= 0.99
    assert np.mean(np.abs(z) < 3) > 0.95
    assert abs(np.mean(z)) < 0.3


def test_the_gravity_of_all_importers_agrees_with_pyfixest(refreshed) -> None:
    """The real matrix of ores, 2019-2023: every importer, exporter and mineral."""
    pf = pytest.importorskip("pyfixest", reason="pyfixest is a development dependency")
    flows = frame_of(refreshed, "select * from conformed.fct_trade_flow where category = 'ores'")
    flows["value_usd"] = flows["value_usd"].astype(float)
    countries = sorted({*flows["importer_iso3"], *flows["exporter_iso3"]})
    trade = Trade.of(flows, "ores", countries)
    pairs = Pairs.of(frame_of(refreshed, "from conformed.dim_country_pair"), countries)
    y = trade.mean_annual(2019, 2023)
    m, i, j = (index.ravel() for index in np.indices(y.shape))
    frame = pd.DataFrame({f"x{k}": x[i, j] for k, x in enumerate(pairs.x)})
    frame = frame.assign(
        y=y.ravel() / y.mean(), importer=i, buyer=m * 1000 + i, seller=m * 1000 + j
    )
    theirs = pf.fepois(
        f"y ~ {' + '.join(f'x{k}' for k in range(len(pairs.x)))} | buyer + seller",
        frame[i != j],
        vcov={"CRV1": "importer"},
        ssc=pf.ssc(k_adj=False, G_adj=True),
        iwls_tol=1e-10,
        demeaner=pf.MapDemeaner(fixef_tol=1e-9, fixef_maxiter=100_000),
    )
    ours = fit_gravity(y, pairs.x)
    np.testing.assert_allclose(ours.slopes, theirs.coef().to_numpy(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.cov)), theirs.se().to_numpy(), rtol=1e-3)


def frame_of(refreshed, sql: str) -> pd.DataFrame:
    with duckdb.connect(str(refreshed.settings.database), read_only=True) as connection:
        return connection.sql(sql).df()


def test_every_published_model_of_a_refresh_agrees_with_statsmodels(refreshed) -> None:
    from orchestration.assets.estimation import agreement

    rows = refreshed.query("select * from marts.ppml_fit order by all")
    names = [n for (n,) in refreshed.query("select column_name from (describe marts.ppml_fit)")]
    fit = pd.DataFrame(rows, columns=names)
    result = agreement(fit)
    assert result.passed and result.description == "4 models agree"  # ores, products; IND, JPN
    apart = fit.assign(statsmodels_std_error_difference=2e-6)
    assert not agreement(apart).passed
    assert "IND ores: coefficients" in agreement(apart).description
