"""The estimator: coefficients, covariances and fit statistics of one design.

Belongs here: the Poisson fit and the inference on it, over arrays. Does not belong here: what
enters the design (`design`), how results are tabulated and judged (`tables`).

The fit itself is statsmodels' Poisson GLM. Around it: quantities are divided by their mean and
regressors standardised, because tons in kg run to 1e10 and regressors differ by orders of
magnitude; coefficients, covariances and the log-likelihood are carried back to kg and the
regressors' own units.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, ndtr

from minerals.ppml.design import Design, Dropped, EstimationError, FloatArray, Term

MAX_ITERATIONS = 200
DEVIANCE_TOLERANCE = 1e-12
"""IRLS stops when the deviance changes by less than this share of itself."""
MOVEMENT_TOLERANCE = 1e-6
"""A fit has converged when, besides, one more Newton step moves no row's linear predictor by more.
Where separation went undetected, every step moves the separated rows by about -1 for ever, although
the deviance has long settled."""
RANK_TOLERANCE = 1e-8
"""A sound fit's weighted design (columns of norm 1) has no singular value below this share of the
largest."""


@dataclass(frozen=True)
class Fit:
    """An estimated model of k terms on n rows, in kg.

    coefficients: (k,). cov_robust, cov_clustered: (k, k). linear_predictor: (n,), ln kg.
    The constant counts in n_parameters. NaN stands for a statistic that does not exist.
    """

    terms: tuple[Term, ...]
    coefficients: FloatArray
    cov_robust: FloatArray
    cov_clustered: FloatArray
    linear_predictor: FloatArray
    log_likelihood: float
    null_log_likelihood: float
    pseudo_r2: float
    aic: float
    bic: float
    wald_chi2: float
    reset_p_value: float
    n_observations: int
    n_nonzero: int
    n_clusters: int
    n_parameters: int
    n_iterations: int
    is_converged: bool
    is_full_rank: bool
    mean_dependent: float
    sd_dependent: float
    base_levels: tuple[Term, ...]
    dropped: Dropped


def fit_ppml(design: Design) -> Fit:
    """Poisson pseudo-maximum-likelihood of E[y|x] = exp(x'b), with robust and clustered covariance.

    Source: Santos Silva and Tenreyro, "The log of gravity" (2006), equation 9.
    Log-likelihood: sum of y*eta - exp(eta) - lnGamma(y + 1), y in kg, as Stata's `poisson` prints.
    pseudo R2 = 1 - ll/ll_null (McFadden), ll_null of the constant alone on the same rows.
    AIC = -2 ll + 2k and BIC = -2 ll + k ln n.

    Raises EstimationError when there are not more rows than parameters or the iterations break
    down. A fit that merely did not converge is returned with is_converged False.
    """
    n, k = design.X.shape
    if n <= k:
        raise EstimationError(
            f"{n} observations cannot support {k} parameters", dropped=design.dropped
        )
    mean = float(design.y.mean())
    y = design.y / mean
    Z, back = _standardise(design.X)
    irls = _irls(y, Z, design.dropped)

    bread, is_full_rank = _bread(Z, irls.mu)
    codes, n_clusters = _cluster_codes(design.clusters)
    residual = y - irls.mu
    cov_robust = _carry_back(robust_covariance(Z, residual, bread), back)
    cov_clustered = _carry_back(clustered_covariance(Z, residual, bread, codes), back)

    coefficients = back @ irls.gamma
    coefficients[-1] += np.log(mean)
    eta = Z @ irls.gamma + np.log(mean)
    log_likelihood = poisson_log_likelihood(design.y, eta)
    null = poisson_log_likelihood(design.y, np.full(n, np.log(mean)))
    return Fit(
        terms=design.terms,
        coefficients=coefficients,
        cov_robust=cov_robust,
        cov_clustered=cov_clustered,
        linear_predictor=eta,
        log_likelihood=log_likelihood,
        null_log_likelihood=null,
        pseudo_r2=1.0 - log_likelihood / null,
        aic=-2.0 * log_likelihood + 2.0 * k,
        bic=-2.0 * log_likelihood + k * float(np.log(n)),
        wald_chi2=wald_statistic(coefficients[:-1], cov_clustered[:-1, :-1]),
        reset_p_value=_reset_p_value(y, Z, irls, codes),
        n_observations=n,
        n_nonzero=int((design.y > 0).sum()),
        n_clusters=n_clusters,
        n_parameters=k,
        n_iterations=irls.n_iterations,
        is_converged=irls.is_converged,
        is_full_rank=is_full_rank,
        mean_dependent=mean,
        sd_dependent=float(design.y.std(ddof=1)),
        base_levels=design.base_levels,
        dropped=design.dropped,
    )


def poisson_log_likelihood(y: FloatArray, eta: FloatArray) -> float:
    """Sum over the (n,) rows of y*eta - exp(eta) - lnGamma(y + 1); y need not be whole numbers.

    Source: Stata manual [R] poisson, Methods and formulas.
    """
    return float(np.sum(y * eta - np.exp(eta) - gammaln(y + 1.0)))


def robust_covariance(Z: FloatArray, residual: FloatArray, bread: FloatArray) -> FloatArray:
    """HC1 sandwich (k, k): n/(n-k) * B (sum of e_i^2 z_i z_i') B, B the inverse of Z'WZ.

    Source: White (1980); MacKinnon and White (1985) for the factor n/(n-k).
    """
    n, k = Z.shape
    scores = Z * residual[:, None]
    return (n / (n - k)) * (bread @ (scores.T @ scores) @ bread)


def clustered_covariance(
    Z: FloatArray, residual: FloatArray, bread: FloatArray, codes: NDArray[np.intp]
) -> FloatArray:
    """One-way cluster-robust sandwich (k, k): G/(G-1) * B (sum over clusters of s_g s_g') B.

    s_g is the sum of e_i z_i in cluster g; `codes` (n,) number the clusters from 0. The factor is
    that of Stata's `poisson, vce(cluster)`, without (n-1)/(n-k). NaN when there is one cluster.
    Source: Cameron and Miller, "A practitioner's guide to cluster-robust inference" (2015), eq. 11.
    """
    n_clusters = int(codes.max()) + 1
    if n_clusters < 2:
        return np.full_like(bread, np.nan)
    scores = np.zeros((n_clusters, Z.shape[1]))
    np.add.at(scores, codes, Z * residual[:, None])
    return (n_clusters / (n_clusters - 1)) * (bread @ (scores.T @ scores) @ bread)


def wald_statistic(b: FloatArray, cov: FloatArray) -> float:
    """b' V^-1 b for the hypothesis that all (k,) coefficients are zero; chi2 with k degrees.

    NaN when V is singular, where Stata prints a dot: with clusters this happens as soon as a
    dummy's positive rows all belong to one cluster, or when there are no more clusters than
    coefficients.
    """
    if b.size == 0 or not np.isfinite(cov).all():
        return float("nan")
    sd = np.sqrt(np.clip(np.diag(cov), 0.0, None))
    if (sd == 0).any():
        return float("nan")
    values, vectors = np.linalg.eigh(cov / np.outer(sd, sd))
    if values[0] <= 1e-10 * values[-1]:
        return float("nan")
    projected = vectors.T @ (b / sd)
    return float(np.sum(projected**2 / values))


def normal_inference(
    estimate: FloatArray, std_error: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """z value, two-sided p value and 95% bounds under the normal distribution, each (k,)."""
    z = np.divide(estimate, std_error, out=np.full_like(estimate, np.nan), where=std_error > 0)
    half = 1.959963984540054 * std_error
    return z, 2.0 * ndtr(-np.abs(z)), estimate - half, estimate + half


@dataclass(frozen=True)
class _Irls:
    gamma: FloatArray
    mu: FloatArray
    is_converged: bool
    n_iterations: int


def _irls(y: FloatArray, Z: FloatArray, dropped: Dropped, start: FloatArray | None = None) -> _Irls:
    """Iteratively reweighted least squares by statsmodels, y of mean 1 and Z standardised.

    Two Newton steps follow, to the accuracy of the arithmetic and to see whether it stands still.
    """
    from statsmodels.genmod.families import Poisson  # 2 s to import: only when a model is fitted
    from statsmodels.genmod.generalized_linear_model import GLM

    try:
        with warnings.catch_warnings(), np.errstate(over="raise", invalid="raise"):
            warnings.simplefilter("ignore")  # convergence is judged below, and published
            result = GLM(y, Z, family=Poisson()).fit(
                start_params=start, maxiter=MAX_ITERATIONS, atol=0.0, rtol=DEVIANCE_TOLERANCE
            )
            gamma = np.asarray(result.params, dtype=np.float64)
            mu = np.exp(Z @ gamma)
            movement = np.inf
            for _ in range(2 if result.converged else 0):
                step = _bread(Z, mu)[0] @ (Z.T @ (y - mu))
                movement = float(np.abs(Z @ step).max())
                gamma = gamma + step
                mu = np.exp(Z @ gamma)
    except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
        raise EstimationError(f"the Poisson iterations broke down: {error}", dropped) from error
    is_converged = movement <= MOVEMENT_TOLERANCE
    return _Irls(gamma, mu, is_converged, int(result.fit_history["iteration"]))


def _standardise(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """X (n, k), constant last, with columns of mean 0 and deviation 1; and the (k, k) way back.

    Dummies stay as they are: centring them would mix rounding errors of large quantities into
    minerals of small ones. If gamma are the coefficients of the result, `back @ gamma` are X's.
    """
    is_dummy = ((X == 0) | (X == 1)).all(axis=0)
    center = np.where(is_dummy, 0.0, X.mean(axis=0))
    scale = np.where(is_dummy, 1.0, X.std(axis=0))
    back = np.diag(1.0 / scale)
    back[-1, :-1] = -center[:-1] / scale[:-1]
    return (X - center) / scale, back


def _carry_back(cov: FloatArray, back: FloatArray) -> FloatArray:
    """Covariance in the units of X, symmetric to the last digit."""
    moved = back @ cov @ back.T
    return (moved + moved.T) / 2.0


def _bread(Z: FloatArray, mu: FloatArray) -> tuple[FloatArray, bool]:
    """Inverse of Z' diag(mu) Z by a singular value decomposition, and whether it is well
    defined."""
    weighted = Z * np.sqrt(mu)[:, None]
    norms = np.linalg.norm(weighted, axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    _, singular, vectors = np.linalg.svd(weighted / norms, full_matrices=False)
    is_sound = singular > RANK_TOLERANCE * singular[0]
    half = (vectors[is_sound] / singular[is_sound, None]) / norms
    return half.T @ half, bool(is_sound.all())


def _cluster_codes(clusters: NDArray[np.object_]) -> tuple[NDArray[np.intp], int]:
    labels, codes = np.unique(clusters.astype(str), return_inverse=True)
    return codes.astype(np.intp), len(labels)


def _reset_p_value(y: FloatArray, Z: FloatArray, irls: _Irls, codes: NDArray[np.intp]) -> float:
    """Ramsey's RESET (1969) as in Santos Silva and Tenreyro (2006): add the squared linear
    predictor and test its coefficient by a cluster-robust z. NaN when the enlarged model cannot be
    estimated.

    A constant added to the predictor changes its square by a combination of columns of Z only, so
    the test does not depend on the unit of y.
    """
    squared = (Z @ irls.gamma) ** 2
    squared = squared - squared.mean()
    deviation = squared.std()
    if not irls.is_converged or deviation == 0 or Z.shape[0] <= Z.shape[1] + 1:
        return float("nan")
    enlarged = np.column_stack([Z, squared / deviation])
    left = enlarged[:, -1] - Z @ np.linalg.lstsq(Z, enlarged[:, -1], rcond=None)[0]
    if np.linalg.norm(left) <= 1e-8 * np.linalg.norm(enlarged[:, -1]):
        return float("nan")
    try:
        again = _irls(y, enlarged, Dropped(), start=np.append(irls.gamma, 0.0))
    except EstimationError:
        return float("nan")
    bread, is_full_rank = _bread(enlarged, again.mu)
    if not (again.is_converged and is_full_rank):
        return float("nan")
    cov = clustered_covariance(enlarged, y - again.mu, bread, codes)
    _, p_value, _, _ = normal_inference(again.gamma[-1:], np.sqrt(np.diag(cov)[-1:]))
    return float(p_value[0])
