"""The suites of every table on a real refresh: all pass, and each catches damage to its frame.

Raw tables are damaged in the rehearsal (`tests/integration/test_drill.py`), the panel and the
covariates cell by cell in the tests beside this one.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

from expectations.rules import Suite
from expectations.validation import validate
from minerals.inspection.baseline import Baseline, read_baseline
from minerals.releases import ReleaseStore
from orchestration.checks import GATES, NO_BASELINE, Judged
from tests.integration.expectations.judging import judge, not_passed

TABLES = [gate.table for gates in GATES.values() for gate in gates]


@pytest.fixture(scope="module")
def judged(refreshed) -> Callable[[str, bool], Judged]:
    """The suites and frames of a table, alone or against the release that was made of it."""
    settings = refreshed.settings
    store = ReleaseStore(settings.releases_dir, settings.serving_database)
    served = read_baseline(store, settings.model_dump())
    assert served.folder is not None, served.why_not
    gates = {gate.table: gate for of_stage in GATES.values() for gate in of_stage}

    def read(table: str, has_release: bool) -> Judged:
        baseline: Baseline = served if has_release else NO_BASELINE
        with duckdb.connect(str(settings.database), read_only=True) as connection:
            return gates[table].judged(settings, baseline, connection)

    return read


@pytest.mark.parametrize("table", TABLES)
def test_real_tables_pass_against_their_own_release(judged, table):
    for suite, shape in judged(table, True):
        outcomes = validate(shape.frame, suite, of_rows=shape.of_rows).outcomes
        assert not_passed({outcome.name: outcome for outcome in outcomes}) == {}


@pytest.mark.parametrize("table", TABLES)
def test_without_a_release_what_compares_is_not_run_and_the_rest_is(judged, table):
    waiting = [r for suite, _ in judged(table, False) for r in suite.rules if r.cannot_run]
    compared = [r for suite, _ in judged(table, True) for r in suite.rules]
    if table not in {"fct_country_covariates", "ranking_annual"}:
        assert waiting
    assert len(waiting) < len(compared)


def _set(column: str, value: object, row: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def damage(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.reset_index(drop=True).copy()
        frame[column] = frame[column].astype(object) if isinstance(value, str) else frame[column]
        frame.loc[row, column] = value
        return frame

    return damage


def _times(column: str, factor: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: frame[column] * factor})


# The table, the shape, what is done to the frame, and the rule that must see it.
DAMAGES = [
    ("fct_trade_flow", "rows", _set("value_usd", -1.0), "value_usd_in_range"),
    ("fct_trade_flow", "rows", _set("exporter_iso3", "152"), "exporter_iso3_is_iso3"),
    ("fct_trade_flow", "codes", _set("mineral", "copper"), "minerals_are_the_listed"),
    ("fct_trade_flow", "codes", _set("category", "ore"), "categories_are_known"),
    ("fct_trade_flow", "codes", lambda f: f[f.year != 2021], "years_are_present"),
    ("fct_trade_flow", "codes", lambda f: f[(f.mineral != "Tin") | (f.year != 2021)],
     "every_mineral_has_every_year"),
    ("fct_trade_flow", "codes", _times("median_unit_value_usd_per_kg", 1000),
     "copper_ores_unit_value_in_range"),
    ("fct_trade_flow", "totals", _times("value_usd", 0.5), "value_usd_near_previous"),
    ("import_panel", "totals", _times("n_suppliers", 0.9), "n_suppliers_near_previous"),
    ("import_panel", "totals", _times("median_ln_gdp", 0.7), "ln_gdp_near_previous"),
    ("import_panel", "suppliers",
     lambda f: f.assign(value_to_previous=f.value_to_previous.where(f.share_before < 0.05, 0)),
     "leading_suppliers_keep_their_trade"),
    ("ppml_coefficients", "terms", lambda f: pd.concat([f, f.iloc[[5]]]), "key_is_unique"),
    ("ppml_coefficients", "terms",
     lambda f: f.assign(estimate=f.estimate.where(f.coefficient_source == "published", -30.0)),
     "estimates_are_not_separated"),
    ("ppml_coefficients", "terms", lambda f: f[f.category != "scrap"],
     "every_category_has_coefficients"),
    ("ppml_coefficients", "terms", lambda f: f[f.term != "ln_gdp"], "every_regressor_is_there"),
    ("ppml_coefficients", "models", lambda f: f.assign(is_converged=False),
     "published_models_converged"),
    ("ppml_coefficients", "models", lambda f: f.assign(reason=None), "unpublished_models_say_why"),
    ("ppml_coefficients", "previous", lambda f: f.assign(keeps_its_sign=False),
     "signs_as_in_previous"),
    ("ppml_coefficients", "previous", lambda f: f.assign(move_in_se=11.0),
     "sizes_not_far_from_previous"),
    ("ranking_annual", "ranking_annual", lambda f: f.assign(predicted_rank=1),
     "predicted_ranks_differ"),
    ("ranking_annual", "ranking_annual", _set("alignment", "best"), "alignments_known"),
    ("ranking_annual", "ranking_annual", lambda f: f[f.year != 2020], "years_are_the_window"),
    ("ranking_forward", "ranking_forward", _set("forward_rank", 0), "forward_rank_in_range"),
    ("ranking_forward", "ranking_forward", _set("rank_low", 999), "rank_intervals_are_in_order"),
    ("ranking_forward", "ranking_forward", _set("top_k_probability", 1.5),
     "top_k_probability_in_range"),
    ("ranking_forward", "churn", lambda f: f.assign(kept_share=0.7), "churn_is_bounded"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("table", "shape", "damage", "rule"), DAMAGES, ids=[f"{d[0]}-{d[3]}" for d in DAMAGES]
)
def test_damage_is_seen_by_the_rule_made_for_it(judged, table, shape, damage, rule):
    found: list[tuple[Suite, pd.DataFrame]] = [
        (suite, one.frame)
        for suite, one in judged(table, True)
        if suite.name.rpartition("__")[2] == shape
    ]
    ((suite, frame),) = found
    assert judge(damage(frame), suite, rule)[rule].status == "failed"
