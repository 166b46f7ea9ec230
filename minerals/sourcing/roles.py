"""What to do about each supplier, its role, and the strategy for each mineral, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.frames import Columns, by_market
from minerals.names import MARKET

ROLES = ("excluded", "established", "relied_on", "untapped", "unsettled", "peripheral")
"""What a supplier is, not what to do about it; in order of precedence, the last for all others."""
ACTIONS = ("more", "less", "keep")
"""Whether the share of a supplier should rise, fall or stay."""
MIN_CHANGE = 0.01
"""A share that changes by less than a point counts as unchanged."""
MIN_ESTIMATED_SHARE = 0.1
"""The estimated part of a quantity is mentioned from this share on."""
STRATEGIES = ("secure_long_term", "build_data", "diversify", "rebalance", "maintain")
LIKELY = 0.8
"""A place among the leading that is at least this probable is relied upon."""
REBALANCE_ABOVE = 0.25
"""Share of the imports that the recommended portfolio moves, from which to rebalance."""


def partners(recommended: pd.DataFrame, concentration: pd.DataFrame) -> pd.DataFrame:
    """`portfolio_partners`: each candidate's shares, action, role and evidence.

    recommended: of `portfolio.recommend`. concentration: `portfolio_concentration`, of which
    is_concentrated is used. `unsettled` holds what leads in either rank without another role: faded
    or episodic, uncertain, or overrepresented where imports are spread.
    """
    if recommended.empty:
        return marts.empty("portfolio_partners")
    frame = recommended.merge(
        concentration[[*MARKET, "is_concentrated"]], how="left", on=MARKET, validate="many_to_one"
    )
    frame["action"] = action(frame["change_share"])
    frame["role"] = role(frame)
    frame["evidence"] = [evidence(row) for row in frame[list(_OF_EVIDENCE)].to_dict("records")]
    return marts.conform(frame, "portfolio_partners")


def action(change_share: pd.Series) -> pd.Series:
    """What to do about each share, from recommended less actual share; null where that is null."""
    conditions = [change_share >= MIN_CHANGE, change_share <= -MIN_CHANGE]
    return _first_that_holds(conditions, ACTIONS).where(change_share.notna())


def role(frame: pd.DataFrame) -> pd.Series:
    """The role of each row; needs is_excluded, alignment, persistence, top_k_probability and
    is_concentrated."""
    alignment, persistence = frame["alignment"], frame["persistence"]
    conditions = [
        frame["is_excluded"],
        (alignment == "aligned") & (persistence == "persistent"),
        (alignment == "overrepresented") & _is_concentrated(frame),
        (alignment == "underutilized") & (frame["top_k_probability"] >= LIKELY),
        (persistence == "recent_entrant") | (alignment != "peripheral"),
    ]
    return _first_that_holds(conditions, ROLES)


def evidence(row: Mapping[Any, Any]) -> str:
    """The figures behind a partner's action and role, in two or three short sentences."""
    k = row["effective_k"]
    rank = (
        f"Rank {row['forward_rank']} by the model (90% interval {row['rank_low']} to "
        f"{row['rank_high']}; among the {k} leading with probability "
        f"{row['top_k_probability']:.2f}), {_WORDS[row['persistence']].format(k=k)}."
    )
    return " ".join([rank, _supply(row), *_recommendation(row)])


def _supply(row: Mapping[Any, Any]) -> str:
    if row["annual_qty_kg"] > 0:
        part = row["doubtful_qty_kg"] / row["annual_qty_kg"]
        note = f", {part:.0%} of it estimated from its value" if part >= MIN_ESTIMATED_SHARE else ""
        return f"Supplies {row['actual_share']:.1%}, rank {row['actual_rank']}{note}."
    if row["n_unknown_qty"] > 0:
        return "Supplies an unknown quantity."
    return "No import of known quantity." if pd.isna(row["actual_share"]) else "Supplies nothing."


def _recommendation(row: Mapping[Any, Any]) -> list[str]:
    if row["is_excluded"]:
        return ["Excluded by the settings."]
    if pd.isna(row["recommended_share"]):
        return []
    bound = ", at its capacity" if row["is_at_capacity"] and row["capacity_share"] > 0 else ""
    moves = f", {row['action']}" if row["action"] in ("more", "less") else ""
    return [f"Recommended: {row['recommended_share']:.1%}{moves}{bound}."]


_OF_EVIDENCE = ("effective_k", "forward_rank", "rank_low", "rank_high", "top_k_probability",
                "persistence", "annual_qty_kg", "doubtful_qty_kg", "actual_share", "actual_rank",
                "n_unknown_qty", "is_excluded", "recommended_share", "is_at_capacity",
                "capacity_share", "action")  # fmt: skip
_OF_RATIONALE = ("exporter_iso3", "annual_qty_kg", "doubtful_qty_kg", "is_excluded", "forward_rank",
                 "change_share", "actual_share", "model_share", "recommended_share",
                 "is_at_capacity", "capacity_share")  # fmt: skip
_WORDS = {
    "persistent": "every year among the {k} leading",
    "recent_entrant": "among the {k} leading only of late",
    "faded": "no longer among the {k} leading",
    "episodic": "in some years among the {k} leading",
    "never": "in no year among the {k} leading",
}


