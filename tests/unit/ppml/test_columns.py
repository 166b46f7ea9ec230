"""Products with dummies that are never built, against the matrix itself."""

from __future__ import annotations

import numpy as np
import pytest

from minerals.ppml.columns import BLOCK_ROWS, Columns, factorise
from minerals.ppml.within import absorb


def example(n: int = 300) -> tuple[Columns, np.ndarray]:
    """3 dense columns, effects of 6 and 4 levels (the last of each the base)."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, n), rng.integers(0, 4, n)
    columns = Columns.of(rng.normal(size=(n, 3)), [a, b], [5, 3])
    dummies = [a == level for level in range(5)] + [b == level for level in range(3)]
    X = np.column_stack([columns.dense, *dummies, np.ones(n)]).astype(float)
    return columns, X


@pytest.mark.parametrize("n", [300, BLOCK_ROWS + 7])
def test_products_are_those_of_the_matrix(n: int) -> None:
    columns, X = example(n)
    rng = np.random.default_rng(1)
    w, r, groups = rng.gamma(1, 1, n), rng.normal(size=n), rng.integers(0, 7, n)
    assert columns.shape == X.shape == (n, 12)
    np.testing.assert_array_equal(columns.to_array(), X)
    np.testing.assert_allclose(columns.gram(w), X.T @ (X * w[:, None]), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(columns.score(r), X.T @ r, atol=1e-9)
    np.testing.assert_allclose(columns.predict(np.arange(12.0)), X @ np.arange(12.0), atol=1e-12)
    by_group = np.vstack([X[groups == g].T @ r[groups == g] for g in range(7)])
    np.testing.assert_allclose(columns.sums(r, groups, 7), by_group, atol=1e-9)


def test_dropped_dummies_join_the_base() -> None:
    columns, X = example()
    is_kept = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], dtype=bool)
    np.testing.assert_array_equal(columns.keep(is_kept).to_array(), X[:, is_kept])
    with pytest.raises(ValueError, match="constant cannot be dropped"):
        columns.keep(~np.eye(12, dtype=bool)[-1])


def test_levels_without_rows_have_no_dummy() -> None:
    columns, _ = example()
    some = columns.take(columns.codes[0] < 2).present()
    assert some.sizes == (1, 3)
    assert np.linalg.matrix_rank(some.to_array()) == some.shape[1] == 3 + 1 + 3 + 1


def test_normal_equations_of_full_and_of_lower_rank() -> None:
    _, X = example()
    w = np.random.default_rng(2).gamma(1, 1, 300)
    G = X.T @ (X * w[:, None])
    full = factorise(G)
    assert full.is_full_rank
    np.testing.assert_allclose(full.inverse(), np.linalg.inv(G), rtol=1e-9, atol=1e-12)
    doubled = np.column_stack([X, X[:, 0] + X[:, 1], np.zeros(300)])
    normal = factorise(doubled.T @ doubled)
    assert not normal.is_full_rank and normal.kept.size == 12
    y = np.random.default_rng(3).normal(size=300)
    best = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    np.testing.assert_allclose(doubled @ normal.solve(doubled.T @ y), best, atol=1e-8)


def test_absorbed_effects_leave_the_residual_on_their_dummies() -> None:
    columns, X = example()
    w = np.random.default_rng(4).gamma(1, 1, 300)
    D, root = X[:, 3:], np.sqrt(w)[:, None]
    fitted = D @ np.linalg.lstsq(D * root, columns.dense * root, rcond=None)[0]
    rest = absorb(columns.dense, columns.codes, (6, 4), w)
    np.testing.assert_allclose(rest, columns.dense - fitted, atol=1e-10)
