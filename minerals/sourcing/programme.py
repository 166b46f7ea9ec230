"""The convex programme behind a recommended portfolio, for one mineral and category.

With w the shares of n suppliers:

    minimise    sum_j w_j ln(w_j / a_j)  +  concentration_penalty sum_j w_j^2  +  risk_penalty r'w
    subject to  w >= 0,  sum_j w_j = 1,  w_j <= c_j,  1/2 sum_j |w_j - s_j| <= change_limit

a: attractiveness (shares the model implies), r: risk, c: capacity and s: today's shares, 0 to 1.
The first part is the Kullback-Leibler divergence from a, after Jaynes, "Information theory and
statistical mechanics" (1957): without the other parts w = a; without constraints and concentration
penalty w_j is proportional to a_j exp(-risk_penalty r_j). The whole is strictly convex, so that the
solution is one.

It is found by its dual (Boyd and Vandenberghe, "Convex optimization" (2004), chapter 5). Given the
multipliers nu of the sum and tau of the change, suppliers are apart: w_j solves ln w_j + 2
concentration_penalty w_j = q_j, with q_j = ln a_j - 1 - risk_penalty r_j - nu, less tau where that
is above s_j, more where below, else w_j = s_j; within 0 and c_j. nu makes the shares sum to one,
tau (zero where the change is within its limit) the change meet its limit; both are roots of a
falling function of one number. Many programmes are solved side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minerals.errors import MineralsError

FloatArray = NDArray[np.float64]

LEAST_ATTRACTIVE = 1e-9
"""A smaller attractiveness counts as this: the logarithm of zero would forbid a supplier, which is
for the capacity to do."""

BINDS_WITHIN = 1e-5
"""A constraint binds when what is left of it is at most this share, of a small capacity a hundredth
of it."""

NO_CHANGE_LIMIT = 1.0

EXACT_WITHIN = 1e-10
"""Shares sum to one, and the change meets its limit, within this."""

_AT_ONCE = 2000  # programmes side by side
_MOST_STEPS = 200


class ProgrammeError(MineralsError):
    """The solver failed on a programme that has a solution."""


@dataclass(frozen=True)
class Weights:
    """What the objective weighs, and how much of today's imports may move (0 to 1)."""

    concentration_penalty: float
    risk_penalty: float
    change_limit: float


@dataclass(frozen=True)
class Market:
    """The suppliers of one mineral and category, in a fixed order; (n,) arrays.

    attractiveness sums to one. risk: 0 (none) to 1. capacity: share of demand a supplier can take,
    infinite where unknown. today: shares that sum to one, or None when nothing is imported; the
    change limit is then void.
    """

    attractiveness: FloatArray
    risk: FloatArray
    capacity: FloatArray
    today: FloatArray | None


@dataclass(frozen=True)
class Solution:
    """Recommended shares (n,) and what they cost, or why there are none.

    divergence, hhi and risk are the three parts of the objective before their penalties; change:
    half the sum of |w - today|, NaN without imports. at_capacity: (n,) whether the ceiling binds.
    """

    shares: FloatArray | None
    divergence: float
    hhi: float
    risk: float
    change: float
    objective: float
    at_capacity: NDArray[np.bool_]
    is_change_limited: bool
    infeasible_because: str = ""


def why_infeasible(market: Market, weights: Weights) -> str:
    """The constraint that leaves no solution, in words; empty when there is one.

    The shares below capacity that are nearest to today's differ from them by what today's exceed
    it, provided that the capacities sum to one; so these two conditions are all there is.
    """
    total = float(np.minimum(market.capacity, 1.0).sum())
    if total < 1.0 - 1e-9:
        return f"capacity: all suppliers together can take {total:.0%} of the imports"
    if market.today is None:
        return ""
    forced = float(np.clip(market.today - market.capacity, 0.0, None).sum())
    if forced > weights.change_limit + 1e-9:
        return (
            f"the limit on change: capacities force {forced:.0%} of the imports to move, "
            f"{weights.change_limit:.0%} may"
        )
    return ""


def solve(market: Market, weights: Weights) -> Solution:
    """The solution of one programme; see `solve_all`."""
    return solve_all([(market, weights)])[0]


