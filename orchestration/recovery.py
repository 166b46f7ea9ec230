"""One refresh at a time, and what becomes of those whose process died.

A run holds a file lock for as long as it executes, be it the daemon's or the command line's; the
operating system frees it when its holder dies, also by kill -9. Each run carries the id of its
process, so that a dead one is told from a living one and its place given back.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus, RunRecord
from filelock import FileLock, Timeout

from minerals.errors import AnotherRefreshRunsError
from orchestration.assets import WRITER_POOL

IN_PROGRESS = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
KILLED = "Its process ended without a word (killed?)."
PID_TAG = "minerals/pid"
PROCESS_START_TAG = "minerals/process_start"
# A run that was launched says which process it is once its executor begins; until then it has this
# long before it is taken for dead.
LAUNCH_SECONDS = 180.0


@contextmanager
def one_at_a_time(warehouse_dir: Path, timeout_seconds: float) -> Iterator[None]:
    """Be the only refresh of this warehouse. Raises AnotherRefreshRunsError when
    another one stays under way for longer than `timeout_seconds`."""
    warehouse_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(warehouse_dir / ".refresh.lock")
    try:
        lock.acquire(timeout=timeout_seconds)
    except Timeout as error:
        raise AnotherRefreshRunsError(
            f"Another refresh of this warehouse was still running after {timeout_seconds:.0f} s; "
            "`minerals status` shows it. Try again later."
        ) from error
    try:
        yield
    finally:
        lock.release()


def own_process_tags() -> dict[str, str]:
    """What a run carries of the process that executes it."""
    pid = os.getpid()
    return {PID_TAG: str(pid), PROCESS_START_TAG: process_start(pid) or "unknown"}


def recover(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process died and free their places; return their ids.

    A run that was killed stays 'started' in Dagster's records and keeps the writer's slot, and the
    daemon starts no other. The place of a run that ended without giving it back is freed too.
    """
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=IN_PROGRESS)):
        if not is_alive(record):
            run = record.dagster_run
            instance.report_run_failed(run, message=KILLED)
            ended.append(run.run_id)
    storage = instance.event_log_storage
    # Wiping the run history takes the pool's places with it and leaves its limit: then no step
    # would ever be admitted again.
    if storage.get_concurrency_info(WRITER_POOL).slot_count == 0:
        storage.set_concurrency_slots(WRITER_POOL, 1)
    for run_id in storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            storage.free_concurrency_slots_for_run(run_id)
    return ended


def is_alive(record: RunRecord) -> bool:
    """Whether the process of a run in progress is there, or may still come."""
    tags = record.dagster_run.tags
    if PID_TAG not in tags:
        return time.time() - record.update_timestamp.timestamp() < LAUNCH_SECONDS
    started = process_start(int(tags[PID_TAG]))
    return started is not None and started == tags.get(PROCESS_START_TAG, started)


def process_start(pid: int) -> str | None:
    """When a living process began, as the system counts it; None when it has ended.

    A process id is given again, in a container at the next start already, so the id alone would
    take a stranger for the run. A killed process that nobody has waited for has ended, too. Where
    the system has no /proc the id is all there is, and the answer is 'unknown'.
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
