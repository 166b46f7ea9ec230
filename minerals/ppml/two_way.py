"""Models of two effects of thousands of levels and a few regressors: gravity over all importers.

Given the slopes, the effects have a closed form in turn: exp(effect) is the level's quantity over
what its rows would have without it (Sinkhorn, IPF). A few such rounds are the start. Newton's steps
follow, in which the effects of both kinds are taken out exactly: the larger kind by division, the
smaller by a dense system in each connected block of levels, a mineral for instance. So the steps
converge where alternating projections slow down, as when two blocks hang together by few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from minerals.frames import require_columns
from minerals.ppml import EstimationError
from minerals.ppml.columns import (
    BoolArray,
    FloatArray,
    IntArray,
    centred,
    collinear_columns,
    factorise,
)
from minerals.ppml.estimator import irls
from minerals.ppml.inference import clustered_covariance, poisson_log_likelihood

if TYPE_CHECKING:
    import pandas as pd

STARTING_ROUNDS = 5


@dataclass(frozen=True)
class TwoWayFit:
    """Coefficients of p regressors in a model with two effects.

    coefficients: (p,). cov: (p, p), clustered as in `inference`. linear_predictor: (n,), ln of the
    dependent, NaN in separated rows, whose fitted value is zero. is_separated: (n,).
    """

    coefficients: FloatArray
    cov: FloatArray
    linear_predictor: FloatArray
    log_likelihood: float
    is_separated: BoolArray
    is_converged: bool
    n_iterations: int


def fit_two_way(
    rows: pd.DataFrame,
    dependent: str,
    regressors: Sequence[str],
    effects: tuple[Sequence[str], Sequence[str]],
    cluster: str,
) -> TwoWayFit:
    """PPML of `dependent` (at least 0) on `regressors` and two effects, each of one level per
    combination of some columns; standard errors clustered by `cluster`.

    Separated rows are dropped. A block of I and J levels takes 8 I J bytes and a system of the
    smaller. Source: Correia, Guimaraes and Zylkin, "Fast Poisson estimation with high-dimensional
    fixed effects" (Stata Journal 2020), for the estimate; `TwoWay` for how it is found.

    Raises ValueError when a column is missing, or a value null, infinite or negative;
    EstimationError when no quantity is positive, a regressor is not identified where one is, or
    the iterations break down.
    """
    first, second = (list(names) for names in effects)
    require_columns(rows, [dependent, *regressors, *first, *second, cluster], "the rows")
    y = rows[dependent].to_numpy(dtype=np.float64)
    X = rows[list(regressors)].to_numpy(dtype=np.float64)
    if rows[[*first, *second, cluster]].isna().any(axis=None) or not np.isfinite(X).all():
        raise ValueError("effects and the cluster must not be null, regressors must be finite")
    if not (np.isfinite(y) & (y >= 0)).all():
        raise ValueError(f"{dependent} has null, infinite or negative values")
    levels = np.stack([_numbers(rows, names) for names in (first, second)])
    is_separated = separated_by_effects(y, *levels)
    used = ~is_separated
    if not used.any():
        raise EstimationError(f"{dependent} is nowhere positive; there is nothing to estimate")
    y, X, levels = y[used], X[used], levels[:, used]
    _require_identified(X[y > 0], levels[:, y > 0], regressors)

    mean, scale = y.mean(), X.std(axis=0)
    model = TwoWay.of(((X - X.mean(axis=0)) / scale).T, *levels)
    try:
        result = irls(y / mean, model, (np.zeros(len(scale)), model.start(y / mean)))
    except np.linalg.LinAlgError as error:
        raise EstimationError("fitted values of a level are zero to rounding") from error
    mu = np.exp(result.eta)
    within = model.X - model.project(mu, list(model.X * mu))
    bread = factorise(within @ (within * mu).T).inverse()
    cov = clustered_covariance(within.T, y / mean - mu, bread, _numbers(rows.loc[used], [cluster]))
    eta = np.full(len(used), np.nan)
    eta[used] = result.eta + np.log(mean)
    return TwoWayFit(
        coefficients=result.coefficients / scale,
        cov=cov / np.outer(scale, scale),
        linear_predictor=eta,
        log_likelihood=poisson_log_likelihood(y, eta[used]),
        is_separated=is_separated,
        is_converged=result.is_converged,
        n_iterations=result.n_iterations,
    )


def separated_by_effects(y: FloatArray, first: IntArray, second: IntArray) -> BoolArray:
    """Which of the (n,) rows two effects separate, found exactly.

    A direction u_i + v_j that is never negative orders the levels: each row requires u_i >= -v_j,
    and a row with y > 0 also the reverse. With these as arcs of a graph, a row can be positive if
    and only if no path leads back from its second level to its first, that is, if the two are in
    different strongly connected components (Tarjan 1972). Definition: see `separation`.
    """
    positive, second = y > 0, second + int(first.max(initial=-1)) + 1
    source = np.concatenate([first, second[positive]])
    target = np.concatenate([second, first[positive]])
    component = _components(source, target, is_directed=True)
    return np.asarray(component[first] != component[second])


@dataclass(frozen=True)
class TwoWay:
    """Weighted least squares on dense columns and two effects (an `estimator.LeastSquares`).

    X: (p, n), one line per column. first, second: the level (n,) of each row, from 0. blocks: of
    each group of levels that rows connect, the first and second levels, and the part of all cross
    tables, laid one after another, that is its own. cells: the place (n,) of each row in them.
    """

    X: FloatArray
    first: IntArray
    second: IntArray
    cells: IntArray
    blocks: tuple[tuple[IntArray, IntArray, slice], ...]

    @classmethod
    def of(cls, X: FloatArray, first: IntArray, second: IntArray) -> TwoWay:
        """Columns X (p, n); the numbers of the levels may have gaps."""
        import pandas as pd  # the caller holds a frame: it is loaded

        first, second = (pd.factorize(level)[0] for level in (first, second))
        n_first, n_second = int(first.max()) + 1, int(second.max()) + 1
        if n_first < n_second:  # the system is solved for the second levels
            return cls.of(X, second, first)
        block = _components(first, n_first + second, is_directed=False)
        place, width = np.zeros((2, n_first + n_second), dtype=np.intp)
        blocks, begin = [], 0
        for number in range(block.max() + 1):
            (levels,) = np.nonzero(block == number)
            mine, others = levels[levels < n_first], levels[levels >= n_first] - n_first
            place[mine] = begin + len(others) * np.arange(len(mine))
            width[others] = np.arange(len(others))
            blocks.append((mine, others, slice(begin, begin + len(mine) * len(others))))
            begin = blocks[-1][2].stop
        return cls(X, first, second, place[first] + width[second], tuple(blocks))

    def start(self, y: FloatArray) -> FloatArray:
        """A linear predictor (n,) of effects alone: rounds of the closed form."""
        by_first, by_second = np.bincount(self.first, y), np.bincount(self.second, y)
        u, v = by_first.astype(np.float64), by_second.astype(np.float64)
        for _ in range(STARTING_ROUNDS):
            u = by_first / np.bincount(self.first, v[self.second])
            v = by_second / np.bincount(self.second, u[self.first])
        return np.asarray(np.log(u)[self.first] + np.log(v)[self.second])

    def solve(self, w: FloatArray, wz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (p,) and fitted values (n,) of z on the columns and effects, weights w.

        Source: Frisch and Waugh (1933), Lovell (1963); Correia, Guimaraes and Zylkin (2020),
        equations 9-10.
        """
        projected = self.project(w, [wz, *(self.X * w)])
        within = self.X - projected[1:]
        b = factorise(within @ (within * w).T).solve(within @ wz)
        return b, projected[0] + b @ within

    def project(self, w: FloatArray, wV: Sequence[FloatArray]) -> FloatArray:
        """The weighted projection (m, n) of V on the dummies of both effects; m lines V w.

        Per block the normal equations are D u + W v = c, W'u + E v = d, with W the cross table of
        weights; u is eliminated, and of v one level is zero, as only sums u + v are identified.
        """
        c = np.array([np.bincount(self.first, line) for line in wV], dtype=np.float64)
        d = np.array([np.bincount(self.second, line) for line in wV], dtype=np.float64)
        tables = np.bincount(self.cells, w, self.blocks[-1][2].stop)
        u, v = np.zeros_like(c), np.zeros_like(d)
        for mine, others, part in self.blocks:
            W = tables[part].reshape(len(mine), len(others))
            D = W.sum(axis=1)
            links = W.T @ (W / D[:, None])
            np.fill_diagonal(links, 0.0)
            S = np.diag(links.sum(axis=0)) - links  # rows sum to zero: E - W'W/D without rounding
            right = d[:, others] - (c[:, mine] / D) @ W
            v[:, others[1:]] = np.linalg.solve(S[1:, 1:], right[:, 1:].T).T
            u[:, mine] = (c[:, mine] - v[:, others] @ W.T) / D
        projected = u.take(self.first, axis=1)
        projected += v.take(self.second, axis=1)
        return projected


