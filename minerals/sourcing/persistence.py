"""How long a supplier stays among the leading ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from minerals import marts
from minerals.names import SUPPLIER

_KEY = [*SUPPLIER, "coefficient_source"]


def persistence(ranking_annual: pd.DataFrame) -> pd.DataFrame:
    """`ranking_persistence`: in which years a candidate's predicted rank is within effective_k.

    The years are all those of the importer in `ranking_annual`, however many; a candidate without a
    row in one of them is not in that year's top k. See `label` for the words.
    """
    if ranking_annual.empty:
        return marts.empty("ranking_persistence")
    of_importers = ranking_annual.groupby("importer_iso3", sort=True)
    frames = [_of_importer(own) for _, own in of_importers]
    return marts.conform(pd.concat(frames, ignore_index=True), "ranking_persistence")


def _of_importer(ranking_annual: pd.DataFrame) -> pd.DataFrame:
    wide = ranking_annual.pivot(
        index=[*_KEY, "effective_k"], columns="year", values="predicted_rank"
    ).sort_index(axis=1)
    ranks = wide.to_numpy(dtype=np.float64, na_value=np.nan)
    in_top = ranks <= wide.index.get_level_values("effective_k").to_numpy()[:, None]
    years = wide.columns.to_numpy(dtype=np.int64)
    any_top = pd.Series(in_top.any(axis=1))
    first = years[in_top.argmax(axis=1)]
    last = years[len(years) - 1 - in_top[:, ::-1].argmax(axis=1)]
    return wide.index.to_frame(index=False).assign(
        years_in_top_k=in_top.sum(axis=1),
        years_observed=wide.notna().sum(axis=1).to_numpy(),
        first_year_in_top_k=pd.Series(first, dtype="Int64").where(any_top),
        last_year_in_top_k=pd.Series(last, dtype="Int64").where(any_top),
        longest_streak=longest_streak(in_top),
        mean_rank=np.nanmean(ranks, axis=1),
        rank_spread=np.nanstd(ranks, axis=1),
        persistence=label(in_top),
    )


def longest_streak(in_top: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The most consecutive truths in each row of (n, years)."""
    best = running = np.zeros(len(in_top), dtype=np.int64)
    for year in in_top.T:
        running = np.where(year, running + 1, 0)
        best = np.maximum(best, running)
    return best


def label(in_top: NDArray[np.bool_]) -> NDArray[np.object_]:
    """The word for each row of (n, years) truths, the years in order.

    persistent: every year. never: no year. recent_entrant: both of the last two years and neither
    of the first two. faded: both of the first two and neither of the last two. episodic: the rest.
    With fewer than four years the two spans shrink until they do not overlap: the span in which the
    candidate must be present keeps two years if it can. With one year only persistent and never.
    """
    years = in_top.shape[1]
    present = min(2, max(years - 1, 1))
    absent = min(2, years - present)
    first, last = in_top[:, :absent].any(axis=1), in_top[:, years - absent :].any(axis=1)
    recent = in_top[:, -present:].all(axis=1) & ~first
    faded = in_top[:, :present].all(axis=1) & ~last
    return np.select(
        [in_top.all(axis=1), ~in_top.any(axis=1), recent, faded],
        ["persistent", "never", "recent_entrant", "faded"],
        default="episodic",
    ).astype(object)
