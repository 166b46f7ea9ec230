"""The programme against closed forms, and against random feasible points."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import elementwise

from minerals.sourcing.programme import (
    Market,
    ProgrammeError,
    Solution,
    Weights,
    describe,
    solve,
    solve_all,
    why_infeasible,
)

NO_CAPS = np.full(3, np.inf)
ATTRACTIVE = np.array([0.6, 0.3, 0.1])
NO_RISK = np.zeros(3)
DEFAULT = Weights(concentration_penalty=2.0, risk_penalty=1.0, change_limit=0.3)
FREE = Weights(concentration_penalty=0.0, risk_penalty=0.0, change_limit=1.0)


def shares(solution: Solution) -> np.ndarray:
    assert solution.shares is not None
    return solution.shares


def test_without_penalties_the_models_shares_are_recommended() -> None:
    solution = solve(Market(ATTRACTIVE, NO_RISK, NO_CAPS, None), FREE)
    assert shares(solution) == pytest.approx(ATTRACTIVE, abs=1e-9)
    assert solution.divergence == pytest.approx(0.0, abs=1e-6)


def test_risk_alone_gives_the_gibbs_distribution() -> None:
    risk = np.array([1.0, 0.5, 0.0])
    solution = solve(Market(ATTRACTIVE, risk, NO_CAPS, None), Weights(0.0, 2.0, 1.0))
    expected = ATTRACTIVE * np.exp(-2.0 * risk)
    assert shares(solution) == pytest.approx(expected / expected.sum(), abs=1e-9)


def test_a_large_concentration_penalty_spreads_evenly() -> None:
    solution = solve(Market(ATTRACTIVE, NO_RISK, NO_CAPS, None), Weights(1e4, 0.0, 1.0))
    assert shares(solution) == pytest.approx([1 / 3] * 3, abs=1e-3)


def test_a_ceiling_is_met_and_the_rest_keeps_its_proportions() -> None:
    market = Market(ATTRACTIVE, NO_RISK, np.array([0.2, np.inf, np.inf]), None)
    solution = solve(market, FREE)
    assert shares(solution) == pytest.approx([0.2, 0.6, 0.2], abs=1e-9)
    assert solution.at_capacity.tolist() == [True, False, False]
    assert not solution.is_change_limited


def test_the_limit_on_change_is_met() -> None:
    """From all at the third: at most 0.3 moves, to the others in the proportion 2 to 1."""
    today = np.array([0.0, 0.0, 1.0])
    solution = solve(Market(ATTRACTIVE, NO_RISK, NO_CAPS, today), Weights(0.0, 0.0, 0.3))
    assert shares(solution) == pytest.approx([0.2, 0.1, 0.7], abs=1e-9)
    assert solution.change == pytest.approx(0.3, abs=1e-6)
    assert solution.is_change_limited


def test_the_objective_is_its_parts() -> None:
    w = np.array([0.5, 0.5, 0.0])
    risk = np.array([0.2, 0.4, 1.0])
    parts = describe(w, Market(ATTRACTIVE, risk, NO_CAPS, None), Weights(2.0, 3.0, 1.0))
    divergence = 0.5 * np.log(0.5 / 0.6) + 0.5 * np.log(0.5 / 0.3)
    assert (parts.divergence, parts.hhi, parts.risk) == pytest.approx((divergence, 0.5, 0.3))
    assert parts.objective == pytest.approx(divergence + 2.0 * 0.5 + 3.0 * 0.3)
    assert np.isnan(parts.change)


def test_one_supplier_has_it_all() -> None:
    solution = solve(Market(np.ones(1), np.ones(1), np.array([np.inf]), np.ones(1)), DEFAULT)
    assert shares(solution) == pytest.approx([1.0])


def test_infeasible_programmes_say_which_constraint() -> None:
    tight = Market(ATTRACTIVE, NO_RISK, np.array([0.2, 0.3, 0.1]), None)
    solution = solve(tight, DEFAULT)
    assert solution.shares is None
    assert "capacity: all suppliers together can take 60%" in solution.infeasible_because
    today = np.array([0.9, 0.1, 0.0])
    forced = Market(ATTRACTIVE, NO_RISK, np.array([0.2, 1.0, 1.0]), today)
    assert why_infeasible(forced, replace(DEFAULT, change_limit=0.71)) == ""
    assert "force 70% of the imports to move, 30% may" in why_infeasible(forced, DEFAULT)
    held, rounded = solve_all(
        [(forced, replace(DEFAULT, change_limit=0.7 - d)) for d in (0, 5e-10)]
    )
    assert held.change == pytest.approx(0.7, abs=1e-9)
    assert shares(rounded) == pytest.approx(shares(held), abs=1e-9)


def test_a_root_that_is_not_found_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elementwise, "find_root", partial(elementwise.find_root, maxiter=2))
    with pytest.raises(ProgrammeError, match="no root"):
        solve(random_market(3), DEFAULT)


def random_market(seed: int) -> Market:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    today = rng.dirichlet(np.full(n, 0.5))
    capacity = np.where(rng.random(n) < 0.5, np.maximum(today, rng.random(n)), np.inf)
    return Market(rng.dirichlet(np.full(n, 0.5)), rng.random(n), capacity, today)


@pytest.mark.parametrize("seed", range(40))
def test_constraints_hold_and_no_sampled_point_is_better(seed: int) -> None:
    market, rng = random_market(seed), np.random.default_rng(1000 + seed)
    weights = Weights(float(rng.uniform(0, 5)), float(rng.uniform(0, 3)), float(rng.uniform(0, 1)))
    solution = solve(market, weights)
    w = shares(solution)
    today = market.today
    assert today is not None
    assert w.sum() == pytest.approx(1.0, abs=1e-9)
    assert w.min() >= 0.0
    assert (w - market.capacity).max() <= 1e-6
    assert np.abs(w - today).sum() / 2 <= weights.change_limit + 1e-6
    # Feasible points: between the solution, today, and moves of either towards another supplier.
    for _ in range(300):
        direction = rng.dirichlet(np.full(len(w), rng.choice([0.1, 1.0]))) - w
        point = w + float(rng.choice([1e-4, 1e-2, 0.3, 1.0])) * direction
        mixed = point + rng.random() * (today - point)
        for candidate in (point, mixed):
            is_feasible = (
                candidate.min() >= 0
                and (candidate <= market.capacity).all()
                and np.abs(candidate - today).sum() / 2 <= weights.change_limit
            )
            if is_feasible:
                other = describe(candidate, market, weights).objective
                assert other >= solution.objective - 1e-6


def test_the_sampled_points_are_feasible_often_enough_to_mean_something() -> None:
    """A wrong answer is caught by the sampling above: today's shares are never the best."""
    worse = [
        describe(market.today, market, DEFAULT).objective - solve(market, DEFAULT).objective
        for market in map(random_market, range(40))
        if market.today is not None
    ]
    assert min(worse) > 0.01


