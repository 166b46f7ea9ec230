"""The suites of every table on a real refresh: all pass, and each catches damage to its frame.

Raw tables are damaged in the rehearsal (`tests/integration/test_drill.py`), the panel and the
covariates cell by cell in the tests beside this one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest

from expectations import raw_trade, trade_flow
from expectations.rules import Suite
from expectations.validation import validate
from minerals.inspection import tables
from minerals.inspection.baseline import Baseline, read_baseline
from minerals.releases import MANIFEST, ReleaseStore
from minerals.settings import Settings
from orchestration.checks import GATES, NO_BASELINE, Judged, gate, minerals
from orchestration.resources import build_resources
from tests.integration.expectations.judging import judge, not_passed

TABLES = [gate.table for gates in GATES.values() for gate in gates]


def judged_by(settings: Settings, baseline: Baseline, table: str) -> Judged:
    """The suites and frames of a table, against this baseline."""
    (of_table,) = [g for gates in GATES.values() for g in gates if g.table == table]
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        return of_table.judged(settings, baseline, connection)


@pytest.fixture(scope="module")
def judged(refreshed) -> Callable[[str, bool], Judged]:
    """The suites and frames of a table, alone or against the release that was made of it."""
    settings = refreshed.settings
    served = read_baseline(store_in(settings.warehouse_dir), settings.model_dump())
    assert served.folder is not None, served.why_not
    return lambda table, has_release: judged_by(
        settings, served if has_release else NO_BASELINE, table
    )


def store_in(folder: Path) -> ReleaseStore:
    return ReleaseStore(folder / "releases", folder / "serving.duckdb")


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


def _set_all(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: value})


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
    ("ppml_coefficients", "models", _set_all("n_nonzero", 29), "published_models_have_trade"),
    *(("ppml_coefficients", "models", _set_all(column, None), f"published_models_have_{column}")
      for column in ("is_converged", "pseudo_r2", "n_nonzero")),
    ("ppml_coefficients", "terms",
     lambda f: f.assign(std_error=f.std_error.where(f.coefficient_source == "published")),
     "std_errors_are_known"),
    ("ppml_coefficients", "terms",
     lambda f: f.assign(std_error=f.std_error.where(f.coefficient_source == "published", 60.0)),
     "std_errors_in_range"),
    ("ppml_coefficients", "terms",
     lambda f: f.assign(std_error=f.std_error.where(f.coefficient_source == "published", 60.0)),
     "bootstrap_std_errors_in_range"),
    ("raw_country_geography", "rows", lambda f: f[f.iso3 != "IND"], "anchor_countries_are_there"),
    ("ppml_coefficients", "previous", lambda f: f.assign(keeps_its_sign=False),
     "signs_as_in_previous"),
    ("ppml_coefficients", "previous", lambda f: f.assign(move_in_se=11.0),
     "sizes_not_far_from_previous"),
    ("ranking_annual", "ranking_annual", lambda f: f.assign(predicted_rank=1),
     "predicted_ranks_differ"),
    ("ranking_annual", "ranking_annual", _set("alignment", "best"), "alignments_known"),
    ("ranking_annual", "ranking_annual", _set_all("alignment", None), "alignment_is_never_null"),
    ("ranking_annual", "ranking_annual", lambda f: f[f.year != 2020], "years_are_the_window"),
    *(("ranking_forward", "ranking_forward", _set_all(column, None), f"{column}_is_never_null")
      for column in ("rank_low", "rank_high", "top_k_probability")),
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


# What is no damage: the sizes that other importers' models have, which nobody ranks on.
SOUND = [
    ("terms", lambda f: f.assign(estimate=f.estimate.where(f.term_type == "covariate", 830.5)),
     "estimates_are_not_separated"),
    ("terms", lambda f: f.assign(std_error=f.std_error.where(f.term_type == "covariate", 539.1)),
     "std_errors_in_range"),
    ("terms", lambda f: f.assign(estimate=132.5, is_publishable=False),
     "estimates_are_not_separated"),
    ("terms", lambda f: f.assign(std_error=None, is_publishable=False), "std_errors_are_known"),
    ("models", lambda f: f.assign(n_nonzero=30), "published_models_have_trade"),
    ("models", lambda f: f.assign(n_nonzero=None, is_publishable=False),
     "published_models_have_n_nonzero"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "change", "rule"), SOUND, ids=[s[2] for s in SOUND])
def test_only_what_suppliers_are_ranked_on_is_judged(judged, shape, change, rule):
    (pair,) = [p for p in judged("ppml_coefficients", False) if p[0].name.endswith(f"__{shape}")]
    suite, one = pair
    assert judge(change(one.frame), suite, rule)[rule].status == "passed"


@pytest.fixture
def served(refreshed, tmp_path: Path) -> ReleaseStore:
    """A copy of the releases, to be damaged."""
    shutil.copytree(refreshed.settings.releases_dir, tmp_path / "releases", symlinks=True)
    return store_in(tmp_path)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _as(sql: str) -> Callable[[Path], None]:
    """What makes `sql` of the rows of a Parquet file."""

    def rewrite(file: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"create table rows as from read_parquet('{file}')")
            connection.execute(f"copy ({sql}) to '{file}' (format parquet)")

    return rewrite


TRADE_TOTALS = {"raw_bilateral_trade__totals", "fct_trade_flow__totals"}
OF_SNAPSHOTS = {
    f"raw_{d}__totals" for d in ("production", "country_indicators", "country_geography")
}
OF_PANEL = {"import_panel__totals", "import_panel__suppliers"}
OF_MODELS, OF_RANKS = {"ppml_coefficients__previous"}, {"ranking_forward__churn"}
COMPARING = TRADE_TOTALS | OF_SNAPSHOTS | OF_PANEL | OF_MODELS | OF_RANKS

# A file of the release served, what was done to it, what cannot be compared then, and why.
UNREADABLE = [
    (MANIFEST, _cut, COMPARING, "cannot be read: manifest.json: "),
    (MANIFEST, Path.unlink, COMPARING, "cannot be read: manifest.json: "),
    (MANIFEST, lambda f: f.write_text("[]"), COMPARING, "cannot be read: manifest.json: it is no"),
    ("import_panel.parquet", _cut, OF_PANEL, "cannot be read: "),
    ("trade_balance.parquet", Path.unlink, TRADE_TOTALS, "cannot be read: it has no mart trade_"),
    ("ranking_forward.parquet", _as("select * exclude forward_rank from rows"), OF_RANKS,
     'cannot be read: .*"forward_rank"'),
    ("source_snapshots.parquet", _as("from rows limit 0"), OF_SNAPSHOTS, "lacks the figure"),
    ("import_panel.parquet", _as("from rows where scrap_value_usd > 0"),
     {"import_panel__suppliers"}, "nothing was imported"),
    ("ppml_fit.parquet", _as("select * replace (false as is_publishable) from rows"), OF_MODELS,
     "has no model of ours"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "damage", "waiting", "why"),
    UNREADABLE,
    ids=[f"{u[0]}-{n}" for n, u in enumerate(UNREADABLE)],
)
def test_a_release_that_cannot_be_compared_with_stops_nothing(
    refreshed, served, file, damage, waiting, why
):
    settings = refreshed.settings
    damage(served.current() / file)
    baseline = read_baseline(served, settings.model_dump())
    pairs = [pair for table in TABLES for pair in judged_by(settings, baseline, table)]
    reasons = {s.name: {r.cannot_run for r in s.rules} for s, _ in pairs if s.rules[0].cannot_run}
    assert reasons.keys() == waiting
    for said in reasons.values():
        (reason,) = said
        assert reason.startswith("the release served ") or waiting == {"import_panel__suppliers"}
        assert re.search(why, reason)
    for suite, shape in pairs:
        if suite.name in waiting:
            outcomes = validate(shape.frame, suite).outcomes
            assert {outcome.status for outcome in outcomes} == {"not_run"}


@pytest.mark.parametrize(
    ("top_k", "why"), [(7, "another top_k"), (100, "no list .* more candidates than the 100")]
)
def test_only_the_churn_depends_on_how_many_lead(refreshed, served, top_k, why):
    settings = refreshed.settings.model_copy(update={"top_k": top_k})
    if top_k == 100:
        manifest = served.current() / MANIFEST
        manifest.write_text(manifest.read_text().replace('"top_k": 10', '"top_k": 100'))
    baseline = read_baseline(served, settings.model_dump())
    pairs = [pair for table in TABLES for pair in judged_by(settings, baseline, table)]
    waiting = {r.cannot_run for s, _ in pairs for r in s.rules if r.cannot_run}
    assert {s.name for s, _ in pairs if s.rules[0].cannot_run} == OF_RANKS
    assert re.search(why, waiting.pop()) and not waiting


@pytest.mark.parametrize(("top_k", "status"), [(10, "passed"), (7, "not_run")])
def test_the_gate_compares_with_the_top_k_of_the_run(refreshed, tmp_path, top_k, status):
    """A run may choose another than the deployment's."""
    settings = refreshed.settings
    resources = build_resources(settings)
    resources |= {"releases": resources["releases"].model_copy(update={"data_docs": str(tmp_path)})}
    definitions = dg.Definitions(
        asset_checks=[gate("rankings", GATES["rankings"], settings)],
        jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.all_asset_checks())],
        resources=resources,
    )
    result = definitions.resolve_job_def("judge").execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"resources": {"settings": {"config": {"top_k": top_k}}}},
    )
    (churn,) = [
        c for c in result.get_asset_check_evaluations() if c.check_name == "churn_is_bounded"
    ]
    assert churn.metadata["status"].value == status


