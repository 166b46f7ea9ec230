"""Diagnostics: whether the specification holds, and on how few observations the result rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minerals.ppml import EstimationError
from minerals.ppml.columns import Columns, FloatArray, IntArray, centred, factorise
from minerals.ppml.design import Clusters, Design
from minerals.ppml.estimator import Fit, irls, saturated_likelihood, standardise
from minerals.ppml.inference import clustered_covariance, normal_inference


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of a fit, as in `ppml_fit`; NaN or None where a figure does not exist."""

    reset_p_value: float
    dispersion_kg: float
    overdispersion_p_value: float
    max_vif: float
    max_vif_term: str | None
    top5_deviance_share: float
    zero_share: float
    predicted_zero_share: float
    rank_correlations: dict[str, float]
    mean_rank_correlation: float


def diagnose(design: Design, fit: Fit) -> Diagnostics:
    """All diagnostics of a fit that need nothing but its design."""
    y, eta = design.y, fit.linear_predictor
    mu = np.exp(eta)
    dispersion, p_value = overdispersion(y, mu, fit.n_parameters)
    vif = dict(zip(design.covariates, variance_inflation(design.columns), strict=True))
    worst = max(vif, key=lambda name: vif[name], default=None)
    correlations = rank_correlations(y, eta, design.second_clusters)
    found = [rho for rho in correlations.values() if np.isfinite(rho)]
    return Diagnostics(
        reset_p_value=reset_p_value(design, fit) if fit.is_converged else float("nan"),
        dispersion_kg=dispersion,
        overdispersion_p_value=p_value,
        max_vif=float("nan") if worst is None else float(vif[worst]),
        max_vif_term=worst,
        top5_deviance_share=deviance_share(y, eta, 5),
        zero_share=float(np.mean(y == 0)),
        predicted_zero_share=float(np.mean(np.exp(-mu))),
        rank_correlations=correlations,
        mean_rank_correlation=float(np.mean(found)) if found else float("nan"),
    )


def reset_p_value(design: Design, fit: Fit) -> float:
    """Ramsey's RESET (1969) as in Santos Silva and Tenreyro (2006), section V: add the squared
    linear predictor and test its coefficient by a z clustered by exporter.

    A constant added to the predictor changes its square by a combination of the columns only, so
    the test does not depend on the unit of y. NaN when the enlarged model cannot be estimated.
    """
    standard, back = standardise(design.columns)
    gamma = np.asarray(np.linalg.solve(back, fit.coefficients), dtype=np.float64)
    mean = float(design.y.mean())
    gamma[-1] -= np.log(mean)
    eta = standard.predict(gamma)
    squared = eta**2 - np.mean(eta**2)
    deviation = squared.std()
    if deviation == 0 or fit.n_observations <= fit.n_parameters + 1:
        return float("nan")
    dense = np.column_stack([squared / deviation, standard.dense])
    enlarged = Columns.of(dense, standard.codes, standard.sizes)
    y = design.y / mean
    try:
        again = irls(y, enlarged, start=(np.append(0.0, gamma), eta))
    except EstimationError:
        return float("nan")
    mu = np.exp(again.eta)
    normal = factorise(enlarged.gram(mu))
    if not (again.is_converged and normal.is_full_rank):
        return float("nan")
    cov = clustered_covariance(enlarged.to_array(), y - mu, normal.inverse(), design.clusters.codes)
    _, p_value, _, _ = normal_inference(again.coefficients[:1], np.sqrt(np.diag(cov)[:1]))
    return float(p_value[0])


def overdispersion(y: FloatArray, mu: FloatArray, k: int) -> tuple[float, float]:
    """Pearson chi2 over n - k, in the unit of y (1 for a Poisson variable counted in that unit),
    and the one-sided p value of Cameron and Trivedi's test that the variance exceeds the mean.

    Source: McCullagh and Nelder (1989), 6.2.1; Cameron and Trivedi, "Regression-based tests for
    overdispersion in the Poisson model" (1990), equation 3.5 with g(mu) = mu^2.
    """
    pearson = float(np.sum((y - mu) ** 2 / mu) / (len(y) - k))
    left = ((y - mu) ** 2 - y) / mu
    slope = float(np.sum(left * mu) / np.sum(mu**2))
    error = float(np.sqrt(np.sum(((left - slope * mu) * mu) ** 2)) / np.sum(mu**2))
    _, two_sided, _, _ = normal_inference(np.array([slope]), np.array([error]))
    half = float(two_sided[0]) / 2.0
    return pearson, half if slope > 0 else 1.0 - half


def variance_inflation(columns: Columns) -> FloatArray:
    """Variance inflation factor (p,) of each dense column: 1/(1 - R2) on all other columns.

    Source: Belsley, Kuh and Welsch, Regression Diagnostics (1980), 3.1. Unweighted; effects count
    among the other columns.
    """
    p = columns.dense.shape[1]
    around = Columns.of(centred(columns.dense), columns.codes, columns.sizes)
    G = around.gram(np.ones(len(around.dense)))
    return np.asarray(np.diag(factorise(G).inverse())[:p] * np.diag(G)[:p])


def deviance_share(y: FloatArray, eta: FloatArray, m: int) -> float:
    """Share of the deviance that the m rows with the largest part in it carry.

    Source: McCullagh and Nelder (1989), 2.4.3 (deviance residuals).
    """
    parts = np.clip(saturated_likelihood(y) - y * eta + np.exp(eta), 0.0, None)
    total = float(parts.sum())
    return float(np.sort(parts)[-m:].sum() / total) if total > 0 else float("nan")


def rank_correlations(y: FloatArray, eta: FloatArray, groups: Clusters) -> dict[str, float]:
    """Spearman's rank correlation of fitted and actual, by group; NaN where either is constant.

    Source: Spearman (1904), with mean ranks for ties.
    """
    import pandas as pd  # half a second, and the fit itself does not need it

    by_group = pd.DataFrame({"y": y, "eta": eta}).groupby(groups.codes)
    rho = by_group.corr(method="spearman")["eta"].xs("y", level=1)
    return {str(name): float(rho[code]) for code, name in enumerate(groups.names)}


def top_k_kept(
    scores: FloatArray, others: FloatArray, groups: Sequence[IntArray], k: int
) -> FloatArray:
    """Mean over groups of the share of the top k by `scores` (n,) that stay so by others (n, m).

    Shape (m,). Groups not larger than k are left out: they keep all. Ties go to the earlier row.
    """
    large = [rows for rows in groups if len(rows) > k]
    if not large:
        return np.full(others.shape[1], np.nan)
    shares = np.zeros(others.shape[1])
    for rows in large:
        best = np.argsort(-scores[rows], kind="stable")[:k]
        new = np.argsort(-others[rows], axis=0, kind="stable")[:k]
        shares += np.isin(new, best).mean(axis=0)
    return shares / len(large)
