"""`minerals status`: the state of the warehouse in a few lines, for people, cron and machines.

Reads the manifest of the served release, the snapshots and Dagster's records; changes nothing.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minerals.errors import MineralsError, SnapshotDamagedError
from minerals.files import free_space, in_megabytes, size_of
from minerals.settings import Settings
from orchestration.cli import common

if TYPE_CHECKING:
    import dagster as dg

app = typer.Typer()
FINE, FAILED, STALE = 0, 1, 2  # exit codes
MOST_MODELS = 30  # told one by one


@dataclass
class Run:
    """A run of a job. `status`: succeeded, failed, cancelled, queued or running."""

    run_id: str
    job: str
    status: str
    started_at: str | None
    seconds: float | None
    cause: str | None = None


@dataclass
class Status:
    """What `minerals status` shows. The checks are those of the last run that publishes;
    `checks_failed` holds its failed steps, too."""

    exit_code: int = FINE
    release_id: str | None = None
    released_at: str | None = None
    release_age_days: float | None = None
    models: list[dict[str, Any]] = field(default_factory=list)
    last_run: Run | None = None
    last_publishing_run: Run | None = None
    sources: list[dict[str, Any]] = field(default_factory=list)
    damaged_sources: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    checks_failed: list[str] = field(default_factory=list)
    checks_warned: list[str] = field(default_factory=list)
    checks_not_comparable: int = 0
    stale: list[str] = field(default_factory=list)
    bytes_on_disk: dict[str, int] = field(default_factory=dict)


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the release, the last run, the sources, the checks, and whether the release is current.

    Exit code 0: fine. 1: there is no release, the last run or a blocking check failed, or a source,
    the run history or the pointer is damaged. 2: newer snapshots are in use than the release's.
    """
    settings, console = common.settings(), common.console(markup=False)
    found = read_status(settings)
    if as_json:
        console.print(json.dumps(asdict(found), indent=2, default=str))
    else:
        for word, text in _lines(settings, found):
            console.print(f"{word:<9} {text}")
    raise typer.Exit(found.exit_code)


