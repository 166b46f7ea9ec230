"""Whether the actual suppliers are those that the model ranks first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.names import ALIGNMENTS, MARKET

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
