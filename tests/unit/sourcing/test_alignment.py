"""The four words, and the share at stake, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.names import ALIGNMENTS
from minerals.sourcing.alignment import align, alignment_by_year
from minerals.sourcing.ranking import annual_ranking


def test_words() -> None:
    predicted = pd.Series([1, 11, 2, 12, 10, 3])
    actual = pd.Series([1, 2, 11, 12, 10, pd.NA], dtype="Int64")
    assert align(predicted, actual, 10).tolist() == [
        "aligned",
        "overrepresented",
        "underutilized",
        "peripheral",
        "aligned",
        "underutilized",  # no imports, so no actual rank
    ]


def test_share_at_stake_of_a_year(market: pd.DataFrame, copper_model: pd.DataFrame) -> None:
    annual = annual_ranking(market, copper_model, top_k=2)
    frame = alignment_by_year(annual)
    rows = frame.set_index(["mineral", "year"])
    # model shares of Copper: exp(3), exp(2), exp(1), exp(0) over their sum; 2019: BRA 0.4, CHL 0.6
    model = np.exp([3.0, 2.0, 1.0, 0.0]) / np.exp([3.0, 2.0, 1.0, 0.0]).sum()
    gap = np.abs(model - [0.0, 0.4, 0.6, 0.0]).sum() / 2
    first = rows.loc[("Copper", 2019)]
    assert first["misallocated_share"] == pytest.approx(gap)
    # BRA is 2 and 2, CHL 3 and 1, AUS 1 and none, PER 4 and none
    counts = [f"n_{word}" for word in ALIGNMENTS]
    assert first[counts].tolist() == [1, 1, 1, 1]
    assert first["mean_rank_distance"] == pytest.approx((0 + 2) / 2)
    assert np.isnan(rows.loc[("Gallium", 2019), "misallocated_share"])
    assert np.isnan(rows.loc[("Gallium", 2019), "mean_rank_distance"])


def test_rank_distance_and_shares_of_a_year(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    annual = annual_ranking(market, copper_model, top_k=10).set_index(
        ["mineral", "year", "exporter_iso3"]
    )
    chile = annual.loc[("Copper", 2019, "CHL")]
    assert (chile["predicted_rank"], chile["actual_rank"], chile["rank_distance"]) == (3, 1, 2)
    assert chile["actual_share"] == pytest.approx(0.6)
    assert annual.loc[("Copper", 2019, "AUS"), "rank_distance"] is pd.NA
    sums = annual["model_share"].groupby(["mineral", "year"]).sum()
    assert sums.tolist() == pytest.approx([1.0] * 4)


def test_no_ranks_no_rows(market: pd.DataFrame, copper_model: pd.DataFrame) -> None:
    assert alignment_by_year(annual_ranking(market, copper_model, top_k=10).iloc[:0]).empty
