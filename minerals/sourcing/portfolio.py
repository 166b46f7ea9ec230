"""From ranks to shares: what suppliers deliver, the model implies, and is recommended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from minerals import marts
from minerals.errors import some
from minerals.frames import Columns, by_market
from minerals.names import MARKET, SUPPLIER
from minerals.sourcing.alignment import align
from minerals.sourcing.governance import with_governance
from minerals.sourcing.programme import Market, Solution, Weights, solve_all

FRONTIER_PENALTIES = (0.0, 1.0, 4.0, 16.0, 64.0)
"""The concentration penalties of the frontier, besides the one in use."""

NEEDED = ("exporter_iso3", "coefficient_source", "model_share", "actual_share", "capacity_share",
           "supplier_risk")  # fmt: skip
NAMED = 5
"""How many suppliers at capacity are named; the others are counted."""


@dataclass(frozen=True)
class Portfolio:
    """The three tables of `recommend`."""

    suppliers: pd.DataFrame
    optimization: pd.DataFrame
    frontier: pd.DataFrame


def suppliers(
    ranking_forward: pd.DataFrame,
    ranking_persistence: pd.DataFrame,
    capacity: pd.DataFrame,
    governance: pd.DataFrame,
) -> pd.DataFrame:
    """Each candidate of each market with all that is known of it, by the headline coefficients.

    Columns as in `portfolio_partners`. capacity: of `capacity.capacity`. governance: of
    `governance.governance`. Actual ranks are over the window, ties by ISO3.
    """
    source = [*SUPPLIER, "coefficient_source"]
    words = ranking_persistence[[*source, "persistence"]]
    frame = ranking_forward.loc[ranking_forward["is_headline"]].drop(
        columns=["actual_share", "actual_qty_kg"], errors="ignore"
    )
    frame = frame.merge(words, how="left", on=source, validate="one_to_one")
    frame = frame.merge(capacity, how="left", on=SUPPLIER, validate="one_to_one")
    frame = with_governance(frame, governance)
    frame = frame.sort_values(SUPPLIER, kind="stable", ignore_index=True)
    markets = [frame[name] for name in MARKET]
    bought = frame["annual_qty_kg"].where(frame["annual_qty_kg"] > 0)
    actual_rank = bought.groupby(markets).rank(ascending=False, method="first")
    frame["actual_rank"] = actual_rank.astype("Int64")
    frame["alignment"] = align(frame["forward_rank"], frame["actual_rank"], frame["effective_k"])
    demand = frame["demand_qty_kg"].where(frame["demand_qty_kg"] > 0)
    frame["capacity_share"] = (frame["capacity_qty_kg"] / demand).clip(upper=1.0)
    frame.loc[frame["capacity_qty_kg"] == 0, "capacity_share"] = 0.0  # also without any demand
    return frame


def recommend(suppliers: pd.DataFrame, weights: Weights) -> Portfolio:
    """Recommended shares of every market (of `suppliers`), `portfolio_optimization` with the parts
    of the objective, and `portfolio_frontier`. Shares are null where no portfolio meets the
    constraints."""
    if suppliers.empty:
        return Portfolio(
            suppliers, marts.empty("portfolio_optimization"), marts.empty("portfolio_frontier")
        )
    solved, steps = [], []
    used = weights.concentration_penalty
    penalties = [used, *(penalty for penalty in FRONTIER_PENALTIES if penalty != used)]
    markets = list(by_market(suppliers, NEEDED))
    programmes = [
        (market, replace(weights, concentration_penalty=penalty))
        for market in [market_of(columns) for _, _, columns in markets]
        for penalty in penalties
    ]
    points = iter(solve_all(programmes))
    shares = np.full(len(suppliers), np.nan)
    at_capacity = np.zeros(len(suppliers), dtype=bool)
    for key, places, columns in markets:
        names = dict(zip(MARKET, key, strict=True))
        frontier = [(penalty, next(points)) for penalty in penalties]
        solution = frontier[0][1]
        at_capacity[places] = solution.at_capacity
        solved.append(names | _solution_row(columns, solution))
        if solution.shares is None:
            continue
        shares[places] = solution.shares
        for penalty, point in frontier:
            row = {"concentration_penalty": penalty, "hhi": point.hhi, **_figures(point)}
            steps.append(names | row | {"is_recommended": penalty == used})
    return Portfolio(
        suppliers.assign(
            recommended_share=shares,
            change_share=shares - suppliers["actual_share"],
            is_at_capacity=at_capacity,
        ),
        marts.conform(pd.DataFrame(solved), "portfolio_optimization"),
        marts.conform(pd.DataFrame(steps), "portfolio_frontier")
        if steps
        else marts.empty("portfolio_frontier"),
    )


def market_of(rows: pd.DataFrame | Columns) -> Market:
    """The `Market` of one mineral's suppliers. A null actual share is zero where others sell."""
    model, risk, capacity, today = (
        np.asarray(rows[name], dtype=np.float64)
        for name in ("model_share", "supplier_risk", "capacity_share", "actual_share")
    )
    is_known = ~np.isnan(today)
    return Market(
        attractiveness=model,
        risk=risk,
        capacity=np.where(np.isnan(capacity), np.inf, capacity),
        today=np.where(is_known, today, 0.0) if is_known.any() else None,
    )


def _solution_row(rows: Columns, solution: Solution) -> dict[str, object]:
    # A supplier without any capacity is always at it, which says nothing about this portfolio.
    delivers = np.flatnonzero(solution.at_capacity & (rows["capacity_share"] > 0))
    by_size = delivers[np.argsort(-rows["capacity_share"][delivers], kind="stable")]
    named = some(list(rows["exporter_iso3"][by_size]), NAMED)
    binding = [f"capacity of {named}"] if named else []
    binding += ["limit on change"] if solution.is_change_limited else []
    return {
        "coefficient_source": rows["coefficient_source"][0],
        "is_feasible": solution.shares is not None,
        "infeasible_because": solution.infeasible_because,
        **_figures(solution),
        "hhi_recommended": solution.hhi,
        "objective": solution.objective,
        "is_change_limited": solution.is_change_limited,
        "n_at_capacity": len(delivers),
        "binding_constraints": "; ".join(binding),
    }


def _figures(solution: Solution) -> dict[str, object]:
    return {
        "divergence": solution.divergence,
        "supplier_risk": solution.risk,
        "change_share": solution.change,
        "effective_suppliers": 1.0 / solution.hhi,
    }
