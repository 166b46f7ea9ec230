"""Separation: which observations have no finite maximum-likelihood estimate, found exactly.

Belongs here: the search for separated rows, and the null spaces it needs. Does not belong here:
what is done with them (`design`).

A row with y = 0 is separated when some combination of columns X g is zero wherever y > 0, nowhere
negative where y = 0, and positive in that row: moving b against g lowers the fitted value there for
ever and changes no other. Source: Correia, Guimaraes and Zylkin, "Verifying the existence of
maximum likelihood estimates for generalized linear models" (2019), proposition 1 and section 3; the
rows found are the largest such set.

The search runs in three steps, each exact, the dear one rarely needed:
1. levels of an effect without any positive y are separated;
2. where the columns are of full rank on the rows with y > 0, there is no such g: nothing else is;
3. otherwise g lies in the small null space of those rows, and a linear programme over it (HiGHS)
   finds all separated rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import lapack, qr, solve_triangular

from minerals.errors import MineralsError
from minerals.ppml.columns import RANK_PIVOT, BoolArray, Columns, FloatArray, factorise

COLLINEARITY_TOLERANCE = 1e-9
"""A column is collinear when what other columns leave unexplained of it, as a share of the norm of
the centred column, is not above this."""
FLAT = 1e-12
"""A column is constant when its deviation is not above this share of its norm."""
ZERO = 1e-7
"""A combination of columns, scaled to a largest entry of 1, is zero in a row below this."""
RECTIFIED = 1e-6
"""The rectifier has settled when no fitted value is below zero by more than this share of the
largest. A row is separated above a hundred times that: what is left of others shrinks as fast as
the negative values do."""
HELD = 1e6
"""The weight by which it holds rows with y > 0 at zero."""
MAX_RECTIFICATIONS = 5000


class SeparationError(MineralsError):
    """The search for separated rows did not come to an end."""


def separated_rows(y: FloatArray, columns: Columns) -> BoolArray:
    """Which of the (n,) rows are separated; never one with y > 0.

    Scale of the columns, order of the rows and collinear columns do not matter. All rows are
    separated when no y is positive.
    """
    is_out = empty_levels(y, columns)
    rest = ~is_out
    if not (y > 0).any():
        return np.ones(len(y), dtype=bool)
    is_out[rest] = separated_by_combination(y[rest], centred(columns.take(rest).present()))
    return is_out


def separated_by_combination(y: FloatArray, columns: Columns) -> BoolArray:
    """Which of the (n,) rows are separated where every level of an effect has a positive y.

    The dense columns are `centred` or standardised, and every dummy has a row.
    """
    positive = y > 0
    is_out = np.zeros(len(y), dtype=bool)
    if positive.all():
        return is_out
    on_positive = columns.take(positive)
    if factorise(on_positive.gram(np.ones(on_positive.shape[0]))).is_full_rank:
        return is_out
    is_out[~positive] = recession_rows(_moved(columns.take(~positive), null_space(on_positive)))
    return is_out


def empty_levels(y: FloatArray, columns: Columns) -> BoolArray:
    """Rows (n,) at a level of an effect (the base included) where no y is positive."""
    is_out = np.zeros(len(y), dtype=bool)
    positive = (y > 0).astype(np.float64)
    for _, size, codes in columns.effects():
        is_out |= (np.bincount(codes, positive, size + 1) == 0).take(codes)
    return is_out


def centred(columns: Columns) -> Columns:
    """The columns with dense ones centred and of norm 1; zero where they are constant."""
    X = columns.dense
    if not X.size:
        return columns
    Z = X - X.mean(axis=0)
    norm = np.linalg.norm(Z, axis=0)
    is_flat = norm <= FLAT * np.linalg.norm(X, axis=0)
    Z = np.where(is_flat, 0.0, Z / np.where(is_flat, 1.0, norm))
    return Columns(np.asfortranarray(Z), columns.codes, columns.sizes)


def recession_rows(Z: FloatArray) -> BoolArray:
    """Rows (n,) in which some g has Z g > 0 while Z g >= 0 everywhere; Z is (n, q).

    Each round maximises the sum of Z g over -1 <= g <= 1, Z g >= 0, and takes out the rows that
    came out positive; a round without any is the certificate that no more exist. Source: Correia,
    Guimaraes and Zylkin (2019), section 3; Konis (2007), chapter 4.
    """
    is_out = np.zeros(len(Z), dtype=bool)
    sizes = np.abs(Z).max(axis=0, initial=0.0)
    Z = Z[:, sizes > 0] / sizes[sizes > 0]
    Z = _independent(np.where(np.abs(Z) > ZERO, Z, 0.0))
    while Z.shape[1]:
        rows = np.flatnonzero(~is_out & (Z != 0).any(axis=1))
        if rows.size == 0:
            break
        moved = Z[rows] @ _best_direction(Z[rows])
        largest = moved.max()
        if largest <= ZERO or moved.min() < -ZERO * max(largest, 1.0):
            break
        is_out[rows[moved > ZERO * largest]] = True
    return is_out


def null_space(rows: Columns) -> FloatArray:
    """A basis (k, q) of the g with X g = 0, the dense columns `centred` on rows that contain these.

    Effects first, by a pivoted Cholesky of their cross-tabulation, which counts and is therefore
    exact; then what the effects leave of the dense columns, by a pivoted QR (Golub and Van Loan,
    Matrix Computations, 5.4), with COLLINEARITY_TOLERANCE.
    """
    n, k = rows.shape
    p = rows.dense.shape[1]
    G = rows.gram(np.ones(n))
    of_effects, kept = _gram_null_space(G[p:, p:])
    solve = factorise(G[np.ix_(p + kept, p + kept)])
    partial = np.zeros((k, p))
    partial[:p] = np.eye(p)
    rest = rows.dense
    for _ in range(2):  # twice is enough to be orthogonal to rounding
        effects = np.zeros((k, p))
        scores = np.column_stack([rows.score(x)[p + kept] for x in rest.T]) if p else None
        if scores is None:
            break
        effects[p + kept] = solve.solve(scores)
        partial = partial - effects
        rest = rest - np.column_stack([rows.predict(e) for e in effects.T])
    basis = [np.vstack([np.zeros((p, of_effects.shape[1])), of_effects])]
    if p:
        basis.append(partial @ _thin_null_space(rest))
    return np.hstack(basis)


def independent_effects(columns: Columns) -> BoolArray:
    """Which dummies and constant, the columns after the p dense ones, are not implied by others.

    The constant is always among them: where it is implied, a dummy goes instead.
    """
    p = columns.dense.shape[1]
    G = columns.gram(np.ones(columns.shape[0]))[p:, p:]
    is_kept = np.zeros(len(G), dtype=bool)
    total = G[-1, -1]
    inner = G[:-1, :-1] - np.outer(G[:-1, -1], G[-1, :-1]) / total  # what the constant leaves
    is_kept[:-1][_gram_null_space(inner)[1]] = True
    is_kept[-1] = True
    return is_kept


def _gram_null_space(G: FloatArray) -> tuple[FloatArray, np.ndarray]:
    """The null space (m, q) of a Gram matrix (m, m), and the columns of a basis of its range."""
    m = len(G)
    diagonal = np.sqrt(np.diag(G))
    scale = np.where(diagonal > 0, diagonal, 1.0)
    C = G / np.outer(scale, scale)
    C[diagonal == 0, diagonal == 0] = 0.0
    R, pivots, rank, _ = lapack.dpstrf(C, tol=RANK_PIVOT, lower=0)
    order = pivots - 1
    N = np.zeros((m, m - rank))
    N[order[:rank]] = -solve_triangular(R[:rank, :rank], R[:rank, rank:])
    N[order[rank:]] = np.eye(m - rank)
    return N / scale[:, None], np.sort(order[:rank])


def _thin_null_space(X: FloatArray) -> FloatArray:
    """The null space (p, q) of X (n, p), whose columns were of norm 1 before anything was taken."""
    R, order = qr(X, mode="r", pivoting=True, check_finite=False)
    R = R[: X.shape[1]]
    rank = int(np.sum(np.abs(np.diag(R)) > COLLINEARITY_TOLERANCE))
    N = np.zeros((X.shape[1], X.shape[1] - rank))
    N[order[:rank]] = -solve_triangular(R[:rank, :rank], R[:rank, rank:])
    N[order[rank:]] = np.eye(X.shape[1] - rank)
    return N


def _moved(rows: Columns, directions: FloatArray) -> FloatArray:
    """X g (n, q) of the directions (k, q), without those that move nothing but rounding errors."""
    sizes = Columns(np.abs(rows.dense), rows.codes, rows.sizes)
    moved = [np.empty((rows.shape[0], 0))]
    for g in directions.T:
        z = rows.predict(g)
        if np.abs(z).max(initial=0.0) > COLLINEARITY_TOLERANCE * sizes.predict(np.abs(g)).max():
            moved.append(z[:, None])
    return np.hstack(moved)


def _independent(Z: FloatArray) -> FloatArray:
    """Columns of Z (n, q) that span the others, by a pivoted QR."""
    if Z.shape[1] < 2:
        return Z
    R, order = qr(Z, mode="r", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(R))
    rank = int(np.sum(diagonal > ZERO * diagonal[0])) if diagonal.size else 0
    return Z[:, np.sort(order[:rank])]


def _best_direction(Z: FloatArray) -> FloatArray:
    """The g in [-1, 1]^q with Z g >= 0 whose sum of Z g is largest.

    Raises SeparationError when the solver ends without an answer: zero is always feasible, so that
    silence would be taken for "nothing is separated".
    """
    q = Z.shape[1]
    if q == 1:
        column = Z[:, 0]
        return np.array([1.0 if column.min() >= 0 else -1.0 if column.max() <= 0 else 0.0])
    from scipy.optimize import linprog  # only where a linear programme is needed

    unique = np.unique(Z, axis=0)
    solution = linprog(
        -Z.sum(axis=0), A_ub=-unique, b_ub=np.zeros(len(unique)), bounds=(-1, 1), method="highs"
    )
    if solution.x is None:
        raise SeparationError(f"the linear programme of separation failed: {solution.message}")
    return np.asarray(solution.x)


def rectified_rows(
    y: FloatArray,
    solve: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]],
    tolerance: float = RECTIFIED,
) -> BoolArray:
    """Which of the (n,) rows are separated, by the iterative rectifier: for effects so many that
    no null space fits in memory.

    `solve` is weighted least squares (`estimator.LeastSquares`). Rows with y > 0 are held at zero
    by a large weight, the others start at one; fitted values are cut at zero and fitted again until
    none is negative and the held rows stay at zero; those still positive are separated. To be
    repeated on the rest until nothing is found. Source: Correia, Guimaraes and Zylkin (2019),
    section 3.2, the algorithm of `ppmlhdfe`. Raises SeparationError when it has not settled after
    MAX_RECTIFICATIONS rounds.
    """
    is_zero = y == 0
    if not is_zero.any():
        return is_zero
    u = is_zero.astype(np.float64)
    w = np.where(is_zero, 1.0, HELD)
    for _ in range(MAX_RECTIFICATIONS):
        fitted = solve(w, w * u)[1]
        largest = float(fitted[is_zero].max())
        if largest <= tolerance:
            return np.zeros(len(y), dtype=bool)
        held = float(np.abs(fitted[~is_zero]).max(initial=0.0))
        if fitted[is_zero].min() > -tolerance * largest and held <= 10.0 * tolerance * largest:
            return is_zero & (fitted > 100.0 * tolerance * largest)
        u = np.where(is_zero, np.clip(fitted, 0.0, None), 0.0)
    raise SeparationError(f"the rectifier has not settled in {MAX_RECTIFICATIONS} rounds")
