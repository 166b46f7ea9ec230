"""The code location is what a data engineer expects to find; nothing disappears unnoticed."""

import dagster as dg
import pytest

from minerals.marts import PUBLISHED_MARTS
from minerals.sources import DATASETS
from orchestration.assets import WRITER_POOL
from orchestration.definitions import build_definitions

GROUPS = {
    "seeds": 11, "ingestion": 5, "staging": 7, "conformed": 12, "marts": 6, "estimation": 4,
    "ranking": 4, "portfolio": 10, "publication": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions(refreshed) -> dg.Definitions:
    return build_definitions(refreshed.settings)


@pytest.fixture(scope="module")
def nodes(definitions):
    return list(definitions.resolve_asset_graph().asset_nodes)


def test_every_stage_is_there(nodes):
    counted: dict[str, int] = {}
    for node in nodes:
        counted[node.group_name] = counted.get(node.group_name, 0) + 1
    assert counted == GROUPS
    names = {node.key.to_user_string() for node in nodes}
    assert set(PUBLISHED_MARTS) <= names
    assert {f"raw_{dataset}" for dataset in DATASETS} | {"release"} <= names


def test_every_asset_can_be_read_in_the_ui(nodes):
    bare = [n.key.to_user_string() for n in nodes if not n.description or not n.owners]
    assert bare == []
    assert [n.key.to_user_string() for n in nodes if not n.kinds] == []


def test_every_asset_that_writes_waits_for_the_one_writer(definitions):
    for asset in definitions.assets:
        assert asset.op.pool == WRITER_POOL, asset.op.name


def test_the_release_waits_for_every_mart_and_every_gate(definitions):
    graph = definitions.resolve_asset_graph()
    parents = {key.to_user_string() for key in graph.get(dg.AssetKey("release")).parent_keys}
    assert parents == set(PUBLISHED_MARTS)
    checks = [graph.get(key) for key in graph.asset_check_keys]
    gated = {c.key.asset_key.to_user_string() for c in checks if c.blocking}
    assert {"import_panel", "fct_country_covariates"} <= gated


def test_job_and_schedule(definitions):
    repository = definitions.get_repository_def()
    assert repository.has_job("refresh")
    schedule = repository.get_schedule_def("daily_refresh")
    assert schedule.cron_schedule == "0 5 * * *"
    assert schedule.job_name == "refresh"