@pytest.fixture(params=["JPN", "GBR"])
def of_one(request, refreshed) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables as the live profile has them: with the imports of one country only."""
    with duckdb.connect() as connection:
        connection.execute(f"attach '{refreshed.settings.database}' as w (read_only)")
        connection.execute("create schema raw; create schema conformed")
        connection.execute(
            "create table conformed.fct_trade_flow as "
            "from w.conformed.fct_trade_flow where importer_iso3 = ?",
            [request.param],
        )
        connection.execute(
            "create table raw.bilateral_trade as from w.raw.bilateral_trade where j = "
            "(select any_value(importer_code) from w.conformed.int_trade_flow__classified "
            "where importer_iso3 = ?) and t >= '2019'",
            [request.param],
        )
        yield connection


def test_one_importer_s_trade_may_be_unsteady(of_one, refreshed):
    years = refreshed.settings.years
    raw = tables.raw_trade(of_one, years, with_world=False)["years"].frame
    codes = tables.trade_flow(of_one, years)["codes"].frame
    name = "every_mineral_has_every_year"
    for few in (True, False):
        found = judge(codes, trade_flow.codes_suite(years, minerals(), of_few_importers=few))
        assert found[name].status == "failed"
        assert [n for n, o in found.items() if o.is_error] == ([] if few else [name])
    cut = raw.assign(rows_to_neighbours=raw.rows_to_neighbours.where(raw.year != 2021, 0.5))
    for few in (True, False):
        found = judge(cut, raw_trade.years_suite(years, of_few_importers=few), "rows_are_steady")
        assert (found["rows_are_steady"].status, found["rows_are_steady"].is_error) == (
            "failed", not few,
        )  # fmt: skip
