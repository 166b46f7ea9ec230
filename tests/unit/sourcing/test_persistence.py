"""The five words for how long a supplier stays in the top k."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.persistence import label, persistence


@pytest.mark.parametrize(
    ("in_top", "word"),
    [
        ("11111", "persistent"),
        ("00000", "never"),
        ("00011", "recent_entrant"),
        ("00111", "recent_entrant"),
        ("01111", "episodic"),  # already there in one of the first two years
        ("00101", "episodic"),
        ("11000", "faded"),
        ("11100", "faded"),
        ("11010", "episodic"),
        ("10000", "episodic"),
        ("0011", "recent_entrant"),
        ("1100", "faded"),
        ("011", "recent_entrant"),
        ("110", "faded"),
        ("001", "episodic"),
        ("01", "recent_entrant"),
        ("10", "faded"),
        ("1", "persistent"),
        ("0", "never"),
    ],
)
def test_words(in_top: str, word: str) -> None:
    assert label(np.array([[mark == "1" for mark in in_top]]))[0] == word


def ranks(exporter: str, by_year: dict[int, int]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "importer_iso3": "IND",
            "category": "ores",
            "mineral": "Copper",
            "coefficient_source": "published",
            "exporter_iso3": exporter,
            "year": list(by_year),
            "predicted_rank": list(by_year.values()),
            "effective_k": 2,
        }
    )


def test_years_are_counted_within_the_top_k() -> None:
    frame = pd.concat(
        [
            ranks("AUS", {2019: 1, 2020: 2, 2021: 2, 2022: 1}),
            ranks("BRA", {2019: 3, 2020: 3, 2021: 1, 2022: 2}),
            ranks("CHL", {2020: 1, 2021: 3}),
            ranks("PER", {2019: 4, 2020: 4, 2021: 4, 2022: 4}),
        ]
    )
    got = persistence(frame)
    by_country = got.set_index("exporter_iso3")
    assert by_country["years_in_top_k"].to_dict() == {"AUS": 4, "BRA": 2, "CHL": 1, "PER": 0}
    assert by_country["years_observed"].to_dict() == {"AUS": 4, "BRA": 4, "CHL": 2, "PER": 4}
    assert by_country["persistence"].to_dict() == {
        "AUS": "persistent",
        "BRA": "recent_entrant",
        "CHL": "episodic",
        "PER": "never",
    }
    first = by_country["first_year_in_top_k"].dropna()
    assert first.to_dict() == {"AUS": 2019, "BRA": 2021, "CHL": 2020}
    assert by_country["last_year_in_top_k"]["CHL"] == 2020


def test_no_ranks_no_rows() -> None:
    assert persistence(ranks("AUS", {2019: 1}).iloc[:0]).empty


def test_streak_mean_and_spread_of_ranks() -> None:
    frame = persistence(ranks("AUS", {2019: 1, 2020: 2, 2021: 6, 2022: 2, 2023: 1}))
    row = frame.iloc[0]
    assert row["longest_streak"] == 2
    assert row["mean_rank"] == pytest.approx(2.4)
    assert row["rank_spread"] == pytest.approx(np.sqrt((1.96 + 0.16 + 12.96 + 0.16 + 1.96) / 5))


def test_any_window_will_do() -> None:
    """Ten years, and the last three of them, tell different stories of the same supplier."""
    by_year = dict(zip(range(2014, 2024), [9, 9, 9, 1, 1, 1, 1, 9, 1, 1], strict=True))
    ten = persistence(ranks("AUS", by_year)).iloc[0]
    assert (ten["persistence"], ten["years_in_top_k"], ten["longest_streak"]) == (
        "recent_entrant",
        6,
        4,
    )
    three = persistence(ranks("AUS", by_year).query("year >= 2021")).iloc[0]
    assert (three["persistence"], three["years_observed"]) == ("recent_entrant", 3)


def test_years_that_only_another_importer_has_do_not_count() -> None:
    japan = ranks("AUS", {2019: 1, 2021: 1}).assign(importer_iso3="JPN")
    india = ranks("AUS", {2019: 1, 2020: 9, 2021: 1})
    got = persistence(pd.concat([india, japan])).set_index("importer_iso3")
    assert got["persistence"].to_dict() == {"IND": "episodic", "JPN": "persistent"}
    assert got["longest_streak"].to_dict() == {"IND": 1, "JPN": 2}
