"""What makes a supplier risky, what bans and quotas leave of its capacity, and whether the
recommendation hangs on how that is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.frames import by_market
from minerals.names import MARKET, SUPPLIER
from minerals.settings import Choices
from minerals.sourcing.governance import governance_risk
from minerals.sourcing.portfolio import NEEDED, market_of
from minerals.sourcing.programme import Weights, solve_all
from minerals.sourcing.shocks import is_aimed_at

COMPONENTS = ("governance", "rank", "alignment", "restriction", "logistics", "regulatory")
ADDED = 0.5
"""What a variant of `portfolio_sensitivity` weighs the component that it adds."""
LEAST_SHARE = 0.01
"""`portfolio_sensitivity` holds the suppliers that some variant recommends for this share."""
_LIMITING = ("ban", "quota")


def risk_weights(choices: Choices) -> dict[str, float]:
    """The weight of each component, as an analyst chose it."""
    return {name: float(getattr(choices, f"{name}_weight")) for name in COMPONENTS}


def with_risk(
    suppliers: pd.DataFrame,
    attributes: pd.DataFrame,
    restrictions: pd.DataFrame,
    weights: Mapping[str, float],
) -> pd.DataFrame:
    """`suppliers` with <component>_risk, 0 to 1 and null where not known, and supplier_risk, their
    mean by `weights`.

    attributes: `partner_attributes`; restrictions: rows of `policy_events` that may end a supply.
    rank is 1 - top_k_probability, alignment the distance of votes over the importer's largest,
    logistics (5 - index) / 4, regulatory the governance risk of political stability and regulatory
    quality alone, restriction the severity of what is in force on the market.
    """
    pair = ["importer_iso3", "exporter_iso3"]
    distance = attributes["ideal_point_distance"]
    largest = distance.groupby(attributes["importer_iso3"]).transform("max")
    regulation = attributes["wgi_political_stability"] + attributes["wgi_regulatory_quality"]
    of_pair = attributes[pair].assign(
        alignment_risk=distance / largest,
        logistics_risk=(5 - attributes["logistics_performance_index"]) / 4,
        regulatory_risk=governance_risk(regulation / 2),
    )
    frame = suppliers.merge(of_pair, how="left", on=pair, validate="many_to_one")
    severity = np.zeros(len(frame))
    for event, hit in _in_force(frame, restrictions):
        severity[hit] = np.maximum(severity[hit], event["severity"])
    frame = frame.assign(rank_risk=1 - frame["top_k_probability"], restriction_risk=severity)
    return frame.assign(supplier_risk=weighted_risk(frame, weights))


def weighted_risk(components: pd.DataFrame, weights: Mapping[str, float]) -> pd.Series:
    """The mean of <component>_risk by `weights`, of those that are known; 0 where none is."""
    total = pd.Series(0.0, index=components.index)
    weight = pd.Series(0.0, index=components.index)
    for name, of_component in weights.items():
        if of_component > 0:
            risk = components[f"{name}_risk"]
            total += of_component * risk.fillna(0.0)
            weight += of_component * risk.notna()
    return (total / weight).where(weight > 0, 0.0)


def capacity_left(frame: pd.DataFrame, restrictions: pd.DataFrame) -> NDArray[np.float64]:
    """The part of each supplier's capacity that bans and quotas in force leave; of a ban none."""
    left = np.ones(len(frame))
    for event, hit in _in_force(frame, restrictions):
        if event["measure_type"] in _LIMITING:
            left[hit] = np.minimum(left[hit], 1 - event["severity"])
    return left


