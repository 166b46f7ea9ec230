"""The columns of a design as arrays and level codes, and the weighted sums an estimator needs.

A dummy has one 1 per row, so a product with it is a sum by level. Summed by level, a mineral of
small quantities keeps its digits when another has large ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]
BoolArray = NDArray[np.bool_]

SURE_PIVOT = 1e-7
"""A Gram matrix of unit diagonal has full rank without doubt when every pivot of its Cholesky
factor is above this: what earlier columns leave unexplained of a column, squared."""
RANK_PIVOT = 1e-12
"""Below this a pivot is rounding error: the column is left out of the solution."""
COLLINEARITY_TOLERANCE = 1e-9
"""A column is collinear when what other columns leave unexplained of it, as a share of the norm of
the centred column, is not above this."""
FLAT = 1e-12
"""A column is constant when its deviation is not above this share of its norm."""


@dataclass(frozen=True)
class Columns:
    """n rows and k = p + sum(sizes) + 1 columns: p dense ones, dummies of the effects, a constant.

    dense: (n, p). codes: one array (n,) per effect, numbering its levels from 0; rows of the base
    level, which has no column, have the code `size`. sizes: the number of dummies of each effect.
    """

    dense: FloatArray
    codes: tuple[IntArray, ...] = ()
    sizes: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, dense: FloatArray, codes: Sequence[IntArray] = (), sizes: Sequence[int] = ()
    ) -> Columns:
        """Columns laid out for speed; `dense` (n, p) may have no columns."""
        return cls(
            np.asfortranarray(dense, dtype=np.float64),
            tuple(np.ascontiguousarray(c, dtype=np.intp) for c in codes),
            tuple(sizes),
        )

    @property
    def shape(self) -> tuple[int, int]:
        n, p = self.dense.shape
        return n, p + sum(self.sizes) + 1

    def effects(self) -> Iterator[tuple[slice, int, IntArray]]:
        """The columns, number of dummies and codes of each effect."""
        start = self.dense.shape[1]
        for size, codes in zip(self.sizes, self.codes, strict=True):
            yield slice(start, start + size), size, codes
            start += size

    def take(self, rows: BoolArray | IntArray) -> Columns:
        """The same columns of some rows: a mask, or their numbers."""
        dense = np.asfortranarray(self.dense[rows])
        return Columns(dense, tuple(codes[rows] for codes in self.codes), self.sizes)

    def keep(self, is_kept: BoolArray) -> Columns:
        """Some columns (k,) of the same rows; dropped dummies join the base. The constant stays."""
        if not is_kept[-1]:
            raise ValueError("the constant cannot be dropped")
        codes, sizes = [], []
        for part, _, old in self.effects():
            kept = is_kept[part]
            new = np.where(kept, np.cumsum(kept) - 1, kept.sum())
            codes.append(np.append(new, kept.sum())[old].astype(np.intp))
            sizes.append(int(kept.sum()))
        dense = np.asfortranarray(self.dense[:, is_kept[: self.dense.shape[1]]])
        return Columns(dense, tuple(codes), tuple(sizes))

    def present(self) -> Columns:
        """The same rows with dummies of the levels they have, less the last of each effect."""
        codes, sizes = [], []
        for _, _, old in self.effects():
            levels, new = np.unique(old, return_inverse=True)
            codes.append(new.astype(np.intp))
            sizes.append(len(levels) - 1)
        return Columns(self.dense, tuple(codes), tuple(sizes))

    def is_surely_full_rank(self) -> bool:
        """A quick test by the Gram matrix; False proves nothing."""
        return factorise(self.gram(np.ones(len(self.dense)))).is_full_rank

    def to_array(self) -> FloatArray:
        """The matrix (n, k) itself."""
        n, k = self.shape
        X = np.zeros((n, k))
        X[:, : self.dense.shape[1]] = self.dense
        for part, size, codes in self.effects():
            rows = np.flatnonzero(codes < size)
            X[rows, part.start + codes[rows]] = 1.0
        X[:, -1] = 1.0
        return X

    def predict(self, b: FloatArray) -> FloatArray:
        """X b, of shape (n,)."""
        eta = self.dense @ b[: self.dense.shape[1]] + b[-1]
        for part, _, codes in self.effects():
            eta += np.append(b[part], 0.0).take(codes)
        return eta

    def score(self, r: FloatArray) -> FloatArray:
        """X' r, of shape (k,)."""
        sums = [np.bincount(codes, r, size + 1)[:size] for _, size, codes in self.effects()]
        return np.concatenate([self.dense.T @ r, *sums, [r.sum()]])

    def gram(self, w: FloatArray) -> FloatArray:
        """X' diag(w) X, of shape (k, k)."""
        k, p = self.shape[1], self.dense.shape[1]
        G = np.zeros((k, k))
        weighted = self.dense * w[:, None]
        G[:p, :p] = self.dense.T @ weighted
        G[:p, -1] = weighted.sum(axis=0)
        effects = list(self.effects())
        for position, (part, size, codes) in enumerate(effects):
            for column in range(p):
                G[column, part] = np.bincount(codes, weighted[:, column], size + 1)[:size]
            for earlier, width, others in effects[:position]:
                cells = np.bincount(others * (size + 1) + codes, w, (width + 1) * (size + 1))
                G[earlier, part] = cells.reshape(width + 1, size + 1)[:width, :size]
            totals = np.bincount(codes, w, size + 1)[:size]
            G[part, part] = np.diag(totals)
            G[part, -1] = totals
        G[-1, -1] = w.sum()
        return np.triu(G) + np.triu(G, 1).T


