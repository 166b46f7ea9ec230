"""The gates on the tables of a real refresh: all pass against the release that was made of them."""

import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from expectations.gates import GATES
from expectations.previous import Previous
from expectations.report import Report
from expectations.validation import judge
from minerals.releases import MANIFEST, ReleaseStore
from minerals.settings import Settings
from orchestration.checks import gate_of_stage, given, previous_release
from orchestration.resources import build_resources


def reports(
    settings: Settings, previous: Previous, names: Collection[str] = ()
) -> dict[str, Report]:
    """The suites of every table, by '<table>.<suite>': all, or those of these names."""
    found = {}
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        for gate in GATES:
            for suite in gate.suites(given(settings)):
                if not names or f"{gate.table}.{suite.name}" in names:
                    report = judge(gate, suite, connection, previous)
                    found[f"{gate.table}.{suite.name}"] = report
    return found


def test_real_tables_pass_against_their_own_release(refreshed):
    previous = previous_release(refreshed.store(), refreshed.settings)
    found = reports(refreshed.settings, previous)
    assert {n: r.sentence() for n, r in found.items() if r.status != "passed"} == {}


def test_a_figure_of_the_previous_release_is_the_same_figure(refreshed):
    """What is compared with a release is what that release says of the same tables."""
    previous = previous_release(refreshed.store(), refreshed.settings)
    for name, report in reports(refreshed.settings, previous, COMPARING).items():
        if name.endswith(".totals"):
            judged = report.frame.set_index("figure")
            assert judged["now"].to_dict() == pytest.approx(judged["previous"].to_dict()), name


OF_TRADE = {"raw_bilateral_trade.totals", "fct_trade_flow.totals"}
OF_PANEL = {"import_panel.totals", "import_panel.suppliers"}
OF_MODELS, OF_RANKS = {"ppml_coefficients.previous"}, {"ranking_forward.churn"}
COMPARING = OF_TRADE | OF_PANEL | OF_MODELS | OF_RANKS


def not_compared(settings: Settings, previous: Previous) -> dict[str, str]:
    found = reports(settings, previous, COMPARING)
    assert {r.status for r in found.values()} <= {"passed", "not_compared"}
    return {
        name: report.outcomes[0].message
        for name, report in found.items()
        if report.status == "not_compared"
    }


def test_without_a_release_what_compares_is_not_compared_and_the_rest_is_judged(refreshed):
    found = reports(refreshed.settings, Previous())
    assert {name for name, r in found.items() if r.status == "not_compared"} == COMPARING
    assert {r.status for name, r in found.items() if name not in COMPARING} == {"passed"}


@pytest.fixture
def served(refreshed, tmp_path: Path) -> ReleaseStore:
    """A copy of the releases, to be damaged."""
    settings = refreshed.settings
    shutil.copytree(settings.releases_dir, tmp_path / "releases", symlinks=True)
    shutil.copy(settings.serving_database, tmp_path)
    return ReleaseStore(tmp_path / "releases", tmp_path / settings.serving_database.name)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _as(sql: str) -> Callable[[Path], None]:
    """What makes `sql` of the rows of a Parquet file."""

    def rewrite(file: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute(f"create table rows as from read_parquet('{file}')")
            connection.execute(f"copy ({sql}) to '{file}' (format parquet)")

    return rewrite


# A file of the previous release, what was done to it, what cannot be compared then, and why.
UNREADABLE = [
    (MANIFEST, _cut, COMPARING, "cannot be read: manifest.json: "),
    (MANIFEST, lambda f: f.write_text("[]"), COMPARING, "cannot be read: manifest.json: "),
    ("import_panel.parquet", _cut, OF_PANEL, "cannot be read: "),
    ("trade_balance.parquet", Path.unlink, OF_TRADE, "cannot be read: it has no mart trade_"),
    ("ranking_forward.parquet", _as("select * exclude forward_rank from rows"), OF_RANKS,
     'cannot be read: .*"forward_rank"'),
    ("import_panel.parquet", _as("from rows where scrap_value_usd > 0"),
     OF_PANEL, "nothing was imported|lacks the figures"),
    ("ppml_fit.parquet", _as("select * replace (false as is_publishable) from rows"), OF_MODELS,
     "has no model of ours"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "damage", "expected", "why"),
    UNREADABLE,
    ids=[f"{u[0]}-{n}" for n, u in enumerate(UNREADABLE)],
)
def test_a_release_that_cannot_be_compared_with_stops_nothing(
    refreshed, served, file, damage, expected, why
):
    settings = refreshed.settings
    damage(served.current() / file)
    found = not_compared(settings, previous_release(served, settings))
    assert found.keys() == expected
    for reason in found.values():
        assert re.search(why, reason), reason


@pytest.mark.parametrize(
    ("top_k", "why"), [(7, "another top_k"), (300, "no list .* more candidates than the 300")]
)
def test_only_the_churn_depends_on_how_many_lead(refreshed, top_k, why):
    settings = refreshed.settings.model_copy(update={"top_k": top_k})
    sound = previous_release(refreshed.store(), settings)
    before = {**sound.settings, "top_k": 300 if top_k == 300 else 10}
    found = not_compared(settings, Previous(sound.folder, before, ""))
    assert found.keys() == OF_RANKS
    assert re.search(why, found.popitem()[1])


@pytest.mark.parametrize(("top_k", "status"), [(10, "passed"), (7, "not_compared")])
def test_the_gate_compares_with_the_top_k_of_the_run(refreshed, top_k, status):
    """A run may choose another than the deployment's."""
    settings = refreshed.settings
    definitions = dg.Definitions(
        asset_checks=[gate_of_stage("rankings", settings)],
        jobs=[dg.define_asset_job("judge", selection=dg.AssetSelection.all_asset_checks())],
        resources=build_resources(settings),
    )
    result = definitions.resolve_job_def("judge").execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"resources": {"settings": {"config": {"top_k": top_k}}}},
    )
    (churn,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "churn"]
    assert churn.passed and churn.metadata["status"].value == status
