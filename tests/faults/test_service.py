"""What can go wrong on a running service, done on purpose, on a copy of the refreshed warehouse.

Two runs at once; a release without its run; a full disk; a run killed while it holds the writer's
slot; the daemon killed and started again. Kills of `minerals refresh` and damaged files are in
`test_kills.py`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest
from dagster import AssetKey, DagsterRun, DagsterRunStatus

from minerals.errors import ReleaseError
from minerals.releases import ReleaseStore
from minerals.settings import PROJECT_ROOT, Settings, child_environment
from minerals.sources.snapshots import Snapshot, SnapshotStore
from orchestration.assets import WRITER_POOL
from orchestration.recovery import PID_TAG, RUN_TAG
from orchestration.run import open_instance
from tests.integration.conftest import TestWarehouse, holding

DAGSTER = str(Path(sys.executable).with_name("dagster"))
DAEMON = str(Path(sys.executable).with_name("dagster-daemon"))
LOCATION = ["-m", "orchestration.definitions"]


@pytest.fixture(scope="module")
def copied(refreshed: TestWarehouse, tmp_path_factory: pytest.TempPathFactory) -> TestWarehouse:
    """A copy of the refreshed warehouse, for one importer and a year less from here on."""
    folder = tmp_path_factory.mktemp("drills") / "warehouse"
    shutil.copytree(refreshed.settings.warehouse_dir, folder, symlinks=True)
    settings = Settings(warehouse_dir=folder, importers="IND", last_year=2022)
    environment = {
        **refreshed.environment,
        **{k: v for k, v in child_environment(settings).items() if k.startswith("DAGSTER")},
        "MINERALS_WAREHOUSE_DIR": str(folder),
        "MINERALS_WAREHOUSE_DB": str(settings.database),
        "MINERALS_IMPORTERS": "IND",
        "MINERALS_LAST_YEAR": "2022",
    }
    return TestWarehouse(settings, environment)


def test_two_started_together_wait_for_each_other(copied):
    """Both rebuild from the snapshots in use, with the settings of now, and release."""
    before = copied.release_id()
    copied.environment["MINERALS_TOP_K"] = "7"
    runs = [copied.start("refresh", "--quiet", "--job", "rebuild") for _ in range(2)]
    found = [run.communicate(timeout=900)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], found
    assert sum("another refresh is running; waiting" in words for words in found) == 1
    assert copied.release_id() != before
    settings = copied.store().manifest()["settings"]
    assert (settings["top_k"], settings["importers"], settings["last_year"]) == (7, ["IND"], 2022)
    found = status(copied)
    assert (found["exit_code"], found["stale"], found["last_run"]["job"]) == (0, [], "rebuild")
    with open_instance(copied.settings) as instance:
        asked = instance.get_latest_materialization_event(AssetKey("source_production"))
        shown = instance.get_latest_materialization_event(AssetKey("raw_production"))
    assert shown.run_id == found["last_run"]["run_id"] != asked.run_id


def status(warehouse: TestWarehouse) -> dict:
    done = warehouse.command("status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"]
    return found


def test_tables_that_another_run_built_are_not_released(copied):
    """As when somebody materializes `release` alone in the UI."""
    before = copied.release_id()
    alone = subprocess.run(
        [DAGSTER, "asset", "materialize", "--select", "release", *LOCATION],
        env=copied.environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        timeout=900,
    )  # fmt: skip
    assert alone.returncode != 0
    assert "this run did not build all tables: " in alone.stderr
    assert "Run the job `refresh` or `rebuild`." in alone.stderr
    assert copied.release_id() == before
    found = status(copied)
    assert found["exit_code"] == 1
    assert found["last_run"]["cause"].startswith("release: Nothing is published")


def test_a_killed_run_is_an_error_for_cron_before_anybody_recovers_it(copied):
    killed = subprocess.Popen(["true"])
    killed.wait()
    with open_instance(copied.settings) as instance:
        run_id = _run_id()
        tags = {RUN_TAG: run_id, PID_TAG: str(killed.pid)}
        dead = DagsterRun("rebuild", run_id, status=DagsterRunStatus.STARTED, tags=tags)
        instance.add_run(dead)
        found = status(copied)
        instance.delete_run(dead.run_id)
    assert (found["exit_code"], found["last_run"]["status"]) == (1, "failed")
    assert status(copied)["last_run"]["run_id"] != dead.run_id


def snapshot_without(store: SnapshotStore, sheet: str) -> Snapshot:
    """The production in use, made again without a sheet."""
    kept = store.current("production")

    def write(folder: Path) -> dict[str, Path]:
        files = {table.name: folder / f"{table.name}.parquet" for table in kept.tables}
        for name, file in files.items():
            shutil.copy(kept.parquet(name), file)
        rows = f"from '{kept.parquet('production')}' where sheet <> '{sheet}'"
        duckdb.sql(f"copy ({rows}) to '{files['production']}' (format parquet)")
        return files

    names = ("provider", "citation", "licence", "url")
    source = {name: getattr(kept, name) for name in names}
    return store.create("production", source, "0" * 64, kept.layout, write)[0]


def test_a_snapshot_that_an_operator_chose_is_judged_before_anything_is_made_of_it(copied):
    store = SnapshotStore(copied.settings.raw_dir)
    sound = store.current("production")
    chosen = snapshot_without(store, "Copper").snapshot_id
    assert copied.command("snapshots", "use", "production", chosen).returncode == 0
    made = "select any_value(_snapshot_id) from raw.production"
    try:
        done = copied.command("refresh", "--quiet", "--job", "rebuild")
        assert done.returncode == 1
        assert "raw_production.years" in done.stdout
        assert "Copper" in done.stdout
        assert "dbt_conformed" not in done.stdout
        assert copied.query(made) == [(chosen,)]
        found = status(copied)
        assert any(line.startswith("raw_production.") for line in found["checks_failed"])
        assert any(chosen in line for line in found["stale"])
    finally:
        store.unpin("production")
        store.use(sound)


@contextmanager
def little_room(folder: Path) -> Iterator[None]:
    """The folder on a disk that is nearly full: what is in it stays, and 100 kB more fit."""
    kept = folder.with_name(f"{folder.name}-kept")
    folder.rename(kept)
    folder.mkdir()
    used = sum(f.stat().st_blocks * 512 + 4096 for f in kept.rglob("*") if not f.is_symlink())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={used + 100_000}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        if mounted.returncode != 0:
            pytest.skip(f"no disk of a chosen size can be had here: {mounted.stderr.strip()}")
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], capture_output=True, check=False)
        folder.rmdir()
        kept.rename(folder)


def test_a_full_disk_leaves_the_release_served_and_a_second_try_recovers(copied):
    settings, before = copied.settings, copied.release_id()
    store = ReleaseStore(settings.releases_dir, settings.serving_database)
    served = "select count(*), bit_xor(hash(m)) from marts.ranking_forward m"
    rows = copied.served(served)
    with duckdb.connect(str(settings.database), read_only=True) as warehouse:
        with little_room(settings.releases_dir):
            with pytest.raises(ReleaseError, match="no room left for a release") as failure:
                store.publish(warehouse, {"fits": []})
            assert "\n" not in str(failure.value).strip()
            assert "previous release stays served" in str(failure.value)
            assert store.current().name == before
            assert copied.served(served) == rows
            assert [p.name for p in settings.releases_dir.rglob(".*")] == [".lock"]
        again = store.publish(warehouse, {"fits": []})
    assert store.current().name == again.release_id != before
    assert store.verify(again.release_id) == []


@contextmanager
def daemon(warehouse: TestWarehouse) -> Iterator[subprocess.Popen]:
    """Dagster's daemon with its code server; killed with kill -9 at the end."""
    log = (warehouse.settings.warehouse_dir / "daemon.log").open("a")
    process = subprocess.Popen(
        [DAEMON, "run", *LOCATION], env=warehouse.environment, cwd=PROJECT_ROOT, stdout=log,
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
        [DAGSTER, "job", "launch", *LOCATION, "-j", job, "--run-id", (name := _run_id())],
        env=warehouse.environment, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return name


def _run_id() -> str:
    from dagster._core.utils import make_new_run_id

    return make_new_run_id()


def until(happened: Callable[[], bool], seconds: float) -> None:
    """Wait until it happened."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.3)


def test_a_run_killed_with_the_writers_slot_and_a_daemon_killed_in_a_run(copied):
    with open_instance(copied.settings) as instance:

        def state(run_id: str) -> DagsterRunStatus:
            return instance.get_run_by_id(run_id).status

        def holds_the_slot(run_id: str) -> bool:
            info = instance.event_log_storage.get_concurrency_info(WRITER_POOL)
            return run_id in info.active_run_ids

        with daemon(copied):
            first, second = launch(copied, "rebuild"), launch(copied, "rebuild")
            until(lambda: holds_the_slot(first), 300)
            worker = int(instance.get_run_by_id(first).tags[PID_TAG])
            for process in [*_children(worker), worker]:
                _kill(process)
            until(lambda: state(second) == DagsterRunStatus.STARTED, 300)
            assert state(first) == DagsterRunStatus.FAILURE
            until(lambda: holds_the_slot(second), 300)
        # The daemon is gone, with everything it had started, in the middle of the second run.
        third = launch(copied, "rebuild")
        with holding(copied.settings.database) as holder, daemon(copied):

            def said() -> bool:
                words = f"(PID {holder.pid}); waiting up to"
                return any(words in entry.message for entry in instance.all_logs(third))

            until(said, 300)
            holder.kill()
            until(lambda: state(third) == DagsterRunStatus.STARTED, 300)
            assert state(second) in (DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS)
            until(lambda: state(third) == DagsterRunStatus.SUCCESS, 900)


def _children(pid: int) -> list[int]:
    """The processes below this one, deepest first."""
    told = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    found = [int(line) for line in told.stdout.split()]
    return [below for child in found for below in _children(child)] + found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
