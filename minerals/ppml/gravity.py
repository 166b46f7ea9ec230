"""Gravity models of what every country buys from every other, all minerals of a category at once.

E[y_mij] = exp(a_mi + b_mj + x_ij'd): importer i, exporter j, mineral m, zeros kept. Trade is a full
square per mineral (no country buys from itself), so the effects are two vectors per mineral and the
sums over rows are products of matrices. Rounds of the closed form of the effects (Sinkhorn, IPF)
are the start; Newton's steps on slopes and effects together follow, in which the effects are
eliminated exactly, mineral by mineral.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from minerals.ppml import EstimationError

FloatArray = NDArray[np.float64]

_ROUNDS = 8
_TOLERANCE = 1e-5
_MOST_STEPS = 60


@dataclass(frozen=True)
class Gravity:
    """A fit of K slopes to M minerals and N countries.

    slopes (K,), cov (K, K) clustered by importer. importer_effects and exporter_effects (M, N) are
    exp(a) and exp(b), zero where a country buys or sells nothing; only their products are
    identified. influence (N, K): what each importer's rows add to the slopes, to first order.
    """

    x: FloatArray
    y: FloatArray
    slopes: FloatArray
    cov: FloatArray
    influence: FloatArray
    importer_effects: FloatArray
    exporter_effects: FloatArray
    is_informative: NDArray[np.bool_]

    @cached_property
    def ease(self) -> FloatArray:
        """As `ease_of` of the slopes."""
        return ease_of(self.x, self.slopes)

    def leave_out(self) -> FloatArray:
        """exp(b_mj + x_ij'd) (M, N, N) with b_mj from the purchases of all but importer i.

        Given a and d, exp(b_mj) without i is the purchases of the others over what they would buy
        of an exporter with b = 0. Zero where no other country bought.
        """
        return leave_out(self.y, self.importer_effects, self.ease)


def leave_out(y: FloatArray, importer_effects: FloatArray, ease: FloatArray) -> FloatArray:
    """As `Gravity.leave_out`, of purchases y (M, N, N) and ease (N, N)."""
    sold = y.sum(axis=1)[:, None, :] - y
    open_to = (importer_effects @ ease)[:, None, :] - importer_effects[:, :, None] * ease
    is_known = (sold > 0) & (open_to > 0)
    return np.divide(sold, open_to, out=np.zeros_like(y), where=is_known) * ease


def fit_gravity(y: FloatArray, x: FloatArray, start: FloatArray | None = None) -> Gravity:
    """Fit y (M, N, N), importers in rows, on x (K, N, N); `start`: slopes (K,) to begin from.

    A mineral of which one country buys or sells all that is traded is fitted exactly whatever the
    slopes (its zeros between other countries are separated), so it says nothing of them; on a full
    square nothing else is separated. Source: Santos Silva and Tenreyro (2006); Correia, Guimaraes
    and Zylkin, "Fast Poisson estimation with high-dimensional fixed effects" (Stata Journal 2020).

    Raises EstimationError when nothing is traded between others, slopes are not identified, or the
    steps do not converge; ValueError when a value is null, infinite or negative.
    """
    if not (np.isfinite(y).all() and (y >= 0).all() and np.isfinite(x).all()):
        raise ValueError("trade must be finite and not negative, regressors finite")
    bought, sold = y.sum(axis=2), y.sum(axis=1)
    informative = is_informative(y)
    if not informative.any():
        raise EstimationError("one country buys or sells all that is traded, of every mineral")
    scale = x.std(axis=(1, 2))
    if (scale == 0).any():
        raise EstimationError(f"regressors {np.flatnonzero(scale == 0)} are the same for all pairs")
    standard, unit = x / scale[:, None, None], bought.sum()
    d = np.zeros(len(x)) if start is None else start * scale
    a, b = effects_given(
        bought / unit, sold / unit, ease_of(standard, d), (sold > 0) * 1.0, _ROUNDS
    )
    markets = [
        _Market.of(int(m), standard, y[m] / unit, a[m], b[m], d)
        for m in np.flatnonzero(informative)
    ]
    likelihood = sum(market.likelihood(d) for market in markets)
    for _ in range(_MOST_STEPS):
        steps = [market.step() for market in markets]
        bread = np.linalg.inv(_identified(np.sum([step.hessian for step in steps], axis=0)))
        move, length = bread @ np.sum([step.gradient for step in steps], axis=0), 1.0
        while True:
            there = d + length * move
            moved = [m.moved(s, there, length, move) for m, s in zip(markets, steps, strict=True)]
            reached = sum(market.likelihood(there) for market in moved)
            if reached >= likelihood - 1e-12 * abs(likelihood) or length < 1e-6:
                break
            length /= 2
        gain, likelihood, markets, d = reached - likelihood, reached, moved, there
        # Newton's steps converge quadratically: what is left is of the order of the square.
        if np.abs(move).max() < _TOLERANCE and abs(gain) <= _TOLERANCE**2 * abs(likelihood):
            break
    else:
        raise EstimationError(f"the gravity model did not converge in {_MOST_STEPS} steps")
    scores = np.zeros((y.shape[1], len(x)))
    for market in markets:
        scores[market.rows] += market.scores()
        a[market.mineral, market.rows] = np.exp(market.u)
        b[market.mineral, market.columns] = np.exp(market.v)
    influence = scores @ bread
    n_clusters = int((scores != 0).any(axis=1).sum())
    cov = influence.T @ influence * (n_clusters / max(n_clusters - 1, 1))
    return Gravity(
        x=x,
        y=y,
        slopes=d / scale,
        cov=cov / np.outer(scale, scale),
        influence=influence / scale,
        importer_effects=a * unit,
        exporter_effects=b,
        is_informative=informative,
    )


def is_informative(y: FloatArray) -> NDArray[np.bool_]:
    """Which minerals of y (M, N, N) say something about slopes: (M,)."""
    positive = y > 0
    n_of_country = positive.sum(axis=1) + positive.sum(axis=2)
    return positive.sum(axis=(1, 2)) > n_of_country.max(axis=1)


def effects_given(
    bought: FloatArray,
    sold: FloatArray,
    ease: FloatArray,
    b: FloatArray,
    rounds: int,
    times: FloatArray | float = 1.0,
) -> tuple[FloatArray, FloatArray]:
    """exp(a) and exp(b), (M, N) each, after some rounds of their closed form, from exp(b).

    `times` (N,): how often each importer counts in what is sold."""
    a = np.zeros_like(bought)
    for _ in range(rounds):
        a = _ratio(bought, b @ ease.T)
        b = _ratio(sold, (a * times) @ ease)
    return a, b


def _ratio(total: FloatArray, per_unit: FloatArray) -> FloatArray:
    return np.divide(total, per_unit, out=np.zeros_like(total), where=per_unit > 0)


def ease_of(x: FloatArray, d: FloatArray) -> FloatArray:
    """exp(x_ij'd) (N, N) of x (K, N, N), zero for a country and itself."""
    return _ease(x, d, np.eye(x.shape[1], dtype=bool))


def _ease(x: FloatArray, d: FloatArray, is_own: NDArray[np.bool_]) -> FloatArray:
    ease = np.exp(np.tensordot(d, x, axes=1))
    ease[is_own] = 0.0
    return np.asarray(ease)


def _identified(hessian: FloatArray) -> FloatArray:
    """The Hessian (K, K). Raises EstimationError when slopes are not identified."""
    size = np.sqrt(np.clip(np.diag(hessian), 0.0, None))
    if not (size > 0).all() or np.linalg.cond(hessian / np.outer(size, size)) > 1e12:
        raise EstimationError("the effects or other regressors imply a regressor; leave it out")
    return hessian


@dataclass(frozen=True)
class _Step:
    """Of one mineral: its part of the Hessian and gradient of the slopes with the effects
    eliminated, the exporter effects' own step, and how effects follow the slopes."""

    hessian: FloatArray
    gradient: FloatArray
    v: FloatArray
    u_of_x: FloatArray
    v_of_x: FloatArray


@dataclass(frozen=True)
class _Market:
    """One mineral's buyers (rows) and sellers (columns), with logarithms u, v of their effects and
    the fitted values mu, whose sum over buyers is what each seller sold."""

    mineral: int
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    x: FloatArray
    y: FloatArray
    is_own: NDArray[np.bool_]
    bought: FloatArray
    sold: FloatArray
    y_of_x: FloatArray
    u: FloatArray
    v: FloatArray
    mu: FloatArray

    @classmethod
    def of(
        cls,
        mineral: int,
        x: FloatArray,
        y: FloatArray,
        a: FloatArray,
        b: FloatArray,
        d: FloatArray,
    ) -> _Market:
        rows, columns = np.flatnonzero(y.any(axis=1)), np.flatnonzero(y.any(axis=0))
        own = rows[:, None] == columns
        x, y = x[:, rows[:, None], columns], y[rows[:, None], columns]
        return cls(
            mineral=mineral,
            rows=rows,
            columns=columns,
            x=x,
            y=y,
            is_own=own,
            bought=y.sum(axis=1),
            sold=y.sum(axis=0),
            y_of_x=x.reshape(len(x), -1) @ y.ravel(),
            u=np.log(a[rows]),
            v=np.log(b[columns]),
            mu=a[rows, None] * _ease(x, d, own) * b[columns],
        )

    def likelihood(self, d: FloatArray) -> float:
        """Of slopes d, with which mu was made."""
        return float(d @ self.y_of_x + self.u @ self.bought + self.v @ self.sold - self.sold.sum())

    def step(self) -> _Step:
        """The normal equations of the effects are D u + W v = c, W'u + E v = e with W the fitted
        values; u is eliminated, and of v one is zero, as only sums u + v are identified."""
        mu = self.mu
        residual, weighted = self.y - mu, self.x * mu
        over_rows, over_columns = np.ones(len(self.rows)), np.ones(len(self.columns))
        c = np.vstack([weighted @ over_columns, residual @ over_columns])
        e = np.vstack([over_rows @ weighted, over_rows @ residual])
        D = mu @ over_columns
        links = mu.T @ (mu / D[:, None])
        np.fill_diagonal(links, 0.0)
        S = np.diag(links.sum(axis=0)) - links  # rows sum to zero: E - W'W/D without rounding
        v = np.zeros_like(e)
        v[:, 1:] = np.linalg.solve(S[1:, 1:], (e - (c / D) @ mu)[:, 1:].T).T
        u = (c - v @ mu.T) / D
        flat = self.x.reshape(len(self.x), -1)
        own = weighted.reshape(len(self.x), -1) @ flat.T
        projected = c[:-1] @ u.T + e[:-1] @ v.T
        return _Step(
            hessian=own - projected[:, :-1],
            gradient=flat @ residual.ravel() - projected[:, -1],
            v=v[-1],
            u_of_x=u[:-1],
            v_of_x=v[:-1],
        )

    def moved(self, step: _Step, d: FloatArray, length: float, move: FloatArray) -> _Market:
        """After a step of some length to slopes d; a round of the closed form restores the totals,
        from which a step on logarithms strays."""
        ease = _ease(self.x, d, self.is_own)
        a = self.bought / (ease @ np.exp(self.v + length * (step.v - move @ step.v_of_x)))
        b = self.sold / (a @ ease)
        return replace(self, u=np.log(a), v=np.log(b), mu=a[:, None] * ease * b)

    def scores(self) -> FloatArray:
        """Each buyer's part of the gradient of the slopes, the effects taken out: (buyers, K)."""
        step, residual = self.step(), self.y - self.mu
        within = self.x - step.u_of_x[:, :, None] - step.v_of_x[:, None, :]
        return np.einsum("kij,ij->ik", within, residual)
