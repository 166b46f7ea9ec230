"""The state of the warehouse, for a person, for cron and for machines: the UI in a few lines.

Reads the records of Dagster, the snapshots and the manifest of the release; changes nothing.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster import DagsterRunStatus
from rich.console import Console

from minerals.errors import SnapshotDamagedError
from minerals.releases import ReleaseStore
from minerals.settings import Settings
from minerals.sources import DATASETS
from minerals.sources.snapshots import SnapshotStore
from orchestration.failures import Problems, problems_of_run
from orchestration.recovery import IN_PROGRESS, KILLED, is_alive
from orchestration.run import existing_instance

FINE, FAILED, STALE = 0, 1, 2  # exit codes


@dataclass
class Run:
    run_id: str
    job: str
    status: str
    started_at: str | None
    seconds: float | None
    cause: str | None = None


@dataclass
class Source:
    dataset: str
    provider: str
    snapshot_id: str
    row_count: int
    retrieved_at: str
    age_days: float


@dataclass
class Status:
    """What `minerals status` says. `exit_code`: 0 fine; 1 no release, the last run failed, a source
    is damaged or a blocking check failed; 2 all of that is well and a mart is out of date."""

    exit_code: int = FINE
    release_id: str | None = None
    released_at: str | None = None
    release_age_days: float | None = None
    models: list[dict[str, Any]] = field(default_factory=list)
    last_run: Run | None = None
    sources: list[Source] = field(default_factory=list)
    damaged_sources: list[str] = field(default_factory=list)
    checks_failed: list[str] = field(default_factory=list)
    checks_warned: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def read_status(settings: Settings) -> Status:
    """Look, in this order: the release, the sources, the last run, what is stale."""
    status = Status()
    manifest = ReleaseStore(settings.releases_dir, settings.serving_database).manifest()
    if manifest:
        status.release_id, status.released_at = manifest["release_id"], manifest["created_at"]
        status.release_age_days = _age_days(manifest["created_at"])
        keys = ("importer_iso3", "category", "is_publishable", "reason")
        status.models = [{key: fit[key] for key in keys} for fit in manifest["fits"]]
    _look_at_sources(settings, status)
    if (settings.dagster_home / "dagster.yaml").exists():
        with existing_instance(settings) as instance:
            status.last_run = _last_run(instance)
            if status.last_run:
                problems = problems_of_run(instance, status.last_run.run_id)
                status.checks_failed, status.checks_warned = problems.failures, problems.warnings
    broken = status.damaged_sources or status.checks_failed or not manifest
    if broken or (status.last_run and status.last_run.status == "failed"):
        status.exit_code = FAILED
    elif status.stale:
        status.exit_code = STALE
    return status


def _look_at_sources(settings: Settings, status: Status) -> None:
    store = SnapshotStore(settings.raw_dir)
    for dataset in DATASETS:
        try:
            snapshot = store.current(dataset)
        except SnapshotDamagedError as error:
            status.damaged_sources.append(f"{dataset}: {error}")
            continue
        status.sources.append(
            Source(
                dataset,
                snapshot.provider,
                snapshot.snapshot_id,
                snapshot.row_count,
                snapshot.retrieved_at,
                _age_days(snapshot.retrieved_at),
            )
        )


def _last_run(instance: dg.DagsterInstance) -> Run | None:
    """The last run, whatever its job; one whose process died has failed, also before anybody
    recovered it."""
    records = instance.get_run_records(limit=1)
    if not records:
        return None
    run, began, ended = records[0].dagster_run, records[0].start_time, records[0].end_time
    is_killed = run.status in IN_PROGRESS and not is_alive(records[0])
    has_failed = is_killed or run.status == DagsterRunStatus.FAILURE
    causes = problems_of_run(instance, run.run_id) if has_failed else Problems()
    return Run(
        run_id=run.run_id,
        job=run.job_name,
        status="failed" if has_failed else _WORDS.get(run.status, "under way"),
        started_at=_iso(began) if began else None,
        seconds=round(ended - began, 1) if began and ended else None,
        cause=next(iter(causes.failures), KILLED) if has_failed else None,
    )


_WORDS = {
    DagsterRunStatus.SUCCESS: "ended well",
    DagsterRunStatus.CANCELED: "was cancelled",
    DagsterRunStatus.QUEUED: "waits",
}


def print_status(console: Console, settings: Settings, as_json: bool = False) -> int:
    """Print it; the exit code."""
    status = read_status(settings)
    if as_json:
        console.print_json(json.dumps(asdict(status), default=str))
        return status.exit_code
    for line in _lines(settings, status):
        console.print(line, soft_wrap=True, markup=False)
    return status.exit_code


def _lines(settings: Settings, status: Status) -> list[str]:
    if status.release_id and status.release_age_days is not None:
        lines = [f"release   {status.release_id}, {_ago(status.release_age_days)}"]
    else:
        lines = [f"release   none yet under {settings.releases_dir}: run `make refresh`."]
    for model in status.models:
        verdict = "estimated" if model["is_publishable"] else f"published only: {model['reason']}"
        lines.append(f"model     {model['importer_iso3']} {model['category']}: {verdict}")
    if run := status.last_run:
        took = f" after {run.seconds:.0f} s" if run.seconds is not None else ""
        began = f", begun {run.started_at}" if run.started_at else ""
        lines.append(f"last run  {run.job} {run.run_id[:8]} {run.status}{took}{began}")
        lines += [f"cause     {run.cause}"] if run.cause else []
    for source in status.sources:
        lines.append(
            f"source    {source.dataset} {source.snapshot_id}: {source.row_count:,} rows, "
            f"{_ago(source.age_days)}, {source.provider}"
        )
    lines += [f"damaged   {words}" for words in status.damaged_sources]
    lines += [f"failed    {words}" for words in status.checks_failed]
    lines += [f"warned    {words}" for words in status.checks_warned]
    lines += [f"stale     {words}" for words in status.stale]
    return lines


def _ago(days: float) -> str:
    return f"{days * 24:.0f} h ago" if days < 2 else f"{days:.0f} days ago"


def _age_days(moment: str) -> float:
    age = datetime.now(UTC) - datetime.fromisoformat(moment)
    return round(age.total_seconds() / 86400, 2)


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, tz=UTC).isoformat(timespec="seconds")
