"""The cluster bootstrap: how far coefficients, and ranks made of them, move with the sample.

Few exporters carry most of the quantity, so formulas that assume many clusters of similar weight
are optimistic; resampling exporters shows what happens when one of them is absent.

Samples differ in the weights of the rows only, so that Newton's steps of many samples are taken
together: cross products of all samples are one product of matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minerals.ppml import estimator
from minerals.ppml.columns import BoolArray, Columns, FloatArray, factorise
from minerals.ppml.design import Design
from minerals.ppml.estimator import Fit, saturated_likelihood, standardise
from minerals.ppml.separation import separated_by_combination

AT_ONCE = 100
"""Samples estimated together: weights of 100 samples of 2,500 rows take 2 MB."""
MAX_ITERATIONS = 60
MOVEMENT_TOLERANCE = 1e-6
"""A sample is settled when a step moves no row's linear predictor by more than this. It need not be
exact to rounding: its error is far smaller than its distance to other samples."""

Gram = Callable[[FloatArray], FloatArray]
"""Weights (r, n) of r samples to their cross products X' diag(w) X, (r, k, k)."""


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

    @property
    def usable_share(self) -> float:
        return len(self.draws) / self.n_replications if self.n_replications else 0.0

    def std_errors(self) -> FloatArray:
        """Standard deviation (p,) over the draws; Efron, "Bootstrap methods" (1979)."""
        if len(self.draws) < 2:
            return np.full(len(self.terms), np.nan)
        return np.asarray(self.draws.std(axis=0, ddof=1))

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Percentile bounds of 95%, each (p,); Efron and Tibshirani (1993), 13.3."""
        low, high = np.full((2, len(self.terms)), np.nan)
        if len(self.draws) > 1:
            low, high = np.quantile(self.draws, [0.025, 0.975], axis=0)
        return low, high


def cluster_bootstrap(design: Design, fit: Fit, replications: int, seed: int) -> Bootstrap:
    """Pairs cluster bootstrap of a design: G clusters drawn with replacement from its G.

    A cluster drawn m times has weight m, so no row is copied. Effect levels that a sample has no
    positive quantity of drop out of it, as they do of any fit. Every sample starts at the fit's
    coefficients. Source: Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference
    with clustered errors" (2008), section III.A.
    """
    n_clusters = len(design.clusters.names)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n_clusters, np.full(n_clusters, 1.0 / n_clusters), replications)
    estimates, outcomes = _estimate_samples(design, fit, counts)
    (usable,) = np.nonzero(outcomes == "settled")
    return Bootstrap(
        terms=design.covariates,
        draws=estimates[usable],
        replications=usable,
        n_replications=replications,
        n_separated=int((outcomes == "separated").sum()),
        n_failed=int((outcomes == "failed").sum()),
    )


def leave_one_out(design: Design, fit: Fit) -> FloatArray:
    """Coefficients (G, p) of the p regressors without each of the G clusters.

    NaN where what is left does not identify every regressor. Source: the delete-a-cluster jackknife
    of MacKinnon, Nielsen and Webb, "Leverage, influence, and the jackknife in clustered regression
    models" (2023), section 3.
    """
    return _estimate_samples(design, fit, 1 - np.eye(len(design.clusters.names), dtype=int))[0]


def _estimate_samples(
    design: Design, fit: Fit, counts: np.ndarray
) -> tuple[FloatArray, np.ndarray]:
    """Coefficients (r, p) of the regressors in r samples, in which a cluster occurs as often as
    `counts` (r, G) say; and how each ended: settled, separated or failed. NaN unless settled."""
    standard, back = standardise(design.columns)
    p = len(design.covariates)
    y, Z = design.y / fit.mean_dependent_kg, standard.to_array()
    eta = fit.linear_predictor - np.log(fit.mean_dependent_kg)
    gram = _gram_of(Z)
    estimates = np.full((len(counts), p), np.nan)
    outcomes = np.full(len(counts), "failed", dtype="<U9")
    for start in range(0, len(counts), AT_ONCE):
        weights = counts[start : start + AT_ONCE, design.clusters.codes].astype(np.float64)
        weights, is_kept = _without_empty_levels(y, standard, weights)
        found = _identified(y, Z, gram, weights, is_kept)
        (rows,) = np.nonzero(found == "settled")
        moved, is_settled = _newton(y, Z, gram, weights[rows], is_kept[rows], eta)
        found[rows[~is_settled]] = "failed"
        done = rows[is_settled]
        scaled = moved[is_settled, :p] * np.diag(back)[:p]
        estimates[start + done] = fit.coefficients[:p] + scaled
        outcomes[start : start + len(found)] = found
    return estimates, outcomes


def _gram_of(Z: FloatArray) -> Gram:
    """The cross products of Z (n, k) for many weights: products of columns are taken once."""
    k, occupied = Z.shape[1], (Z != 0).astype(np.float64)
    first, second = np.nonzero(np.triu(occupied.T @ occupied))  # dummies of one effect never meet
    products = Z[:, first] * Z[:, second]

    def gram(weights: FloatArray) -> FloatArray:
        G = np.zeros((len(weights), k, k))
        G[:, first, second] = G[:, second, first] = weights @ products
        return G

    return gram


def _without_empty_levels(
    y: FloatArray, columns: Columns, weights: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """The weights (r, n) of samples, zero at levels of which a sample has no positive quantity; and
    the columns (r, k) left: of the levels that a sample has, all dummies but the last."""
    is_drawn, positive = weights > 0, y > 0
    is_left = is_drawn.copy()
    for _, size, codes in columns.effects():
        n_positive = is_drawn[:, positive].astype(float) @ np.eye(size + 1)[codes[positive]]
        is_left &= (n_positive > 0)[:, codes]
    is_kept = np.ones((len(weights), columns.shape[1]), dtype=bool)
    for part, size, codes in columns.effects():
        is_there = is_left.astype(float) @ np.eye(size + 1)[codes] > 0
        last = size - np.argmax(is_there[:, ::-1], axis=1)
        is_there[np.arange(len(weights)), last] = False
        is_kept[:, part] = is_there[:, :size]
    return np.where(is_left, weights, 0.0), is_kept


def _identified(
    y: FloatArray, Z: FloatArray, gram: Gram, weights: FloatArray, is_kept: BoolArray
) -> np.ndarray:
    """Whether the rows (r, n) of each sample identify every column: settled, separated, failed."""
    found = np.full(len(weights), "settled", dtype="<U9")
    on_positive = gram(((weights > 0) & (y > 0)).astype(np.float64))
    for sample, kept in enumerate(is_kept):
        rows = weights[sample] > 0
        if not (y[rows] > 0).any():
            found[sample] = "failed"
        elif not factorise(on_positive[sample][np.ix_(kept, kept)]).is_full_rank:
            X = Z[rows][:, kept]
            if separated_by_combination(y[rows], X, only_some=True).any():
                found[sample] = "separated"
            elif not factorise(X.T @ X).is_full_rank:  # rows of zero may identify what is missing
                found[sample] = "failed"
    return found


def _newton(
    y: FloatArray,
    Z: FloatArray,
    gram: Gram,
    weights: FloatArray,
    is_kept: BoolArray,
    start: FloatArray,
) -> tuple[FloatArray, BoolArray]:
    """Newton's method of `estimator.irls` for r samples: how far the coefficients (r, k) move from
    the linear predictor `start` (n,), and whether each sample settled."""
    r, k = is_kept.shape
    saturated, total, weighted = weights @ saturated_likelihood(y), weights @ y, weights * y
    diagonal = np.arange(k)
    moved, is_settled, active = np.zeros((r, k)), np.zeros(r, dtype=bool), np.arange(r)
    eta = np.tile(start, (r, 1))
    mu = np.exp(eta)

    def deviance_at(samples: np.ndarray, eta: FloatArray, mu: FloatArray) -> FloatArray:
        changing = (weights[samples] * mu - weighted[samples] * eta).sum(axis=1)
        return np.asarray(2.0 * (saturated[samples] + changing))

    deviance = deviance_at(active, eta, mu)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for _ in range(MAX_ITERATIONS):
            if not active.size:
                break
            kept = is_kept[active]
            w = weights[active] * mu[active]
            G = gram(w) * (kept[:, :, None] & kept[:, None, :])
            G[:, diagonal, diagonal] += ~kept
            jump = _solve(G, ((weighted[active] - w) @ Z) * kept)
            step = (jump @ Z.T) * (weights[active] > 0)
            share = np.ones(len(active))
            for _ in range(estimator.MAX_HALVINGS):
                new_eta = eta[active] + share[:, None] * step
                new_mu = np.exp(new_eta)
                lower = deviance_at(active, new_eta, new_mu)
                slack = estimator.HALVING_SLACK * (np.abs(deviance[active]) + total[active])
                is_lower = lower <= deviance[active] + slack
                if is_lower.all():
                    break
                share[~is_lower] /= 2.0
            change = np.abs(deviance[active] - lower)
            movement = share * np.abs(step).max(axis=1, initial=0.0)
            eta[active], mu[active], deviance[active] = new_eta, new_mu, lower
            moved[active] += share[:, None] * jump
            ended = (change <= estimator.DEVIANCE_TOLERANCE * (lower + 1e-3)) & (
                movement <= MOVEMENT_TOLERANCE
            )
            is_settled[active] = ended & is_lower
            active = active[is_lower & ~ended]
    return moved, is_settled & np.isfinite(moved).all(axis=1)


def _solve(G: FloatArray, right: FloatArray) -> FloatArray:
    """The solutions (r, k) of r normal equations."""
    try:
        return np.asarray(np.linalg.solve(G, right[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:  # one of them is singular: leave columns out of that one
        return np.stack([factorise(g).solve(s) for g, s in zip(G, right, strict=True)])
