"""A run killed while it holds the writer's place, and a daemon killed in the middle of a run."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from minerals.settings import PROJECT_ROOT, child_environment
from orchestration.assets import WRITER_POOL
from orchestration.recovery import PID_TAG
from orchestration.run import open_instance
from tests.integration.conftest import TestWarehouse

DAGSTER = str(Path(sys.executable).with_name("dagster"))
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
LOCATION = ["-m", "orchestration.definitions"]


def environment(warehouse: TestWarehouse) -> dict[str, str]:
    found = child_environment(warehouse.settings)
    return {**warehouse.environment, **{k: v for k, v in found.items() if k.startswith("DAGSTER")}}


@contextmanager
def daemon(warehouse: TestWarehouse) -> Iterator[subprocess.Popen]:
    """Dagster's daemon with its code server; killed with kill -9 at the end."""
    log = (warehouse.settings.warehouse_dir / "daemon.log").open("a")
    process = subprocess.Popen(
        [DAEMON, "run", *LOCATION], env=environment(warehouse), cwd=PROJECT_ROOT, stdout=log,
        stderr=log, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def launch(warehouse: TestWarehouse, job: str) -> str:
    """Queue a run for the daemon, as the UI does; its id."""
    done = subprocess.run(
        [DAGSTER, "job", "launch", *LOCATION, "-j", job, "--run-id", (name := make_new_run_id())],
        env=environment(warehouse), cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return name


def until(happened: Callable[[], bool], seconds: float) -> float:
    """Wait until it happened; how long that took."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.3)
    return time.monotonic() - began


def test_a_run_killed_with_the_writers_place_and_a_daemon_killed_in_a_run(own):
    with open_instance(own.settings) as instance:

        def state(run_id: str) -> DagsterRunStatus:
            return instance.get_run_by_id(run_id).status

        def holds_the_place(run_id: str) -> bool:
            info = instance.event_log_storage.get_concurrency_info(WRITER_POOL)
            return run_id in info.active_run_ids

        with daemon(own):
            first, second = launch(own, "refresh"), launch(own, "refresh")
            until(lambda: holds_the_place(first), 150)
            worker = int(instance.get_run_by_id(first).tags[PID_TAG])
            for process in [*_children(worker), worker]:
                _kill(process)
            waited = until(lambda: state(second) == DagsterRunStatus.STARTED, 60)
            assert waited < 60, "the next run starts within a minute"
            assert state(first) == DagsterRunStatus.FAILURE
            until(lambda: holds_the_place(second), 60)
        # The daemon is gone, with everything it had started, in the middle of the second run.
        third = launch(own, "refresh")
        with daemon(own):
            until(lambda: state(third) == DagsterRunStatus.STARTED, 100)
            assert state(second) in (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS)
            until(lambda: state(third) == DagsterRunStatus.SUCCESS, 150)


def _children(pid: int) -> list[int]:
    """The processes below this one, deepest first."""
    told = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    found = [int(line) for line in told.stdout.split()]
    return [below for child in found for below in _children(child)] + found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
