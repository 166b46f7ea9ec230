"""A full disk, and one run at a time: the release stays served, and a second try works."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.utils import make_new_run_id

from minerals.errors import ReleaseError
from minerals.settings import PROJECT_ROOT, child_environment
from orchestration.recovery import PID_TAG
from orchestration.run import open_instance
from tests.integration.conftest import TestWarehouse

DAGSTER = str(Path(sys.executable).with_name("dagster"))


def status(warehouse: TestWarehouse) -> dict:
    done = warehouse.ask("status", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == found["exit_code"]
    return found


def test_two_started_together_wait_for_each_other(own):
    before = own.store().list()
    runs = [own.start("refresh", "--quiet") for _ in range(2)]
    printed = [run.communicate(timeout=900)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], printed
    assert sum("another refresh is running; waiting" in words for words in printed) == 1
    assert len(own.store().list()) == len(before) + 2
    assert status(own)["exit_code"] == 0


def test_a_release_is_not_made_from_tables_of_another_run(own):
    before = own.release_id()
    alone = subprocess.run(
        [DAGSTER, "asset", "materialize", "--select", "release", "-m", "orchestration.definitions"],
        env={**own.environment, **child_environment(own.settings)},
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert alone.returncode != 0
    assert "this run did not build all tables" in alone.stdout + alone.stderr
    assert own.release_id() == before
    found = status(own)
    assert found["exit_code"] == 1
    assert "this run did not build all tables" in found["last_run"]["cause"]


def test_a_killed_run_is_an_error_for_cron_before_anybody_recovers_it(own):
    killed = subprocess.Popen(["true"])
    killed.wait()
    with open_instance(own.settings) as instance:
        tags = {PID_TAG: str(killed.pid)}
        dead = DagsterRun("refresh", make_new_run_id(), status=DagsterRunStatus.STARTED, tags=tags)
        instance.add_run(dead)
        found = status(own)
        instance.delete_run(dead.run_id)
    assert (found["exit_code"], found["last_run"]["status"]) == (1, "failed")


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


def test_a_full_disk_leaves_the_release_served_and_a_second_try_recovers(own):
    settings, before = own.settings, own.release_id()
    store = own.store()
    served = "select count(*), bit_xor(hash(m)) from marts.ranking_forward m"
    rows = own.served(served)
    with duckdb.connect(str(settings.database), read_only=True) as warehouse:
        with little_room(settings.releases_dir):
            with pytest.raises(ReleaseError, match="no room left for a release") as failure:
                store.publish(warehouse, {"fits": []})
            assert "\n" not in str(failure.value).strip()
            assert "previous release stays served" in str(failure.value)
            assert store.current().name == before
            assert own.served(served) == rows
            assert [p.name for p in settings.releases_dir.rglob(".*")] == [".lock"]
        again = store.publish(warehouse, {"fits": []})
    assert store.current().name == again.release_id != before
    assert store.verify(again.release_id) == []
