"""Stage 1: the raw datasets, from whichever provider the profile names, as snapshots.

Each dataset has two assets, made by one step. `source_<dataset>` asks the source and decides which
snapshot is in use; an unchanged source makes no new snapshot. `raw_<dataset>` shows the snapshot in
use to dbt and to the gates. A run without the first (the job `rebuild`) asks no source.

Where the last accepted snapshot stays in use (`minerals/sources/ingest.py`), the check
`is_up_to_date` says why, an alert is written, and `source_<dataset>` is not materialized, so its
freshness policy sees the age of the last good answer.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import dagster as dg

from minerals import alerts
from minerals.settings import Settings
from minerals.sources import DATASETS
from minerals.sources.csv_files import reported_trade_provider
from minerals.sources.ingest import Ingested, ingest_dataset
from minerals.sources.snapshots import Snapshot, SnapshotStore
from minerals.sources.tables import sources
from orchestration.assets import OWNERS, SOURCES, WRITER_POOL
from orchestration.metadata import COLUMNS, Metadata, step
from orchestration.resources import Warehouse
from orchestration.schedules import CADENCES

UP_TO_DATE = "is_up_to_date"
DESCRIPTIONS = {
    "bilateral_trade": "Who sold which HS code to whom, each year: value and quantity.",
    "production": "Mine and smelter production of each mineral by country and year.",
    "mineral_summaries": "World output and reserves of each mineral by country and stage, "
    "as the USGS prints them.",
    "country_indicators": "Income, population, electricity, debt, investment and governance by "
    "country and year.",
    "country_geography": "Main city and coordinates, landlocked or not, region and income group "
    "of each country.",
    "export_restrictions": "Measures that restrict exports of raw materials, as the OECD's "
    "Inventory records them; none in the bundled profile.",
}
Results = Iterator[dg.MaterializeResult | dg.AssetCheckResult]


def dataset_assets(dataset: str, settings: Settings) -> dg.AssetsDefinition:
    """The assets `source_<dataset>` and `raw_<dataset>`."""
    source, raw = _specs(dataset, settings)
    up_to_date = dg.AssetCheckSpec(
        UP_TO_DATE,
        asset=source.key,
        description="The source answered, and its answer is within the tolerances. Otherwise the "
        "last accepted snapshot stays in use.",
    )

    @dg.multi_asset(
        name=f"raw_{dataset}",
        specs=[source, raw],
        check_specs=[up_to_date] if settings.profile == "live" else None,
        can_subset=True,
        pool=WRITER_POOL,
    )
    @step
    def ingest(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Results:
        store = SnapshotStore(settings.raw_dir)
        if source.key in context.selected_asset_keys:
            ingested = ingest_dataset(settings, dataset, store)
            store.use(ingested.snapshot)
            yield from _answer(context, settings, source, ingested)
        if raw.key in context.selected_asset_keys:
            snapshot = store.current(dataset)
            warehouse.load_snapshot(snapshot)
            yield _shown(raw.key, snapshot)

    return ingest


def _specs(dataset: str, settings: Settings) -> tuple[dg.AssetSpec, dg.AssetSpec]:
    common: Any = {"owners": OWNERS, "tags": {"profile": settings.profile}}
    source = dg.AssetSpec(
        f"source_{dataset}",
        group_name=SOURCES,
        description=f"The last answer of the source of {dataset}, accepted as a snapshot.",
        kinds={"python", "parquet"},
        **common,
    )
    if settings.profile == "live":
        cadence = CADENCES[dataset]
        source = source.replace_attributes(
            description=f"{source.description} {cadence.reason}",
            freshness_policy=cadence.freshness,
            skippable=True,
        ).merge_attributes(metadata={"schedule": cadence.cron, "freshness": cadence.reason})
    raw = dg.AssetSpec(
        f"raw_{dataset}",
        group_name="ingestion",
        deps=[source],
        description=f"{DESCRIPTIONS[dataset]} Shows the snapshot in use.",
        kinds={"parquet", "duckdb"},
        **common,
    )
    return source, raw


def _answer(
    context: dg.AssetExecutionContext, settings: Settings, source: dg.AssetSpec, ingested: Ingested
) -> Results:
    """What the source brought, as Dagster records it; an alert when it is not up to date."""
    snapshot = ingested.snapshot
    context.log.info(
        f"{snapshot.dataset}: {ingested.outcome} snapshot {snapshot.snapshot_id}, "
        f"{snapshot.row_count:,} rows from {snapshot.provider}"
    )
    for note in snapshot.notes:
        context.log.warning(f"{snapshot.dataset}: {note}")
    if ingested.is_stale:
        context.log.warning(f"{snapshot.dataset} is not up to date. {ingested.message}")
        run, step = context.run, f"raw_{snapshot.dataset}"
        kind: alerts.Kind = "source not up to date"
        alert = alerts.Alert(kind, run.job_name, run.run_id, step, ingested.headline)
        if problem := alerts.send(settings, alert):
            context.log.warning(f"The alert is only in {settings.alert_log}: {problem}.")
    else:
        yield dg.MaterializeResult(
            asset_key=source.key,
            metadata={
                "is_new_snapshot": int(ingested.outcome == "new"),
                "outcome": ingested.outcome,
                **_origin(snapshot),
            },
            data_version=dg.DataVersion(snapshot.snapshot_id),
        )
    if settings.profile == "live":
        yield dg.AssetCheckResult(
            asset_key=source.key,
            check_name=UP_TO_DATE,
            passed=ingested.is_whole,
            severity=dg.AssetCheckSeverity.WARN,
            description=ingested.explanation,
            metadata={"outcome": ingested.outcome, "in_use_since": snapshot.retrieved_at},
        )


def reported_trade_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `raw_reported_trade`: empty until a file is named."""

    @dg.asset(
        name="raw_reported_trade",
        group_name="ingestion",
        description="Imports as reported to UN Comtrade, from a downloaded file, to reconcile the "
        "trade data with, and to complete it by lines that the bundle lacks, such as scrap. Empty "
        "unless MINERALS_COMTRADE_FILE is set. In the live profile the panel is built from such "
        "reports, and nothing is compared.",
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        pool=WRITER_POOL,
        tags={"profile": settings.profile},
    )
    @step
    def ingest(context: dg.AssetExecutionContext, warehouse: Warehouse) -> Results:
        provider = reported_trade_provider(settings)
        if provider is None:
            table = sources()["comtrade_file"].tables["reported_trade"]
            warehouse.load_nothing("reported_trade", table.columns)
            context.log.info("MINERALS_COMTRADE_FILE is not set: there is nothing to compare with")
            yield dg.MaterializeResult(
                metadata={"dagster/row_count": 0}, data_version=dg.DataVersion("empty")
            )
        else:
            store = SnapshotStore(settings.raw_dir)
            snapshot, _ = provider.ingest(store)
            store.use(snapshot)
            warehouse.load_snapshot(snapshot)
            yield _shown("raw_reported_trade", snapshot)

    return ingest


def _shown(table: dg.AssetKey | str, snapshot: Snapshot) -> dg.MaterializeResult:
    columns = snapshot.tables[0].columns
    return dg.MaterializeResult(
        asset_key=table,
        metadata={
            "dagster/row_count": snapshot.row_count,
            "bytes": sum(file.stat().st_size for file in snapshot.path.iterdir()),
            **_origin(snapshot),
            "sha256": snapshot.sha256,
            "licence": snapshot.licence,
            "citation": snapshot.citation,
            "path": dg.MetadataValue.path(str(snapshot.path)),
            COLUMNS: dg.TableSchema([dg.TableColumn(*column) for column in columns.items()]),
        },
        data_version=dg.DataVersion(snapshot.snapshot_id),
    )


def _origin(snapshot: Snapshot) -> Metadata:
    moment = dg.MetadataValue.timestamp(datetime.fromisoformat(snapshot.retrieved_at).timestamp())
    facts = {"snapshot_id": snapshot.snapshot_id, "provider": snapshot.provider}
    return {**facts, "retrieved_at": moment}


def ingestion_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of all datasets, and the optional table of reports."""
    return [*(dataset_assets(d, settings) for d in DATASETS), reported_trade_asset(settings)]
