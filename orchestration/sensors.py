"""What the daemon checks between the schedules.

In both profiles: runs whose process died, and runs that failed. In the live profile also: whether
UN Comtrade has something new, and whether a snapshot is in use that the last release was not made
from. The bundle does not change between two daily refreshes, so these two are not listed there.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
import pyarrow.parquet as pq

from minerals import alerts
from minerals.errors import SourceError, some
from minerals.releases import ReleaseStore
from minerals.settings import Settings
from minerals.sources import DATASETS, comtrade
from minerals.sources.acceptance import verdict_file
from minerals.sources.comtrade_rows import AVAILABILITY, Published
from minerals.sources.snapshots import SnapshotStore
from orchestration.failures import cause_of, problems_of_run
from orchestration.jobs import INGEST_ONE, REBUILD
from orchestration.recovery import IN_PROGRESS, recover

NOT_ENDED = [dg.DagsterRunStatus.QUEUED, *IN_PROGRESS]
DAY_SECONDS = 86_400


@dg.sensor(
    name="end_dead_runs",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the runs whose process was killed, so that the next one can start. Dagster "
    "itself does not watch the runs of the command line.",
)
def end_dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    if ended := recover(context.instance):
        return dg.SkipReason(f"Ended, because their process died: {', '.join(ended)}.")
    return dg.SkipReason("Every run in progress has a living process.")


def alert_failed_runs(settings: Settings) -> dg.SensorDefinition:
    """One alert per failed run, whoever started it."""

    @dg.run_failure_sensor(
        name="alert_failed_runs",
        monitor_all_code_locations=True,  # runs of the command line come from none
        default_status=_status(settings),
        description="Writes every failed run to logs/alerts.jsonl, and posts it to the webhook if "
        "one is set.",
    )
    def evaluate(context: dg.RunFailureSensorContext) -> None:
        run = context.dagster_run
        problems = problems_of_run(context.instance, run.run_id)
        step = problems.first_step or ""
        cause = next(iter(problems.failures), cause_of(context.failure_event))
        cause = cause.removeprefix(f"{step}: ")
        alert = alerts.Alert("run failed", run.job_name, run.run_id, step, cause)
        if problem := alerts.send(settings, alert):
            context.log.warning(f"The alert is only in {settings.alert_log}: {problem}.")

    return evaluate


def publish_what_is_new(settings: Settings) -> dg.SensorDefinition:
    """One rebuild when snapshots are in use that the newest release was not made from."""
    snapshots = SnapshotStore(settings.raw_dir)
    releases = ReleaseStore(settings.releases_dir, settings.serving_database)

    @dg.sensor(
        name="publish_what_is_new",
        job=REBUILD,
        minimum_interval_seconds=60,
        default_status=_status(settings),
        description="Compares the snapshots in use with those that the newest release was made "
        "from. When they differ and no run is in progress, starts one run of `rebuild`: once for "
        "all sources that changed, and only once, also when that run fails.",
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        not_ended = context.instance.get_runs(dg.RunsFilter(statuses=NOT_ENDED))
        if not_ended:
            names = ", ".join(sorted({run.job_name for run in not_ended}))
            return dg.SkipReason(f"Waiting for the runs in progress: {names}.")
        in_use = {dataset: snapshots.current_id(dataset) for dataset in DATASETS}
        if missing := [dataset for dataset, snapshot in in_use.items() if snapshot is None]:
            return dg.SkipReason(
                f"There is no snapshot of {', '.join(missing)} yet: the job refresh or "
                f"ingest_{missing[0]} asks for it now, its schedule does when it is due."
            )
        newest = (releases.list() or [None])[-1]
        manifest = (releases.manifest(newest) if newest else None) or {}
        published = {s["dataset"]: s["snapshot_id"] for s in manifest.get("snapshots", [])}
        changed = [d for d, snapshot in in_use.items() if published.get(d) != snapshot]
        if not changed:
            return dg.SkipReason(f"Release {newest} was made from the snapshots in use.")
        return dg.RunRequest(
            run_key=f"{newest}:{_digest(in_use)}",
            tags={"minerals/changed_sources": ", ".join(changed)},
        )

    return evaluate


def ask_comtrade_what_is_new(settings: Settings) -> dg.SensorDefinition:
    """One ingestion when UN Comtrade publishes a year that we do not have, or revises one."""
    snapshots = SnapshotStore(settings.raw_dir)

    @dg.sensor(
        name="ask_comtrade_what_is_new",
        job=INGEST_ONE["bilateral_trade"],
        minimum_interval_seconds=DAY_SECONDS,
        default_status=_status(settings),
        description="Asks UN Comtrade once a day which years it has published, one call per "
        "importer. When a year is new or revised, starts `ingest_bilateral_trade`, which fetches "
        "only that year; again every day until it is in use. It also goes on with a first fetch "
        "that the quota stopped.",
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = f"{datetime.now(UTC):%F}"
        snapshot_id = snapshots.current_id("bilateral_trade")
        if snapshot_id and snapshots.pinned_id("bilateral_trade"):
            return dg.SkipReason("An operator pinned the snapshot in use.")
        held = snapshots.read("bilateral_trade", snapshot_id) if snapshot_id else None
        if held is None or AVAILABILITY not in {table.name for table in held.tables}:
            if comtrade.is_fetching(settings):
                return dg.RunRequest(run_key=f"first:{today}")
            other = f": the one in use is of {held.provider}" if held else ""
            return dg.SkipReason(
                f"There is no snapshot of UN Comtrade yet{other}. The schedule starts the first "
                "fetch."
            )
        try:
            news = comtrade.newly_published(settings, held.parquet(AVAILABILITY))
        except SourceError as error:
            context.log.warning(str(error))
            return dg.SkipReason(f"UN Comtrade did not answer; will retry tomorrow. {error}")
        if not news:
            return dg.SkipReason("We have all that UN Comtrade has published.")
        years = {f"{p.reporter} in {p.year}": p.checksum for p in news}
        if refused := _refused(snapshots, news):
            return dg.SkipReason(
                f"Snapshot {refused} has {', '.join(years)}, and is kept but not used: "
                "`minerals snapshots diff bilateral_trade` shows why."
            )
        # The day is in the key, so that what failed or was stopped by the quota is asked for again.
        return dg.RunRequest(
            run_key=f"{_digest(years)}:{today}",
            tags={"minerals/published_anew": some(sorted(years), 10)},
        )

    return evaluate


def _refused(snapshots: SnapshotStore, news: Sequence[Published]) -> str | None:
    """The refused snapshot that holds all of these, if there is one."""
    wanted = {(p.reporter, p.year, p.checksum) for p in news}
    for snapshot_id in snapshots.list("bilateral_trade"):
        verdict = verdict_file(snapshots, "bilateral_trade", snapshot_id)
        if verdict.exists() and not json.loads(verdict.read_text())["is_accepted"]:
            snapshot = snapshots.read("bilateral_trade", snapshot_id)
            rows = pq.read_table(snapshot.parquet(AVAILABILITY)).to_pylist()
            if wanted <= {(r["reporterCode"], r["period"], r["datasetChecksum"]) for r in rows}:
                return snapshot_id
    return None


def _digest(content: Mapping[str, str | None]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _status(settings: Settings) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus("RUNNING" if settings.schedules_on else "STOPPED")


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """All sensors of the profile; `end_dead_runs` is always on."""
    both = [end_dead_runs, alert_failed_runs(settings)]
    if settings.profile == "bundled":
        return both
    return [*both, publish_what_is_new(settings), ask_comtrade_what_is_new(settings)]
