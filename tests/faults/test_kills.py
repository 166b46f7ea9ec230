"""Killed at any moment, with readers looking on: the release stays served, a re-run recovers."""

import multiprocessing
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess as Process
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pytest

from minerals.marts import published
from minerals.releases.serving import POINTER
from minerals.sources.snapshots import SnapshotStore
from orchestration.run import STAGES, stage_of
from tests.integration.conftest import TestWarehouse, kill_group

KILLS = int(os.environ.get("FAULT_KILLS", "2"))
SEED = int(os.environ.get("FAULT_SEED", str(random.randrange(10**6))))


@dataclass
class Readers:
    """Two BI tools that look up rankings while refreshes are killed."""

    stop: Event
    failures: Queue
    reads: Synchronized
    processes: list[Process]

    def end(self) -> tuple[int, list[str]]:
        """Stop them; how often they read, and what went wrong."""
        self.stop.set()
        for process in self.processes:
            process.join(timeout=30)
        failures = []
        while not self.failures.empty():
            failures.append(self.failures.get())
        return self.reads.value, failures


def _read_until_told(database: str, stop: Event, failures: Queue, reads: Synchronized) -> None:
    while not stop.is_set():
        try:
            with duckdb.connect(database, read_only=True) as connection:
                for _ in range(5):
                    rows = connection.execute(
                        "select count(*), count(distinct category) from marts.ranking_forward"
                    ).fetchall()
                    fits = connection.execute("select count(*) from marts.ppml_fit").fetchall()
                    if rows[0][0] < 1000 or rows[0][1] != 3 or fits != [(6,)]:
                        failures.put(f"half a release: {rows} {fits}")
                    with reads.get_lock():
                        reads.value += 1
                    time.sleep(0.2)
        except duckdb.Error as error:
            failures.put(str(error))


