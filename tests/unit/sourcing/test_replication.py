"""The comparison with a printed ranking, on one mineral of four suppliers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from minerals.sourcing.replication import (
    comparison,
    fit_beside_ours,
    producer_only_minerals,
    summary,
    without_imputed,
)

NAMES = {"Australia": "AUS", "Brazil": "BRA", "Chile": "CHL", "Peru": "PER", "Zambia": "ZMB"}


SERVED = pd.DataFrame(
    {
        "importer_iso3": "IND",
        "category": "ores",
        "mineral": "Copper",
        "coefficient_source": "published",
        "exporter_iso3": ["PER", "AUS", "ZMB", "BRA", "CHL"],
        "forward_rank": [1, 2, 3, 4, 5],
    }
)
"""Of `ranking_forward`: ZMB is served too, and PER comes first."""


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


def scorecard(*inputs: pd.DataFrame, **chosen: Any) -> pd.DataFrame:
    chosen = {"country_names": NAMES, "ranking_forward": SERVED, "top_k": 10, **chosen}
    return comparison(*inputs, **chosen)["replication_scorecard"]


def score(market: pd.DataFrame, published: pd.DataFrame, *countries: str) -> pd.Series:
    frame = scorecard(market, published, printed(*countries), top_k=3)
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


def test_the_served_ranking_is_scored_beside(market: pd.DataFrame, published: pd.DataFrame) -> None:
    """Scored: AUS BRA CHL of the first three; served: PER AUS ZMB, of whom AUS is printed."""
    row = score(market, published, "Australia", "Brazil", "Chile")
    assert (row["overlap_share"], row["overlap_share_as_served"]) == (1.0, pytest.approx(1 / 3))
    assert (row["n_candidates"], row["n_candidates_as_served"]) == (4, 5)
    other = pd.concat([SERVED.assign(importer_iso3="JPN"), SERVED.assign(coefficient_source="a")])
    frame = scorecard(market, published, printed("Australia"), ranking_forward=other)
    assert frame[["n_candidates_as_served", "overlap_share_as_served"]].values.tolist() == [[0, 0]]


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
    frame = scorecard(market, published, both, country_names={**NAMES, "China": "CHN"})
    frame = frame.set_index("mineral")
    assert frame["n_candidates"].to_dict() == {"Copper": 4, "Gallium": 1}


def test_an_unknown_name_is_named(market: pd.DataFrame, published: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no ISO3 code for the study's Atlantis"):
        scorecard(market, published, printed("Chile", "Atlantis"))


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
    japan = market.assign(importer_iso3="JPN")
    assert scorecard(japan, published, printed("Chile")).empty


def test_the_means_are_over_minerals_with_more_candidates_than_places() -> None:
    frame = pd.DataFrame(
        {
            "category": "ores",
            "mineral": ["A", "B", "C"],
            "n_candidates": [11, 10, 40],
            "overlap_share": [0.8, 0.1, 0.9],
            "spearman_rho": [0.5, 0.0, 1.0],
            "is_top1_match": [True, True, False],
            "n_candidates_as_served": [12, 11, 40],
            "overlap_share_as_served": [0.6, 0.1, 0.8],
        }
    )
    row = summary(frame, top_k=10).iloc[0]
    assert row["n_minerals"] == 2
    assert row["mean_overlap_share"] == pytest.approx(0.85)
    assert row["mean_spearman_rho"] == pytest.approx(0.75)
    assert row["top1_match_share"] == pytest.approx(0.5)
    assert row["n_minerals_as_served"] == 3
    assert row["mean_overlap_share_as_served"] == pytest.approx(0.5)


def test_what_is_not_observed_counts_zero_in_that_year_alone(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    """AUS has ln_gdp 3, BRA 2, CHL 1, PER 0. Without AUS's two years its predictor is 0, and the
    tie with PER goes by code; without one, it is ln((e^3 + e^0) / 2) = 2.4, still the first."""
    market["is_imputed_ln_gdp"] = market["exporter_iso3"] == "AUS"
    row = score(market, published, "Brazil", "Chile", "Australia", "Peru")
    assert (row["n_candidates"], row["spearman_rho"]) == (4, pytest.approx(1.0))
    market["is_imputed_ln_gdp"] &= market["year"] == 2020
    assert score(market, published, "Australia", "Brazil", "Chile")["is_top1_match"]


def test_only_the_flagged_cells_become_zero(market: pd.DataFrame) -> None:
    market["is_imputed_ln_gdp"] = (market["exporter_iso3"] == "BRA") & (market["year"] == 2019)
    changed = without_imputed(market, ["ln_gdp"])
    assert changed["ln_gdp"].tolist() == [3, 3, 0, 2, 1, 1, 0, 0, 3, 3, 5, 5]
    assert market.loc[2, "ln_gdp"] == 2.0  # the panel itself is as it was
    with pytest.raises(ValueError, match="lacks the columns is_imputed_ln_distance"):
        without_imputed(market, ["ln_distance"])


@pytest.fixture()
def two_terms(market: pd.DataFrame, published: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """ln_gdp counts 1, debt -0.01: AUS 3 - 2.5 = 0.5, BRA 2 - 0 = 2, CHL 1 - 0.6 = 0.4, PER 0.
    Medians of the four: ln_gdp 1.5, debt 30."""
    debt = market["exporter_iso3"].map({"AUS": 250.0, "BRA": 0.0, "CHL": 60.0, "PER": 0.0})
    panel = market.assign(
        central_govt_debt_pct_gdp=debt.fillna(0.0),
        is_imputed_central_govt_debt_pct_gdp=market["exporter_iso3"] == "BRA",
    )
    term = published.query("term == 'ln_gdp'").assign(
        term="central_govt_debt_pct_gdp", estimate=-0.01
    )
    return panel, pd.concat([published, term], ignore_index=True)


def different(
    two_terms: tuple[pd.DataFrame, pd.DataFrame], *countries: str, category: str = "ores"
) -> pd.DataFrame:
    ranking = printed(*countries).assign(category=category)
    tables = comparison(*two_terms, ranking, NAMES, SERVED, top_k=2)
    frame = tables["replication_differences"]
    assert frame["category"].eq(category).all()
    return frame.set_index("exporter_iso3")


@pytest.mark.parametrize("category", ["ores", "products", "scrap"])
def test_each_difference_has_its_kind_its_gap_and_its_driver(
    two_terms: tuple[pd.DataFrame, pd.DataFrame], category: str
) -> None:
    """Ours: BRA (2), AUS (0.5), CHL (0.4), PER (0). Theirs: CHL, ZMB."""
    frame = different(two_terms, "Chile", "Zambia", category=category)
    assert frame["difference"].to_dict() == {
        "AUS": "ours_only",
        "BRA": "ours_only",
        "CHL": "printed_only",
        "ZMB": "not_a_candidate",
    }
    chile = frame.loc["CHL"]
    assert (chile["published_rank"], chile["our_rank"], chile["rank_difference"]) == (1, 3, 2)
    assert chile["predictor_gap"] == pytest.approx(1.6)  # BRA's 2 less its own 0.4
    # downward: ln_gdp 1 - 1.5 = -0.5, debt -0.01 * (60 - 30) = -0.3
    assert (chile["driver"], chile["driver_contribution"]) == ("ln_gdp", pytest.approx(-0.5))
    assert not chile["is_driver_imputed"]
    # upward: BRA ln_gdp 0.5, debt -0.01 * (0 - 30) = 0.3; AUS ln_gdp 1.5
    assert frame.loc["BRA", ["driver", "driver_contribution"]].tolist() == [
        "ln_gdp",
        pytest.approx(0.5),
    ]
    assert frame.loc["BRA", "imputed_regressors"] == "central_govt_debt_pct_gdp"
    assert pd.isna(frame.loc["AUS", "imputed_regressors"])
    assert frame.loc["AUS", ["published_rank", "predictor_gap"]].isna().all()
    unknown = ["our_rank", "rank_difference", "predictor_gap", "driver", "is_driver_imputed"]
    assert frame.loc["ZMB", unknown].isna().all()


def test_a_debt_that_was_not_observed_is_named_as_the_driver(
    two_terms: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """Theirs: AUS, BRA. Ours: BRA, AUS. What lifts BRA, when all have the same GDP, is its debt."""
    panel, coefficients = two_terms
    frame = different((panel.assign(ln_gdp=1.0), coefficients), "Australia", "Brazil")
    brazil = frame.loc["BRA"]
    assert (brazil["difference"], brazil["rank_difference"]) == ("other_rank", -1)
    assert (brazil["driver"], brazil["is_driver_imputed"]) == ("central_govt_debt_pct_gdp", True)
    assert brazil["driver_contribution"] == pytest.approx(0.3)


def test_the_same_list_leaves_nothing_to_explain(
    two_terms: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    assert different(two_terms, "Brazil", "Australia").empty


def test_a_mineral_without_candidates_is_not_a_candidates_alone(
    two_terms: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    panel, coefficients = two_terms
    frame = different((panel.query("mineral != 'Copper'"), coefficients), "Chile", "Peru", "Zambia")
    assert frame["difference"].tolist() == ["not_a_candidate"] * 2  # of the first two places


def test_other_importers_have_no_differences(
    two_terms: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    panel, coefficients = two_terms
    assert different((panel.assign(importer_iso3="JPN"), coefficients), "Chile").empty


def test_every_printed_place_is_kept_with_our_ranks(
    market: pd.DataFrame, published: pd.DataFrame
) -> None:
    table = printed("Zambia", "Australia", "Peru")
    tables = comparison(market, published, table, NAMES, SERVED, top_k=3)
    frame = tables["published_rankings"].set_index("rank")
    assert frame["exporter_iso3"].tolist() == ["ZMB", "AUS", "PER"]
    assert frame["our_rank"].fillna(0).tolist() == [0, 1, 4]  # Zambia is no candidate
    assert frame["our_rank_as_served"].tolist() == [3, 2, 1]
    other = market.assign(importer_iso3="JPN")
    frame = comparison(other, published, table, NAMES, SERVED.iloc[:0], 3)["published_rankings"]
    assert len(frame) == 3
    assert frame[["our_rank", "our_rank_as_served"]].isna().all(axis=None)


def test_the_feet_of_the_tables_imply_parameters_and_a_total() -> None:
    printed_fit = pd.DataFrame(
        {
            "category": ["ores", "scrap"],
            "n_observations": [3859, 3859],
            "pseudo_r2": [0.577, 0.432],
            "mean_dependent": [1133362.934, 157337.618],
            "sd_dependent": [20113370.508, 1824271.565],
            "chi2": [235179.486, np.nan],
            "aic": [18876142182.425, 2847673962.793],
            "bic": [18876142507.85, 2847674288.218],
        }
    )
    columns = ["pseudo_r2", "mean_dependent_kg", "sd_dependent_kg", "wald_chi2", "aic", "bic"]
    ours = pd.DataFrame({"importer_iso3": ["IND"], "category": ["ores"]}).assign(
        n_observations=10, n_parameters=3, **dict.fromkeys(columns, 2.0)
    )
    frame = fit_beside_ours(printed_fit, ours).set_index("category")
    assert frame["n_parameters_implied"].tolist() == pytest.approx([52, 52], abs=1e-3)
    assert frame["total_implied"].tolist() == pytest.approx([4.374e9, 0.607e9], rel=1e-3)
    assert frame.loc["ores", ["our_n_observations", "our_total_kg"]].tolist() == [10, 20.0]
    assert pd.isna(frame.loc["scrap", "our_n_observations"])
