"""Stage 1: the four raw datasets, from whichever provider the profile names, as snapshots.

One asset a dataset. An unchanged source makes no new snapshot. In the bundled profile a source that
breaks its layout fails its asset with the rows that are wrong, and the snapshot in use stays in
use. In the live profile a source that fails or brings something strange does not stop the others:
the last accepted snapshot goes on serving, the check `is_up_to_date` of its asset says why, and an
alert is written. A run that asks this source only then materializes nothing, so that the age that
the freshness policy sees is that of the last answer.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
)

from minerals import alerts
from minerals.settings import Settings
from minerals.sources import DATASETS
from minerals.sources.csv_files import reported_trade_provider
from minerals.sources.ingest import Ingested, ingest_dataset
from minerals.sources.snapshots import Snapshot, SnapshotStore
from minerals.sources.tables import sources
from orchestration.assets import OWNERS, UP_TO_DATE, WRITER_POOL
from orchestration.causes import told_in_words
from orchestration.metadata import Facts, watched
from orchestration.resources import Snapshots, Warehouse
from orchestration.schedules import CADENCES

DESCRIPTIONS = {
    "bilateral_trade": "Who sold which HS code to whom, each year: value and quantity.",
    "production": "Mine and smelter production of each mineral by country and year.",
    "country_indicators": "Income, population, electricity, debt, investment and governance by "
    "country and year.",
    "country_geography": "Main city and coordinates, landlocked or not, region and income group "
    "of each country.",
}


def raw_asset(dataset: str, settings: Settings) -> dg.AssetsDefinition:
    """The asset `raw_<dataset>`."""

    is_live = settings.profile == "live"
    cadence = CADENCES[dataset]
    described = f"{DESCRIPTIONS[dataset]} {cadence.reason}" if is_live else DESCRIPTIONS[dataset]

    @dg.asset(
        name=f"raw_{dataset}",
        group_name="ingestion",
        description=described,
        metadata={"schedule": cadence.cron, "freshness": cadence.reason} if is_live else None,
        kinds={"python", "parquet"},
        owners=OWNERS,
        pool=WRITER_POOL,
        tags={"profile": settings.profile},
        check_specs=[_up_to_date(dataset)] if is_live else None,
        freshness_policy=cadence.freshness if is_live else None,
        output_required=not is_live,
    )
    @watched
    def ingest(
        context: dg.AssetExecutionContext, snapshots: Snapshots, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        store = snapshots.store()
        intake = ingest_dataset(settings, dataset, store)
        snapshot, is_new = intake.snapshot, intake.outcome == "new"
        warehouse.load_snapshot(snapshot)
        store.use_unless_pinned(snapshot)
        context.log.info(
            f"{dataset}: {intake.outcome} snapshot {snapshot.snapshot_id}, "
            f"{snapshot.row_count:,} rows from {snapshot.provider}"
        )
        if intake.is_stale:
            _alert(settings, context, dataset, intake)
        if is_live:
            yield _check_result(intake)
        if not intake.is_stale or not _is_alone(context):
            yield _result(snapshot, is_new)

    return ingest


def show_snapshot_in_use(
    context: dg.AssetCheckExecutionContext, asset: str, store: SnapshotStore, warehouse: Warehouse
) -> None:
    """Let a raw table show the snapshot in use, since an operator may have chosen another one.

    A change is recorded as one of the asset, so that what was made of the one before is known to be
    older. Raises dg.Failure when the snapshot is damaged or there is none.
    """
    with told_in_words():
        snapshot = store.current(asset.removeprefix("raw_"))
        warehouse.load_snapshot(snapshot)
    recorded = context.instance.get_latest_materialization_event(dg.AssetKey(asset))
    shown = extract_data_version_from_entry(recorded) if recorded else None
    if shown != dg.DataVersion(snapshot.snapshot_id):
        context.op_execution_context.log_event(
            dg.AssetMaterialization(
                asset,
                metadata=_facts(snapshot, is_new=False),
                tags={DATA_VERSION_TAG: snapshot.snapshot_id},
            )
        )


def _is_alone(context: dg.AssetExecutionContext) -> bool:
    """Whether nothing downstream is in this run: it would be skipped without this asset."""
    return set(context.job_def.asset_layer.executable_asset_keys) == {context.asset_key}


def _alert(
    settings: Settings, context: dg.AssetExecutionContext, dataset: str, intake: Ingested
) -> None:
    context.log.warning(f"{dataset} is not up to date. {intake.message}")
    alert = alerts.Alert(
        kind="source not up to date",
        job=context.run.job_name,
        run_id=context.run_id,
        step=f"raw_{dataset}",
        cause=intake.headline,
    )
    if problem := alerts.send(settings, alert):
        context.log.warning(f"The alert is in {settings.alert_log} only: {problem}.")


def _up_to_date(dataset: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=UP_TO_DATE,
        asset=f"raw_{dataset}",
        description="The source answered, and what it brought is within the tolerances; otherwise "
        "the last accepted snapshot is in use.",
    )


def _check_result(intake: Ingested) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=UP_TO_DATE,
        passed=not intake.is_stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=intake.message,
        metadata={"outcome": intake.outcome, "in_use_since": intake.snapshot.retrieved_at},
    )


def reported_trade_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `raw_reported_trade`: empty until a file is named."""

    @dg.asset(
        name="raw_reported_trade",
        group_name="ingestion",
        description="Imports as reported to UN Comtrade, from a downloaded file, to reconcile the "
        "trade data with. Empty unless MINERALS_COMTRADE_FILE is set; the panel does not use it. "
        "In the live profile the panel is built from such reports, and nothing is compared.",
        kinds={"python", "parquet"},
        owners=OWNERS,
        pool=WRITER_POOL,
        tags={"profile": settings.profile},
    )
    @watched
    def ingest(
        context: dg.AssetExecutionContext, snapshots: Snapshots, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        provider = reported_trade_provider(settings)
        if provider is None:
            table = sources()["comtrade_file"].tables["reported_trade"]
            warehouse.load_nothing("reported_trade", table.columns)
            context.log.info("MINERALS_COMTRADE_FILE is not set: nothing to reconcile with")
            return dg.MaterializeResult(
                metadata={"dagster/row_count": 0}, data_version=dg.DataVersion("empty")
            )
        store = snapshots.store()
        snapshot, is_new = provider.ingest(store)
        warehouse.load_snapshot(snapshot)
        store.use(snapshot)
        return _result(snapshot, is_new)

    return ingest


def _result(snapshot: Snapshot, is_new: bool) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata=_facts(snapshot, is_new), data_version=dg.DataVersion(snapshot.snapshot_id)
    )


def _facts(snapshot: Snapshot, is_new: bool) -> Facts:
    return {
        "dagster/row_count": snapshot.row_count,
        "bytes": sum(f.stat().st_size for f in Path(snapshot.path).iterdir()),
        "is_new_snapshot": int(is_new),
        "snapshot_id": snapshot.snapshot_id,
        "sha256": snapshot.sha256,
        "provider": snapshot.provider,
        "retrieved_at": dg.MetadataValue.timestamp(_epoch(snapshot.retrieved_at)),
        "licence": snapshot.licence,
        "citation": snapshot.citation,
        "path": dg.MetadataValue.path(str(snapshot.path)),
        "dagster/column_schema": _columns(snapshot.tables[0].columns),
    }


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _columns(columns: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])


def ingestion_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The four raw assets, and the optional fifth."""
    return [*(raw_asset(d, settings) for d in DATASETS), reported_trade_asset(settings)]
