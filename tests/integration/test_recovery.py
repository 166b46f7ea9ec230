"""Recovery: the runs of dead processes are ended and give their place back; the living go on.

A real Dagster instance in a temporary folder, and real processes.
"""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterRunStatus
from dagster._core.events import RunFailureReason
from dagster._core.utils import make_new_run_id
from dagster._utils.error import serializable_error_info_from_exc_info

from minerals.errors import AnotherRefreshRunsError
from minerals.settings import Settings
from orchestration import recovery, run
from orchestration.cli.status import read_status
from orchestration.recovery import IN_PROGRESS, forget_old_runs
from orchestration.resources import Warehouse
from orchestration.sensors import end_dead_runs

POOL = "duckdb_writer"
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the system does not tell when a process began"
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(warehouse_dir=tmp_path_factory.mktemp("warehouse"))


@pytest.fixture(scope="module")
def home(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with run.open_instance(settings) as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, len(recovery.IN_PROGRESS))
        yield instance


@pytest.fixture
def instance(home: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """The instance without runs under way, or slots of another test."""
    yield home
    for record in home.get_runs(dg.RunsFilter(statuses=recovery.IN_PROGRESS)):
        home.event_log_storage.free_concurrency_slots_for_run(record.run_id)
        home.delete_run(record.run_id)


def start(
    instance: dg.DagsterInstance,
    status: DagsterRunStatus = DagsterRunStatus.STARTED,
    **tags: str,
) -> str:
    """Record a run of the refresh job that is under way and holds a slot of the pool."""
    run_id = make_new_run_id()
    named = {f"minerals/{name}": value for name, value in {"run_id": run_id, **tags}.items()}
    record = dg.DagsterRun(job_name="refresh", run_id=run_id, status=status, tags=named)
    instance.add_run(record)
    claim = instance.event_log_storage.claim_concurrency_slot(POOL, record.run_id, "ppml")
    assert claim.is_claimed
    return record.run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> DagsterRunStatus:
    record = instance.get_run_by_id(run_id)
    assert record is not None
    return record.status


def is_free(instance: dg.DagsterInstance) -> bool:
    info = instance.event_log_storage.get_concurrency_info(POOL)
    return info.active_slot_count == 0 and info.pending_step_count == 0


def assert_ended(instance: dg.DagsterInstance, run_id: str) -> None:
    assert recovery.recover(instance) == [run_id]
    assert status_of(instance, run_id) == DagsterRunStatus.FAILURE
    assert is_free(instance)


def assert_left_alone(instance: dg.DagsterInstance, run_id: str) -> None:
    assert recovery.recover(instance) == []
    assert status_of(instance, run_id) == DagsterRunStatus.STARTED
    assert not is_free(instance)


@pytest.fixture
def ended_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_instance_lies_under_the_warehouse_and_keeps_its_runs(settings, instance, ended_pid):
    assert Path(instance.root_directory) == settings.dagster_home
    run_id = start(instance, pid=str(ended_pid))
    with run.open_instance(settings) as again:
        assert status_of(again, run_id) == DagsterRunStatus.STARTED


def test_the_runs_of_an_ended_process_are_failed_and_their_slots_freed(instance, ended_pid):
    dead = {
        start(instance, status, pid=str(ended_pid), process_start="1")
        for status in recovery.IN_PROGRESS
    }
    assert set(recovery.recover(instance)) == dead
    assert {status_of(instance, run_id) for run_id in dead} == {DagsterRunStatus.FAILURE}
    assert is_free(instance)
    for run_id in dead:
        messages = [entry.message for entry in instance.all_logs(run_id)]
        assert any(recovery.KILLED in message for message in messages)
    assert recovery.recover(instance) == []  # once is enough


def test_the_run_of_a_killed_process_that_nobody_waited_for_is_failed(instance):
    """In a container without an init process, the killed stay in the table of processes."""
    process = subprocess.Popen(["sleep", "60"])
    run_id = start(instance, pid=str(process.pid))
    assert_left_alone(instance, run_id)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet taken note of
    try:
        if sys.platform == "linux":
            assert_ended(instance, run_id)
    finally:
        process.wait()


def test_the_run_of_a_living_process_is_left_alone(instance):
    started = recovery.process_start(os.getpid())
    assert started is not None
    assert_left_alone(instance, start(instance, pid=str(os.getpid()), process_start=started))


@needs_proc
def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(instance):
    """In a container the same numbers come again at the next start."""
    assert_ended(instance, start(instance, pid=str(os.getpid()), process_start="1"))


def test_a_process_that_we_may_not_signal_is_alive():
    """The first process of the system; signalling it is refused unless we are root."""
    assert recovery.process_start(1) is not None


def test_a_run_that_ended_stays_as_it_is_and_gives_its_slot_back(instance, ended_pid):
    run_id = start(instance, DagsterRunStatus.SUCCESS, pid=str(ended_pid))
    assert recovery.recover(instance) == []
    assert status_of(instance, run_id) == DagsterRunStatus.SUCCESS
    assert is_free(instance)


def test_a_run_that_was_just_launched_has_time_to_name_its_process(
    instance, monkeypatch, ended_pid
):
    """Until then it has the tags of the run that it executes again, or none."""
    run_id = start(instance, run_id=make_new_run_id(), pid=str(ended_pid))
    assert_left_alone(instance, run_id)
    monkeypatch.setattr(recovery, "LAUNCH_SECONDS", 0.0)
    assert_ended(instance, run_id)


def test_the_daemon_ends_dead_runs(instance, ended_pid):
    run_id = start(instance, pid=str(ended_pid), process_start="1")
    context = dg.build_sensor_context(instance=instance)
    assert run_id in str(end_dead_runs(context))
    assert status_of(instance, run_id) == DagsterRunStatus.FAILURE
    assert "living" in str(end_dead_runs(context))


def test_a_killed_run_is_said_to_have_failed_before_anybody_recovers_it(settings, instance):
    process = subprocess.Popen(["sleep", "60"])
    start(instance, pid=str(process.pid))
    seen = read_status(settings).last_run
    assert (seen.status, seen.cause) == ("running", None)
    process.kill()
    process.wait()
    seen = read_status(settings).last_run
    assert (seen.status, seen.cause) == ("failed", recovery.KILLED)
    assert recovery.recover(instance) == [seen.run_id]
    seen = read_status(settings).last_run
    assert (seen.status, seen.cause) == ("failed", recovery.KILLED)


def test_a_run_that_failed_outside_of_its_steps_tells_its_cause(settings, instance):
    run_id = start(instance)
    try:
        raise AnotherRefreshRunsError("Another refresh was still running after 3600 s.")
    except AnotherRefreshRunsError:
        error = serializable_error_info_from_exc_info(sys.exc_info())
    event = DagsterEvent.job_failure(
        "refresh", "An exception was thrown.", RunFailureReason.RUN_EXCEPTION, error_info=error
    )
    instance.report_dagster_event(event, run_id=run_id)
    seen = read_status(settings).last_run
    assert (seen.run_id, seen.status) == (run_id, "failed")
    assert seen.cause == "Another refresh was still running after 3600 s."


def _hold(folder: str, seconds: float) -> str:
    """The program of a refresh that stays for a while."""
    return (
        "import time; from pathlib import Path; from orchestration.recovery import one_at_a_time\n"
        f"with one_at_a_time(Path({folder!r}), 0):\n"
        f"    print('holds', flush=True); time.sleep({seconds})"
    )


def test_a_run_waits_for_another_process_and_goes_on_when_that_is_killed(instance, tmp_path):
    """The executor of the daemon's runs: the lock of a killed holder is free at once."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _hold(str(tmp_path), 60)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    with (
        pytest.raises(AnotherRefreshRunsError, match="still running"),
        recovery.one_at_a_time(tmp_path, 0.1),
    ):
        pytest.fail("two refreshes at a time")
    holder.kill()
    holder.wait()
    with recovery.one_at_a_time(tmp_path, 5):
        pass


def test_a_wiped_history_does_not_block_the_pool_forever(tmp_path: Path) -> None:
    """`dagster run wipe` removes the slots of the pool and keeps its limit."""
    settings = Settings(warehouse_dir=tmp_path)
    with run.open_instance(settings) as instance:
        storage = instance.event_log_storage
        recovery.recover(instance)
        assert storage.get_concurrency_info(POOL).slot_count == 1
        instance.wipe()
        recovery.recover(instance)
        assert storage.get_concurrency_info(POOL).slot_count == 1
        assert storage.claim_concurrency_slot(POOL, make_new_run_id(), "ppml").is_claimed


def _one_run(settings: Settings) -> str:
    """Run a job with a step and a check to its end; the run's id."""

    @dg.asset(check_specs=[dg.AssetCheckSpec("is_fine", asset="fine")])
    def fine() -> dg.MaterializeResult:
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(passed=True)])

    with run.open_instance(settings) as instance:
        return dg.materialize([fine], instance=instance).run_id


