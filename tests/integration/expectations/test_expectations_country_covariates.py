"""Each kind of damage to the covariates is caught by the rule made for it, with the row's key."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from expectations import country_covariates
from expectations.validation import Outcome
from tests.integration.expectations.judging import assert_names_and_reasons, not_passed
from tests.integration.expectations.judging import judge as judge_by

YEARS = (2019, 2020)


SUITE = country_covariates.suite(YEARS, min_countries=7)


def judge(covariates: pd.DataFrame, *names: str) -> dict[str, Outcome]:
    """The outcomes of the rules of these names."""
    return judge_by(covariates, SUITE, *names)


def test_valid_covariates_pass_every_rule(covariates):
    found = judge(covariates)
    assert not_passed(found) == {}
    assert len(found) == len(SUITE.rules) > 50


# The rule, and the damage it is made for: row, column, value. All are done to one frame.
DAMAGED_CELLS = {
    "population_is_never_null": (0, "population", np.nan),
    "wgi_average_is_never_null": (0, "wgi_average", np.nan),
    "country_iso3_is_iso3": (1, "country_iso3", "Chile"),
    "access_to_electricity_pct_in_range": (0, "access_to_electricity_pct", 120.0),
    "electricity_renewable_ex_hydro_pct_in_range": (0, "electricity_renewable_ex_hydro_pct", -1.0),
    "wgi_average_in_range": (2, "wgi_average", 61.0),
    "population_in_range": (3, "population", 2e12),
    "population_imputation_is_never_null": (4, "population_imputation", None),
    "fdi_pct_gdp_flag_agrees_with_origin": (0, "fdi_pct_gdp_imputation", "nearest_year"),
    "wgi_average_flag_agrees_with_origin": (0, "is_imputed_wgi_average", True),
    "electricity_fossil_pct_flag_agrees_with_origin": (
        0,
        "electricity_fossil_pct_imputation",
        "guessed",
    ),
}


def test_each_damaged_row_is_caught_and_named(covariates):
    for row, column, value in DAMAGED_CELLS.values():
        covariates.loc[row, column] = value
    found = judge(covariates, *DAMAGED_CELLS)
    for name, (row, *_) in DAMAGED_CELLS.items():
        outcome = found[name]
        assert (outcome.status, outcome.n_unexpected) == ("failed", 1), outcome
        expected = covariates.loc[row, ["country_iso3", "year"]].to_dict()
        assert {key: outcome.sample[0][key] for key in expected} == expected


@pytest.mark.parametrize(("column", "factor"), [("population", 1000), ("gdp_ppp_2021_usd", 0.001)])
def test_one_country_in_a_wrong_unit_shows_in_gdp_per_person(covariates, column, factor):
    covariates.loc[0, column] *= factor
    outcome = judge(covariates, "gdp_per_person_in_range")["gdp_per_person_in_range"]
    assert (outcome.status, outcome.n_unexpected) == ("failed", 1)
    assert (outcome.sample[0]["country_iso3"], outcome.sample[0]["year"]) == ("CHL", 2019)


def test_an_imputed_cell_with_its_origin_passes_and_leaves_the_world_total(covariates):
    covariates.loc[0, ["is_imputed_population", "population_imputation"]] = [True, "global_median"]
    covariates.loc[0, "population"] = 1.9e9 * 10  # 30 USD of GDP per person
    found = judge(
        covariates,
        "population_flag_agrees_with_origin",
        "gdp_per_person_in_range",
        "world_population_in_band",
    )
    assert {outcome.status for outcome in found.values()} == {"passed"}
    total = covariates.population[1:].sum()
    assert f"Observed {total:,.6g}" in found["world_population_in_band"].message


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_a_slip_of_unit_moves_medians_and_world_totals(covariates, factor):
    covariates["population"] *= factor
    covariates["gdp_ppp_2021_usd"] /= factor
    names = (
        "population_median_in_band",
        "world_population_in_band",
        "gdp_ppp_2021_usd_median_in_band",
        "world_gdp_ppp_2021_usd_in_band",
        "gdp_per_person_in_range",
    )
    found = judge(covariates, *names)
    assert {name: o.status for name, o in found.items()} == dict.fromkeys(names, "failed")


def test_values_all_imputed_are_not_observed(covariates):
    flags = {f"is_imputed_{name}": True for name in country_covariates.COVARIATES}
    names = [f"{name}_is_observed" for name in country_covariates.COVARIATES]
    found = judge(covariates.assign(**flags), *names)
    assert {(o.status, o.n_unexpected) for o in found.values()} == {("failed", 14)}


TABLE_DAMAGES = [
    ("years_are_the_window", lambda c: c[c.year != 2020]),
    ("every_country_has_every_year", lambda c: c.iloc[1:]),
    ("enough_countries", lambda c: c[c.country_iso3 != "CHL"]),
    ("key_is_unique", lambda c: pd.concat([c, c.iloc[[3]]])),
    ("landlocked_share_in_band", lambda c: c.assign(is_landlocked=False)),
    ("access_to_electricity_pct_median_in_band", lambda c: c.assign(access_to_electricity_pct=1.0)),
]


@pytest.mark.parametrize(("name", "damage"), TABLE_DAMAGES, ids=[n for n, _ in TABLE_DAMAGES])
def test_damage_to_the_whole_table_is_caught(covariates, name, damage):
    assert judge(damage(covariates), name)[name].status == "failed"


def test_names_are_unique_and_fit_a_check_and_reasons_are_sentences():
    assert_names_and_reasons(SUITE)