def centred(X: FloatArray) -> FloatArray:
    """Columns of X (n, k) less their mean and of norm 1; zero where they are constant."""
    around = X - X.mean(axis=0)
    norms = np.linalg.norm(around, axis=0)
    is_flat = norms <= FLAT * np.linalg.norm(X, axis=0)
    return np.where(is_flat, 0.0, around / np.where(is_flat, 1.0, norms))


def collinear_columns(Z: FloatArray, tolerance: float = COLLINEARITY_TOLERANCE) -> BoolArray:
    """Which of the k columns of Z (n, k) earlier columns imply; `Z` is `centred`.

    Gram-Schmidt in the order of the columns, each taken out twice (Golub and Van Loan, Matrix
    Computations, 5.2.8), so that the result depends neither on the order of rows nor on scale.
    """
    n, k = Z.shape
    basis, rank = np.empty((n, k), order="F"), 0
    is_out = np.zeros(k, dtype=bool)
    for column in range(k):
        left = Z[:, column]
        for _ in range(2):  # twice is enough to be orthogonal to rounding
            left = left - basis[:, :rank] @ (basis[:, :rank].T @ left)
        norm = np.linalg.norm(left)
        is_out[column] = norm <= tolerance
        if not is_out[column]:
            basis[:, rank] = left / norm
            rank += 1
    return is_out


@dataclass(frozen=True)
class Normal:
    """The normal equations of a Gram matrix (k, k), factorised: G[kept][:, kept] = D R'R D.

    kept: (q,) columns in the solution. scale: their D. R: (q, q), upper.
    is_full_rank: whether all columns are in and no pivot raised a doubt.
    """

    n_columns: int
    kept: IntArray
    scale: FloatArray
    R: FloatArray
    is_full_rank: bool

    def solve(self, right: FloatArray) -> FloatArray:
        """The basic solution (k,) or (k, m): columns that were left out get zero."""
        scale = self.scale if right.ndim == 1 else self.scale[:, None]
        inner, _ = lapack.dpotrs(self.R, right[self.kept] / scale)
        solution = np.zeros((self.n_columns, *right.shape[1:]))
        solution[self.kept] = inner.reshape(-1, *right.shape[1:]) / scale
        return solution

    def inverse(self) -> FloatArray:
        """The inverse (k, k), zero in rows and columns that were left out."""
        return self.solve(np.eye(self.n_columns))


def factorise(G: FloatArray) -> Normal:
    """Cholesky factor of a Gram matrix scaled to unit diagonal; pivoted where its rank is in doubt.

    Source: Golub and Van Loan, Matrix Computations, 4.2 (Cholesky, also with pivoting).
    """
    diagonal = np.sqrt(np.clip(np.diag(G), 0.0, None))
    kept = np.flatnonzero(diagonal > 0)
    scale = diagonal[kept]
    C = G[np.ix_(kept, kept)] / np.outer(scale, scale)
    if kept.size == 0:
        return Normal(len(G), kept, scale, C, False)
    R, info = lapack.dpotrf(C, lower=0)
    if info == 0 and np.diag(R).min() ** 2 > SURE_PIVOT:
        return Normal(len(G), kept, scale, R, kept.size == len(G))
    R, pivots, rank, _ = lapack.dpstrf(C, tol=RANK_PIVOT, lower=0)
    chosen = pivots[:rank] - 1
    return Normal(
        len(G), kept[chosen], scale[chosen], np.asfortranarray(R[:rank, :rank]), rank == len(G)
    )
