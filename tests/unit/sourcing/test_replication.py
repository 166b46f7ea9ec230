"""The comparison with a printed ranking, on one mineral of four suppliers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.replication import (
    REPLICATION_SCORECARD,
    producer_only_minerals,
    scorecard,
    summary,
)

NAMES = {"Australia": "AUS", "Brazil": "BRA", "Chile": "CHL", "Peru": "PER", "Zambia": "ZMB"}


@pytest.fixture()
def published(coefficients: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    parts = [
        coefficients(
            source="published",
            category=category,
            ln_gdp=("covariate", 1.0),
            Gallium=("mineral", -30.0),
            Copper=("mineral", copper),
            Constant=("constant", 0.0),
        )
        for category, copper in (("ores", -31.0), ("products", 1.0), ("scrap", -25.0))
    ]
    return pd.concat(parts, ignore_index=True)


def printed(*countries: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "category": "ores",
            "mineral": "Copper",
            "rank": range(1, len(countries) + 1),
            "country": countries,
        }
    )


def score(market: pd.DataFrame, published: pd.DataFrame, *countries: str) -> pd.Series:
    frame = scorecard(market, published, printed(*countries), NAMES, top_k=3)
    assert {n: str(k) for n, k in frame.dtypes.items()} == dict(REPLICATION_SCORECARD.columns)
    assert len(frame) == 1
    return frame.iloc[0]


def test_the_same_order_is_full_agreement(market: pd.DataFrame, published: pd.DataFrame) -> None:
    row = score(market, published, "Australia", "Brazil", "Chile")
    assert (row["n_candidates"], row["n_published"], row["n_common"]) == (4, 3, 3)
    assert (row["overlap_share"], row["spearman_rho"]) == (1.0, pytest.approx(1.0))
    assert row["is_top1_match"]


def test_a_different_order_and_a_stranger(market: pd.DataFrame, published: pd.DataFrame) -> None:
    """Ours: AUS BRA CHL PER. Theirs: BRA AUS PER, ZMB is no candidate of ours."""
    row = score(market, published, "Brazil", "Australia", "Peru", "Zambia")
    assert row["overlap_share"] == pytest.approx(2 / 3)  # AUS, BRA of the first three
    assert (row["n_published"], row["n_common"]) == (4, 3)
    # ranks over the common three: ours AUS 1, BRA 2, PER 3; theirs 2, 1, 3: 1 - 6*2/(3*8) = 0.5
    assert row["spearman_rho"] == pytest.approx(0.5)
    assert not row["is_top1_match"]


def test_a_short_printed_list_is_measured_by_its_length(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    row = score(market, published, "Chile", "Peru")
    assert row["overlap_share"] == pytest.approx(1 / 2)
    assert np.isnan(row["spearman_rho"])


def test_a_mineral_we_do_not_have_is_met_by_nothing(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    row = score(market.query("mineral != 'Copper'"), published, "Chile", "Peru")
    assert (row["n_candidates"], row["overlap_share"]) == (0, 0.0)
    assert not row["is_top1_match"]


def test_minerals_never_imported_are_ranked_among_producers_alone(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    assert producer_only_minerals(published) == {"Gallium"}  # Copper has one effect of 1.0
    market["is_producer"] = market["exporter_iso3"] != "AUS"
    gallium = printed("China").assign(mineral="Gallium")
    both = pd.concat([printed("Australia", "Brazil", "Chile"), gallium])
    frame = scorecard(market, published, both, {**NAMES, "China": "CHN"}).set_index("mineral")
    assert frame["n_candidates"].to_dict() == {"Copper": 4, "Gallium": 1}


def test_an_unknown_name_is_named(market: pd.DataFrame, published: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no ISO3 code for the study's Atlantis"):
        scorecard(market, published, printed("Chile", "Atlantis"), NAMES)


def test_other_importers_and_sources_beside_do_not_matter(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    japan = market.assign(importer_iso3="JPN", ln_gdp=-market["ln_gdp"])
    beside = [
        published.assign(importer_iso3="JPN"),
        published.assign(coefficient_source="estimated"),
    ]
    row = score(pd.concat([japan, market]), pd.concat([published, *beside]), "Australia", "Brazil")
    assert (row["n_candidates"], row["overlap_share"]) == (4, 1.0)


def test_only_the_studys_importer_is_compared(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    assert scorecard(market.assign(importer_iso3="JPN"), published, printed("Chile"), NAMES).empty


def test_the_means_are_over_minerals_with_more_candidates_than_places() -> None:
    frame = pd.DataFrame(
        {
            "category": "ores",
            "mineral": ["A", "B", "C"],
            "n_candidates": [11, 10, 40],
            "overlap_share": [0.8, 0.1, 0.9],
            "spearman_rho": [0.5, 0.0, 1.0],
            "is_top1_match": [True, True, False],
        }
    )
    row = summary(frame, top_k=10).iloc[0]
    assert row["n_minerals"] == 2
    assert row["mean_overlap_share"] == pytest.approx(0.85)
    assert row["mean_spearman_rho"] == pytest.approx(0.75)
    assert row["top1_match_share"] == pytest.approx(0.5)


def test_a_supplier_whose_gdp_was_never_observed_is_no_candidate(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    market["is_imputed_ln_gdp"] = market["exporter_iso3"] == "AUS"
    row = score(market, published, "Australia", "Brazil", "Chile")
    assert (row["n_candidates"], row["n_common"]) == (3, 2)
    assert row["overlap_share"] == pytest.approx(2 / 3)


def test_one_observed_year_of_gdp_is_enough(market: pd.DataFrame, published: pd.DataFrame) -> None:
    market["is_imputed_ln_gdp"] = market["year"] == 2020
    assert score(market, published, "Australia")["n_candidates"] == 4