@pytest.fixture(scope="module")
def readers(own: TestWarehouse) -> Iterator[Readers]:
    context = multiprocessing.get_context("spawn")
    stop, failures, reads = context.Event(), context.Queue(), context.Value("i", 0)
    arguments = (str(own.settings.serving_database), stop, failures, reads)
    processes = [context.Process(target=_read_until_told, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    while not reads.value:
        assert all(process.is_alive() for process in processes)
        time.sleep(0.1)
    yield Readers(stop, failures, reads, processes)
    stop.set()


def test_killed_at_random_moments_a_whole_release_is_served(own, readers, tmp_path, capsys):
    """FAULT_KILLS kills in a row, each at any moment of a run, of all its processes or of the
    command alone; after every third a refresh. Prints what became of each."""
    chance, outcomes, took = random.Random(SEED), Counter(), _seconds_of_a_run(own)
    own.environment["TMPDIR"] = str(tmp_path)
    for number in range(1, KILLS + 1):
        before = own.release_id()
        process = own.start("refresh", "--quiet")
        stage = _killed_at_a_moment(process, chance.uniform(0, took), chance.random() < 0.3)
        after = own.release_id()
        assert own.store().verify(after) == []
        assert own.served("select count(*) from marts.ppml_fit") == [(6,)]
        said = own.ask("status")
        assert said.returncode in (0, 1, 2) and "Traceback" not in said.stderr, said.stderr
        outcomes[stage, "same release" if after == before else "new release"] += 1
        if number % 3 == 0:
            began = time.monotonic()
            done = own.command("refresh", "--quiet")
            assert done.returncode == 0, done.stdout + done.stderr
            took = time.monotonic() - began
            assert own.release_id() != after
            outcomes["a refresh afterwards", "new release"] += 1
    assert list(tmp_path.iterdir()) == [], "something was left in the temporary folder"
    assert readers.reads.value > 0 and readers.failures.empty()
    lines = [f"{KILLS} kills, seed {SEED}", "| killed at | served then | times |", "|---|---|---:|"]
    lines += [f"| {stage} | {then} | {n} |" for (stage, then), n in sorted(outcomes.items())]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")


def _seconds_of_a_run(warehouse: TestWarehouse) -> float:
    told = (warehouse.settings.warehouse_dir / "refresh.out").read_text()
    return float(re.findall(r"Released \S+ in (\d+) s", told)[-1])


def _killed_at_a_moment(process: subprocess.Popen, seconds: float, spare_children: bool) -> str:
    """Kill it after that time; the stage that it was in."""
    stage = "start"
    kill = process.kill if spare_children else partial(kill_group, process)
    timer = threading.Timer(seconds, kill)
    timer.start()
    for line in process.stdout:
        if found := re.search(r": (\S+) started", line):
            stage = STAGES[stage_of(found[1])]
        if "Released" in line:
            stage = "after its end"
    timer.cancel()
    process.wait(timeout=60)
    return stage


@pytest.mark.parametrize(
    ("step", "spare_children"),
    [("raw_production", False), ("dbt_conformed", True), ("release", False)],
)
def test_killed_at_any_moment_the_last_release_is_served(own, readers, step, spare_children):
    """kill -9 as a step of each kind starts; once without dbt, which stays behind as an orphan."""
    before = own.release_id()
    process = own.start("refresh", "--quiet")
    _wait_for_step(process, step)
    if spare_children:
        time.sleep(5)  # dbt is up and holds the warehouse
        process.kill()
        process.wait(timeout=30)
    else:
        kill_group(process)
    assert own.release_id() == before
    assert own.served("select count(*) from marts.ppml_fit") == [(6,)]


def test_after_the_kills_and_much_damage_a_plain_rerun_recovers(own, readers):
    """Of the warehouse, the history, a snapshot, a manifest and the pointer. No reader noticed what
    happened before."""
    before, snapshots = own.release_id(), _snapshot_folders(own)
    marts = _contents(own)
    ((day,),) = own.served("select max(as_of_date) from marts.policy_events")
    reads, failures = readers.end()
    assert failures == []
    assert reads > 100
    _damage(own.settings.database)
    _damage(own.settings.dagster_home / "history" / "runs" / "index.db")
    store = SnapshotStore(own.settings.raw_dir)
    _damage(store.current("production").parquet("production"))
    release = own.release()
    for file in (release / "manifest.json", release.parent / POINTER):
        file.unlink()
        file.write_bytes(os.urandom(500))
    # Midnight may pass: what is in force is judged for the same day.
    done = own.command("refresh", "--quiet", MINERALS_AS_OF=str(day))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was interrupted; recovered" in done.stdout, "the last kill was in the middle of a run"
    assert done.stdout.count("was damaged") == 2 and "is set aside" in done.stdout
    assert len(list(own.settings.warehouse_dir.glob("warehouse.duckdb.damaged-*"))) == 1
    assert own.release_id() != before
    assert _contents(own) == marts, "what was rebuilt from the snapshots is not the same"
    assert _snapshot_folders(own) == snapshots, "an unchanged source made a new snapshot"
    leftovers = [*own.settings.releases_dir.rglob(".*"), *own.settings.raw_dir.glob("*/.writing-*")]
    assert [path.name for path in leftovers] == [".lock"]


def _damage(database: Path) -> None:
    """Overwrite half of it: such a file opens, and fails where it is read. (A smaller part may be
    one that is free.)"""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 4)
        file.write(os.urandom(size // 2))


def _contents(warehouse: TestWarehouse) -> dict[str, tuple]:
    """Rows and hash of every mart that is served, without the release's own id and time, and when
    the sources were asked: a damaged snapshot is made again."""
    return {
        mart: warehouse.served(
            f"select count(*), bit_xor(hash(m)), sum(hash(m)) "
            f"from (select columns(* exclude release_id) from marts.{mart}) m"
        )[0]
        for mart in published()
        if mart not in ("source_snapshots", "dim_release")
    }


def _snapshot_folders(warehouse: TestWarehouse) -> list[str]:
    return sorted(str(p) for p in warehouse.settings.raw_dir.glob("*/[!.]*/snapshot.json"))


def _wait_for_step(process: subprocess.Popen, step: str) -> None:
    """Read what the running refresh prints until `step` has started."""
    for line in process.stdout:
        if f": {step} started" in line:
            return
    raise AssertionError(f"the refresh ended before step {step} started")