def test_the_frontier_trades_concentration_for_attractiveness() -> None:
    market, free = random_market(3), replace(DEFAULT, change_limit=1.0)
    steps = [replace(free, concentration_penalty=penalty) for penalty in (0.0, 1.0, 4.0, 16.0)]
    points = solve_all([(market, step) for step in steps])
    concentration = [point.hhi for point in points]
    given_up = [point.divergence + DEFAULT.risk_penalty * point.risk for point in points]
    assert concentration == sorted(concentration, reverse=True)
    assert given_up == sorted(given_up)
    assert concentration[0] - concentration[-1] > 0.05


def test_programmes_of_all_sizes_side_by_side_are_those_solved_apart() -> None:
    programmes = [(random_market(seed), DEFAULT) for seed in range(30)]
    tight = Market(ATTRACTIVE, NO_RISK, np.array([0.2, 0.3, 0.1]), None)
    together = solve_all([*programmes[:15], (tight, DEFAULT), *programmes[15:]])
    assert together.pop(15).shares is None
    for (market, weights), solution in zip(programmes, together, strict=True):
        np.testing.assert_allclose(shares(solve(market, weights)), shares(solution), atol=1e-12)


def test_the_same_market_gives_the_same_shares() -> None:
    market = random_market(5)
    first = shares(solve(market, DEFAULT))
    solve(random_market(6), Weights(9.0, 0.0, 1.0))
    assert (shares(solve(market, DEFAULT)) == first).all()
