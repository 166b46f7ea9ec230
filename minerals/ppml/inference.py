"""Inference: what a fitted Poisson model says about its uncertainty and its fit.

Small-sample factors: HC1 n/(n-k); one-way clusters G/(G-1), as Stata's `poisson, vce(cluster)`;
two-way clusters min(G, H)/(min(G, H)-1), as `ppmlhdfe`. The factor (n-1)/(n-k), by which pyfixest
and `ppmlhdfe` also multiply clustered covariances, is not applied.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln, ndtr

from minerals.ppml.columns import FloatArray, IntArray

NORMAL_975 = 1.959963984540054
SINGULAR = 1e-10
"""A covariance scaled to unit diagonal is singular when its smallest eigenvalue is not above this
share of its largest."""


def poisson_log_likelihood(y: FloatArray, eta: FloatArray) -> float:
    """Sum over the (n,) rows of y*eta - exp(eta) - lnGamma(y + 1); y need not be whole numbers.

    Source: Stata manual [R] poisson, Methods and formulas.
    """
    return float(np.sum(y * eta - np.exp(eta) - gammaln(y + 1.0)))


def robust_covariance(Z: FloatArray, residual: FloatArray, bread: FloatArray) -> FloatArray:
    """HC1 sandwich (k, k): n/(n-k) * sum of e_i^2 (B z_i) (B z_i)', B the inverse of Z'WZ.

    Rows of Z (n, k) are multiplied with B before they are squared: where the base level of an
    effect has a millionth of the imports, B (sum of e_i^2 z_i z_i') B loses half of the digits.
    Source: White (1980); MacKinnon and White (1985) for the factor n/(n-k).
    """
    n, k = Z.shape
    influence = (Z * residual[:, None]) @ bread
    return np.asarray((n / (n - k)) * (influence.T @ influence))


def clustered_covariance(
    Z: FloatArray, residual: FloatArray, bread: FloatArray, codes: IntArray
) -> FloatArray:
    """One-way cluster-robust sandwich (k, k): G/(G-1) * B (sum over clusters of s_g s_g') B.

    s_g is the sum of e_i z_i in cluster g; `codes` (n,) number the clusters from 0. NaN when there
    is one cluster. Source: Cameron and Miller, "A practitioner's guide to cluster-robust inference"
    (2015), equation 11.
    """
    n_clusters = int(codes.max()) + 1
    if n_clusters < 2:
        return np.full_like(bread, np.nan)
    return (n_clusters / (n_clusters - 1)) * _cluster_sandwich(Z, residual, bread, codes)


def two_way_covariance(
    Z: FloatArray,
    residual: FloatArray,
    bread: FloatArray,
    codes: IntArray,
    other_codes: IntArray,
) -> FloatArray:
    """Two-way cluster-robust covariance (k, k): m/(m-1) * (V_g + V_h - V_gh), m = min(G, H).

    Where the difference is not positive semi-definite its negative eigenvalues are set to zero, as
    the source proposes. NaN when either way has one cluster.
    Source: Cameron, Gelbach and Miller, "Robust inference with multiway clustering" (2011),
    equations 2.8 and 2.13.
    """
    fewest = min(int(codes.max()), int(other_codes.max())) + 1
    if fewest < 2:
        return np.full_like(bread, np.nan)
    both = np.unique(codes * (int(other_codes.max()) + 1) + other_codes, return_inverse=True)[1]
    one_way = [_cluster_sandwich(Z, residual, bread, c) for c in (codes, other_codes)]
    joint = _cluster_sandwich(Z, residual, bread, both)
    sd = np.sqrt(np.clip(np.diag(one_way[0] + one_way[1]), 0.0, None))
    sd = np.where(sd > 0, sd, 1.0)
    scaled = (one_way[0] + one_way[1] - joint) / np.outer(sd, sd)
    values, vectors = np.linalg.eigh((scaled + scaled.T) / 2.0)
    if values[0] < 0:
        scaled = (vectors * np.clip(values, 0.0, None)) @ vectors.T
    return (fewest / (fewest - 1)) * scaled * np.outer(sd, sd)


def wald_statistic(b: FloatArray, cov: FloatArray) -> float:
    """b' V^-1 b for the hypothesis that all (k,) coefficients are zero; chi2 with k degrees.

    NaN when V is singular, where Stata prints a dot: with clusters this happens as soon as a
    dummy's positive rows all belong to one cluster, or when there are no more clusters than
    coefficients. Source: Wald (1943); Stata manual [R] test.
    """
    if b.size == 0 or not np.isfinite(cov).all():
        return float("nan")
    sd = np.sqrt(np.clip(np.diag(cov), 0.0, None))
    if (sd == 0).any():
        return float("nan")
    values, vectors = np.linalg.eigh(cov / np.outer(sd, sd))
    if values[0] <= SINGULAR * values[-1]:
        return float("nan")
    projected = vectors.T @ (b / sd)
    return float(np.sum(projected**2 / values))


def normal_inference(
    estimate: FloatArray, std_error: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """z value, two-sided p value and 95% bounds under the normal distribution, each (k,).

    Source: Stata manual [R] poisson, the table of coefficients.
    """
    z = np.divide(estimate, std_error, out=np.full_like(estimate, np.nan), where=std_error > 0)
    half = NORMAL_975 * std_error
    return z, 2.0 * ndtr(-np.abs(z)), estimate - half, estimate + half


def _cluster_sandwich(
    Z: FloatArray, residual: FloatArray, bread: FloatArray, codes: IntArray
) -> FloatArray:
    scores = np.column_stack([np.bincount(codes, column * residual) for column in Z.T])
    half = scores @ bread
    return np.asarray(half.T @ half)
