"""The jobs: what can be started as a whole. How a run is executed (processes, pools, one run at a
time) is said here too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.multiprocess import MultiprocessExecutor

from minerals.settings import Settings
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
