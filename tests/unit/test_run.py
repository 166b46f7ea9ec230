"""Recovery: the runs of dead processes are ended and give their place back; the living go on.

A real Dagster instance in a temporary folder, and real processes.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id
from dagster._daemon.types import DaemonHeartbeat

from minerals.settings import Settings
from orchestration import run

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
        instance.event_log_storage.set_concurrency_slots(POOL, len(run.IN_PROGRESS))
        yield instance


@pytest.fixture
def instance(home: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """The instance without runs under way, slots or heartbeats of another test."""
    yield home
    for record in home.get_runs(dg.RunsFilter(statuses=run.IN_PROGRESS)):
        home.event_log_storage.free_concurrency_slots_for_run(record.run_id)
        home.delete_run(record.run_id)
    home.wipe_daemon_heartbeats()


def start(
    instance: dg.DagsterInstance,
    status: DagsterRunStatus = DagsterRunStatus.STARTED,
    **tags: str,
) -> str:
    """Record a run of the refresh job that is under way and holds a slot of the pool."""
    named = {f"minerals/{name}": value for name, value in tags.items()}
    record = dg.DagsterRun(job_name="refresh", run_id=make_new_run_id(), status=status, tags=named)
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
    assert run.running(instance) == []
    assert run.recover(instance) == [run_id]
    assert status_of(instance, run_id) == DagsterRunStatus.FAILURE
    assert is_free(instance)


def assert_left_alone(instance: dg.DagsterInstance, run_id: str) -> None:
    assert run.running(instance) == [run_id]
    assert run.recover(instance) == []
    assert status_of(instance, run_id) == DagsterRunStatus.STARTED
    assert not is_free(instance)


@pytest.fixture
def ended_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_the_instance_lies_under_the_warehouse_and_keeps_its_runs(settings, instance, ended_pid):
    assert Path(instance.root_directory) == settings.dagster_home
    config = (settings.dagster_home / "dagster.yaml").read_text()
    assert config == Path(run.__file__).with_name("dagster.yaml").read_text()
    run_id = start(instance, pid=str(ended_pid))
    with run.open_instance(settings) as again:
        assert status_of(again, run_id) == DagsterRunStatus.STARTED


def test_the_runs_of_an_ended_process_are_failed_and_their_slots_freed(instance, ended_pid):
    dead = {
        start(instance, status, pid=str(ended_pid), process_start="1") for status in run.IN_PROGRESS
    }
    assert run.running(instance) == []
    assert set(run.recover(instance)) == dead
    assert {status_of(instance, run_id) for run_id in dead} == {DagsterRunStatus.FAILURE}
    assert is_free(instance)
    for run_id in dead:
        messages = [entry.message for entry in instance.all_logs(run_id)]
        assert any("ended without a word" in message for message in messages)
    assert run.recover(instance) == []  # once is enough


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
    assert run.running(instance) == []


def test_the_run_of_a_living_process_is_left_alone(instance):
    started = run.process_start(os.getpid())
    assert started is not None
    assert_left_alone(instance, start(instance, pid=str(os.getpid()), process_start=started))


@needs_proc
def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(instance):
    """In a container the same numbers come again at the next start."""
    assert_ended(instance, start(instance, pid=str(os.getpid()), process_start="1"))


def test_a_process_that_we_may_not_signal_is_alive():
    """The first process of the system; signalling it is refused unless we are root."""
    assert run.process_start(1) is not None


def test_a_run_that_ended_stays_as_it_is_and_gives_its_slot_back(instance, ended_pid):
    run_id = start(instance, DagsterRunStatus.SUCCESS, pid=str(ended_pid))
    assert run.recover(instance) == []
    assert status_of(instance, run_id) == DagsterRunStatus.SUCCESS
    assert is_free(instance)


def beat(instance: dg.DagsterInstance, seconds_ago: float) -> None:
    instance.add_daemon_heartbeat(
        DaemonHeartbeat(time.time() - seconds_ago, "SCHEDULER", daemon_id="1", errors=[])
    )


def test_a_run_of_the_daemon_is_left_to_it_while_it_lives(instance):
    run_id = start(instance)
    beat(instance, seconds_ago=20)
    assert_left_alone(instance, run_id)


def test_a_run_of_a_daemon_that_is_gone_is_failed_and_its_slot_freed(instance):
    assert_ended(instance, start(instance))  # there never was one
    beat(instance, seconds_ago=600)
    assert_ended(instance, start(instance))


@pytest.mark.parametrize(
    ("step", "stage"),
    [
        ("raw_production", "ingest"), ("dbt_staging", "staging"), ("dbt_marts", "marts"),
        ("gate_import_panel", "gate"), ("ppml", "estimation"), ("rankings", "ranking"),
        ("replication_scorecard", "portfolio"), ("release", "publication"),
    ],
)  # fmt: skip
def test_each_step_belongs_to_a_stage_with_words(step, stage):
    assert run.stage_of(step) == stage
    assert run.STAGES[stage]


def test_a_wiped_history_does_not_block_the_pool_for_ever(tmp_path: Path) -> None:
    """`dagster run wipe` takes the pool's places and leaves its limit."""
    settings = Settings(warehouse_dir=tmp_path)
    with run.open_instance(settings) as instance:
        storage = instance.event_log_storage
        run.recover(instance)
        assert storage.get_concurrency_info(POOL).slot_count == 1
        instance.wipe()
        run.recover(instance)
        assert storage.get_concurrency_info(POOL).slot_count == 1
        assert storage.claim_concurrency_slot(POOL, make_new_run_id(), "ppml").is_claimed
