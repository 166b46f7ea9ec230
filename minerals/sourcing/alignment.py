"""Whether the actual suppliers are those that the model ranks first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.names import ALIGNMENTS, MARKET
from minerals.shares import part_of_total

_KEY = [*MARKET, "year", "coefficient_source"]


def align(
    predicted_rank: pd.Series, actual_rank: pd.Series, k: pd.Series | int
) -> NDArray[np.object_]:
    """The word for each supplier: within k in both ranks is aligned, in the actual rank only
    overrepresented, in the predicted only underutilized, in neither peripheral.

    A supplier without imports has no actual rank (null), so it is never aligned.
    """
    in_predicted = predicted_rank.le(k).fillna(False).astype(bool)
    in_actual = actual_rank.le(k).fillna(False).astype(bool)
    return np.select(
        [in_predicted & in_actual, in_actual, in_predicted],
        ["aligned", "overrepresented", "underutilized"],
        default="peripheral",
    ).astype(object)


def beside_actual(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """With actual share and rank within `keys`, ties by ISO3, and how the predicted compares."""
    groups = [frame[name] for name in keys]
    bought = frame.sort_values("exporter_iso3", kind="stable")["actual_qty_kg"]
    rank = bought.where(bought > 0).groupby(groups).rank(ascending=False, method="first")
    frame["actual_share"] = part_of_total(frame["actual_qty_kg"], groups)
    frame["actual_rank"] = rank.astype("Int64")
    frame["rank_distance"] = frame["predicted_rank"] - frame["actual_rank"]
    words = align(frame["predicted_rank"], frame["actual_rank"], frame["effective_k"])
    return frame.assign(alignment=words)


def alignment_by_year(ranking_annual: pd.DataFrame) -> pd.DataFrame:
    """`portfolio_alignment`: how far each year's imports are from the model's, per market."""
    if ranking_annual.empty:
        return marts.empty("portfolio_alignment")
    frame = ranking_annual
    counts = {f"n_{word}": frame["alignment"] == word for word in ALIGNMENTS}
    frame = frame.assign(
        **counts,
        mean_rank_distance=frame["rank_distance"].astype("float64").abs(),
        difference=(frame["actual_share"].fillna(0.0) - frame["model_share"]).abs(),
        is_imported=frame["actual_share"].notna(),
    )
    groups = frame.groupby(_KEY, sort=True)
    table = groups[list(counts)].sum()
    table["mean_rank_distance"] = groups["mean_rank_distance"].mean()
    moved = groups["difference"].sum() / 2.0
    table["misallocated_share"] = moved.where(groups["is_imported"].any())
    return marts.conform(table.reset_index(), "portfolio_alignment")
