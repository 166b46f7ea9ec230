"""The jobs: what can be started as a whole. How a run is executed (processes, pools, one run at a
time) is said here too.

In the live profile a source is asked by a job of its own, and `rebuild` is all that follows, from
the snapshots in use to the release.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.multiprocess import MultiprocessExecutor

from minerals.errors import WarehouseError
from minerals.settings import Settings
from minerals.sources import DATASETS, comtrade
from orchestration.assets import UP_TO_DATE
from orchestration.causes import Causes
from orchestration.recovery import one_at_a_time, own_process_tags
from orchestration.resources import Warehouse

# Step processes are copies of a server that has imported these once: a start costs a fork.
PRELOADED = ["orchestration.definitions", "statsmodels.api", "great_expectations"]
# A run that waits for another one to end gives up after this long.
TURN_SECONDS = 3600.0

REFRESH = dg.define_asset_job(
    name="refresh",
    description="Everything, from the sources to the published release. "
    "An unchanged source is not read again; a failing gate leaves the last release served.",
    selection=dg.AssetSelection.all(),
    tags={"dagster/max_retries": "0"},
)
INGEST = dg.define_asset_job(
    name="ingest",
    description="Asks the sources and takes what is new into use as raw snapshots. "
    "Publishes nothing: `rebuild_marts` comes next.",
    selection=dg.AssetSelection.groups("ingestion"),
    tags={"dagster/max_retries": "0"},
)
RAW = [dg.AssetKey(f"raw_{dataset}") for dataset in DATASETS]
# The checks that a raw table's own step makes: they belong to asking the source.
WHEN_ASKED = dg.AssetSelection.checks(*(dg.AssetCheckKey(key, UP_TO_DATE) for key in RAW))
ESTIMATE_AND_RANK = dg.define_asset_job(
    name="estimate_and_rank",
    description="Models, rankings and portfolio from the marts as they are, then the release. "
    "Nothing is published when a mart is older than what it is made from, or a check of it failed.",
    selection=dg.AssetSelection.groups("estimation", "ranking", "portfolio")
    | dg.AssetSelection.assets("release"),
    tags={"dagster/max_retries": "0"},
)


def rebuild_marts(settings: Settings) -> UnresolvedAssetJobDefinition:
    """The job of that name, with the gate of the raw tables and without the sources."""
    checks: dg.AssetSelection = dg.AssetSelection.checks_for_assets(*RAW)
    if settings.profile == "live":
        checks = checks - WHEN_ASKED
    return dg.define_asset_job(
        name="rebuild_marts",
        description="The snapshots in use judged, then seeds, dbt models and their tests, gates. "
        "Publishes nothing: `estimate_and_rank` comes next.",
        selection=dg.AssetSelection.groups("seeds", "staging", "conformed", "marts")
        | dg.AssetSelection.assets("source_snapshots")
        | checks,
        tags={"dagster/max_retries": "0"},
    )


def set_aside_damage(settings: Settings, job: str) -> str | None:
    """Put a damaged warehouse file out of the way; a sentence on it, None when it is sound.

    Raises WarehouseError when the job does not build all of it anew.
    """
    damage = Warehouse(database=str(settings.database)).set_aside_if_damaged()
    if damage and job not in (REFRESH.name, REBUILD.name):
        raise WarehouseError(f"{damage}: run `minerals refresh`, or the job `{REFRESH.name}`.")
    return damage


INGEST_ONE = {
    dataset: dg.define_asset_job(
        name=f"ingest_{dataset}",
        description=f"Ask the source of {dataset} and judge what it brings; nothing downstream.",
        selection=dg.AssetSelection.assets(f"raw_{dataset}"),
        tags={"dagster/max_retries": "0"},
    )
    for dataset in DATASETS
}
REBUILD = dg.define_asset_job(
    name="rebuild",
    description="From the snapshots in use, judged, to the published release; no source is asked.",
    selection=(dg.AssetSelection.all() - dg.AssetSelection.assets(*RAW))
    | (dg.AssetSelection.checks_for_assets(*RAW) - WHEN_ASKED),
    tags={"dagster/max_retries": "0"},
)


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
        description="Fetch years of one importer from UN Comtrade ahead of a refresh that asks for "
        "them. Stopped by the quota, it goes on where it was when started again.",
        tags={"dagster/max_retries": "0"},
    )
    def backfill_trade() -> None:
        fetch_years()

    return backfill_trade


def build_jobs(settings: Settings) -> list[Any]:
    """The jobs of the profile: there is nothing to ask for one by one, or to fetch ahead, in the
    bundle."""
    parts = [REFRESH, INGEST, rebuild_marts(settings), ESTIMATE_AND_RANK]
    if settings.profile == "bundled":
        return parts
    return [*parts, *INGEST_ONE.values(), REBUILD, backfill_job(settings)]


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """Steps in processes forked from a server; the run itself only while no other is under way."""

    @dg.executor(
        name="one_refresh_at_a_time", requirements=multiple_process_executor_requirements()
    )
    def one_refresh_at_a_time(_: dg.InitExecutorContext) -> OneRefreshAtATime:
        return OneRefreshAtATime(settings)

    return one_refresh_at_a_time


class OneRefreshAtATime(MultiprocessExecutor):
    """Dagster's executor of steps in processes, which waits for its turn first.

    The daemon starts one run at a time already; this holds beside `minerals refresh`, too.
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
        plan_context.instance.add_run_tags(plan_context.run_id, own_process_tags())
        causes = Causes()
        with one_at_a_time(self.settings.warehouse_dir, TURN_SECONDS):
            damage = set_aside_damage(self.settings, plan_context.job_name)
            if damage:
                yield dg.DagsterEvent.engine_event(plan_context, damage)
            for event in super().execute(plan_context, execution_plan):
                causes.note(event)
                yield event
        causes.raise_first()
