"""Effects taken out of variables without their dummies: the within transformation.

Belongs here: weighted least squares with effects of so many levels that their cross-products do not
fit in memory. Does not belong here: effects of ordinary size; `columns` solves those exactly and
faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minerals.errors import MineralsError
from minerals.ppml.columns import FloatArray, IntArray, factorise

MAX_SWEEPS = 10_000
WITHIN_TOLERANCE = 1e-11
"""The projection stops when a step changes a variable by less than this share of its norm."""


class WithinError(MineralsError):
    """The projections did not settle."""


@dataclass(frozen=True)
class Within:
    """Weighted least squares on dense columns and absorbed effects (a `estimator.LeastSquares`).

    dense: (n, p), without a constant, which the effects contain.
    codes: one array (n,) an effect, levels numbered from 0, no base level left out.
    """

    dense: FloatArray
    codes: tuple[IntArray, ...]
    sizes: tuple[int, ...]

    def solve(self, w: FloatArray, wz: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients (p,) and fitted values (n,) of z on the columns and effects, weights w.

        Source: Frisch and Waugh (1933), Lovell (1963); Correia, Guimaraes and Zylkin, "Fast Poisson
        estimation with high-dimensional fixed effects" (Stata Journal 2020), equations 9-10.
        """
        z = wz / w
        rest = absorb(np.column_stack([z, self.dense]), self.codes, self.sizes, w)
        X = rest[:, 1:]
        b = factorise(X.T @ (X * w[:, None])).solve(X.T @ (w * rest[:, 0]))
        return b, z - (rest[:, 0] - X @ b)


def absorb(
    V: FloatArray,
    codes: Sequence[IntArray],
    sizes: Sequence[int],
    w: FloatArray,
    tolerance: float = WITHIN_TOLERANCE,
) -> FloatArray:
    """V (n, m) less its weighted projection on the dummies of all effects.

    Alternating projections in symmetric order, accelerated by conjugate gradients. Source: Correia,
    "Linear models with high-dimensional fixed effects: an efficient and feasible estimator" (2016),
    section 3; Hernandez-Ramos, Escalante and Raydan, "Unconstrained optimization techniques for the
    acceleration of alternating projection methods" (2011). Raises WithinError when a variable has
    not settled after MAX_SWEEPS sweeps.
    """
    totals = [np.bincount(c, w, size) for c, size in zip(codes, sizes, strict=True)]
    means = [np.divide(1.0, t, out=np.zeros_like(t), where=t > 0) for t in totals]
    order = [*range(len(codes)), *range(len(codes) - 2, -1, -1)]

    def annihilate(v: FloatArray) -> FloatArray:
        for effect in order:
            c = codes[effect]
            v = v - (np.bincount(c, w * v, sizes[effect]) * means[effect]).take(c)
        return v

    if len(codes) == 1:
        return np.column_stack([annihilate(v) for v in V.T])
    return np.column_stack([_conjugate_gradient(v, annihilate, w, tolerance) for v in V.T])


def _conjugate_gradient(
    v: FloatArray, annihilate: Callable[[FloatArray], FloatArray], w: FloatArray, tolerance: float
) -> FloatArray:
    """Solve (I - T) x = (I - T) v for the part of v that the effects explain; return the rest."""
    norm = float(np.sqrt(np.sum(w * v * v)))
    residual = v - annihilate(v)
    direction = residual
    square = float(np.sum(w * residual * residual))
    for _ in range(MAX_SWEEPS):
        if np.sqrt(square) <= tolerance * norm or square == 0.0:
            return v
        moved = direction - annihilate(direction)
        curvature = float(np.sum(w * direction * moved))
        if curvature <= 0.0:
            return v
        step = square / curvature
        v = v - step * direction
        residual = residual - step * moved
        previous, square = square, float(np.sum(w * residual * residual))
        direction = residual + (square / previous) * direction
    raise WithinError(f"the effects could not be taken out in {MAX_SWEEPS} sweeps")