def solve_all(programmes: Sequence[tuple[Market, Weights]]) -> list[Solution]:
    """The solution of each programme, or why there is none.

    Raises ProgrammeError when the roots are not found although the constraints allow a solution.
    """
    reasons = [why_infeasible(market, weights) for market, weights in programmes]
    solved: dict[int, Solution] = {}
    order = [number for number, reason in enumerate(reasons) if not reason]
    order.sort(key=lambda number: len(programmes[number][0].risk))  # little is padded
    for begin in range(0, len(order), _AT_ONCE):
        numbers = order[begin : begin + _AT_ONCE]
        found = _Dual.of([programmes[number] for number in numbers]).shares()
        for number, shares in zip(numbers, found, strict=True):
            market, weights = programmes[number]
            solved[number] = describe(shares[: len(market.risk)], market, weights)
    return [
        solved[number] if not reason else _none(len(programmes[number][0].risk), reason)
        for number, reason in enumerate(reasons)
    ]


def _none(n: int, reason: str) -> Solution:
    nan, nowhere = float("nan"), np.zeros(n, dtype=bool)
    return Solution(None, nan, nan, nan, nan, nan, nowhere, False, reason)


@dataclass(frozen=True)
class _Dual:
    """P programmes of up to n suppliers: q (P, n) with nu = 0, minus infinity where there is none;
    ceiling and today (P, n); penalty and twice_limit (P, 1)."""

    q: FloatArray
    ceiling: FloatArray
    today: FloatArray
    penalty: FloatArray
    twice_limit: FloatArray

    @classmethod
    def of(cls, programmes: Sequence[tuple[Market, Weights]]) -> _Dual:
        shape = len(programmes), max(len(market.risk) for market, _ in programmes)
        q, ceiling, today = np.full(shape, -np.inf), np.zeros(shape), np.zeros(shape)
        for row, (market, weights) in enumerate(programmes):
            n = len(market.risk)
            risk = weights.risk_penalty * market.risk
            q[row, :n] = np.log(_floored(market.attractiveness)) - risk
            ceiling[row, :n] = np.minimum(market.capacity, 1.0)
            today[row, :n] = 0.0 if market.today is None else market.today
        penalty = [[weights.concentration_penalty] for _, weights in programmes]
        limits = [[2 * w.change_limit if m.today is not None else np.inf] for m, w in programmes]
        return cls(q - 1.0, ceiling, today, np.array(penalty), np.array(limits))

    def shares(self) -> FloatArray:
        """(P, n). Raises ProgrammeError when a root is not found."""
        free = self._given(np.zeros_like(self.penalty))
        rows = (self._over(free) > EXACT_WITHIN)[:, 0]
        if rows.any():
            free[rows] = self._take(rows)._bound()
        off = max(np.abs(free.sum(axis=1) - 1.0).max(), self._over(free).max())
        if not off < 1e-8:
            raise ProgrammeError(f"a portfolio meets its constraints only within {off:.0e}")
        return free / free.sum(axis=1, keepdims=True)

    def _bound(self) -> FloatArray:
        """The shares (P, n) whose change meets its limit, as near to it as capacities allow."""
        from scipy.optimize.elementwise import find_root

        def over(tau: FloatArray, rows: NDArray[np.int64]) -> FloatArray:
            part = self._take(rows)
            return part._over(part._given(tau[:, None]))[:, 0]

        far = self._far[:, 0]
        exact = {"fatol": 1e-12, "frtol": 0.0, "xatol": 0.0, "xrtol": 1e-15}
        bracket, rows = (np.zeros_like(far), far), np.arange(len(far))
        found = find_root(over, bracket, args=(rows,), tolerances=exact)
        if not np.isin(found.status, (0, -1)).all():  # -1: not even `far` is within the limit
            raise ProgrammeError(f"no root for a limit on change: status {found.status.min()}")
        return self._given(np.where(found.success, found.x, far)[:, None])

    @cached_property
    def _far(self) -> FloatArray:
        """Beyond every multiplier (P, 1)."""
        finite = np.where(np.isfinite(self.q), self.q, 0.0)
        return np.abs(finite).max(axis=1, keepdims=True) + 4.0 * self.penalty + 64.0

    def _take(self, rows: NDArray[Any]) -> _Dual:
        parts = (self.q, self.ceiling, self.today, self.penalty, self.twice_limit)
        return _Dual(*(part[rows] for part in parts))

    def _over(self, w: FloatArray) -> FloatArray:
        """Twice by how much the change is above its limit (P, 1)."""
        return np.abs(w - self.today).sum(axis=1, keepdims=True) - self.twice_limit

    def _given(self, tau: FloatArray) -> FloatArray:
        """The shares (P, n) for given tau, nu the root of their sum less one: Newton's method
        within a bracket."""
        low, high = -(self._far + tau), self._far + tau
        nu, w = np.zeros_like(tau), np.zeros_like(self.q)
        left = np.ones(len(tau), dtype=bool)
        for _ in range(_MOST_STEPS):
            part = self if left.all() else self._take(left)
            w[left], slope = part._at(nu[left], tau[left])
            excess = w[left].sum(axis=1, keepdims=True) - 1.0
            low[left] = np.where(excess > 0, nu[left], low[left])
            high[left] = np.where(excess > 0, high[left], nu[left])
            with np.errstate(divide="ignore", invalid="ignore"):
                step = nu[left] + excess / slope
            inside = (step > low[left]) & (step < high[left])
            nu[left] = np.where(inside, step, (low[left] + high[left]) / 2)
            done = (np.abs(excess) < 1e-13) | (high[left] - low[left] < 1e-15 * self._far[left])
            left[left] = ~done[:, 0]
            if not left.any():
                break
        return w

    def _at(self, nu: FloatArray, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The shares (P, n), and minus the derivative of their sum by nu (P, 1).

        ln w + 2 penalty w = q is solved by the Wright omega function (Corless and Jeffrey 2002)."""
        from scipy.special import wrightomega  # scipy takes a third of a second to import

        q = self.q - nu
        at_today, at_ceiling = self._bounds
        q = np.where(q - tau > at_today, q - tau, np.where(q + tau < at_today, q + tau, np.nan))
        double = np.maximum(2.0 * self.penalty, 1e-12)
        is_free = q < at_ceiling  # neither at today's share (NaN) nor at the ceiling
        w = np.where(np.isnan(q), np.minimum(self.today, self.ceiling), self.ceiling)
        places = np.nonzero(is_free)
        scale = double[places[0], 0]
        free = wrightomega(q[places] + np.log(scale)) / scale
        w[places] = free
        falls = np.bincount(places[0], free / (1.0 + scale * free), len(q))
        return w, np.asarray(falls[:, None], dtype=np.float64)

    @cached_property
    def _bounds(self) -> tuple[FloatArray, FloatArray]:
        """q at which a supplier has today's share, or is at its ceiling."""
        with np.errstate(divide="ignore"):
            today, ceiling = np.log(self.today), np.log(self.ceiling)
        double = 2.0 * self.penalty
        return today + double * self.today, ceiling + double * self.ceiling


def describe(shares: FloatArray, market: Market, weights: Weights) -> Solution:
    """The parts of the objective at any shares (n,), and which constraints bind there."""
    ratio = np.where(shares > 0, shares, 1.0) / _floored(market.attractiveness)
    divergence = float(np.sum(shares * np.log(ratio)))
    hhi, risk = float(shares @ shares), float(market.risk @ shares)
    change = float("nan")
    if market.today is not None:
        change = float(np.abs(shares - market.today).sum() / 2.0)
    return Solution(
        shares=shares,
        divergence=divergence,
        hhi=hhi,
        risk=risk,
        change=change,
        objective=divergence + weights.concentration_penalty * hhi + weights.risk_penalty * risk,
        at_capacity=shares >= market.capacity - np.minimum(BINDS_WITHIN, market.capacity / 100.0),
        is_change_limited=change >= weights.change_limit - BINDS_WITHIN,
    )


def _floored(attractiveness: FloatArray) -> FloatArray:
    return np.maximum(attractiveness, LEAST_ATTRACTIVE)
