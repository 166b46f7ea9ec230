"""One refresh at a time, the recovery of runs whose process died, and how many runs are kept.

A run holds a file lock for as long as it executes, whether the daemon or the command line started
it; the operating system frees the lock when its holder dies, also by kill -9. Each run carries the
id of its process, so that a dead run is told from a living one and its place given back.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
from dagster import DagsterRunStatus, RunRecord
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from filelock import FileLock, Timeout

from minerals.errors import AnotherRefreshRunsError
from minerals.files import remove
from minerals.settings import Settings
from orchestration.assets import WRITER_POOL

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
FINISHED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
SCRATCH, IN_USE = ".scratch-", ".in-use"
KILLED = "Process died unexpectedly (killed?)."
RUN_TAG = "minerals/run_id"  # the run that the process executes: the tags of a run are copied to
PID_TAG = "minerals/pid"  # the one that executes it again
PROCESS_START_TAG = "minerals/process_start"
SETTINGS_TAG = "minerals/settings"
# A run tells its process when its executor begins; until then it has this long before it counts as
# dead.
LAUNCH_SECONDS = 180.0


@contextmanager
def one_at_a_time(warehouse_dir: Path, timeout_seconds: float) -> Iterator[None]:
    """Be the only refresh of this warehouse. Raises AnotherRefreshRunsError when
    another one is still running after `timeout_seconds`."""
    warehouse_dir.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(warehouse_dir / ".refresh.lock").acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise AnotherRefreshRunsError(
            f"Another refresh of this warehouse was still running after {timeout_seconds:.0f} s; "
            "`minerals status` shows it. Try again later."
        ) from error
    with held:
        yield


@contextmanager
def scratch_folder(warehouse_dir: Path) -> Iterator[Path]:
    """A hidden folder in the warehouse, locked while in use and removed at the end of the block."""
    with (
        TemporaryDirectory(prefix=SCRATCH, dir=warehouse_dir, ignore_cleanup_errors=True) as name,
        FileLock(Path(name) / IN_USE),
    ):
        yield Path(name)


def remove_scratch(warehouse_dir: Path) -> None:
    """Remove the scratch folders whose process died."""
    for folder in warehouse_dir.glob(f"{SCRATCH}*"):
        with suppress(Timeout), FileLock(folder / IN_USE, timeout=0):
            remove(folder)


def run_tags(settings: Settings, run_id: str) -> dict[str, str]:
    """What a run carries of the process that executes it, and of the settings it has."""
    pid = os.getpid()
    chosen = json.dumps(settings.recorded, sort_keys=True).encode()
    return {
        RUN_TAG: run_id,
        PID_TAG: str(pid),
        PROCESS_START_TAG: process_start(pid) or "unknown",
        SETTINGS_TAG: hashlib.sha256(chosen).hexdigest()[:12],
    }


def recover(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process died and free their places; return their ids.

    A run that was killed stays 'started' in Dagster's records and keeps the writer's slot, and the
    daemon starts no other. The slot of a run that ended without giving it back is freed too.
    """
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS)):
        if not is_alive(record):
            run = record.dagster_run
            instance.report_run_failed(run, message=KILLED)
            ended.append(run.run_id)
    storage = instance.event_log_storage
    # Wiping the run history removes the pool's slots and keeps its limit: then no step would start.
    if storage.get_concurrency_info(WRITER_POOL).slot_count == 0:
        storage.set_concurrency_slots(WRITER_POOL, 1)
    for run_id in storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
    return ended


def forget_old_runs(instance: dg.DagsterInstance, keep: int) -> int:
    """Delete all but the last `keep` finished runs, with their events and logs; return how many."""
    old = instance.get_run_ids(dg.RunsFilter(statuses=FINISHED))[keep:]
    for run_id in old:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        # What Dagster leaves of a deleted run: the results of its checks, and in SQLite its file.
        checks = AssetCheckExecutionsTable
        with instance.event_log_storage.index_connection() as index:
            index.execute(checks.delete().where(checks.c.run_id == run_id))
        for file in Path(instance.root_directory).glob(f"history/runs/{run_id}.db*"):
            file.unlink()
    return len(old)


def is_alive(record: RunRecord) -> bool:
    """Whether the process of a run in progress exists, or may still start."""
    tags = record.dagster_run.tags
    if tags.get(RUN_TAG) != record.dagster_run.run_id:
        return time.time() - record.update_timestamp.timestamp() < LAUNCH_SECONDS
    started = process_start(int(tags[PID_TAG]))
    return started is not None and started == tags.get(PROCESS_START_TAG, started)


def process_start(pid: int) -> str | None:
    """When a living process started, as the system counts it; None when it has ended.

    Process ids are used again (in a container at its next start), so the id alone could belong to
    another process. A killed process that its parent has not waited for has ended, too. A system
    without /proc knows only the id; the answer is then 'unknown'.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "unknown"
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else fields[18]
