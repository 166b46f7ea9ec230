"""Separated rows against a linear programme over all coefficients and rows, which shares no code
with the search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from minerals.ppml.columns import Columns
from minerals.ppml.separation import separated_by_combination, separated_rows


def certificate(y: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Correia, Guimaraes and Zylkin (2019), proposition 1, as one programme: maximise the sum of
    s, where 0 <= s <= 1 and s <= X g on rows of zero, X g = 0 on the others."""
    zero = y == 0
    n_zero, k = int(zero.sum()), X.shape[1]
    X = X / np.maximum(np.linalg.norm(X, axis=0), 1e-300)
    solution = linprog(
        np.r_[np.zeros(k), -np.ones(n_zero)],
        A_ub=np.hstack([-X[zero], np.eye(n_zero)]),
        b_ub=np.zeros(n_zero),
        A_eq=np.hstack([X[~zero], np.zeros((n_zero and int((~zero).sum()), n_zero))]),
        b_eq=np.zeros(int((~zero).sum())),
        bounds=[(None, None)] * k + [(0, 1)] * n_zero,
        method="highs",
    )
    is_out = np.zeros(len(y), dtype=bool)
    is_out[np.flatnonzero(zero)[solution.x[k:] > 0.5]] = True
    return is_out


def random_case(seed: int) -> tuple[np.ndarray, Columns]:
    """20 to 80 rows, up to 3 integer regressors and 2 effects, few positive: mostly separated."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 80))
    a = rng.integers(0, rng.integers(1, 6), n)
    b = rng.integers(0, rng.integers(1, 5), n)
    x = rng.integers(-1, 3, size=(n, int(rng.integers(0, 4)))).astype(float)
    if x.shape[1] > 1 and seed % 3 == 0:
        x[:, 0] = x[:, 1] * (a == 0)
    y = (rng.random(n) < rng.choice([0.1, 0.2, 0.5])) * rng.gamma(1, 1, n)
    y[0] = 1.0
    codes = [np.unique(c, return_inverse=True)[1] for c in (a, b)]
    return y, Columns.of(x, codes, [int(c.max()) for c in codes])


def test_the_rows_are_those_of_the_certificate() -> None:
    n_separated = 0
    for seed in range(100):
        y, columns = random_case(seed)
        expected = certificate(y, columns.to_array())
        n_separated += int(expected.sum())
        np.testing.assert_array_equal(separated_rows(y, columns), expected, err_msg=str(seed))
    assert n_separated > 250


def test_some_separated_rows_are_found_where_there_are_any() -> None:
    n_with = 0
    for seed in range(100):
        y, columns = random_case(seed)
        every = separated_by_combination(y, columns.to_array())
        some = separated_by_combination(y, columns.to_array(), only_some=True)
        assert some.any() == every.any() and not (some & ~every).any()
        n_with += int(every.any())
    assert 30 < n_with < 100


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_scale_order_and_collinear_columns_do_not_matter(scale: float) -> None:
    for seed in range(100, 115):
        y, columns = random_case(seed)
        expected = separated_rows(y, columns)
        more = np.column_stack(
            [scale * columns.dense, scale * columns.dense.sum(axis=1), 7 + 0 * y]
        )
        order = np.random.default_rng(seed).permutation(len(y))
        moved = Columns.of(more, columns.codes, columns.sizes).take(order)
        np.testing.assert_array_equal(separated_rows(scale * y[order], moved), expected[order])


def test_separation_that_only_a_combination_shows() -> None:
    """x1 - x2 is zero wherever y > 0 and positive on half of the zeros; neither is alone."""
    rng = np.random.default_rng(0)
    y = np.r_[rng.gamma(1, 1, 40), np.zeros(40)]
    x2 = rng.normal(size=80)
    x1 = x2 + np.r_[np.zeros(60), rng.gamma(1, 1, 20)]
    both = Columns.of(np.column_stack([x1, x2]))
    np.testing.assert_array_equal(separated_rows(y, both), np.arange(80) >= 60)
    assert not separated_rows(y, Columns.of(x1[:, None])).any()
    assert not separated_rows(y, Columns.of(x2[:, None])).any()
    mixed = Columns.of(np.column_stack([x1 - 2 * (np.arange(80) == 70) * (x1 - x2), x2]))
    assert not separated_rows(y, mixed).any()  # one row on the other side, and none is separated


def test_without_zeros_nothing_is_separated_and_without_positives_everything() -> None:
    _, columns = random_case(1)
    n = columns.shape[0]
    assert not separated_rows(np.ones(n), columns).any()
    assert separated_rows(np.zeros(n), columns).all()
