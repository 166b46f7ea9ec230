"""What goes wrong with Spark is told in one sentence, and nothing is published."""

import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress

import pytest

from minerals.errors import WarehouseError
from orchestration.spark import SERVER, grouped_map, handed_over, spark_running
from tests.integration.conftest import warehouse_in
from tests.spark.conftest import children


@pytest.fixture
def empty(tmp_path):
    return warehouse_in(tmp_path / "warehouse", MINERALS_ENGINE="spark")


def refused(warehouse, **variables) -> str:
    """The sentence with which a refresh ends before it begins."""
    done = warehouse.command("refresh", "--quiet", **variables)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert warehouse.store().current() is None
    (line,) = done.stderr.strip().splitlines()
    return line


def test_a_missing_java_is_told(empty):
    said = refused(empty, PATH="/nowhere", JAVA_HOME="")
    assert "there is no Java 17 on the PATH. Install one" in said


def test_an_old_java_is_told(empty, tmp_path):
    java = tmp_path / "java8" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    assert "is Java 11, and Spark needs 17" in refused(empty, JAVA_HOME=str(java.parents[1]))


def test_a_spark_that_does_not_answer_is_told(empty):
    said = refused(empty, MINERALS_SPARK_REMOTE="sc://localhost:1")
    assert "no Spark Connect server answers there" in said and "sc://localhost:1" in said


def test_an_option_that_spark_refuses_is_told(empty):
    said = refused(empty, MINERALS_SPARK_MASTER="nonsense")
    assert "Spark ended while it started: Master must either be" in said


def doubled(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return 2 * number


def test_a_killed_executor_costs_time_and_no_result(empty, tmp_path):
    """Two executors in processes of their own; one is killed while both compute."""
    cluster = empty.settings.model_copy(update={"spark_master": "local-cluster[2,1,1024]"})

    def kill_one() -> None:
        (server,) = children(os.getpid(), SERVER)
        while not (executors := children(server, "CoarseGrainedExecutorBackend")):
            time.sleep(0.5)
        time.sleep(5)
        killed.append(executors[0])
        os.kill(executors[0], signal.SIGKILL)

    killed: list[int] = []
    with spark_running(cluster):
        killer = threading.Thread(target=kill_one)
        killer.start()
        made = list(grouped_map(doubled, [(n, 12.0) for n in range(2)], 2, tmp_path))
        killer.join()
        assert killed and made == [0, 2]
        more = [(n, 0.0) for n in range(5)]
        assert list(grouped_map(doubled, more, len(more), tmp_path, at_once=2)) == [0, 2, 4, 6, 8]


def test_what_a_killed_run_left_half_handed_over_goes(tmp_path):
    left = tmp_path / "tables" / ".handed_over" / "jobs.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with handed_over(tmp_path / "tables") as folder:
        assert list(folder.iterdir()) == []
    assert list((tmp_path / "tables").iterdir()) == []


def bytes_of(number: int) -> bytes:
    return os.urandom(90_000_000)  # nothing makes them smaller


def test_a_spark_without_memory_ends_and_is_told(empty, monkeypatch, tmp_path):
    """It would live on with threads lost, and its clients wait."""
    monkeypatch.setenv("SPARK_DRIVER_MEMORY", "600m")
    with spark_running(empty.settings), pytest.raises(WarehouseError, match="give it more"):
        list(grouped_map(bytes_of, [(n,) for n in range(8)], 8, tmp_path))
    assert "OutOfMemoryError" in (empty.settings.log_dir / "spark.log").read_text()


def test_a_full_disk_is_told(empty):
    folder = empty.settings.warehouse_dir
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no disk of a chosen size can be had here: {done.stderr.strip()}")
    try:
        assert f"The disk of {folder} is full" in refused(empty)
    finally:
        with suppress(OSError):
            subprocess.run([shutil.which("umount") or "umount", "--lazy", str(folder)], check=False)
