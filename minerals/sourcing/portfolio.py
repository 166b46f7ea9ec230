"""From ranks to shares: what suppliers deliver, the model implies, and is recommended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from minerals import marts
from minerals.names import MARKET, SUPPLIER
from minerals.sourcing.alignment import align
from minerals.sourcing.governance import with_governance
from minerals.sourcing.programme import Market, Solution, Weights, solve_all

FRONTIER_PENALTIES = (0.0, 1.0, 4.0, 16.0, 64.0)
"""The concentration penalties of the frontier, besides the one in use."""

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
    frame["supplier_risk"] = (frame["governance_risk"] + 1.0 - frame["top_k_probability"]) / 2.0
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
    shares, solved, steps = [], [], []
    used = weights.concentration_penalty
    penalties = [used, *(penalty for penalty in FRONTIER_PENALTIES if penalty != used)]
    grouped = list(suppliers.groupby(MARKET, sort=True))
    programmes = [
        (market, replace(weights, concentration_penalty=penalty))
        for market in [market_of(rows) for _, rows in grouped]
        for penalty in penalties
    ]
    points = iter(solve_all(programmes))
    for key, rows in grouped:
        names = dict(zip(MARKET, key, strict=True))
        frontier = [(penalty, next(points)) for penalty in penalties]
        solution = frontier[0][1]
        shares.append(_with_shares(rows, solution))
        solved.append(names | _solution_row(rows, solution))
        for penalty, point in frontier if solution.shares is not None else []:
            row = {"concentration_penalty": penalty, "hhi": point.hhi, **_figures(point)}
            steps.append(names | row | {"is_recommended": penalty == used})
    return Portfolio(
        pd.concat(shares, ignore_index=True),
        marts.conform(pd.DataFrame(solved), "portfolio_optimization"),
        marts.conform(pd.DataFrame(steps), "portfolio_frontier")
        if steps
        else marts.empty("portfolio_frontier"),
    )


def market_of(rows: pd.DataFrame) -> Market:
    """The `Market` of one mineral's suppliers. A null actual share is zero where others sell."""
    today = rows["actual_share"].fillna(0.0).to_numpy(dtype=np.float64)
    return Market(
        attractiveness=rows["model_share"].to_numpy(dtype=np.float64),
        risk=rows["supplier_risk"].to_numpy(dtype=np.float64),
        capacity=rows["capacity_share"].fillna(np.inf).to_numpy(dtype=np.float64),
        today=today if rows["actual_share"].notna().any() else None,
    )


def _with_shares(rows: pd.DataFrame, solution: Solution) -> pd.DataFrame:
    found = np.nan if solution.shares is None else solution.shares
    shares = pd.Series(found, index=rows.index, dtype="float64")
    return rows.assign(
        recommended_share=shares,
        change_share=shares - rows["actual_share"],
        is_at_capacity=solution.at_capacity,
    )


def _solution_row(rows: pd.DataFrame, solution: Solution) -> dict[str, object]:
    # A supplier without any capacity is always at it, which says nothing about this portfolio.
    delivers = solution.at_capacity & (rows["capacity_share"] > 0).to_numpy()
    by_size = rows.loc[delivers].sort_values("capacity_share", ascending=False, kind="stable")
    named = ", ".join(by_size["exporter_iso3"].head(NAMED))
    more = f" and {len(by_size) - NAMED} more" if len(by_size) > NAMED else ""
    binding = [f"capacity of {named}{more}"] if named else []
    binding += ["limit on change"] if solution.is_change_limited else []
    return {
        "coefficient_source": rows["coefficient_source"].iloc[0],
        "is_feasible": solution.shares is not None,
        "infeasible_because": solution.infeasible_because,
        **_figures(solution),
        "hhi_recommended": solution.hhi,
        "objective": solution.objective,
        "is_change_limited": solution.is_change_limited,
        "n_at_capacity": int(delivers.sum()),
        "binding_constraints": "; ".join(binding),
    }


def _figures(solution: Solution) -> dict[str, object]:
    return {
        "divergence": solution.divergence,
        "supplier_risk": solution.risk,
        "change_share": solution.change,
        "effective_suppliers": 1.0 / solution.hhi,
    }
