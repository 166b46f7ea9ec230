"""The stages a person is shown while the job runs."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import sqlalchemy as sa
import typer
from dagster._core.utils import make_new_run_id

from minerals.errors import ReleaseError
from minerals.settings import PROJECT_ROOT, Settings
from orchestration import run
from orchestration.cli import app
from orchestration.cli.status import read_status
from orchestration.definitions import build_definitions
from orchestration.failures import Problems, RunFailedError
from orchestration.history import history_open
from orchestration.metadata import step as with_sentence
from orchestration.resources import Warehouse
from tests.integration.conftest import holding


def test_each_step_of_a_refresh_belongs_to_a_stage_with_words():
    """The progress on a terminal looks every step up."""
    job = build_definitions(Settings()).resolve_job_def("refresh")
    stages = {node.name: run.stage_of(node.name) for node in job.nodes}
    assert set(stages.values()) == set(run.STAGES)
    assert stages["ppml"] == "estimation" and stages["policy"] == "portfolio"


@dg.asset
@with_sentence
def broken() -> Iterator[dg.MaterializeResult]:
    yield dg.MaterializeResult(metadata={"rows": 1})
    try:
        raise OSError(28, "No space left on device")
    except OSError as error:
        raise ReleaseError("There is no room left.") from error


def test_a_failure_tells_its_cause_before_anything_else():
    result = dg.materialize([broken], raise_on_error=False)
    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.error.message.strip().endswith(
        "Failure: There is no room left."
    )
    problems = Problems()
    problems.note(failure)
    assert problems.failures == ["broken: There is no room left."]
    with pytest.raises(RunFailedError, match=r"^broken: There is no room left\.$"):
        problems.raise_first()


def test_the_instance_is_the_one_that_the_settings_name(tmp_path):
    """A service keeps its history elsewhere; `minerals` must not write the default over it."""
    config = tmp_path / "mine.yaml"
    config.write_text("telemetry:\n  enabled: false\n")
    settings = Settings(warehouse_dir=tmp_path, dagster_config=config)
    with run.open_instance(settings) as instance:
        assert instance.event_log_storage.__class__.__name__ == "SqliteEventLogStorage"
    assert (settings.dagster_home / "dagster.yaml").read_text() == config.read_text()


def test_who_only_looks_leaves_the_instance_of_a_service_as_it_is(tmp_path):
    """`minerals status` in a shell without MINERALS_DAGSTER_CONFIG."""
    service = tmp_path / "service.yaml"
    service.write_text("storage:\n  sqlite:\n    base_dir: " + str(tmp_path / "elsewhere") + "\n")
    with run.open_instance(Settings(warehouse_dir=tmp_path, dagster_config=service)) as instance:
        broken = dg.Definitions(assets=[dg.asset(lambda: None, name="fine")])
        made = broken.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)
    shell = Settings(warehouse_dir=tmp_path)
    assert read_status(shell).last_run.run_id == made.run_id
    assert (shell.dagster_home / "dagster.yaml").read_text() == service.read_text()


def test_the_history_of_a_warehouse_that_was_moved_is_read_where_it_is_now(tmp_path):
    before, after = Settings(warehouse_dir=tmp_path / "a"), Settings(warehouse_dir=tmp_path / "b")
    with run.open_instance(before) as instance:
        dg.materialize([dg.asset(lambda: None, name="fine")], instance=instance)
    before.warehouse_dir.rename(after.warehouse_dir)
    assert read_status(after).last_run.status == "succeeded"
    with dg.DagsterInstance.from_config(str(after.dagster_home)) as instance:
        assert instance.get_latest_materialization_event(dg.AssetKey("fine")) is not None
    assert not before.warehouse_dir.exists()


def test_the_history_of_a_run_is_written_without_a_sync_per_event(tmp_path):
    """In Dagster's own storage, whose databases stay open while a run lasts."""
    settings, run_id = Settings(warehouse_dir=tmp_path), make_new_run_id()
    folder = settings.dagster_home / "history" / "runs"
    with run.open_instance(settings) as instance:
        with history_open(settings.dagster_home, run_id):
            job = dg.Definitions([dg.asset(lambda: None, name="fine")])
            job = job.resolve_implicit_global_asset_job_def()
            job.execute_in_process(instance=instance, run_id=run_id)
            assert (folder / f"{run_id}.db-wal").exists()
            assert (folder / "index.db-wal").exists()
        engine = sa.create_engine(f"sqlite:///{folder / 'index.db'}")
        with engine.connect() as connection:
            assert connection.execute(sa.text("pragma synchronous")).scalar() == 1  # normal
        engine.dispose()
        events = {entry.dagster_event_type for entry in instance.all_logs(run_id)}
        assert dg.DagsterEventType.ASSET_MATERIALIZATION in events
    assert not (folder / f"{run_id}.db-wal").exists()


def test_a_service_calls_commands_that_are_there_and_fetches_the_bundle_first():
    known = set(typer.main.get_group(app).commands)
    called = {
        unit.name: re.findall(r"^Exec\w+=\S+/minerals (\w+)$", unit.read_text(), re.MULTILINE)
        for unit in (PROJECT_ROOT / "deploy").glob("*.service")
    }
    assert {name for names in called.values() for name in names} <= known
    assert called["minerals-daemon.service"] == ["fetch", "instance"]


def test_who_holds_the_warehouse_is_said_at_once_and_waited_for(tmp_path):
    settings = Settings(warehouse_dir=tmp_path)
    duckdb.connect(str(settings.database)).close()
    warehouse, told = Warehouse(database=str(settings.database), lock_timeout_seconds=20), []

    with holding(settings.database) as holder:

        def tell(holder_of_it: str, left: float) -> None:
            told.append((holder_of_it, left))
            if len(told) == 3:
                holder.kill()
                holder.wait()

        command = [
            str(Path(sys.executable).with_name("minerals")),
            "refresh",
            "--quiet",
            "--wait",
            "1",
        ]
        environment = {**os.environ, "MINERALS_WAREHOUSE_DIR": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"(PID {holder.pid}); waiting up to 1 s for it" in done.stdout
        assert "cannot be opened" in done.stderr and "serving.duckdb" in done.stderr
        warehouse.wait_for_holder(tell)
        assert all(f"(PID {holder.pid})" in who for who, _ in told)
    assert 20 >= told[0][1] > told[1][1] > told[2][1] > 0
    warehouse.wait_for_holder(tell)
    assert len(told) == 3
