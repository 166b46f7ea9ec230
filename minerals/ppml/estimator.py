"""The estimator: Poisson pseudo-maximum-likelihood by iteratively reweighted least squares.

Quantities are divided by their mean and regressors standardised, because tons in kg run to 1e10 and
regressors differ by orders of magnitude; coefficients, covariances and the log-likelihood are
carried back to kg and the regressors' own units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minerals.ppml import EstimationError
from minerals.ppml.columns import Columns, FloatArray, factorise
from minerals.ppml.design import Design, Dropped, Term
from minerals.ppml.inference import (
    clustered_covariance,
    poisson_log_likelihood,
    robust_covariance,
    two_way_covariance,
    wald_statistic,
)

MAX_ITERATIONS = 200
DEVIANCE_TOLERANCE = 1e-10
"""The iterations go on while the deviance changes by more than this share of itself ..."""
MOVEMENT_TOLERANCE = 1e-6
"""... or a step moves any row's linear predictor by more than this. Where separation went
undetected, every step moves the separated rows by about -1 without end, although the deviance has
long settled."""
POLISHED = 1e-9
"""One more step is taken while the last moved a row by more than this and less than the one before:
Newton's steps shrink quadratically, so the result is exact to rounding."""
MAX_HALVINGS = 30
HALVING_SLACK = 1e-12
"""A step may raise the deviance by this share of it and of the total of y: rounding."""


@dataclass(frozen=True)
class Irls:
    """Where the iterations ended. coefficients: (k,); eta: (n,), the linear predictor."""

    coefficients: FloatArray
    eta: FloatArray
    is_converged: bool
    n_iterations: int


