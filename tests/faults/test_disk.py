"""A disk that is full or read-only: one sentence, no traceback, and the release stays served.

On a real file system of a chosen size, so only root can run these.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.conftest import TestWarehouse, warehouse_in

ROOM = 250_000_000  # more than a run needs
# A run for each step takes minutes; FAULTS=all tries them all.
STEPS = ["dbt_conformed", "raw_production", "ppml", "portfolio", "release"]
TRIED = STEPS if os.environ.get("FAULTS") == "all" else STEPS[:1]


def mounted(*options: str, folder: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", *options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no disk of a chosen size can be had here: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def disk(refreshed: TestWarehouse, tmp_path_factory) -> Iterator[TestWarehouse]:
    """A copy of the refreshed warehouse on a disk of its own."""
    kept, folder = refreshed.settings.warehouse_dir, tmp_path_factory.mktemp("disk")
    used = sum(f.stat().st_blocks * 512 + 4096 for f in kept.rglob("*") if not f.is_symlink())
    mounted(f"size={used + ROOM}", folder=folder)
    try:
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        few = {"MINERALS_IMPORTERS": "IND", "MINERALS_WORLD_REPLICATIONS": "50"}
        yield warehouse_in(folder, **few, **refreshed.bundle)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def fill(folder: Path, leave: int) -> Path:
    """Write a file that leaves this many bytes."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            for _ in range((shutil.disk_usage(folder).free - leave) >> 16):
                file.write(bytes(1 << 16))
        except OSError:  # the run wrote meanwhile
            file.truncate(max(0, file.tell() - leave))
    return ballast


@contextmanager
def the_release_stays(warehouse: TestWarehouse) -> Iterator[None]:
    served = "select count(*), bit_xor(hash(m)) from marts.ranking_forward m"
    before, rows = warehouse.release_id(), warehouse.served(served)
    yield
    assert (warehouse.release_id(), warehouse.served(served)) == (before, rows)
    assert warehouse.store().verify(before) == []


def test_a_disk_without_room_for_a_run_is_told_before_it_starts(disk):
    folder = disk.settings.warehouse_dir
    ballast = fill(folder, leave=5_000_000)
    with the_release_stays(disk):
        done = disk.command("refresh", "--quiet")
    ballast.unlink()
    (line,) = done.stderr.strip().splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith(f"error  The disk of {folder} is full (5 MB free; a run needs about ")
    assert f"release {disk.release_id()} is still the one served" in line


def test_a_folder_that_may_not_be_written_is_told(disk):
    folder = str(disk.settings.warehouse_dir)
    with the_release_stays(disk):
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        try:
            tried = [
                disk.command("refresh", "--quiet"),
                disk.command("releases", "rollback", "current"),
            ]
            assert disk.ask("query", "from marts.ppml_fit").returncode == 0
            assert "cannot be read (" in disk.ask("status").stdout
        finally:
            subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    for done in tried:
        assert done.returncode == 1
        (line,) = (done.stdout + done.stderr).strip().splitlines()
        assert line.startswith(f"error  {folder} may not be written; release ")


@pytest.mark.parametrize("step", TRIED)
def test_a_disk_that_fills_while_a_run_works_is_told(disk, step):
    folder, told, ballast = disk.settings.warehouse_dir, [], None
    with the_release_stays(disk):
        process = disk.start("refresh", "--quiet")
        for line in process.stdout:
            told.append(line)
            if f": {step} started" in line:
                ballast = fill(folder, leave=300_000)
        process.wait()
        assert ballast is not None, told
        ballast.unlink()
    words = "".join(told)
    assert process.returncode == 1
    assert f"The disk of {folder} is full" in words, words
    assert f"release {disk.release_id()} is still the one served" in words
    assert "Traceback" not in words