def _require_identified(X: FloatArray, levels: IntArray, regressors: Sequence[str]) -> None:
    """Regressors (n, p) of the rows with y > 0 must vary within the effects (2, n); if they do, no
    combination of them separates a row either."""
    Z = centred(X).T
    model = TwoWay.of(Z, *levels)
    is_out = collinear_columns((Z - model.project(np.ones(len(X)), list(Z))).T)
    if is_out.any():
        names = ", ".join(np.array(regressors)[is_out])
        raise EstimationError(
            f"where a quantity is positive, the effects or other regressors imply {names}; "
            "leave it out of the regressors"
        )


def _components(source: IntArray, target: IntArray, is_directed: bool) -> IntArray:
    """The (strongly) connected component of each node of a graph, given its arcs."""
    size = int(max(source.max(initial=-1), target.max(initial=-1))) + 1
    arcs = coo_matrix((np.ones(len(source)), (source, target)), shape=(size, size))
    found = connected_components(arcs, directed=is_directed, connection="strong")[1]
    return np.asarray(found, dtype=np.intp)


def _numbers(rows: pd.DataFrame, names: list[str]) -> IntArray:
    """The combination (n,) of values of each row, numbered from 0."""
    return np.asarray(rows.groupby(names, sort=False).ngroup(), dtype=np.intp)
