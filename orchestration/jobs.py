"""The jobs: what can be started as a whole, and how a run is executed (processes, pools, one run at
a time).

`refresh` is everything. In the live profile a source can be asked by a job of its own; `rebuild` is
everything after the sources, from the snapshots in use to the release.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import dagster as dg
import duckdb
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.multiprocess import MultiprocessExecutor

from minerals.errors import ReleaseError, WarehouseError, some
from minerals.files import free_space, in_megabytes, refuses_to_write, size_of
from minerals.names import EVERY_IMPORTER
from minerals.releases import ReleaseStore
from minerals.settings import Settings
from minerals.sources import DATASETS, comtrade
from minerals.sources.seeds import check_seeds
from orchestration.assets import SOURCES
from orchestration.failures import Problems
from orchestration.history import history_open
from orchestration.recovery import forget_old_runs, one_at_a_time, remove_scratch, run_tags
from orchestration.resources import dbt_loaded, warehouse_of
from orchestration.spark import spark_running

# Step processes are copies of a server that has imported these once: a start costs a fork.
PRELOADED = ["orchestration.definitions", "statsmodels.api", "great_expectations"]
# A run that waits for another one to end gives up after this long.
WAIT_SECONDS = 3600.0
FULL_BYTES = 1_000_000  # with less, a run cannot even write its events
FIRST_RUN_BYTES = 110_000_000  # what the first run of the bundle for one importer leaves on disk
NO_RETRIES = {"dagster/max_retries": "0"}

REFRESH = dg.define_asset_job(
    name="refresh",
    description="Everything, from the sources to the published release. "
    "An unchanged source is not read again; a failed gate leaves the last release served.",
    selection=dg.AssetSelection.all(),
    tags=NO_RETRIES,
)
REBUILD = dg.define_asset_job(
    name="rebuild",
    description="Everything after the sources: from the snapshots in use, which the gates judge "
    "again, to the published release. No source is asked.",
    selection=dg.AssetSelection.all() - dg.AssetSelection.groups(SOURCES),
    tags=NO_RETRIES,
)
BUILD_ALL = (REFRESH.name, REBUILD.name)
INGEST_ONE = {
    dataset: dg.define_asset_job(
        name=f"ingest_{dataset}",
        description=f"Ask the source of {dataset} and judge what it brings; nothing downstream.",
        selection=dg.AssetSelection.assets(f"source_{dataset}", f"raw_{dataset}"),
        tags=NO_RETRIES,
    )
    for dataset in DATASETS
}


class BackfillConfig(dg.Config):
    """Which years of which importer to fetch ahead."""

    importer: str
    first_year: int
    last_year: int


def backfill_job(settings: Settings) -> dg.JobDefinition:
    """The job `backfill_trade`: what `minerals backfill` does, for the UI."""

    @dg.op(description="Fetch years of one importer from UN Comtrade into the stored answers.")
    def fetch_years(context: dg.OpExecutionContext, config: BackfillConfig) -> None:
        years = range(config.first_year, config.last_year + 1)
        for done in comtrade.backfill(settings, config.importer.upper(), years):
            context.log.info(f"{config.importer}: {done}")

    @dg.job(
        name="backfill_trade",
        description="Fetch years of one importer from UN Comtrade before a refresh that needs "
        "them. If the daily quota stops it, start it again: it continues where it was.",
        tags=NO_RETRIES,
    )
    def backfill_trade() -> None:
        fetch_years()

    return backfill_trade


def build_jobs(settings: Settings) -> list[Any]:
    """The jobs of the profile. In the bundled profile there is no source to ask on its own."""
    if settings.profile == "bundled":
        return [REFRESH, REBUILD]
    return [REFRESH, REBUILD, *INGEST_ONE.values(), backfill_job(settings)]


@contextmanager
def engines_for(settings: Settings, job: str) -> Iterator[None]:
    """Spark kept at hand for a job, where it is the engine, and dbt for one that runs every layer.

    Raises WarehouseError when Spark is not there or the dbt project does not parse.
    """
    with spark_running(settings), dbt_loaded(settings) if job in BUILD_ALL else nullcontext():
        yield


def before_a_run(settings: Settings, instance: dg.DagsterInstance, job: str) -> list[str]:
    """What every run does first, alone with the warehouse: look at the seeds, remove what killed
    runs left, forget the oldest runs, move a damaged warehouse file away. Returns a sentence about
    each finding.

    Raises SourceError when a seed cannot be read, WarehouseError when there is no room for a run or
    the file is damaged and the job does not build all of it again.
    """
    check_seeds(settings.seeds_dir)
    ReleaseStore(settings.releases_dir, settings.serving_database).remove_leftovers()
    remove_scratch(settings.warehouse_dir)
    forget_old_runs(instance, settings.runs_to_keep)
    damage = warehouse_of(settings).set_aside_if_damaged()
    require_room(settings)
    if damage and job not in BUILD_ALL:
        raise WarehouseError(f"{damage}: run the job {' or '.join(BUILD_ALL)}.")
    leaving = importers_that_leave(settings) if job in BUILD_ALL else None
    return [finding for finding in (damage, leaving) if finding]


def importers_that_leave(settings: Settings) -> str | None:
    """A sentence on the importers of the served release that the next one will not hold."""
    try:
        served = ReleaseStore(settings.releases_dir, settings.serving_database).manifest() or {}
    except ReleaseError:
        return None  # `before_a_run` and the store tell what is damaged
    held = {fit["importer_iso3"] for fit in served.get("fits", [])}
    gone = sorted(held - set(settings.importers))
    if not gone or settings.importers == (EVERY_IMPORTER,):
        return None
    return (
        f"{some(gone)} will leave the release: the importers of this run are "
        f"{', '.join(settings.importers)}. `minerals importers add {' '.join(gone[:5])}` keeps "
        "them in the next one."
    )


def require_room(settings: Settings) -> None:
    """Raise WarehouseError when the disk cannot take what a run adds, judged by the last one."""
    needed, free = room_needed(settings), free_space(settings.warehouse_dir)
    if free < needed:
        raise WarehouseError(no_room(settings, "full", "checked before work starts"))


def room_needed(settings: Settings) -> int:
    """Bytes that a run adds to the warehouse folder, about: its tables written again, one more
    release, and its events (once of the run, once in the index)."""
    if not settings.database.exists():
        return FIRST_RUN_BYTES
    current = ReleaseStore(settings.releases_dir, settings.serving_database).current()
    events = settings.dagster_home.glob("history/runs/*-*.db")
    sizes = [size_of(current) if current else 0, 2 * max(map(size_of, events), default=0)]
    return warehouse_of(settings).growth() + sum(sizes)


def refusal_of_disk(settings: Settings, words: str) -> str | None:
    """Whether an error means that the disk is `full` or `read-only`. On a full one SQLite speaks of
    an I/O error, and a program that was killed says nothing."""
    is_full = free_space(settings.warehouse_dir) < FULL_BYTES
    return refuses_to_write(words) or ("full" if is_full else None)


def no_room(settings: Settings, state: str, words: str) -> str:
    """The sentence about a disk that is `full` or `read-only`: which, how much is missing, what is
    served, what to do, and the `words` of the error."""
    folder = settings.warehouse_dir
    current = ReleaseStore(settings.releases_dir, settings.serving_database).current()
    served = f"release {current.name} is still the one served" if current else "none is served yet"
    lines = words.strip().splitlines() or [""]
    words = next(filter(refuses_to_write, lines), lines[0]).strip()
    if state == "read-only":
        cure = "Give the right to write, then run it again"
        return f"{folder} may not be written; {served}. {cure} ({words})."
    free = free_space(folder)
    try:
        needed = room_needed(settings)
        room = f"{in_megabytes(free)} free; a run needs about {in_megabytes(needed)}"
        room += f", {in_megabytes(needed - free)} more" if needed > free else ""
    except (OSError, WarehouseError, duckdb.Error):
        room = f"{in_megabytes(free)} free"
    cure = "Free space (docs/operations.md, Disk), then run it again"
    return f"The disk of {folder} is full ({room}); {served}. {cure} ({words})."


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """Steps run in processes forked from a server; the run waits while another one is executed."""

    @dg.executor(
        name="one_refresh_at_a_time", requirements=multiple_process_executor_requirements()
    )
    def one_refresh_at_a_time(_: dg.InitExecutorContext) -> OneRefreshAtATime:
        return OneRefreshAtATime(settings)

    return one_refresh_at_a_time


class OneRefreshAtATime(MultiprocessExecutor):
    """Dagster's executor of steps in processes, which waits for the lock of the warehouse first.

    The daemon starts one run at a time already; this also holds beside `minerals refresh`.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            retries=RetryMode.DISABLED,
            max_concurrent=2,
            start_method="forkserver",
            explicit_forkserver_preload=PRELOADED,
        )
        self.settings = settings

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        tags = run_tags(self.settings, plan_context.run_id)
        plan_context.instance.add_run_tags(plan_context.run_id, tags)
        problems, job = Problems(), plan_context.job_name
        with one_at_a_time(self.settings.warehouse_dir, WAIT_SECONDS):
            self._wait_for_holder(plan_context)
            for found in before_a_run(self.settings, plan_context.instance, job):
                yield dg.DagsterEvent.engine_event(plan_context, found)
            held = history_open(self.settings.dagster_home, plan_context.run_id)
            with held, engines_for(self.settings, job):
                for event in super().execute(plan_context, execution_plan):
                    problems.note(event)
                    yield event
        problems.raise_first()

    def _wait_for_holder(self, plan_context: Any) -> None:
        """Say in the run's events, at once and every minute, which program has the warehouse."""
        told: list[float] = []

        def tell(holder: str, left: float) -> None:
            if not told or told[-1] - left >= 60:
                told.append(left)
                message = held_open(self.settings, holder, left)
                plan_context.instance.report_engine_event(message, plan_context.dagster_run)

        warehouse_of(self.settings).wait_for_holder(tell)


def held_open(settings: Settings, holder: str, seconds: float) -> str:
    """The sentence about a program that keeps a run waiting."""
    return (
        f"{settings.database} is held open by {holder}; waiting up to {seconds:.0f} s for it. "
        f"A reader should open {settings.serving_database.name}."
    )