def strategies(
    partners: pd.DataFrame, optimization: pd.DataFrame, concentration: pd.DataFrame
) -> pd.DataFrame:
    """`portfolio_strategy`: one word and its reasons for each importer, category and mineral."""
    if optimization.empty:
        return marts.empty("portfolio_strategy")
    measured = ["hhi_recommended", "change_share", "infeasible_because"]
    frame = concentration.merge(
        optimization[[*MARKET, *measured]], how="inner", on=MARKET, validate="one_to_one"
    )
    moved = (partners["actual_share"].fillna(0.0) - partners["model_share"]).abs() / 2.0
    at_stake = moved.groupby([partners[name] for name in MARKET]).sum()
    frame = frame.merge(at_stake.rename("misallocated_share").reset_index(), on=MARKET, how="left")
    frame["misallocated_share"] = frame["misallocated_share"].where(frame["hhi_actual"].notna())
    frame["strategy"] = strategy(frame)
    grouped = {key: columns for key, _, columns in by_market(partners, _OF_RATIONALE)}
    frame["rationale"] = [
        rationale(row, grouped[tuple(row[name] for name in MARKET)])
        for row in frame.to_dict("records")
    ]
    return marts.conform(frame, "portfolio_strategy")


def strategy(frame: pd.DataFrame) -> pd.Series:
    """The strategy of each row; needs hhi_actual, is_narrow_pool, is_concentrated, change_share."""
    conditions = [
        frame["is_narrow_pool"],
        frame["hhi_actual"].isna(),
        _is_concentrated(frame),
        frame["change_share"] >= REBALANCE_ABOVE,
    ]
    return _first_that_holds(conditions, STRATEGIES)


def _is_concentrated(frame: pd.DataFrame) -> pd.Series:
    """is_concentrated, false where it is null."""
    return frame["is_concentrated"].astype("boolean").fillna(False).astype(bool)


def _first_that_holds(conditions: list[pd.Series], words: Sequence[str]) -> pd.Series:
    """The word of the first condition that holds in each row, the last word where none does."""
    chosen = np.select(conditions, list(words[:-1]), default=words[-1])
    return pd.Series(chosen, index=conditions[0].index, dtype="str")


def rationale(row: Mapping[Any, Any], partners: Columns) -> str:
    """Why the strategy: the figures of the market, and from whom to whom to move."""
    return " ".join([*_reasons(row), *_estimated_weights(partners), *_moves(row, partners)])


def _estimated_weights(partners: Columns) -> list[str]:
    bought, doubtful = float(partners["annual_qty_kg"].sum()), partners["doubtful_qty_kg"]
    weight = float(doubtful.sum())
    if bought <= 0 or weight < MIN_ESTIMATED_SHARE * bought:
        return []
    of_whom = _largest(partners, doubtful, MIN_ESTIMATED_SHARE * weight)
    return [f"{weight / bought:.0%} of the quantity is estimated from its value, of {of_whom}."]


def _reasons(row: Mapping[Any, Any]) -> list[str]:
    pool = (
        f"{row['n_candidates']} candidate suppliers, the first three with "
        f"{row['top3_model_share']:.0%} of what the model expects"
    )
    if pd.isna(row["hhi_actual"]):
        few = "Few to choose from" if row["strategy"] == "secure_long_term" else "No data"
        return [
            f"{few}: {pool}. No import of known quantity in this category: the ranking rests on "
            "characteristics alone; find the trade figures."
        ]
    trend = row["top1_share_trend"]
    moving = "" if pd.isna(trend) else f", {100 * trend:+.1f} points a year"
    facts = (
        f"{row['top1_exporter_iso3']} supplies {row['top1_share']:.0%} of the imports{moving}; "
        f"the Herfindahl index is {row['hhi_actual']:.2f}, as of "
        f"{row['effective_suppliers']:.1f} equal suppliers"
    )
    first = {
        "secure_long_term": f"Few to choose from: {pool}.",
        "diversify": "Concentrated.",
        "rebalance": "Spread, but not as the model expects.",
        "maintain": "Spread, and near what is recommended.",
    }[row["strategy"]]
    return [first, f"{facts}."]


def _moves(row: Mapping[Any, Any], partners: Columns) -> list[str]:
    if row["infeasible_because"]:
        return [f"No portfolio meets the constraints: {row['infeasible_because']}."]
    if pd.isna(row["hhi_actual"]):
        leading = np.where(partners["is_excluded"], -np.inf, -partners["forward_rank"])
        return [f"First by the model: {_largest(partners, leading, -1e9)}."]
    change = partners["change_share"]
    less, more = (_largest(partners, sign * change, MIN_CHANGE) for sign in (-1, 1))
    if not less or not more:
        return ["Today's shares are the recommended ones."]
    return [
        f"The recommended portfolio moves {row['change_share']:.0%}, mostly from {less} to {more}, "
        f"and brings the index to {row['hhi_recommended']:.2f}.",
        *_leader_that_stays(row, partners),
    ]


def _leader_that_stays(row: Mapping[Any, Any], partners: Columns) -> list[str]:
    """Whether a concentrated market spreads among the others only, which the strategy's name does
    not tell."""
    is_leader = partners["exporter_iso3"] == row["top1_exporter_iso3"]
    if not row["is_concentrated"] or (partners["change_share"][is_leader] <= -MIN_CHANGE).any():
        return []
    today, by_model, then = (
        float(partners[name][is_leader].sum())
        for name in ("actual_share", "model_share", "recommended_share")
    )
    can_sell = partners["capacity_share"] > 0
    n_full = int((partners["is_at_capacity"] & can_sell)[~is_leader].sum())
    return [
        f"It does not lower the share of {row['top1_exporter_iso3']}: {today:.0%} today, "
        f"{then:.0%} recommended, {by_model:.0%} by the model; others at their capacity: {n_full}. "
        "Only the others are spread."
    ]


def _largest(partners: Columns, figure: NDArray[Any], least: float) -> str:
    """The three suppliers whose figure is largest, of those where it is `least` at least."""
    order = np.argsort(-figure, kind="stable")[:3]
    return ", ".join(partners["exporter_iso3"][order[figure[order] >= least]])
