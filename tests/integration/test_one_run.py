"""What may be released together: the tables that one run built. On a real Dagster instance, with
small assets."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.assets.publication import ROOT_TAG, as_one_run, built_by_others
from orchestration.recovery import SETTINGS_TAG

TABLES = [dg.AssetKey("panel"), dg.AssetKey("ranks")]
SETTINGS = {SETTINGS_TAG: "importer IND"}


@dg.asset
def panel() -> None: ...


@dg.asset(deps=[panel])
def ranks() -> None: ...


@dg.asset
def other() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def build(instance: dg.DagsterInstance, *assets: dg.AssetsDefinition, **tags: str) -> str:
    """Run these assets; the id of the run."""
    made = dg.materialize(
        [panel, ranks, other], selection=list(assets), instance=instance, tags={**SETTINGS, **tags}
    )
    return made.run_id


def test_one_run_that_built_all_tables_may_publish(instance):
    assert built_by_others(instance, build(instance, panel, ranks), TABLES) == []


def test_a_table_of_another_run_or_none_is_named(instance):
    only_panel = build(instance, panel)
    assert built_by_others(instance, only_panel, TABLES) == ["ranks"]
    assert built_by_others(instance, build(instance, ranks), TABLES) == ["panel"]
    whole = build(instance, panel, ranks)
    build(instance, panel)  # between the run's last table and its release
    assert built_by_others(instance, whole, TABLES) == ["panel"]


def test_executions_from_failure_belong_to_the_run_they_continue(instance):
    first = build(instance, panel)
    second = build(instance, ranks, **{ROOT_TAG: first})
    assert built_by_others(instance, second, TABLES) == []
    third = build(instance, other, **{ROOT_TAG: first})
    assert built_by_others(instance, third, TABLES) == []
    assert as_one_run(instance, second) == [first, third, second]


def test_not_when_the_settings_changed_in_between(instance):
    first = build(instance, panel)
    again = build(instance, ranks, **{ROOT_TAG: first, SETTINGS_TAG: "importer JPN"})
    assert built_by_others(instance, again, TABLES) == ["panel"]
