"""Does one damage after the other to a copy of a warehouse, and runs the real pipeline on each.

The pipeline is the job `refresh`: the damaged dataset and all that follows from it, to the release.
Only the source is replaced, by one that delivers the real rows, damaged. What stops the run first
is the answer; what was served before is looked at after each.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from unittest import mock
from uuid import uuid4

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from minerals.releases import ReleaseStore
from minerals.settings import Settings
from minerals.sources import DATASETS, ingest, providers
from minerals.sources.provider import Fetched, Provider
from minerals.sources.snapshots import Snapshot, SnapshotStore
from orchestration.definitions import build_definitions
from orchestration.resources import Warehouse
from orchestration.run import streams_into
from tests.drill.damages import Damage

SERVED = (
    "select count(*), sum(forward_rank), sum(hash(mineral, exporter_iso3, forward_rank)), "
    "any_value(release_id) from marts.ranking_forward"
)


@dataclass(frozen=True)
class Finding:
    """What became of one damage. `caught_by` is all that stopped the run, the first first."""

    damage: Damage
    stage: str
    caught_by: tuple[str, ...]
    is_still_served: bool
    seconds: float

    @property
    def is_caught(self) -> bool:
        return bool(self.caught_by) and self.is_still_served


@dataclass
class Rehearsal:
    """A copy of a refreshed warehouse, brought back to what it was after each damage."""

    settings: Settings
    definitions: dg.Definitions
    snapshots: Mapping[str, Snapshot]

    @classmethod
    def on_a_copy(cls, of: Settings, folder: Path) -> "Rehearsal":
        """Copy the warehouse of these settings into an empty folder."""
        for name in ("raw", "releases", "dbt"):
            shutil.copytree(of.warehouse_dir / name, folder / name, symlinks=True)
        shutil.copy(of.database, folder / "warehouse.duckdb")
        shutil.copytree(of.figures_dir, folder / "figures")
        settings = of.model_copy(
            update={"warehouse_dir": folder, "figures_dir": folder / "figures"}
        )
        store = ReleaseStore(settings.releases_dir, settings.serving_database)
        current = store.current()
        assert current is not None, "refresh the warehouse first"
        store.rollback(current.name)  # writes the views anew, over the copy
        snapshots = SnapshotStore(settings.raw_dir)
        found = {dataset: snapshots.current(dataset) for dataset in DATASETS}
        warehouse = Warehouse(database=str(settings.database))
        for snapshot in found.values():
            warehouse.load_snapshot(snapshot)
        shutil.copy(settings.database, folder / "pristine.duckdb")
        return cls(settings, build_definitions(settings), found)

    def run(self, damage: Damage, *, only_ingest: bool = False) -> Finding:
        """Damage, run, look at what is served, and put everything back.

        The run ends before dbt with `only_ingest`.
        """
        started, served = monotonic(), self._served()
        with self._damaged(damage):
            job = self.definitions.resolve_job_def("refresh")
            with dg.DagsterInstance.ephemeral() as instance:
                result = job.execute_in_process(
                    instance=instance,
                    raise_on_error=False,
                    asset_selection=[dg.AssetKey(f"raw_{damage.dataset}")]
                    if only_ingest
                    else self._following(damage.dataset),
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
        stage, caught_by = _what_stopped(result)
        is_served = self._served() == served
        return Finding(damage, stage, caught_by, is_served, monotonic() - started)

    def _following(self, dataset: str) -> list[dg.AssetKey]:
        graph = self.definitions.resolve_asset_graph()
        chosen = dg.AssetSelection.assets(f"raw_{dataset}").downstream()
        return sorted(chosen.resolve(graph))

    def _served(self) -> tuple[object, ...]:
        current = (self.settings.releases_dir / "current").resolve().name
        with duckdb.connect(str(self.settings.serving_database), read_only=True) as connection:
            return (current, *connection.execute(SERVED).fetchall()[0])

    @contextmanager
    def _damaged(self, damage: Damage) -> Iterator[None]:
        figures = self.settings.figures_dir / f"{damage.dataset}.csv"
        original = figures.read_bytes() if damage.edit else b""

        def damaged_providers(settings: Settings) -> dict[str, Provider]:
            found = providers(settings)
            if damage.sql:
                found[damage.dataset] = self._damaged_provider(found[damage.dataset], damage.sql)
            return found

        try:
            if damage.edit:
                figures.write_bytes(damage.edit(original))
            with mock.patch.object(ingest, "providers", damaged_providers):
                yield
        finally:
            if damage.edit:
                figures.write_bytes(original)
            SnapshotStore(self.settings.raw_dir).use(self.snapshots[damage.dataset])
            self._restore_warehouse()

    def _restore_warehouse(self) -> None:
        """A new file in place of the old, without its log: nothing of the damage is replayed."""
        database = self.settings.database
        database.with_name(f"{database.name}.wal").unlink(missing_ok=True)
        sound = Path(shutil.copy(database.with_name("pristine.duckdb"), f"{database}.new"))
        sound.replace(database)

    def _damaged_provider(self, sound: Provider, sql: str) -> Provider:
        """The provider of the dataset, as if the publisher had delivered the damaged rows."""
        dataset = sound.source.dataset
        snapshot = self.snapshots[dataset]

        def tables() -> dict[str, pa.Table]:
            made = {t.name: pq.read_table(snapshot.parquet(t.name)) for t in snapshot.tables}
            with duckdb.connect() as connection:
                connection.register("rows", made[dataset])
                made[dataset] = connection.sql(sql).to_arrow_table()
            return made

        return replace(sound, fetch=lambda: Fetched(uuid4().hex * 2, tables))


def _what_stopped(result: dg.ExecuteInProcessResult) -> tuple[str, tuple[str, ...]]:
    """The step that stopped the run, and the checks (or the error) by which it did."""
    checks = [
        check.check_name
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    ]
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        return "", ()
    step = failures[0].step_key or ""
    if checks:
        return step, tuple(checks)
    errors = [error := failures[0].step_failure_data.error]
    while error is not None and error.cause is not None:
        errors.append(error := error.cause)
    ours = [e for e in errors if e is not None and "SourceError" in str(e.cls_name)]
    said = (ours or errors)[-1]
    return step, (said.message.strip().partition("\n")[0] if said else "failed",)


def rehearse(source: Settings, folder: Path, damages: Sequence[Damage]) -> Iterator[Finding]:
    """Each damage in turn, on one copy of the warehouse of `source`, made in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rehearsal = Rehearsal.on_a_copy(source, folder)
    for damage in damages:
        yield rehearsal.run(damage)


@contextmanager
def quietly(log: Path) -> Iterator[None]:
    """Send what dbt and Dagster print into a file."""
    with streams_into(log):
        yield
