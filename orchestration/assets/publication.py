"""Stage 6: what the sources were, and the release that BI tools read.

Publication runs last and only when every blocking check passed; until then the previous release is
served.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from minerals.errors import ReleaseError, some
from minerals.marts import conform, published, python_marts
from minerals.releases import ReleaseStore
from minerals.releases.reproduction import code_version
from minerals.sources import DATASETS
from minerals.sources.snapshots import SnapshotStore
from orchestration.assets import OWNERS, SOURCES, WRITER_POOL, mart_spec
from orchestration.failures import is_not_compared, name_of
from orchestration.metadata import save, step
from orchestration.recovery import SETTINGS_TAG
from orchestration.resources import RunSettings, Warehouse

RAW = [f"raw_{dataset}" for dataset in DATASETS]
ROOT_TAG = "dagster/root_run_id"  # of a run that is executed again: the first of its group


@dg.multi_asset(
    name="source_snapshots",
    group_name="publication",
    pool=WRITER_POOL,
    specs=[
        mart_spec("source_snapshots", RAW),
        mart_spec("dim_release", ["source_snapshots", "import_panel"]),
    ],
)
@step
def source_snapshots(warehouse: Warehouse, settings: RunSettings) -> Iterator[dg.MaterializeResult]:
    chosen = settings.chosen
    store = SnapshotStore(chosen.raw_dir)
    # Those that were read, not those in use: an operator may choose others meanwhile.
    read = [store.read(d, warehouse.snapshot_id(d) or "") for d in DATASETS]
    columns = [column.name for column in python_marts()["source_snapshots"].columns]
    named = pd.DataFrame([{name: getattr(s, name) for name in columns} for s in read])
    named["retrieved_at"] = pd.to_datetime(named["retrieved_at"], utc=True).dt.tz_localize(None)
    panel = warehouse.frame("marts.import_panel", ["distinct importer_iso3"])
    of_release = {
        "made_at": datetime.now(UTC).replace(tzinfo=None),
        "profile": chosen.profile,
        "first_year": chosen.first_year,
        "last_year": chosen.last_year,
        "n_importers": len(panel),
        "code_version": code_version(),
    }
    tables = {"source_snapshots": named, "dim_release": pd.DataFrame([of_release])}
    yield from save(
        warehouse, settings, [{name: conform(frame, name) for name, frame in tables.items()}]
    )


def release_asset(made: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """The asset `release`, of all other assets.

    It reads every published mart. In the graph it hangs on those that no other step reads, so that
    it waits for every gate, and through them on the rest.
    """
    tables = [s.key for asset in made for s in asset.specs if s.group_name != SOURCES]
    read_on = {
        dep.asset_key
        for asset in made
        for spec in asset.specs
        for dep in spec.deps
        if dep.asset_key not in asset.keys
    }

    @dg.asset(
        group_name="publication",
        description="All marts as Parquet, made current in one step, with the serving database.",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        pool=WRITER_POOL,
        deps=[mart for mart in published() if dg.AssetKey(mart) not in read_on],
    )
    @step
    def release(
        context: dg.AssetExecutionContext, warehouse: Warehouse, settings: RunSettings
    ) -> Iterator[dg.MaterializeResult]:
        chosen = settings.chosen
        if others := built_by_others(context.instance, context.run_id, tables):
            raise ReleaseError(
                "Nothing is published, and the previous release stays served, because this run did "
                f"not build all tables: {some(others, 3)}. Run the job `refresh` or `rebuild`."
            )
        reported_trade = warehouse.snapshot_id("reported_trade")
        with warehouse.reader() as connection:
            facts = {
                "run_id": context.run_id,
                "settings": chosen.recorded,
                "snapshots": _records(connection.sql("select * from marts.source_snapshots").df()),
                "as_of": _day(connection),
                "reported_trade_snapshot_id": reported_trade,
                "fits": _records(connection.sql("select * from marts.ppml_fit").df()),
                "checks": _checks(context),
            }
            folders = chosen.releases_dir, chosen.serving_database
            store = ReleaseStore(*folders, chosen.releases_to_keep)
            published = store.publish(connection, facts)
        yield dg.MaterializeResult(
            metadata={
                "release_id": published.release_id,
                "path": dg.MetadataValue.path(str(published.path)),
                "serving_database": dg.MetadataValue.path(str(chosen.serving_database)),
                "marts": len(published.marts),
                "contract_changes": list(published.contract_changes),
                "dagster/row_count": sum(mart.row_count for mart in published.marts),
                **_pages(published.path, chosen.data_docs_dir / context.run_id),
                "contents": dg.MetadataValue.table(
                    [dg.TableRecord({"mart": m.name, "rows": m.row_count}) for m in published.marts]
                ),
            }
        )

    return release


def built_by_others(
    instance: dg.DagsterInstance, run_id: str, tables: Sequence[dg.AssetKey]
) -> list[str]:
    """The tables that another run built last."""
    group = as_one_run(instance, run_id)
    latest = instance.get_latest_materialization_events(tables)
    built = {key for key, entry in latest.items() if entry and entry.run_id in group}
    return sorted(key.to_user_string() for key in set(tables) - built)


def as_one_run(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """This run after those with the same settings of which it is a new execution (from failure, in
    the UI): together they count as one."""
    run = instance.get_run_by_id(run_id)
    assert run is not None
    if not (root := run.tags.get(ROOT_TAG)):
        return [run_id]
    same = [*instance.get_runs(dg.RunsFilter(tags={ROOT_TAG: root})), instance.get_run_by_id(root)]
    before = [
        r.run_id
        for r in reversed(same)
        if r is not None
        and r.run_id != run_id
        and r.run_config == run.run_config
        and r.tags.get(SETTINGS_TAG) == run.tags.get(SETTINGS_TAG)
    ]
    return [*before, run_id]


def _pages(release: Path, gates: Path) -> dict[str, dg.MetadataValue]:
    """Where to read on: the manifest, the contract, and the pages of this run's gates if any."""
    pages = {"manifest": release / "manifest.json", "readme": release / "README.md"}
    if (gates / "index.html").is_file():
        pages["data_docs"] = gates / "index.html"
    return {name: dg.MetadataValue.path(str(page)) for name, page in pages.items()}


def _checks(context: dg.AssetExecutionContext) -> dict[str, object]:
    """The last outcome of each check of this run, and the sentences of those that did not pass or
    had nothing to compare with."""
    entries = [
        entry
        for run_id in as_one_run(context.instance, context.run_id)
        for entry in context.instance.all_logs(
            run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
        )
    ]
    checks = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    outcomes = {name_of(check): _outcome(check) for check in checks}
    sentences = {name_of(check): check.description or check.severity.value for check in checks}
    return {
        "n_passed": list(outcomes.values()).count("passed"),
        "not_passed": {n: sentences[n] for n, o in outcomes.items() if o.startswith("not passed")},
        "not_compared": {n: sentences[n] for n, o in outcomes.items() if o == "not compared"},
        "outcomes": dict(sorted(outcomes.items())),
    }


def _day(warehouse: duckdb.DuckDBPyConnection) -> str | None:
    """The day on which policy events were judged."""
    (day,) = warehouse.sql("select max(as_of_date) from marts.policy_events").fetchall()[0]
    return None if day is None else str(day)


def _outcome(check: dg.AssetCheckEvaluation) -> str:
    if is_not_compared(check):
        return "not compared"
    return "passed" if check.passed else f"not passed ({check.severity.value.lower()})"


def _records(frame: pd.DataFrame) -> list[dict[str, object]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]