def irls(
    y: FloatArray, columns: Columns, start: tuple[FloatArray, FloatArray] | None = None
) -> Irls:
    """Maximise sum of y eta - exp(eta) over eta = X b, y (n,) of mean about 1.

    `start` is a warm start: coefficients and their linear predictor. A step that does not lower the
    deviance is halved, which ends because the deviance is convex. Its error is corrected by the
    next, so the squared condition of the Gram matrix costs iterations, not accuracy.

    Source: McCullagh and Nelder, Generalized Linear Models (1989), 2.5, in increments; starting
    values, and step-halving as in Correia, Guimaraes and Zylkin (Stata Journal 2020), section 3.
    Raises EstimationError when no step lowers a deviance that is not at its minimum.
    """
    saturated = saturated_likelihood(y).sum()

    def deviance_at(eta: FloatArray) -> float:
        return float(2.0 * (saturated - y @ eta + np.exp(eta).sum()))

    def jump_of(w: FloatArray, wz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least squares of z with weights w: coefficients (k,) and fitted values (n,)."""
        b = factorise(columns.gram(w)).solve(columns.score(wz))
        return b, columns.predict(b)

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        jump = None
        if start is None:  # from zero coefficients to the least-squares fit at mu = (y + 1)/2
            mu = (y + 1.0) / 2.0
            jump = jump_of(mu, mu * np.log(mu) + y - mu)
            start = np.zeros_like(jump[0]), np.zeros_like(y)
        b, eta = start
        deviance = deviance_at(eta)
        previous = movement = np.inf
        n_iterations = 0
        for _ in range(MAX_ITERATIONS):
            n_iterations += 1
            if jump is None:
                mu = np.exp(eta)
                jump = jump_of(mu, y - mu)
            share, lower = _halve(deviance_at, eta, jump[1], deviance, float(y.sum()))
            change = deviance - lower
            b, eta, deviance = b + share * jump[0], eta + share * jump[1], lower
            previous, movement = movement, share * float(np.abs(jump[1]).max(initial=0.0))
            jump = None
            settled = abs(change) <= DEVIANCE_TOLERANCE * (deviance + 1e-3)
            close = settled and movement <= MOVEMENT_TOLERANCE
            if close and (movement <= POLISHED or movement >= 0.5 * previous):
                break
    return Irls(b, eta, bool(close and np.isfinite(b).all()), n_iterations)


def saturated_likelihood(y: FloatArray) -> FloatArray:
    """The part of half the deviance of each row (n,) that no coefficient changes: y ln y - y."""
    return y * np.log(y, out=np.zeros_like(y), where=y > 0) - y


def _halve(
    deviance_at: Callable[[FloatArray], float],
    eta: FloatArray,
    step: FloatArray,
    deviance: float,
    total: float,
) -> tuple[float, float]:
    """The largest share 1, 1/2, 1/4, ... of a step that does not raise the deviance; and that."""
    share = 1.0
    for _ in range(MAX_HALVINGS):
        new = deviance_at(eta + share * step)
        if new <= deviance + HALVING_SLACK * (abs(deviance) + total):
            return share, new
        share /= 2.0
    raise EstimationError(
        "the Poisson iterations broke down: "
        f"no step lowers the deviance of {deviance:.6g}; the weights may be singular"
    )


def standardise(columns: Columns) -> tuple[Columns, FloatArray]:
    """The columns with dense ones of mean 0 and deviation 1; and the (k, k) way back.

    Dummies stay as they are: centring them would mix rounding errors of large quantities into
    minerals of small ones. If gamma are coefficients of the result, `back @ gamma` are the ones of
    `columns`.
    """
    X, k = columns.dense, columns.shape[1]
    is_dummy = np.array([bool(np.all((x == 0) | (x == 1))) for x in X.T], dtype=bool)
    center = np.where(is_dummy, 0.0, X.mean(axis=0)) if X.size else np.zeros(X.shape[1])
    Z = X - center
    deviation = np.sqrt(np.mean(Z**2, axis=0)) if X.size else np.ones(X.shape[1])
    scale = np.where(is_dummy | (deviation == 0), 1.0, deviation)
    back = np.eye(k)
    back[range(len(scale)), range(len(scale))] = 1.0 / scale
    back[-1, : len(scale)] = -center / scale
    return Columns(np.asfortranarray(Z / scale), columns.codes, columns.sizes), back


@dataclass(frozen=True)
class Fit:
    """An estimated model of k terms on n rows, in kg; statistics are named as in `ppml_fit`.

    coefficients: (k,). cov_robust, cov_clustered, cov_two_way: (k, k). linear_predictor: (n,),
    ln kg. The constant counts in n_parameters. NaN stands for a statistic that does not exist.
    """

    terms: tuple[Term, ...]
    coefficients: FloatArray
    cov_robust: FloatArray
    cov_clustered: FloatArray
    cov_two_way: FloatArray
    linear_predictor: FloatArray
    log_likelihood: float
    null_log_likelihood: float
    pseudo_r2: float
    aic: float
    bic: float
    wald_chi2: float
    n_observations: int
    n_nonzero: int
    n_clusters: int
    n_parameters: int
    n_iterations: int
    is_converged: bool
    is_full_rank: bool
    mean_dependent_kg: float
    sd_dependent_kg: float
    base_levels: tuple[Term, ...]
    dropped: Dropped


def fit_ppml(design: Design) -> Fit:
    """The PPML fit of a design, with robust, one-way and two-way clustered covariance.

    E[y|x] = exp(x'b); Santos Silva and Tenreyro, "The log of gravity" (2006), equation 9.
    Log-likelihood: sum of y*eta - exp(eta) - lnGamma(y + 1), y in kg, as Stata's `poisson` prints;
    null_log_likelihood is of the constant alone on the same rows; pseudo_r2 is 1 - ll/ll_null
    (McFadden 1974), aic -2 ll + 2 k (Akaike 1974), bic -2 ll + k ln n (Schwarz 1978). Other
    sources: `irls`, `inference`.

    Raises EstimationError when there are not more rows than parameters or the iterations break
    down. A fit that merely did not converge is returned with is_converged False.
    """
    y, (n, k) = design.y, design.columns.shape
    if n <= k:
        raise EstimationError(f"{n} observations cannot support {k} parameters", design.dropped)
    mean = float(y.sum() / n)
    standard, back = standardise(design.columns)
    try:
        result = irls(y / mean, standard)
    except EstimationError as error:
        error.dropped = design.dropped
        raise
    with np.errstate(over="ignore", under="ignore"):
        mu = np.exp(result.eta)
    normal = factorise(standard.gram(mu))
    sandwich = standard.to_array(), y / mean - mu, normal.inverse()
    codes, others = design.clusters.codes, design.second_clusters.codes

    def carry_back(cov: FloatArray) -> FloatArray:
        moved = back @ cov @ back.T
        return np.asarray((moved + moved.T) / 2.0)

    cov_clustered = carry_back(clustered_covariance(*sandwich, codes))
    coefficients = back @ result.coefficients
    coefficients[-1] += np.log(mean)
    eta = result.eta + np.log(mean)
    log_likelihood = poisson_log_likelihood(y, eta)
    null = poisson_log_likelihood(y, np.full(n, np.log(mean)))
    return Fit(
        terms=design.terms,
        coefficients=coefficients,
        cov_robust=carry_back(robust_covariance(*sandwich)),
        cov_clustered=cov_clustered,
        cov_two_way=carry_back(two_way_covariance(*sandwich, codes, others)),
        linear_predictor=eta,
        log_likelihood=log_likelihood,
        null_log_likelihood=null,
        pseudo_r2=1.0 - log_likelihood / null,
        aic=-2.0 * log_likelihood + 2.0 * k,
        bic=-2.0 * log_likelihood + k * float(np.log(n)),
        wald_chi2=wald_statistic(coefficients[:-1], cov_clustered[:-1, :-1]),
        n_observations=n,
        n_nonzero=int((y > 0).sum()),
        n_clusters=len(design.clusters.names),
        n_parameters=k,
        n_iterations=result.n_iterations,
        is_converged=result.is_converged,
        is_full_rank=normal.is_full_rank,
        mean_dependent_kg=mean,
        sd_dependent_kg=float(y.std(ddof=1)),
        base_levels=design.base_levels,
        dropped=design.dropped,
    )
