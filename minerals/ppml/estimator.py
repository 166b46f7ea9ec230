"""The estimator: Poisson pseudo-maximum-likelihood by iteratively reweighted least squares.

Belongs here: the iterations, and the fit of a design with its inference. Does not belong here: what
enters the design (`design`, `separation`), the formulas of inference (`inference`), how results are
tabulated and judged (`tables`).

Quantities are divided by their mean and regressors standardised, because tons in kg run to 1e10 and
regressors differ by orders of magnitude; coefficients, covariances and the log-likelihood are
carried back to kg and the regressors' own units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minerals.errors import MineralsError
from minerals.ppml.columns import Columns, FloatArray, IntArray, factorise
from minerals.ppml.design import Design, Dropped, EstimationError, Term
from minerals.ppml.inference import (
    clustered_covariance,
    information_criteria,
    number_labels,
    poisson_log_likelihood,
    pseudo_r2,
    robust_covariance,
    two_way_covariance,
    wald_statistic,
)

MAX_ITERATIONS = 200
DEVIANCE_TOLERANCE = 1e-10
"""The iterations go on while the deviance changes by more than this share of itself ..."""
MOVEMENT_TOLERANCE = 1e-6
"""... or a step moves any row's linear predictor by more than this. Where separation went
undetected, every step moves the separated rows by about -1 for ever, although the deviance has long
settled."""
POLISHED = 1e-9
"""One more step is taken while the last moved a row by more than this and less than the one before:
Newton's steps shrink quadratically, so the result is exact to rounding."""
MAX_HALVINGS = 30


class NotEstimable(MineralsError):  # noqa: N818 - it is an outcome, said as one
    """The iterations broke down; the message says where."""


