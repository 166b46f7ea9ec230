"""Separation: which observations have no finite maximum-likelihood estimate, found exactly.

A row with y = 0 is separated when some combination of columns X g is zero wherever y > 0, nowhere
negative where y = 0, and positive in that row: moving b against g lowers the fitted value of that
row without limit and changes no other. Source: Correia, Guimaraes and Zylkin, "Verifying the
existence of maximum likelihood estimates for generalized linear models" (2019), proposition 1 and
section 3; the rows found are the largest such set.

The search has two steps, both exact:
1. levels of an effect without any positive y are separated;
2. g lies in the null space of the rows with y > 0. Where they are of full rank it is empty, and
   nothing else is separated; otherwise a linear programme over it (HiGHS) finds all other rows.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import qr, solve_triangular

from minerals.ppml import EstimationError
from minerals.ppml.columns import (
    COLLINEARITY_TOLERANCE,
    BoolArray,
    Columns,
    FloatArray,
    centred,
    collinear_columns,
)

ZERO = 1e-7
"""A combination of columns, scaled to a largest entry of 1, is zero in a row below this."""


def separated_rows(y: FloatArray, columns: Columns) -> BoolArray:
    """Which of the (n,) rows are separated; never one with y > 0.

    Scale of the columns, order of the rows and collinear columns do not matter. All rows are
    separated when no y is positive. Raises EstimationError when the linear programme fails.
    """
    if not (y > 0).any():
        return np.ones(len(y), dtype=bool)
    is_out = empty_levels(y, columns)
    rest = ~is_out
    left = columns.take(rest).present()
    if not left.take(y[rest] > 0).is_surely_full_rank():
        is_out[rest] = separated_by_combination(y[rest], left.to_array())
    return is_out


def empty_levels(y: FloatArray, columns: Columns) -> BoolArray:
    """Rows (n,) at a level of an effect (the base included) where no y is positive."""
    is_out = np.zeros(len(y), dtype=bool)
    positive = (y > 0).astype(np.float64)
    for _, size, codes in columns.effects():
        is_out |= (np.bincount(codes, positive, size + 1) == 0).take(codes)
    return is_out


def separated_by_combination(y: FloatArray, X: FloatArray, only_some: bool = False) -> BoolArray:
    """Which of the (n,) rows a combination of the columns of X (n, k), the last the constant,
    separates; with `only_some` not all of them, but one at least where there are any."""
    positive = y > 0
    is_out = np.zeros(len(y), dtype=bool)
    Z = np.column_stack([centred(X[:, :-1]), np.full(len(X), 1.0 / np.sqrt(len(X)))])
    zeros, directions = Z[~positive], null_space(Z[positive])
    moved = zeros @ directions
    rounding = COLLINEARITY_TOLERANCE * (np.abs(zeros) @ np.abs(directions))
    is_moving = np.abs(moved).max(axis=0, initial=0.0) > rounding.max(axis=0, initial=0.0)
    is_out[~positive] = recession_rows(moved[:, is_moving], only_some)
    return is_out


def null_space(X: FloatArray) -> FloatArray:
    """A basis (k, q) of the g with X g = 0; columns of X (n, k) are parts of columns of norm 1.

    By a QR with pivots (Golub and Van Loan, Matrix Computations, 5.4), to COLLINEARITY_TOLERANCE.
    """
    k = X.shape[1]
    R, order = qr(X, mode="r", pivoting=True, check_finite=False)
    rank = int(np.sum(np.abs(np.diag(R)) > COLLINEARITY_TOLERANCE))
    N = np.zeros((k, k - rank))
    N[order[:rank]] = -solve_triangular(R[:rank, :rank], R[:rank, rank:])
    N[order[rank:]] = np.eye(k - rank)
    return N


def recession_rows(Z: FloatArray, only_some: bool) -> BoolArray:
    """Rows (n,) in which some g has Z g > 0 while Z g >= 0 everywhere; Z is (n, q)
    without a column of zeros. With `only_some` those that one g gives.

    Each round maximises the sum of Z g over -1 <= g <= 1, Z g >= 0, and takes out the rows that
    came out positive; a round without any is the certificate that no more exist. Source: Correia,
    Guimaraes and Zylkin (2019), section 3; Konis (2007), chapter 4.
    """
    is_out = np.zeros(len(Z), dtype=bool)
    Z = Z / np.abs(Z).max(axis=0, initial=0.0)
    Z = np.where(np.abs(Z) > ZERO, Z, 0.0)
    Z = Z[:, ~collinear_columns(Z / np.linalg.norm(Z, axis=0), ZERO)]
    while Z.shape[1]:
        rows = np.flatnonzero(~is_out & (Z != 0).any(axis=1))
        if rows.size == 0:
            break
        moved = Z[rows] @ _best_direction(Z[rows])
        largest = moved.max()
        if largest <= ZERO or moved.min() < -ZERO * max(largest, 1.0):
            break
        is_out[rows[moved > ZERO * largest]] = True
        if only_some:
            break
    return is_out


def _best_direction(Z: FloatArray) -> FloatArray:
    """A g in [-1, 1]^q with Z g >= 0, not zero if there is any that moves a row: along columns of
    one sign, else the one whose sum of Z g is largest.

    Raises EstimationError when the solver ends without an answer: zero is always feasible, and no
    answer must not pass for "nothing is separated".
    """
    one_sign = np.asarray((Z >= 0).all(axis=0) * 1.0 - (Z <= 0).all(axis=0), dtype=np.float64)
    if one_sign.any() or len(one_sign) == 1:
        return one_sign
    from scipy.optimize import linprog  # only where a linear programme is needed

    unique = np.unique(Z, axis=0)
    solution = linprog(
        -Z.sum(axis=0), A_ub=-unique, b_ub=np.zeros(len(unique)), bounds=(-1, 1), method="highs"
    )
    if solution.x is None:
        raise EstimationError(f"the linear programme of separation failed: {solution.message}")
    return np.asarray(solution.x)
