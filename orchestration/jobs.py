"""The jobs: what can be started as a whole. How a run is executed (processes, pools, one run at a
time) is said here too.

In the live profile a source is asked by a job of its own, and `rebuild` is all that follows, from
the snapshots in use to the release.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.multiprocess import MultiprocessExecutor

from minerals.settings import Settings
from minerals.sources import DATASETS, comtrade
from orchestration.recovery import one_at_a_time, own_process_tags

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

INGEST = {
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
    description="From the snapshots in use to the published release; no source is asked.",
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets(*(f"raw_{dataset}" for dataset in DATASETS)),
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
    if settings.profile == "bundled":
        return [REFRESH]
    return [REFRESH, *INGEST.values(), REBUILD, backfill_job(settings)]


def build_executor(settings: Settings) -> dg.ExecutorDefinition:
    """Steps in processes forked from a server; the run itself only while no other is under way."""

    @dg.executor(
        name="one_refresh_at_a_time", requirements=multiple_process_executor_requirements()
    )
    def one_refresh_at_a_time(_: dg.InitExecutorContext) -> OneRefreshAtATime:
        return OneRefreshAtATime(settings.warehouse_dir)

    return one_refresh_at_a_time


class OneRefreshAtATime(MultiprocessExecutor):
    """Dagster's executor of steps in processes, which waits for its turn first.

    The daemon starts one run at a time already; this holds beside `minerals refresh`, too.
    """

    def __init__(self, warehouse_dir: Path) -> None:
        super().__init__(
            retries=RetryMode.DISABLED,
            max_concurrent=2,
            start_method="forkserver",
            explicit_forkserver_preload=PRELOADED,
        )
        self.warehouse_dir = warehouse_dir

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        plan_context.instance.add_run_tags(plan_context.run_id, own_process_tags())
        with one_at_a_time(self.warehouse_dir, TURN_SECONDS):
            yield from super().execute(plan_context, execution_plan)