def limited(ceilings: pd.DataFrame, restrictions: pd.DataFrame) -> pd.DataFrame:
    """`ceilings` (`capacity.capacity`) with what bans and quotas in force leave of capacity and
    headroom. An unknown capacity is zero under a ban, and unknown under a quota."""
    left = capacity_left(ceilings, restrictions)
    capacity = (ceilings["capacity_qty_kg"] * left).mask(left == 0, 0.0)
    most = (capacity - ceilings["annual_qty_kg"]).clip(lower=0.0).fillna(np.inf)
    headroom = (ceilings["headroom_qty_kg"] * left).clip(upper=most)
    return ceilings.assign(capacity_qty_kg=capacity, headroom_qty_kg=headroom)


def _in_force(
    frame: pd.DataFrame, restrictions: pd.DataFrame
) -> Iterator[tuple[Mapping[Any, Any], NDArray[np.bool_]]]:
    """Each restriction in force, and the rows of `frame` that it hits."""
    for event in restrictions[restrictions["is_in_force"]].to_dict("records"):
        hit = (
            (frame["exporter_iso3"] == event["actor_iso3"])
            & (frame["mineral"] == event["mineral"])
            & (frame["category"] == event["category"])
        ).to_numpy(dtype=bool, copy=True)
        hit[hit] = [is_aimed_at(event["target_iso3"], i) for i in frame.loc[hit, "importer_iso3"]]
        yield event, hit


def portfolio_sensitivity(
    suppliers: pd.DataFrame, restrictions: pd.DataFrame, choices: Choices, weights: Weights
) -> pd.DataFrame:
    """`portfolio_sensitivity`: the recommendation under other judgements of risk and capacity.

    suppliers: with components (`with_risk`), capacity_share and the recommended shares.
    """
    own = risk_weights(choices)
    left = np.ones(len(suppliers))
    if not choices.limit_by_restrictions:
        left = capacity_left(suppliers, restrictions)
    policy = (suppliers["capacity_share"] * left).mask(left == 0, 0.0)
    variants = {
        "base": (own, suppliers["capacity_share"]),
        "policy": ({**own, "restriction": ADDED}, policy),
        "logistics": ({**own, "logistics": ADDED}, suppliers["capacity_share"]),
        "alignment": ({**own, "alignment": ADDED}, suppliers["capacity_share"]),
        "equal": (dict.fromkeys(COMPONENTS, 1.0), suppliers["capacity_share"]),
    }
    frames = []
    for variant, (of_variant, capacity) in variants.items():
        names = dict.fromkeys([*SUPPLIER, *NEEDED, "recommended_share", "is_at_capacity"])
        frame = suppliers[list(names)]
        frame = frame.assign(
            variant=variant,
            base_share=frame["recommended_share"],
            supplier_risk=weighted_risk(suppliers, of_variant),
            capacity_share=capacity,
            why_none="",
        )
        if variant != "base":
            frame = _solved(frame, weights)
        frames.append(frame)
    found = pd.concat(frames, ignore_index=True)
    found["change_from_base"] = found["recommended_share"] - found["base_share"]
    found["moved_share"] = (
        found["change_from_base"]
        .abs()
        .groupby([found[name] for name in (*MARKET, "variant")])
        .transform("sum", min_count=1)
        / 2
    )
    most = found.groupby(SUPPLIER)["recommended_share"].transform("max")
    return marts.conform(found[most >= LEAST_SHARE], "portfolio_sensitivity")


def _solved(frame: pd.DataFrame, weights: Weights) -> pd.DataFrame:
    """`frame` with the recommended shares of its risks and capacities; null, and why, for a market
    without a solution."""
    markets = list(by_market(frame, NEEDED))
    solutions = solve_all([(market_of(columns), weights) for _, _, columns in markets])
    shares, binds = np.full(len(frame), np.nan), np.zeros(len(frame), dtype=bool)
    why = np.full(len(frame), "", dtype=object)
    for (_, places, _), solution in zip(markets, solutions, strict=True):
        binds[places], why[places] = solution.at_capacity, solution.infeasible_because
        if solution.shares is not None:
            shares[places] = solution.shares
    return frame.assign(recommended_share=shares, is_at_capacity=binds, why_none=why)