def read_status(settings: Settings) -> Status:
    """The release, the sources, the runs with their checks, and from these the exit code."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    found = Status()
    store = common.releases(settings)
    manifest = store.manifest() or {}
    found.damaged += filter(None, [store.dangling_pointer()])
    if manifest:
        found.release_id, found.released_at = manifest["release_id"], manifest["created_at"]
        found.release_age_days = _age_days(manifest["created_at"])
        keys = ("importer_iso3", "category", "is_publishable", "reason")
        found.models = [{key: fit[key] for key in keys} for fit in manifest["fits"]]
    _read_sources(settings, manifest, found)
    if (settings.dagster_home / "dagster.yaml").exists():
        try:
            _read_runs(settings, found)
        except DatabaseError as error:
            words = f"the run history under {settings.dagster_home} cannot be read ({error.orig})"
            if not isinstance(error, OperationalError):  # a lock or a missing permission
                words += ": the next `minerals refresh` sets aside what is damaged, and goes on"
            found.damaged.append(words)
    parts = {
        "warehouse": settings.database,
        "raw": settings.raw_dir,
        "releases": settings.releases_dir,
        "history": settings.dagster_home,
        "downloads": settings.downloads_dir,
    }
    found.bytes_on_disk = {name: size_of(path) for name, path in parts.items() if path.exists()}
    found.bytes_on_disk["free"] = free_space(settings.warehouse_dir)
    runs = [run for run in (found.last_run, found.last_publishing_run) if run]
    has_failed = any(run.status == "failed" for run in runs)
    is_damaged = found.damaged_sources or found.damaged
    if not manifest or has_failed or found.checks_failed or is_damaged:
        found.exit_code = FAILED
    elif found.stale:
        found.exit_code = STALE
    return found


def _read_sources(settings: Settings, manifest: dict[str, Any], found: Status) -> None:
    """The snapshots in use, and where the release was made from others."""
    from minerals.sources import DATASETS

    released = {s["dataset"]: s["snapshot_id"] for s in manifest.get("snapshots", [])}
    store = common.snapshots(settings)
    for dataset in DATASETS:
        try:
            snapshot = store.current(dataset)
        except SnapshotDamagedError as error:
            is_there = store.current_id(dataset) is not None
            words = found.damaged_sources if is_there else found.stale
            words.append(f"{dataset}: {error}")
            continue
        names = ("dataset", "provider", "snapshot_id", "row_count", "retrieved_at")
        facts = {name: getattr(snapshot, name) for name in names}
        found.sources.append({**facts, "age_days": _age_days(snapshot.retrieved_at)})
        used = released.get(dataset)
        if used and used != snapshot.snapshot_id:
            found.stale.append(
                f"{dataset}: the release was made from snapshot {used}, {snapshot.snapshot_id} is "
                "in use; `minerals refresh` publishes it"
            )


def _read_runs(settings: Settings, found: Status) -> None:
    """The last run of any job; the last one that publishes, with its checks."""
    import dagster as dg
    from dagster._check import CheckError

    from orchestration.failures import problems_of_run
    from orchestration.jobs import BUILD_ALL

    try:  # with the configuration that is there, even if these settings name another one
        opened = dg.DagsterInstance.from_config(str(settings.dagster_home))
    except (dg.DagsterError, CheckError) as error:
        raise MineralsError(
            f"The run history cannot be read ({error}): `minerals instance` writes its "
            f"configuration, {settings.dagster_home / 'dagster.yaml'}, again."
        ) from error
    with opened as instance:
        wanted = [dg.RunsFilter(), *(dg.RunsFilter(job_name=job) for job in BUILD_ALL)]
        last, *publishing = (instance.get_run_records(which, limit=1) for which in wanted)
        if last:
            problems = problems_of_run(instance, last[0].dagster_run.run_id)
            found.last_run = _run_of(last[0], problems.failures)
        if records := [record for of_job in publishing for record in of_job]:
            record = max(records, key=lambda record: record.create_timestamp)
            if record.dagster_run.run_id != last[0].dagster_run.run_id:
                problems = problems_of_run(instance, record.dagster_run.run_id)
            found.last_publishing_run = _run_of(record, problems.failures)
            found.checks_failed, found.checks_warned = problems.failures, problems.warnings
            found.checks_not_comparable = len(problems.not_compared)


def _run_of(record: "dg.RunRecord", failures: list[str]) -> Run:
    """The run, with its cause when it failed. One whose process died has failed, even before
    `recovery.recover` records it."""
    from dagster import DagsterRunStatus

    from orchestration.recovery import IN_PROGRESS, KILLED, is_alive

    run, began, ended = record.dagster_run, record.start_time, record.end_time
    moment = datetime.fromtimestamp(began, tz=UTC) if began else None
    words = {
        DagsterRunStatus.SUCCESS: "succeeded",
        DagsterRunStatus.FAILURE: "failed",
        DagsterRunStatus.CANCELED: "cancelled",
        DagsterRunStatus.QUEUED: "queued",
    }
    is_dead = run.status in IN_PROGRESS and not is_alive(record)
    status = "failed" if is_dead else words.get(run.status, "running")
    return Run(
        run_id=run.run_id,
        job=run.job_name,
        status=status,
        started_at=moment.isoformat(timespec="seconds") if moment else None,
        seconds=round(ended - began, 1) if began and ended else None,
        cause=(failures or [KILLED])[0] if status == "failed" else None,
    )


def _lines(settings: Settings, found: Status) -> list[tuple[str, str]]:
    if found.release_id and found.release_age_days is not None:
        release = f"{found.release_id}, {_ago(found.release_age_days)}"
    else:
        release = f"none yet under {settings.releases_dir}: run `minerals refresh`"
    lines = [("release", release)]
    estimated = Counter(model["category"] for model in found.models if model["is_publishable"])
    if len(found.models) > MOST_MODELS:
        n_importers = len({model["importer_iso3"] for model in found.models})
        counts = ", ".join(f"{n} {category}" for category, n in estimated.items())
        why = "marts.ppml_fit has the reasons of the others"
        lines.append(("models", f"{n_importers} importers, estimated {counts}; {why}"))
    for model in found.models if len(found.models) <= MOST_MODELS else ():
        verdict = "estimated" if model["is_publishable"] else f"published only: {model['reason']}"
        importer = common.country(settings, model["importer_iso3"])
        lines.append(("model", f"{importer}, {model['category']}: {verdict}"))
    for run in (found.last_run, found.last_publishing_run):
        if run is None or (run is found.last_publishing_run and run == found.last_run):
            continue
        took = f" after {run.seconds:.0f} s" if run.seconds is not None else ""
        began = f", started {run.started_at}" if run.started_at else ""
        lines.append(("last run", f"{run.job} {run.run_id[:8]} {run.status}{took}{began}"))
        lines += [("cause", run.cause)] if run.cause else []
    for source in found.sources:
        words = f"{source['dataset']} {source['snapshot_id']}: {source['row_count']:,} rows, "
        lines.append(("source", f"{words}{_ago(source['age_days'])}, {source['provider']}"))
    lines += [("damaged", words) for words in [*found.damaged, *found.damaged_sources]]
    causes = [run.cause for run in (found.last_run, found.last_publishing_run) if run]
    lines += [("failed", words) for words in found.checks_failed if words not in causes]
    lines += [("warned", words) for words in found.checks_warned]
    if found.checks_not_comparable:
        checks = common.count(found.checks_not_comparable, "check")
        lines.append(("checks", f"{checks} had no earlier release to compare with"))
    sizes = ", ".join(f"{name} {in_megabytes(n)}" for name, n in found.bytes_on_disk.items())
    return [*lines, ("disk", sizes), *(("stale", words) for words in found.stale)]


def _ago(days: float) -> str:
    return f"{days * 24:.0f} h ago" if days < 2 else f"{days:.0f} days ago"


def _age_days(moment: str) -> float:
    age = datetime.now(UTC) - datetime.fromisoformat(moment)
    return round(age.total_seconds() / 86400, 2)
