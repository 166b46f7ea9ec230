"""What may be released together: asked of a real Dagster instance about small assets."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.metadata import CHOICES
from orchestration.readiness import checks_not_passed, not_judged, upstream, why_not_ready

MARTS = ("panel", "ranks")


class Knobs(dg.ConfigurableResource):
    """What a test turns."""

    raw_version: str = "1"
    top_k: int = 10
    panel_is_good: bool = True
    ranks_fail: bool = False


@dg.asset
def raw(knobs: Knobs) -> dg.MaterializeResult:
    return dg.MaterializeResult(data_version=dg.DataVersion(knobs.raw_version))


@dg.asset(deps=[raw], code_version="1", check_specs=[dg.AssetCheckSpec("is_good", asset="panel")])
def panel(knobs: Knobs) -> dg.MaterializeResult:
    check = dg.AssetCheckResult(
        check_name="is_good", passed=knobs.panel_is_good, description="3 rows break the rule"
    )
    return dg.MaterializeResult(check_results=[check], metadata={CHOICES: {"first_year": 2019}})


@dg.asset(deps=[panel])
def ranks(knobs: Knobs) -> dg.MaterializeResult:
    if knobs.ranks_fail:
        raise ValueError("on purpose")
    return dg.MaterializeResult(metadata={CHOICES: {"top_k": knobs.top_k}})


@dg.asset(deps=[panel])
def score(knobs: Knobs) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={CHOICES: {"top_k": knobs.top_k}})


@dg.asset(output_required=False)
def asked(knobs: Knobs) -> Iterator[dg.MaterializeResult]:
    """A source: when it has nothing new, it reports nothing, and what checks it is not run."""
    if knobs.raw_version != "nothing new":
        yield dg.MaterializeResult()


@dg.asset_check(asset=asked, blocking=True)
def is_sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        build(instance)
        yield instance


def build(instance: dg.DagsterInstance, *assets: str, **knobs: object) -> None:
    dg.materialize(
        [raw, panel, ranks, score],
        selection=list(assets) or None,
        instance=instance,
        resources={"knobs": Knobs(**knobs)},
        raise_on_error=False,
    )


def test_one_whole_run_is_ready(instance):
    assert why_not_ready(instance, MARTS) == []


def test_an_unchanged_source_and_mart_leave_the_ranks_as_they_are(instance):
    build(instance, "raw", "panel")
    assert why_not_ready(instance, MARTS) == []


def test_ranks_of_an_older_panel_are_not_released(instance):
    build(instance, "raw", raw_version="2")
    assert why_not_ready(instance, MARTS) == ["panel was made before raw changed"]
    build(instance, "panel")
    assert why_not_ready(instance, MARTS) == ["ranks was made before panel changed"]
    build(instance, "ranks")
    assert why_not_ready(instance, MARTS) == []


def test_tables_made_with_other_choices_are_not_released_together(instance):
    build(instance, "ranks", top_k=5)
    (reason,) = why_not_ready(instance, (*MARTS, "score"))
    assert reason == "tables differ in top_k: ranks have 5; score have 10"


def test_a_failed_check_stands_until_it_passes(instance):
    build(instance, "panel", panel_is_good=False)
    assert why_not_ready(instance, MARTS) == ["check panel.is_good failed: 3 rows break the rule"]
    (found,) = checks_not_passed(instance, upstream(instance, MARTS))
    assert (found.check, found.severity) == ("panel.is_good", dg.AssetCheckSeverity.ERROR)
    build(instance, "panel")
    assert why_not_ready(instance, MARTS) == []


def test_a_table_that_a_step_began_and_did_not_report_is_not_released(instance):
    build(instance, "ranks", ranks_fail=True)
    (reason,) = why_not_ready(instance, MARTS)
    assert "ranks was being built when run" in reason
    build(instance, "ranks")
    assert why_not_ready(instance, MARTS) == []


def test_marts_of_a_snapshot_that_was_not_judged_are_not_released(instance):
    raw_table = dg.AssetMaterialization("raw_production", tags={"dagster/data_version": "1"})
    instance.report_runless_asset_event(raw_table)
    assert not_judged(instance, {"production": "1"}) == []
    assert not_judged(instance, {"production": "2", "country_geography": "3"}) == [
        "the marts were made from snapshot 2 of production, and the checks judged 1",
        "the marts were made from snapshot 3 of country_geography, and the checks judged none",
    ]


def test_what_was_never_built_is_named(instance):
    assert why_not_ready(instance, ("panel", "portfolio")) == ["portfolio was never built"]


def test_a_source_with_nothing_new_leaves_its_last_checks_standing(instance):
    def ask(version: str) -> None:
        dg.Definitions(
            assets=[asked],
            asset_checks=[is_sound],
            jobs=[dg.define_asset_job("ask", selection=dg.AssetSelection.assets("asked"))],
            resources={"knobs": Knobs(raw_version=version)},
        ).resolve_job_def("ask").execute_in_process(instance=instance, raise_on_error=False)

    ask("1")
    assert why_not_ready(instance, ["asked"]) == []
    ask("nothing new")  # its check was planned again, and not made
    assert why_not_ready(instance, ["asked"]) == []
