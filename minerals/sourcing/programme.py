"""The convex programme behind a recommended portfolio, for one mineral and category.

With w the shares of n suppliers:

    minimise    sum_j w_j ln(w_j / a_j)  +  concentration_penalty sum_j w_j^2  +  risk_penalty r'w
    subject to  w >= 0,  sum_j w_j = 1,  w_j <= c_j,  1/2 sum_j |w_j - s_j| <= change_limit

a: attractiveness (shares the model implies), r: risk, c: capacity and s: today's shares, 0 to 1.
The first part is the Kullback-Leibler divergence from a, after Jaynes, "Information theory and
statistical mechanics" (1957): without the other parts w = a; without constraints and concentration
penalty w_j is proportional to a_j exp(-risk_penalty r_j). The whole is strictly convex, so that the
solution is one.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minerals.errors import MineralsError

if TYPE_CHECKING:
    import cvxpy

FloatArray = NDArray[np.float64]

LEAST_ATTRACTIVE = 1e-9
"""A smaller attractiveness counts as this: the logarithm of zero would forbid a supplier, which is
for the capacity to do."""

BINDS_WITHIN = 1e-5
"""A constraint binds when what is left of it is at most this share, of a small capacity a hundredth
of it."""

NO_CHANGE_LIMIT = 1.0

TOLERANCES = {"tol_gap_abs": 1e-7, "tol_gap_rel": 1e-7, "tol_feas": 1e-8}
"""Of the solver: constraints hold to 1e-8, the objective is within 1e-7 of the least."""


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
    is_exact: bool = True
    """False where the solver stopped within its reduced tolerances only."""


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
    """The solution, its objective within 1e-7 of the least, shares within about 1e-4.

    Raises ProgrammeError when the solver gives none although the constraints allow one.
    """
    n = len(market.attractiveness)
    reason = why_infeasible(market, weights)
    if reason:
        nan, none = float("nan"), np.zeros(n, dtype=bool)
        return Solution(None, nan, nan, nan, nan, nan, none, False, reason)
    problem = _formulation(n)
    has_today = market.today is not None
    figures = {
        "ln_attractiveness": np.log(_floored(market.attractiveness)),
        "weighted_risk": weights.risk_penalty * market.risk,
        "concentration_penalty": weights.concentration_penalty,
        "capacity": np.minimum(market.capacity, 1.0),
        "today": market.today if has_today else np.full(n, 1.0 / n),
        "twice_change_limit": 2.0 * (weights.change_limit if has_today else 1.0),
    }
    for name, value in figures.items():
        problem.param_dict[name].value = value
    with warnings.catch_warnings():
        # cvxpy warns of what `is_exact` says.
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        problem.solve(solver="CLARABEL", **TOLERANCES)
    found = problem.var_dict["shares"].value
    if problem.status not in ("optimal", "optimal_inaccurate") or found is None:
        raise ProgrammeError(f"the solver ended with {problem.status} for {n} suppliers")
    raw = np.clip(np.asarray(found, dtype=np.float64), 0.0, None)
    solution = describe(raw / raw.sum(), market, weights)
    return replace(solution, is_exact=problem.status == "optimal")


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


def frontier(
    market: Market, weights: Weights, penalties: tuple[float, ...]
) -> list[tuple[float, Solution]]:
    """The solution for each concentration penalty: what less concentration costs."""
    return [
        (penalty, solve(market, replace(weights, concentration_penalty=penalty)))
        for penalty in penalties
    ]


@cache
def _formulation(n: int) -> cvxpy.Problem:
    """The programme of n suppliers with its figures left open, so that it is compiled once."""
    import cvxpy as cp  # 1.5 s, and only portfolios need it

    w, ln_a = cp.Variable(n, name="shares"), cp.Parameter(n, name="ln_attractiveness")
    r = cp.Parameter(n, nonneg=True, name="weighted_risk")
    penalty = cp.Parameter(nonneg=True, name="concentration_penalty")
    c = cp.Parameter(n, nonneg=True, name="capacity")
    s = cp.Parameter(n, nonneg=True, name="today")
    limit = cp.Parameter(nonneg=True, name="twice_change_limit")
    divergence = -cp.sum(cp.entr(w)) - ln_a @ w
    return cp.Problem(
        cp.Minimize(divergence + penalty * cp.sum_squares(w) + r @ w),
        [cp.sum(w) == 1, w >= 0, w <= c, cp.norm1(w - s) <= limit],
    )


def _floored(attractiveness: FloatArray) -> FloatArray:
    return np.maximum(attractiveness, LEAST_ATTRACTIVE)
