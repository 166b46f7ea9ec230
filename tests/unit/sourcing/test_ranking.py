"""Ranks, quantities, alignment and simulated uncertainty, each checkable by hand."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from minerals.characteristics import average_characteristics
from minerals.ranks import krinsky_robb
from minerals.settings import Choices
from minerals.sourcing import ranking
from minerals.sourcing.persistence import persistence
from minerals.sourcing.ranking import coefficient_sets, linear_predictor

Build = Callable[..., pd.DataFrame]

annual_ranking = partial(ranking.annual_ranking, top_k=10)


def forward_ranking(
    panel: pd.DataFrame,
    coefficients: pd.DataFrame,
    variance: float = 0.25,
    top_k: int = 10,
    draws: int = 200,
    seed: int = 1,
    forward_years: int | None = None,
    bootstrap: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Without `bootstrap`, each importer has samples with ln_gdp from N(1, variance)."""
    choices = Choices(top_k=top_k, simulation_draws=draws, seed=seed, forward_years=forward_years)
    if bootstrap is None:
        drawn = krinsky_robb(np.ones(1), np.array([[variance]]), draws, seed)[:, 0]
        importers = pd.DataFrame({"importer_iso3": coefficients["importer_iso3"].unique()})
        bootstrap = replications(*drawn).drop(columns="importer_iso3").merge(importers, "cross")
    return ranking.forward_ranking(panel, coefficients, bootstrap, choices)


def replications(*estimates: float) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "importer_iso3": "IND",
            "category": "ores",
            "coefficient_source": "estimated",
            "replication": range(len(estimates)),
            "term": "ln_gdp",
            "estimate": estimates,
        }
    )


