"""A damaged source stops the whole pipeline, and the last release stays served: one per dataset.

Only the source is replaced, by one that delivers the real rows, damaged. What each kind of damage
is caught by is tested on single tables in `expectations/test_damages.py`.
"""

from dataclasses import replace
from unittest import mock

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minerals.settings import Settings
from minerals.sources import ingest, providers
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import Snapshot, SnapshotStore
from orchestration.definitions import build_definitions
from orchestration.run import streams_into
from tests.integration.expectations.damages import END_TO_END, Damage

SERVED = (
    "select count(*), sum(forward_rank), sum(hash(mineral, exporter_iso3, forward_rank)), "
    "any_value(release_id) from marts.ranking_forward"
)


def damaged_provider(sound: Provider, snapshot: Snapshot, sql: str) -> Provider:
    """The provider of a dataset, as if the publisher had delivered the damaged rows."""

    def read_tables() -> dict[str, pa.Table]:
        tables = {
            table.name: pq.read_table(snapshot.parquet(table.name)) for table in snapshot.tables
        }
        with duckdb.connect() as connection:
            connection.register("rows", tables[snapshot.dataset])
            damaged = connection.sql(sql).to_arrow_table()
        return {**tables, snapshot.dataset: damaged}

    return replace(sound, fetch=lambda: Fetched("0" * 64, read_tables))


@pytest.mark.parametrize("damage", END_TO_END, ids=lambda damage: damage.name)
def test_a_damaged_source_stops_the_refresh_and_the_release_stays_served(
    refreshed, tmp_path, damage: Damage
):
    variables = {"MINERALS_BOOTSTRAP_REPLICATIONS": "100"}
    warehouse = refreshed.copied_to(tmp_path / "warehouse", **variables)
    settings = warehouse.settings
    snapshot = SnapshotStore(settings.raw_dir).current(damage.table)

    def damaged(chosen: Settings) -> dict[str, Provider]:
        found = providers(chosen)
        found[damage.table] = damaged_provider(found[damage.table], snapshot, damage.sql)
        return found

    before = (warehouse.release_id(), warehouse.served(SERVED))
    with (
        streams_into(tmp_path / "run.log"),
        mock.patch.object(ingest, "providers", damaged),
        dg.DagsterInstance.ephemeral() as instance,
    ):
        result = (
            build_definitions(settings)
            .resolve_job_def("refresh")
            .execute_in_process(instance=instance, raise_on_error=False)
        )
    assert not result.success
    caught_by = [
        f"{check.check_name}: {check.description}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    ]
    assert any(damage.expected in check for check in caught_by), caught_by
    assert (warehouse.release_id(), warehouse.served(SERVED)) == before
