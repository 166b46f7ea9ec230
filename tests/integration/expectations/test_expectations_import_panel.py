"""Each kind of damage to the panel is caught by the rule made for it, with the row's key."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from expectations import import_panel
from expectations.validation import Outcome
from minerals.names import CATEGORIES, REGRESSORS
from tests.integration.expectations.judging import assert_names_and_reasons, not_passed
from tests.integration.expectations.judging import judge as judge_by

YEARS, IMPORTERS = (2019, 2020), ("IND",)
MINERALS = ("Copper", "Platinum", "Potash", "Silicon")
CHILE = {"importer_iso3": "IND", "exporter_iso3": "CHL", "mineral": "Copper", "year": 2019}


SUITE = import_panel.suite(YEARS, IMPORTERS, MINERALS, mined=("Copper",), min_minerals=4)


def judge(panel: pd.DataFrame, *names: str) -> dict[str, Outcome]:
    """The outcomes of the rules of these names."""
    return judge_by(panel, SUITE, *names)


def test_a_valid_panel_passes_every_rule(panel):
    found = judge(panel)
    assert not_passed(found) == {}
    assert len(found) == len(SUITE.rules) > 80


def test_an_empty_panel_passes_nothing(panel):
    names = ("has_rows", "key_is_unique", "ln_gdp_is_never_null", "every_candidate_has_every_year")
    found = judge(panel.iloc[:0], *names)
    assert {outcome.status for outcome in found.values()} == {"failed"}


def test_a_missing_column_breaks_what_needs_it_and_leaves_the_rest(panel):
    needs_it = {"ln_gdp_is_never_null", "ln_gdp_in_range", "ln_gdp_median_in_band"}
    others = {"columns_have_kind", "key_is_unique", "ln_gdp_is_observed", "ln_distance_in_range"}
    found = judge(panel.drop(columns="ln_gdp"), "columns_are_present", *needs_it, *others)
    assert found["columns_are_present"].message == "Missing: ln_gdp."
    assert {name for name, o in found.items() if o.status == "broken"} == needs_it
    assert {name for name, o in found.items() if o.status == "passed"} == others
    assert {name for name, o in found.items() if o.is_error} == {"columns_are_present", *needs_it}


# The rule, and the damage it is made for: row, column, value. All are done to one panel.
DAMAGED_CELLS = {
    "ln_gdp_is_never_null": (0, "ln_gdp", np.nan),
    "wgi_average_is_never_null": (0, "wgi_average", np.nan),
    "exporter_iso3_is_never_null": (11, "exporter_iso3", None),
    "exporter_iso3_is_iso3": (10, "exporter_iso3", "152"),
    "importer_is_not_exporter": (9, "exporter_iso3", "IND"),
    "importers_are_the_asked": (8, "importer_iso3", "JPN"),
    "minerals_are_the_listed": (7, "mineral", "potash"),
    "ores_qty_kg_in_range": (0, "ores_qty_kg", -1.0),
    "ores_no_trade_has_zero_quantity": (4, "ores_qty_kg", np.nan),
    "products_value_usd_in_range": (2, "products_value_usd", -1.0),
    "scrap_value_usd_is_never_null": (0, "scrap_value_usd", np.nan),
    "access_to_electricity_pct_in_range": (0, "access_to_electricity_pct", 120.0),
    "electricity_fossil_pct_in_range": (0, "electricity_fossil_pct", 120.0),
    "central_govt_debt_pct_gdp_in_range": (0, "central_govt_debt_pct_gdp", -5.0),
    "wgi_average_in_range": (1, "wgi_average", 61.0),
    "ln_distance_in_range": (0, "ln_distance", math.log(16_900_000)),
    "ln_population_in_range": (0, "ln_population", math.log(1.4e12)),
    "ln_gdp_in_range": (1, "ln_gdp", np.inf),
    "landlocked_in_range": (0, "landlocked", 2),
    "production_kg_in_range": (4, "production_kg", -1.0),
    "production_kg_is_never_null": (5, "production_kg", np.nan),
    "only_producers_produce": (0, "is_producer", False),
    "candidates_mine_or_trade": (0, "is_producer", False),
    "production_only_where_known": (6, "has_production_data", False),
    "only_partners_trade_products": (1, "products_value_usd", 5.0),
    "only_partners_trade_ores": (1, "ores_value_usd", 5.0),
    "ln_distance_is_observed": (0, "is_imputed_ln_distance", True),
}


def test_each_damaged_row_is_caught_and_named(panel):
    for row, column, value in DAMAGED_CELLS.values():
        panel.loc[row, column] = value
    found = judge(panel, *DAMAGED_CELLS)
    for name, (row, column, _) in DAMAGED_CELLS.items():
        outcome = found[name]
        assert (outcome.status, outcome.n_unexpected) == ("failed", 1), outcome
        expected = panel.loc[row, list(import_panel.KEY_COLUMNS)].to_dict()
        if column == "exporter_iso3" and row == 11:
            expected["exporter_iso3"] = None
        assert {key: outcome.sample[0][key] for key in expected} == expected


def test_a_duplicate_key_is_caught_with_both_rows(panel):
    outcome = judge(pd.concat([panel, panel.iloc[[0]]]), "key_is_unique")["key_is_unique"]
    assert outcome.status == "failed"
    assert outcome.sample == [CHILE, CHILE]


def test_an_unbalanced_candidate_is_caught_in_its_remaining_year(panel):
    name = "every_candidate_has_every_year"
    outcome = judge(panel.drop(index=1), name)[name]
    assert outcome.status == "failed"
    assert outcome.sample == [CHILE]


def slip(panel: pd.DataFrame, factor: float) -> pd.DataFrame:
    """The panel with every quantity in a unit that makes its figures `factor` times as large."""
    for column in ("ln_gdp", "ln_population", "ln_distance"):
        panel[column] += math.log(factor)
    for column in ("production_kg", "products_qty_kg", "access_to_electricity_pct", "fdi_pct_gdp"):
        panel[column] *= factor
    return panel


@pytest.mark.parametrize("factor", [1000, 0.001])
def test_a_slip_of_unit_is_caught_in_either_direction(panel, factor):
    names = (
        "ln_gdp_median_in_band",
        "ln_population_median_in_band",
        "ln_distance_median_in_band",
        "access_to_electricity_pct_median_in_band",
        "fdi_pct_gdp_median_in_band",
        "world_production_in_band",
        "copper_leader_in_band",
        "platinum_leader_in_band",
        "products_unit_values_in_range",
    )
    assert {o.status for o in judge(panel, *names).values()} == {"passed"}
    found = judge(slip(panel, factor), *names)
    assert {name: o.status for name, o in found.items()} == dict.fromkeys(names, "failed")


TABLE_DAMAGES = [
    (lambda p: p[p.year != 2020], {"years_are_the_window": "Missing: 2020."}),
    (
        lambda p: pd.concat([p, p.assign(year=2018)]),
        {"years_are_the_window": "Not asked for: 2018."},
    ),
    (
        lambda p: p[p.mineral != "Copper"],
        {
            "enough_minerals_have_candidates": "8 of 8 rows break the rule.",
            "every_mined_mineral_has_candidates": "Missing: Copper.",
            "copper_leader_in_band": "Observed nothing (no such rows), asked for",
        },
    ),
    (
        lambda p: p.assign(
            is_trading_partner=False,
            products_qty_kg=np.nan,
            is_imputed_wgi_average=p.year == 2019,
            year=p.year.astype(str),
            is_producer=[None, *p.is_producer[1:]],
        ),
        {
            "every_importer_has_trade": "Missing: IND.",
            "products_quantities_are_known": "10 of 10 rows break the rule; at most 50% may.",
            "wgi_average_is_observed": "6 of 12 rows break the rule; at most 15% may.",
            "columns_have_kind": "year is str, not integer; is_producer is object, not boolean",
        },
    ),
]


@pytest.mark.parametrize(("damage", "messages"), TABLE_DAMAGES)
def test_damage_to_the_whole_table_is_caught_and_said(panel, damage, messages):
    found = judge(damage(panel), *messages)
    assert {outcome.status for outcome in found.values()} == {"failed"}
    for name, message in messages.items():
        assert message in found[name].message


def test_debt_may_be_mostly_imputed_but_not_wholly(panel):
    flag, name = "is_imputed_central_govt_debt_pct_gdp", "central_govt_debt_pct_gdp_is_observed"
    mostly = panel.assign(**{flag: [False] * 3 + [True] * 9})
    assert judge(mostly, name)[name].status == "passed"
    assert judge(panel.assign(**{flag: True}), name)[name].status == "failed"


def test_bands_widen_with_the_number_of_importers():
    def band(*importers: str) -> tuple[float, float]:
        found = import_panel.suite(YEARS, importers, MINERALS).rules
        (total,) = [rule for rule in found if rule.name == "world_production_in_band"]
        return total.arguments["min_value"], total.arguments["max_value"]

    assert band("IND", "JPN") == tuple(2 * bound for bound in band("IND"))


def test_names_are_unique_and_fit_a_check_and_reasons_are_sentences():
    assert_names_and_reasons(SUITE)


def test_categories_and_regressors_are_those_of_the_domain():
    assert import_panel.CATEGORIES == CATEGORIES
    assert tuple(import_panel.REGRESSORS) == REGRESSORS