def _overwritten(content: bytes) -> bytes:
    """Garbage in the middle: such a file opens, and fails where it is read."""
    quarter = len(content) // 4
    return content[:quarter] + os.urandom(2 * quarter) + content[3 * quarter :]


DAMAGES = {
    "garbage": lambda content: os.urandom(len(content)),
    "cut": lambda content: content[: len(content) // 2],
    "overwritten": _overwritten,
    "empty": lambda content: b"",
}
HISTORIES = ("runs.db", "runs/index.db", "../schedules/schedules.db", "runs/{}.db")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("file", HISTORIES)
def test_a_damaged_history_is_set_aside_and_a_new_one_begins(tmp_path, file, damage):
    settings = Settings(warehouse_dir=tmp_path)
    run_id = _one_run(settings)
    damaged = (settings.dagster_home / "history" / file.format(run_id)).resolve()
    content = damage(damaged.read_bytes())
    damaged.write_bytes(content)
    before = read_status(settings)
    said = run.recovered(settings)
    if content[:6] != b"SQLite" and content:
        assert len(said) == 1 and str(damaged) in said[0] and "no mart or release" in said[0]
        (kept,) = damaged.parent.glob(f"{damaged.name}.damaged-*")
        assert kept.read_bytes() == content
    if file == "runs.db" and content:
        assert before.exit_code == 1
        assert "minerals refresh` sets aside" in before.damaged[0]
    assert run.recovered(settings) == []
    again = _one_run(settings)
    found = read_status(settings)
    assert (found.last_run.run_id, found.last_run.status) == (again, "succeeded")
    assert found.damaged == []


def test_the_history_keeps_the_last_runs_and_does_not_grow(tmp_path):
    settings, keep = Settings(warehouse_dir=tmp_path), 3
    run.recovered(settings)
    runs = [_one_run(settings) for _ in range(keep)]

    def rows() -> dict[str, int]:
        with closing(sqlite3.connect(settings.dagster_home / "history/runs/index.db")) as index:
            tables = [
                t for (t,) in index.execute("select name from sqlite_master where type='table'")
            ]
            return {t: index.execute(f"select count(*) from {t}").fetchone()[0] for t in tables}

    at_first = rows()
    runs += [_one_run(settings) for _ in range(4)]
    with run.open_instance(settings) as instance:
        record = dg.DagsterRun("refresh", dead := make_new_run_id(), status=IN_PROGRESS[0])
        instance.add_run(record)  # it stays
        assert forget_old_runs(instance, keep) == 4
        assert forget_old_runs(instance, keep) == 0
        assert set(instance.get_run_ids()) == {dead, *runs[-keep:]}
        assert instance.all_logs(runs[-1]) and instance.get_run_stats(runs[-1]).steps_succeeded == 1
    history = settings.dagster_home / "history" / "runs"
    assert {file.stem for file in history.glob("*.db")} - {dead} == {"index", *runs[-keep:]}
    grown = {table: n - at_first[table] for table, n in rows().items() if n != at_first[table]}
    assert grown == {}


def test_a_damaged_warehouse_is_held_by_nobody_and_set_aside(tmp_path):
    file, told = tmp_path / "warehouse.duckdb", []
    file.write_bytes(b"no database" * 1000)
    warehouse = Warehouse(database=str(file), lock_timeout_seconds=1.0)
    warehouse.wait_for_holder(lambda holder, left: told.append(holder))
    assert told == []
    assert "was damaged" in (warehouse.set_aside_if_damaged() or "")
    assert not file.exists()
