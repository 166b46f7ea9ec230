"""Models whose effects are many and of no interest themselves: only the regressors are reported.

Belongs here: the way from raw arrays to the coefficients and covariance of the regressors. Does not
belong here: the study's models, whose effects are reported (`design`, `estimator.fit_ppml`).

Up to MAX_LEVELS levels the effects are solved exactly in the normal equations (`columns`); beyond,
they are taken out by alternating projections in every iteration (`within`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minerals.ppml.columns import BoolArray, Columns, FloatArray, IntArray, factorise
from minerals.ppml.design import collinear_columns
from minerals.ppml.estimator import Irls, NotEstimable, estimate, irls, standardise
from minerals.ppml.inference import (
    clustered_covariance,
    number_labels,
    poisson_log_likelihood,
    robust_covariance,
)
from minerals.ppml.separation import (
    centred,
    empty_levels,
    independent_effects,
    rectified_rows,
    separated_rows,
)
from minerals.ppml.within import Within, absorb

MAX_LEVELS = 3000
"""More levels than this, over all effects, are absorbed: their Gram matrix would take 72 MB."""


@dataclass(frozen=True)
class AbsorbedFit:
    """Coefficients of the regressors that are identified beside the effects.

    coefficients: (p,), NaN for regressors collinear with the effects or with earlier regressors.
    cov: (p, p), HC1 or clustered as in `inference`, NaN likewise. linear_predictor: (n,), NaN in
    rows dropped as separated or of weight zero. n_parameters counts regressors only where effects
    are absorbed, all columns otherwise.
    """

    coefficients: FloatArray
    cov: FloatArray
    linear_predictor: FloatArray
    log_likelihood: float
    n_observations: int
    n_parameters: int
    is_collinear: BoolArray
    is_separated: BoolArray
    iterations: Irls


def fit_absorbed(
    y: FloatArray,
    X: FloatArray,
    effects: Sequence[np.ndarray],
    clusters: np.ndarray | None = None,
    weights: FloatArray | None = None,
    max_levels: int = MAX_LEVELS,
) -> AbsorbedFit:
    """PPML of y (n,) on X (n, p) and one or more effects (labels, each (n,)).

    Separated rows and rows of weight zero are dropped. A regressor that the effects and earlier
    regressors imply is dropped: here effects come first, since they stay in whatever X is. Standard
    errors are HC1 without `clusters`. Source: Correia, Guimaraes and Zylkin, "Fast Poisson
    estimation with high-dimensional fixed effects" (Stata Journal 2020).

    Raises ValueError for negative, missing or infinite input; NotEstimable when no positive y is
    left.
    """
    v = np.ones(len(y)) if weights is None else np.asarray(weights, dtype=np.float64)
    _check(y, X, v)
    codes = [number_labels(labels)[0] for labels in effects]
    sizes = [int(c.max(initial=-1)) for c in codes]
    columns = Columns.of(X, codes, sizes)
    is_many = sum(sizes) > max_levels
    used = v > 0
    is_separated = np.zeros(len(y), dtype=bool)
    is_separated[used] = _search(y[used], columns.take(used), is_many)
    rows = used & ~is_separated
    if not (y[rows] > 0).any():
        raise NotEstimable("no positive quantity is left; there is nothing to estimate")
    kept = columns.take(rows).present()
    groups = None if clusters is None else number_labels(np.asarray(clusters)[rows])[0]
    fit = (_many if is_many else _few)(y[rows], kept, v[rows], groups)
    eta = np.full(len(y), np.nan)
    eta[rows] = fit.linear_predictor
    return replace(fit, linear_predictor=eta, is_separated=is_separated)


def _few(y: FloatArray, columns: Columns, v: FloatArray, groups: IntArray | None) -> AbsorbedFit:
    p = columns.dense.shape[1]
    is_collinear = np.zeros(p, dtype=bool)
    fitted = estimate(y, columns, v)
    if not fitted.is_full_rank:
        is_kept = np.ones(columns.shape[1], dtype=bool)
        is_kept[p:] = independent_effects(columns)
        columns = columns.keep(is_kept)
        is_collinear = _collinear(columns)
        is_kept = np.ones(columns.shape[1], dtype=bool)
        is_kept[:p] = ~is_collinear
        columns = columns.keep(is_kept)
        fitted = estimate(y, columns, v)
    if groups is None:
        cov = robust_covariance(fitted.standard, fitted.residual, fitted.bread)
    else:
        cov = clustered_covariance(fitted.standard, fitted.residual, fitted.bread, groups)
    q = columns.dense.shape[1]
    return _fit(
        y,
        v,
        fitted.coefficients[:q],
        fitted.carry_back(cov)[:q, :q],
        fitted.eta,
        fitted.iterations,
        is_collinear,
        columns.shape[1],
    )


def _many(y: FloatArray, columns: Columns, v: FloatArray, groups: IntArray | None) -> AbsorbedFit:
    standard, back = standardise(columns)
    sizes = tuple(size + 1 for size in columns.sizes)
    rest = absorb(standard.dense, columns.codes, sizes, np.ones(len(y)))
    is_collinear = _collinear_rest(rest, standard.dense)
    Z = np.asfortranarray(standard.dense[:, ~is_collinear])
    scale = np.diag(back)[: len(is_collinear)][~is_collinear]
    mean = float(np.sum(v * y) / np.sum(v))
    result = irls(y / mean, Within(Z, columns.codes, sizes), v)
    mu = np.exp(result.eta)
    X = absorb(Z, columns.codes, sizes, v * mu)
    bread = factorise(X.T @ (X * (v * mu)[:, None])).inverse()
    residual = v * (y / mean - mu)
    if groups is None:
        cov = robust_covariance(X, residual, bread)
    else:
        cov = clustered_covariance(X, residual, bread, groups)
    return _fit(
        y,
        v,
        result.coefficients * scale,
        cov * np.outer(scale, scale),
        result.eta + np.log(mean),
        result,
        is_collinear,
        len(scale),
    )


def _fit(
    y: FloatArray,
    v: FloatArray,
    b: FloatArray,
    cov: FloatArray,
    eta: FloatArray,
    iterations: Irls,
    is_collinear: BoolArray,
    n_parameters: int,
) -> AbsorbedFit:
    """The fit with NaN for regressors that were dropped."""
    p, kept = len(is_collinear), np.flatnonzero(~is_collinear)
    coefficients, full = np.full(p, np.nan), np.full((p, p), np.nan)
    coefficients[kept] = b
    full[np.ix_(kept, kept)] = cov
    return AbsorbedFit(
        coefficients=coefficients,
        cov=full,
        linear_predictor=eta,
        log_likelihood=poisson_log_likelihood(y, eta, v),
        n_observations=len(y),
        n_parameters=n_parameters,
        is_collinear=is_collinear,
        is_separated=np.zeros(len(y), dtype=bool),
        iterations=iterations,
    )


def _search(y: FloatArray, columns: Columns, is_many: bool) -> BoolArray:
    if not (y > 0).any():
        return np.ones(len(y), dtype=bool)
    if not is_many:
        return separated_rows(y, columns)
    is_out = empty_levels(y, columns)
    found = np.ones(1, dtype=bool)
    while found.any():  # until a search of the rest finds nothing
        rest = ~is_out
        left = centred(columns.take(rest).present())
        dense = left.dense * np.sqrt(left.shape[0])
        sizes = tuple(size + 1 for size in left.sizes)
        found = rectified_rows(y[rest], Within(dense, left.codes, sizes).solve)
        is_out[rest] = found
    return is_out


def _collinear(columns: Columns) -> BoolArray:
    """Which dense columns (p,) the effects and earlier dense columns imply."""
    p = columns.dense.shape[1]
    around = centred(columns)
    G = around.gram(np.ones(columns.shape[0]))
    of_effects = factorise(G[p:, p:])
    rest = around.dense
    for _ in range(2):  # twice is enough to be orthogonal to rounding
        scores = np.column_stack([around.score(x)[p:] for x in rest.T])
        fitted = of_effects.solve(scores)
        rest = rest - np.column_stack(
            [around.predict(np.concatenate([np.zeros(p), g])) for g in fitted.T]
        )
    return _collinear_rest(rest, around.dense)


def _collinear_rest(rest: FloatArray, whole: FloatArray) -> BoolArray:
    """Which columns are nothing, or nothing new, after the effects are out of them."""
    norms = np.linalg.norm(whole, axis=0)
    Z = np.column_stack([rest / np.where(norms > 0, norms, 1.0), np.ones(len(rest))])
    p = rest.shape[1]
    is_gone = np.linalg.norm(Z[:, :p], axis=0) <= 1e-9
    Z[:, :p][:, is_gone] = 0.0
    return collinear_columns(Z, np.array([p, *range(p)], dtype=np.intp))[:p]


def _check(y: FloatArray, X: FloatArray, v: FloatArray) -> None:
    if not (np.isfinite(y).all() and np.isfinite(v).all() and np.isfinite(X).all()):
        raise ValueError("y, X and weights must be finite")
    if (y < 0).any() or (v < 0).any():
        raise ValueError("y and weights must not be negative")
