"""Products with dummies that are never built, against the matrix itself."""

from __future__ import annotations

import numpy as np
import pytest

from minerals.ppml.columns import Columns, centred, collinear_columns, factorise


def example(n: int = 300) -> tuple[Columns, np.ndarray]:
    """3 dense columns, effects of 6 and 4 levels (the last of each the base)."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, n), rng.integers(0, 4, n)
    columns = Columns.of(rng.normal(size=(n, 3)), [a, b], [5, 3])
    dummies = [a == level for level in range(5)] + [b == level for level in range(3)]
    X = np.column_stack([columns.dense, *dummies, np.ones(n)]).astype(float)
    return columns, X


def test_products_are_those_of_the_matrix() -> None:
    columns, X = example()
    rng = np.random.default_rng(1)
    w, r = rng.gamma(1, 1, 300), rng.normal(size=300)
    assert columns.shape == X.shape == (300, 12)
    np.testing.assert_array_equal(columns.to_array(), X)
    np.testing.assert_allclose(columns.gram(w), X.T @ (X * w[:, None]), rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(columns.score(r), X.T @ r, atol=1e-9)
    np.testing.assert_allclose(columns.predict(np.arange(12.0)), X @ np.arange(12.0), atol=1e-12)
    bare = Columns.of(np.empty((300, 0)), columns.codes, columns.sizes)
    np.testing.assert_allclose(bare.gram(w), columns.gram(w)[3:, 3:], rtol=1e-12)


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
    assert some.is_surely_full_rank()


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


def test_what_is_collinear_does_not_depend_on_the_order_of_rows_or_on_scale() -> None:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 5))
    X[:, 3] = X[:, 0] - X[:, 1] + 2.0
    X[:, 4] = 1.0
    for same in (X, X[::-1], X * [1e8, 1e-8, 1, 1e3, 1e-6], X[:, [3, 1, 2, 0, 4]]):
        assert collinear_columns(centred(same)).tolist() == [False, False, False, True, True]
    X[:, 4] = X[:, 2] + 1e-6 * rng.normal(size=60)  # near, but not collinear
    assert collinear_columns(centred(X)).tolist() == [False, False, False, True, False]