def test_annual_ranks_quantities_and_alignment(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    frame = annual_ranking(market, copper_model, top_k=2)
    copper = frame.loc[frame["mineral"] == "Copper"].set_index(["year", "exporter_iso3"])
    assert copper["predicted_rank"][2019].to_dict() == {"AUS": 1, "BRA": 2, "CHL": 3, "PER": 4}
    assert copper["actual_rank"][2019].dropna().to_dict() == {"BRA": 2, "CHL": 1}
    assert copper["actual_rank"][2020].dropna().to_dict() == {"AUS": 1, "BRA": 2, "CHL": 3}
    assert copper["alignment"][2019].to_dict() == {
        "AUS": "underutilized",
        "BRA": "aligned",
        "CHL": "overrepresented",
        "PER": "peripheral",
    }
    assert copper["predicted_qty_kg"][2019, "BRA"] == pytest.approx(np.exp(2 + 2))
    assert copper["predicted_qty_kg"][2020, "BRA"] == pytest.approx(np.exp(2 + 2 + 1))
    assert np.isnan(copper["actual_qty_kg"][2020, "PER"])


def test_a_mineral_without_an_effect_is_ranked_without_a_quantity(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    frame = annual_ranking(market, copper_model).query("mineral == 'Gallium' and year == 2019")
    assert frame.set_index("exporter_iso3")["predicted_rank"].to_dict() == {"AUS": 2, "CHN": 1}
    assert frame["predicted_qty_kg"].isna().all()


@pytest.mark.parametrize(("effect", "has_quantity"), [(-19.9, True), (-20.1, False)])
def test_a_published_effect_below_minus_twenty_is_no_estimate(
    market: pd.DataFrame, coefficients: Build, effect: float, has_quantity: bool
) -> None:
    published = coefficients(
        source="published",
        ln_gdp=("covariate", 1.0),
        Gallium=("mineral", effect),
        _2019=("year", 0.0),
        Constant=("constant", 2.0),
    )
    frame = annual_ranking(market, published).query("mineral == 'Gallium' and year == 2019")
    assert frame["predicted_qty_kg"].notna().all() == has_quantity


def test_ties_go_to_the_first_country_code(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    market["ln_gdp"] = 1.0
    market.loc[market["mineral"] == "Copper", "ores_qty_kg"] = 7.0
    shuffled = market.sample(frac=1.0, random_state=3)
    frame = annual_ranking(shuffled, copper_model).query("mineral == 'Copper' and year == 2020")
    assert frame["exporter_iso3"].tolist() == ["AUS", "BRA", "CHL", "PER"]
    assert frame["predicted_rank"].tolist() == frame["actual_rank"].tolist() == [1, 2, 3, 4]


def test_simulated_ties_go_to_the_first_country_code_too(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    more = [market.assign(exporter_iso3=market["exporter_iso3"] + n) for n in "123456789"]
    many = pd.concat([market, *more], ignore_index=True).assign(ln_gdp=1.0)
    frame = forward_ranking(many, copper_model, draws=100, seed=1)
    copper = frame.loc[frame["mineral"] == "Copper"]
    assert copper["forward_rank"].tolist() == list(range(1, 41))
    assert copper["rank_low"].tolist() == copper["rank_high"].tolist() == list(range(1, 41))


def test_the_forward_year_effect_is_that_of_the_panels_years(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    only = market.loc[market["year"] == 2020]
    frame = forward_ranking(only, copper_model, draws=100, seed=1)
    chl = frame.query("mineral == 'Copper' and exporter_iso3 == 'CHL'").iloc[0]
    assert chl["predicted_qty_kg"] == pytest.approx(np.exp(2 + 1 + 1))


def test_an_importer_that_lacks_the_last_year_is_ranked_on_its_own_last(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    """Japan has 2019 only: its mean is of one year, and its forward year is that one."""
    japan = market[market["year"] == 2019].assign(importer_iso3="JPN")
    models = pd.concat([copper_model, copper_model.assign(importer_iso3="JPN")])
    both = pd.concat([market, japan], ignore_index=True)
    frame = forward_ranking(both, models, draws=100, seed=1, forward_years=1)
    brazil = frame.query("mineral == 'Copper' and exporter_iso3 == 'BRA'").set_index(
        "importer_iso3"
    )
    assert brazil["predicted_qty_kg"].to_dict() == pytest.approx(
        {"IND": np.exp(2 + 2 + 1), "JPN": np.exp(2 + 2)}
    )
    assert brazil["actual_qty_kg"].to_dict() == {"IND": 350.0, "JPN": 400.0}


def test_suppliers_behind_a_separated_dummy_rank_last_without_a_quantity(
    market: pd.DataFrame, coefficients: Build
) -> None:
    market["landlocked"] = (market["exporter_iso3"] == "AUS").astype(int)
    model = coefficients(
        ln_gdp=("covariate", 1.0),
        landlocked=("covariate", np.nan),
        Copper=("mineral", 0.0),
        _2019=("year", 0.0),
        _2020=("year", 1.0),
        Constant=("constant", 2.0),
    )
    annual = annual_ranking(market, model).query("mineral == 'Copper' and year == 2019")
    assert annual.set_index("exporter_iso3")["predicted_rank"]["AUS"] == 4
    forward = forward_ranking(market, model, draws=200, seed=1)
    aus = forward.query("mineral == 'Copper' and exporter_iso3 == 'AUS'").iloc[0]
    assert (aus["forward_rank"], aus["rank_low"], aus["rank_high"]) == (4, 4, 4)
    assert np.isnan(aus["predicted_qty_kg"]) and np.isnan(aus["linear_predictor"])


def test_linear_predictor_adds_what_it_is_asked_for(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    copper_model.loc[copper_model["term"] == "Copper", "estimate"] = 0.5
    (model,) = coefficient_sets(copper_model)
    rows = market.iloc[[3]]  # Copper, BRA, 2020
    assert linear_predictor(rows, model, include_mineral=False) == pytest.approx([2 + 2 + 1])
    assert linear_predictor(rows, model, include_mineral=True) == pytest.approx([2 + 2 + 1 + 0.5])
    without_year = linear_predictor(rows.drop(columns="year"), model, include_mineral=True)
    mean = np.log((1 + np.e) / 2)  # of exp(0) and exp(1), the two years' effects in levels
    assert without_year == pytest.approx([2 + 2 + mean + 0.5])
    gallium = linear_predictor(market.iloc[[8]], model, include_mineral=True)
    assert np.isnan(gallium[0])


def test_forward_ranks_shares_and_quantities(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    frame = forward_ranking(market, copper_model, top_k=2, draws=500, seed=7)
    copper = frame.loc[frame["mineral"] == "Copper"].set_index("exporter_iso3")
    assert copper["forward_rank"].to_dict() == {"AUS": 1, "BRA": 2, "CHL": 3, "PER": 4}
    assert copper["predicted_qty_kg"]["CHL"] == pytest.approx(np.exp(2 + 1) * (1 + np.e) / 2)
    assert copper["linear_predictor"]["CHL"] == pytest.approx(3 + np.log((1 + np.e) / 2))
    # kg a year over two years, as predicted_qty_kg: AUS 500, BRA 700, CHL 800 in both together
    assert copper["actual_qty_kg"].to_dict() == {"AUS": 250, "BRA": 350, "CHL": 400, "PER": 0}
    assert copper["actual_share"]["CHL"] == pytest.approx(800 / 2000)
    gallium = frame.loc[frame["mineral"] == "Gallium"]
    assert gallium["actual_share"].isna().all() and gallium["predicted_qty_kg"].isna().all()


def test_the_forward_quantity_is_the_mean_of_the_annual_ones(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    """Where characteristics stand still, average characteristics predict the average quantity."""
    annual = annual_ranking(market, copper_model).query("mineral == 'Copper'")
    forward = forward_ranking(market, copper_model, draws=100, seed=1)
    copper = forward.query("mineral == 'Copper'").set_index("exporter_iso3")["predicted_qty_kg"]
    expected = annual.groupby("exporter_iso3")["predicted_qty_kg"].mean()
    assert copper.to_dict() == pytest.approx(expected.to_dict())


def test_few_candidates_do_not_all_lead(market: pd.DataFrame, copper_model: pd.DataFrame) -> None:
    """Copper has four candidates, Gallium two: of them two and one lead, whatever top_k is."""
    forward = forward_ranking(market, copper_model, variance=1.0, top_k=10, draws=500, seed=7)
    markets = forward.groupby("mineral")
    assert markets["effective_k"].first().to_dict() == {"Copper": 2, "Gallium": 1}
    assert markets["top_k_probability"].sum().to_dict() == pytest.approx(
        {"Copper": 2, "Gallium": 1}
    )
    annual = annual_ranking(market, copper_model, top_k=10)
    words = persistence(annual).set_index(["mineral", "exporter_iso3"])["persistence"]
    assert words["Copper"].to_dict() == {
        "AUS": "persistent", "BRA": "persistent", "CHL": "never", "PER": "never",
    }  # fmt: skip
    assert words["Gallium"].to_dict() == {"AUS": "never", "CHN": "persistent"}
    chile = annual.query("mineral == 'Copper' and year == 2019 and exporter_iso3 == 'CHL'")
    assert chile["alignment"].tolist() == ["overrepresented"]  # third by the model, first in fact


def test_rank_probabilities_are_those_of_the_normal_distribution(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    """With one coefficient b ~ N(1, 0.5^2) the order reverses exactly when b < 0: P = Phi(-2)."""
    frame = forward_ranking(market, copper_model, top_k=2, draws=20_000, seed=5)
    copper = frame.loc[frame["mineral"] == "Copper"].set_index("exporter_iso3")
    reversed_ = norm.cdf(-2.0)
    assert copper["top_k_probability"]["AUS"] == pytest.approx(1 - reversed_, abs=0.003)
    assert copper["top_k_probability"]["PER"] == pytest.approx(reversed_, abs=0.003)
    assert copper[["rank_low", "rank_high"]].to_dict("list") == {
        "rank_low": [1, 2, 3, 4],  # 2.3% of the draws reverse: less than the 5% cut off each side
        "rank_high": [1, 2, 3, 4],
    }
    # now Phi(-1) = 16% of the draws reverse
    wide = forward_ranking(market, copper_model, variance=1.0, draws=5_000, seed=5)
    aus = wide.query("mineral == 'Copper' and exporter_iso3 == 'AUS'").iloc[0]
    assert (aus["rank_low"], aus["rank_high"]) == (1, 4)


def test_published_models_use_printed_standard_errors(
    market: pd.DataFrame, coefficients: Build
) -> None:
    published = coefficients(
        source="published",
        std_error=2.0,
        ln_gdp=("covariate", 1.0),
        _2019=("year", 0.0),
        Constant=("constant", 2.0),
    )
    frame = forward_ranking(
        market, published, top_k=1, draws=20_000, seed=2, bootstrap=replications()
    )
    aus = frame.query("mineral == 'Copper' and exporter_iso3 == 'AUS'").iloc[0]
    assert aus["top_k_probability"] == pytest.approx(norm.cdf(0.5), abs=0.01)


def test_seed_decides_and_other_models_do_not_interfere(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    published = copper_model.assign(coefficient_source="published", std_error=1.0)
    both = pd.concat([copper_model, published])
    one = forward_ranking(market, published, top_k=1, draws=300, seed=9)
    again = forward_ranking(
        market.sample(frac=1.0, random_state=1), both, top_k=1, draws=300, seed=9
    ).query("coefficient_source == 'published'")
    pd.testing.assert_frame_equal(one, again.reset_index(drop=True))
    other = forward_ranking(market, published, top_k=1, draws=300, seed=10)
    assert (one["top_k_probability"] != other["top_k_probability"]).any()


def test_rank_intervals_of_our_models_are_those_of_the_bootstrap(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    """Of ten samples three turn the order round; the seed has no say."""
    samples = replications(1, 2, 0.5, 1, 1, 3, 0.1, -1, -2, -0.5)
    frame = forward_ranking(market, copper_model, top_k=1, seed=3, bootstrap=samples)
    copper = frame.loc[frame["mineral"] == "Copper"].set_index("exporter_iso3")
    assert copper["top_k_probability"].to_dict() == {"AUS": 0.7, "BRA": 0, "CHL": 0, "PER": 0.3}
    assert copper[["rank_low", "rank_high"]].loc["AUS"].tolist() == [1, 4]
    assert copper[["rank_low", "rank_high"]].loc["BRA"].tolist() == [2, 3]
    with pytest.raises(ValueError, match="no bootstrap of IND, ores, estimated"):
        forward_ranking(market, copper_model, bootstrap=samples.iloc[:0])


def test_characteristics_are_averaged_in_their_own_unit() -> None:
    panel = pd.DataFrame(
        {
            "mineral": "Copper",
            "exporter_iso3": "CHL",
            "ln_production_qty": np.log1p([0.0, 1000.0]),
            "ln_gdp": np.log([10.0, 30.0]),
            "wgi_average": [0.5, 1.5],
        }
    )
    names = ["ln_production_qty", "ln_gdp", "wgi_average"]
    row = average_characteristics(panel, names).iloc[0]
    assert row["ln_production_qty"] == pytest.approx(np.log(501.0))
    assert row["ln_gdp"] == pytest.approx(np.log(20.0))
    assert row["wgi_average"] == 1.0


def test_candidates_without_a_regressor_are_named(
    market: pd.DataFrame, copper_model: pd.DataFrame
) -> None:
    market.loc[5, "ln_gdp"] = np.nan
    with pytest.raises(ValueError, match=r"candidates lack a regressor in 1 rows.*'CHL'"):
        annual_ranking(market, copper_model)
    with pytest.raises(ValueError, match=r"candidates lack a regressor in 1 rows.*'CHL'"):
        forward_ranking(market, copper_model)


def test_coefficient_sets_prefer_clustered_errors_and_refuse_what_is_ambiguous(
    copper_model: pd.DataFrame,
) -> None:
    robust = copper_model.assign(se_type="robust_hc1", std_error=9.0)
    (model,) = coefficient_sets(pd.concat([robust, copper_model]))
    assert model.variances == {"ln_gdp": pytest.approx(0.01)}
    assert model.years == {2019: 0.0, 2020: 1.0}
    with pytest.raises(ValueError, match="given twice"):
        list(coefficient_sets(pd.concat([copper_model, copper_model])))
    with pytest.raises(ValueError, match="no constant"):
        list(coefficient_sets(copper_model.query("term_type != 'constant'")))


def test_no_coefficients_no_rows(market: pd.DataFrame, copper_model: pd.DataFrame) -> None:
    none = copper_model.iloc[:0]
    assert annual_ranking(market, none).empty
    assert forward_ranking(market, none).empty


def test_importing_the_rankings_is_light() -> None:
    modules = "ranking, persistence, concentration, replication"
    code = (
        f"import sys; from minerals.sourcing import {modules}; "
        "sys.exit(any(m.split('.')[0] in ('statsmodels', 'scipy', 'dagster') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
