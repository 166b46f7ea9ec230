"""The cluster bootstrap: how far coefficients, and ranks made of them, move with the sample.

Belongs here: resampling whole clusters and estimating on each sample. Does not belong here: ranks
(`minerals.sourcing.ranking`), or standard errors by formula (`inference`).

Few exporters carry most of the quantity, so formulas that lean on many clusters of like weight are
optimistic; resampling exporters shows what happens when one of them is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minerals.ppml.columns import Columns, FloatArray, factorise
from minerals.ppml.design import Design
from minerals.ppml.estimator import Fit, NormalEquations, NotEstimable, irls, standardise
from minerals.ppml.inference import number_labels
from minerals.ppml.separation import empty_levels, separated_by_combination

DEFAULT_REPLICATIONS = 500
MAX_ITERATIONS = 60
SETTLED = 1e-6
"""A replication need not be exact to rounding: its error is small beside its distance to the
others."""


@dataclass(frozen=True)
class Bootstrap:
    """Coefficients of the p regressors in the samples that identify all of them.

    draws: (r, p), the order of `terms`. replications: (r,), the number of each sample, from 0.
    n_separated: samples in which a regressor's coefficient is infinite. n_failed: samples that do
    not identify a regressor, have no positive quantity, or whose iterations did not settle. r,
    n_separated and n_failed add up to n_replications.
    """

    terms: tuple[str, ...]
    draws: FloatArray
    replications: np.ndarray
    n_replications: int
    n_separated: int
    n_failed: int
    seed: int

    @property
    def usable_share(self) -> float:
        return len(self.draws) / self.n_replications if self.n_replications else 0.0

    def std_errors(self) -> FloatArray:
        """Standard deviation (p,) over the draws; Efron, "Bootstrap methods" (1979)."""
        if len(self.draws) < 2:
            return np.full(len(self.terms), np.nan)
        return np.asarray(self.draws.std(axis=0, ddof=1))

    def bounds(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Percentile bounds, each (p,); Efron and Tibshirani (1993), 13.3."""
        if len(self.draws) < 2:
            nothing = np.full(len(self.terms), np.nan)
            return nothing, nothing
        tail = (1.0 - level) / 2.0
        low, high = np.quantile(self.draws, [tail, 1.0 - tail], axis=0)
        return low, high


def cluster_bootstrap(
    design: Design, fit: Fit, replications: int = DEFAULT_REPLICATIONS, seed: int = 0
) -> Bootstrap:
    """Pairs cluster bootstrap of a design: G clusters drawn with replacement from its G.

    A cluster drawn m times has weight m, so no row is copied. Effect levels that a sample has no
    positive quantity of drop out of it, as they do of any fit. Every sample starts at the fit's
    coefficients. Source: Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference
    with clustered errors" (2008), section III.A.
    """
    p = design.columns.dense.shape[1]
    codes, n_clusters = number_labels(design.clusters)
    standard, back = standardise(design.columns)
    gamma = np.asarray(np.linalg.solve(back, fit.coefficients), dtype=np.float64)
    eta = fit.linear_predictor - np.log(fit.mean_dependent)
    y = design.y / fit.mean_dependent
    rng = np.random.default_rng(seed)
    draws, numbers, n_separated = [], [], 0
    for number in range(replications):
        weights = rng.multinomial(n_clusters, np.full(n_clusters, 1.0 / n_clusters))[codes]
        outcome = _sample_fit(y, standard, weights.astype(np.float64), gamma[:p], eta)
        if isinstance(outcome, str):
            n_separated += outcome == "separated"
            continue
        draws.append(outcome * np.diag(back)[:p])
        numbers.append(number)
    return Bootstrap(
        terms=tuple(term.name for term in design.terms[:p]),
        draws=np.array(draws).reshape(-1, p),
        replications=np.array(numbers, dtype=np.int64),
        n_replications=replications,
        n_separated=n_separated,
        n_failed=replications - len(draws) - n_separated,
        seed=seed,
    )


def leave_one_out(design: Design, fit: Fit) -> tuple[np.ndarray, FloatArray]:
    """Coefficients of the p regressors without each cluster: labels (G,) and estimates (G, p).

    NaN where what is left does not identify every regressor. Source: the delete-a-cluster jackknife
    of MacKinnon, Nielsen and Webb, "Leverage, influence, and the jackknife in clustered regression
    models" (2023), section 3.
    """
    p = design.columns.dense.shape[1]
    codes, n_clusters = number_labels(design.clusters)
    standard, back = standardise(design.columns)
    gamma = np.asarray(np.linalg.solve(back, fit.coefficients), dtype=np.float64)
    eta = fit.linear_predictor - np.log(fit.mean_dependent)
    estimates = np.full((n_clusters, p), np.nan)
    for cluster in range(n_clusters):
        weights = (codes != cluster).astype(np.float64)
        outcome = _sample_fit(design.y / fit.mean_dependent, standard, weights, gamma[:p], eta)
        if not isinstance(outcome, str):
            estimates[cluster] = outcome * np.diag(back)[:p]
    return np.unique(design.clusters.astype(str)), estimates


def _sample_fit(
    y: FloatArray, standard: Columns, weights: FloatArray, gamma: FloatArray, eta: FloatArray
) -> FloatArray | str:
    """Coefficients (p,) of the dense columns on the rows with a weight, or why there are none."""
    drawn = np.flatnonzero(weights > 0)
    columns = standard.take(drawn)
    is_left = ~empty_levels(y[drawn], columns)
    rows = drawn[is_left]
    if not (y[rows] > 0).any():
        return "failed"
    columns = columns.take(is_left).present()
    if not _is_full_rank(columns.take(y[rows] > 0)):
        if separated_by_combination(y[rows], columns).any():
            return "separated"
        if not _is_full_rank(columns):  # else the rows without a quantity tell what it lacks
            return "failed"
    start = np.zeros(columns.shape[1])
    start[: len(gamma)] = gamma
    try:
        fitted = irls(
            y[rows],
            NormalEquations(columns),
            weights[rows],
            start=(start, eta[rows]),
            polished=SETTLED,
            max_iterations=MAX_ITERATIONS,
        )
    except (NotEstimable, np.linalg.LinAlgError):
        return "failed"
    return fitted.coefficients[: len(gamma)] if fitted.is_converged else "failed"


def _is_full_rank(columns: Columns) -> bool:
    return factorise(columns.gram(np.ones(columns.shape[0]))).is_full_rank