class LeastSquares(Protocol):
    """Weighted least squares on a fixed set of columns, with or without absorbed effects."""

    def solve(self, w: FloatArray, wz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (k,) and fitted values (n,) of z, for weights w and their product w z."""
        ...


@dataclass(frozen=True)
class NormalEquations:
    """Least squares by the Gram matrix of columns (a `LeastSquares`).

    A step's error is corrected by the next, so the squared condition of the Gram matrix costs
    iterations, not accuracy.
    """

    columns: Columns

    def solve(self, w: FloatArray, wz: FloatArray) -> tuple[FloatArray, FloatArray]:
        b = factorise(self.columns.gram(w)).solve(self.columns.score(wz))
        return b, self.columns.predict(b)


@dataclass(frozen=True)
class Irls:
    """Where the iterations ended. coefficients: (k,); eta: (n,), the linear predictor.

    movement: by how much the last step moved the linear predictor of any row, at most.
    """

    coefficients: FloatArray
    eta: FloatArray
    deviance: float
    movement: float
    is_converged: bool
    n_iterations: int


def irls(
    y: FloatArray,
    least_squares: LeastSquares,
    weights: FloatArray | None = None,
    start: tuple[FloatArray, FloatArray] | None = None,
    polished: float = POLISHED,
    max_iterations: int = MAX_ITERATIONS,
) -> Irls:
    """Maximise sum of w (y eta - exp(eta)) over eta = X b, y (n,) of mean about 1.

    `start` is a warm start: coefficients and their linear predictor. A step that does not lower the
    deviance is halved, which ends because the deviance is convex.

    Source: McCullagh and Nelder, Generalized Linear Models (1989), 2.5, in increments; starting
    values, and step-halving as in Correia, Guimaraes and Zylkin (Stata Journal 2020), section 3.
    Raises NotEstimable when no step lowers a deviance that is not at its minimum.
    """
    v = np.ones_like(y) if weights is None else weights
    vy, saturated = v * y, _saturated(y, v)

    def deviance_at(eta: FloatArray) -> float:
        return float(2.0 * (saturated - vy @ eta + v @ np.exp(eta)))

    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        b, eta, jump = _first_step(y, v, least_squares) if start is None else (*start, None)
        deviance = deviance_at(eta)
        previous = movement = np.inf
        n_iterations = 0
        for _ in range(max_iterations):
            n_iterations += 1
            if jump is None:
                mu = np.exp(eta)
                jump = least_squares.solve(v * mu, v * (y - mu))
            share, lower = _halve(deviance_at, eta, jump[1], deviance, float(vy.sum()))
            change = deviance - lower
            b, eta, deviance = b + share * jump[0], eta + share * jump[1], lower
            previous, movement = movement, share * float(np.abs(jump[1]).max(initial=0.0))
            jump = None
            settled = abs(change) <= DEVIANCE_TOLERANCE * (deviance + 1e-3)
            close = settled and movement <= MOVEMENT_TOLERANCE
            if close and (movement <= polished or movement >= 0.5 * previous):
                break
    is_converged = bool(close and np.isfinite(b).all())
    return Irls(b, eta, deviance, movement, is_converged, n_iterations)


def deviance_terms(y: FloatArray, eta: FloatArray) -> FloatArray:
    """Half the deviance of each row (n,): y ln(y/mu) - (y - mu)."""
    log_y = np.log(y, out=np.zeros_like(y), where=y > 0)
    return y * (log_y - eta) - y + np.exp(eta)


def _first_step(
    y: FloatArray, v: FloatArray, least_squares: LeastSquares
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, FloatArray]]:
    """From zero coefficients (the mean, 1) to the least-squares fit at mu = (y + 1)/2."""
    mu = (y + 1.0) / 2.0
    step = least_squares.solve(v * mu, v * (mu * np.log(mu) + y - mu))
    return np.zeros_like(step[0]), np.zeros_like(y), step


def _saturated(y: FloatArray, v: FloatArray) -> float:
    """The part of half the deviance that no coefficient changes: sum of v (y ln y - y)."""
    log_y = np.log(y, out=np.zeros_like(y), where=y > 0)
    return float(np.sum(v * (y * log_y - y)))


def _halve(
    deviance_at: Callable[[FloatArray], float],
    eta: FloatArray,
    step: FloatArray,
    deviance: float,
    total: float,
) -> tuple[float, float]:
    """The largest share 1, 1/2, 1/4, ... of a step that does not raise the deviance; and that."""
    share = 1.0
    slack = 1e-12 * (abs(deviance) + total)
    for _ in range(MAX_HALVINGS):
        new = deviance_at(eta + share * step)
        if new <= deviance + slack:
            return share, new
        share /= 2.0
    raise NotEstimable(
        f"no step lowers the deviance of {deviance:.6g}; the weights may be singular"
    )


@dataclass(frozen=True)
class Estimate:
    """An estimated model in the units of its columns, with what inference needs.

    coefficients: (k,). eta: (n,), ln of the unit of y. standard: the standardised columns; their
    bread (k, k) and `back` (k, k), which carries coefficients to the units of the columns.
    residual: (n,), y - mu in multiples of `mean`.
    """

    coefficients: FloatArray
    eta: FloatArray
    residual: FloatArray
    standard: Columns
    bread: FloatArray
    back: FloatArray
    mean: float
    is_full_rank: bool
    iterations: Irls

    def carry_back(self, cov: FloatArray) -> FloatArray:
        """A covariance of standardised coefficients in the units of the columns, symmetric."""
        moved = self.back @ cov @ self.back.T
        return np.asarray((moved + moved.T) / 2.0)


def estimate(
    y: FloatArray,
    columns: Columns,
    weights: FloatArray | None = None,
    start: FloatArray | None = None,
) -> Estimate:
    """Poisson pseudo-maximum-likelihood of E[y|x] = exp(x'b) with weights, by the Gram matrix.

    y: (n,), at least 0, some positive. weights: (n,), at least 0; rows of weight zero have no
    influence. start: coefficients (k,) to begin at. Source: Santos Silva and Tenreyro, "The log of
    gravity" (2006), equation 9.

    Raises NotEstimable when the weighted quantities are all zero or the iterations break down. A
    fit that merely did not converge is returned, its iterations not `is_converged`.
    """
    v = np.ones_like(y) if weights is None else weights
    mean = float(np.sum(v * y) / max(float(np.sum(v)), np.finfo(float).tiny))
    if not (mean > 0 and np.isfinite(mean)):
        raise NotEstimable(f"the mean of the dependent is {mean}; it must be positive and finite")
    standard, back = standardise(columns)
    warm = None
    if start is not None:
        gamma = np.asarray(np.linalg.solve(back, start), dtype=np.float64)
        gamma[-1] -= np.log(mean)
        warm = gamma, standard.predict(gamma)
    result = irls(y / mean, NormalEquations(standard), v, warm)
    with np.errstate(over="ignore", under="ignore"):
        mu = np.exp(result.eta)
        normal = factorise(standard.gram(v * mu))
    coefficients = back @ result.coefficients
    coefficients[-1] += np.log(mean)
    return Estimate(
        coefficients=coefficients,
        eta=result.eta + np.log(mean),
        residual=v * (y / mean - mu),
        standard=standard,
        bread=normal.inverse(),
        back=back,
        mean=mean,
        is_full_rank=normal.is_full_rank,
        iterations=result,
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
    """An estimated model of k terms on n rows, in kg.

    coefficients: (k,). cov_robust, cov_clustered, cov_two_way: (k, k), None without a second
    cluster. linear_predictor: (n,), ln kg. The constant counts in n_parameters. NaN stands for a
    statistic that does not exist.
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
    cov_two_way: FloatArray | None = None


def fit_ppml(design: Design) -> Fit:
    """The fit of a design, with robust, one-way and two-way clustered covariance.

    Log-likelihood: sum of y*eta - exp(eta) - lnGamma(y + 1), y in kg, as Stata's `poisson` prints;
    null_log_likelihood is of the constant alone on the same rows. Sources: `estimate`, `inference`.

    Raises EstimationError when there are not more rows than parameters or the iterations break
    down. A fit that merely did not converge is returned with is_converged False.
    """
    n, k = design.columns.shape
    if n <= k:
        raise EstimationError(
            f"{n} observations cannot support {k} parameters", dropped=design.dropped
        )
    try:
        fitted = estimate(design.y, design.columns)
    except (NotEstimable, np.linalg.LinAlgError) as error:
        raise EstimationError(
            f"the Poisson iterations broke down: {error}", dropped=design.dropped
        ) from error
    codes, n_clusters = number_labels(design.clusters)
    log_likelihood = poisson_log_likelihood(design.y, fitted.eta)
    null = poisson_log_likelihood(design.y, np.full(n, np.log(fitted.mean)))
    aic, bic = information_criteria(log_likelihood, k, n)
    cov_clustered = fitted.carry_back(
        clustered_covariance(fitted.standard, fitted.residual, fitted.bread, codes)
    )
    return Fit(
        terms=design.terms,
        coefficients=fitted.coefficients,
        cov_robust=fitted.carry_back(
            robust_covariance(fitted.standard, fitted.residual, fitted.bread)
        ),
        cov_clustered=cov_clustered,
        cov_two_way=_two_way(design, fitted, codes),
        linear_predictor=fitted.eta,
        log_likelihood=log_likelihood,
        null_log_likelihood=null,
        pseudo_r2=pseudo_r2(log_likelihood, null),
        aic=aic,
        bic=bic,
        wald_chi2=wald_statistic(fitted.coefficients[:-1], cov_clustered[:-1, :-1]),
        n_observations=n,
        n_nonzero=int((design.y > 0).sum()),
        n_clusters=n_clusters,
        n_parameters=k,
        n_iterations=fitted.iterations.n_iterations,
        is_converged=fitted.iterations.is_converged,
        is_full_rank=fitted.is_full_rank,
        mean_dependent=fitted.mean,
        sd_dependent=float(design.y.std(ddof=1)),
        base_levels=design.base_levels,
        dropped=design.dropped,
    )


def _two_way(design: Design, fitted: Estimate, codes: IntArray) -> FloatArray | None:
    if design.second_clusters is None:
        return None
    others, _ = number_labels(design.second_clusters)
    return fitted.carry_back(
        two_way_covariance(fitted.standard, fitted.residual, fitted.bread, codes, others)
    )
