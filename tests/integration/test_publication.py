"""Publication under stress: killed at every step, and read all the while.

Small releases with real DuckDB readers; no refresh is needed.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import duckdb
import pytest

from minerals.files import remove
from minerals.releases import ReleaseStore
from minerals.releases import store as store_module
from minerals.releases.folder import PUBLISHED
from minerals.releases.store import DAY
from tests.declared import declared

READERS = 8
SECONDS = 10.0
AT_LEAST = 12  # releases, while they read


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody cuts the power here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def store_in(folder: Path, keep: int = 5) -> ReleaseStore:
    return ReleaseStore(folder / "releases", folder / "serving.duckdb", keep)


def publish(store: ReleaseStore, number: int, n_rows: int = 2, *, is_wide: bool = False) -> str:
    """A release of one mart of `n_rows`, which hold `number`; `is_wide` is another contract."""
    more = ", 'x' as more" if is_wide else ""
    with duckdb.connect() as warehouse:
        warehouse.execute("create schema marts")
        warehouse.execute(
            f"create table marts.panel as select i as id, {number} as number, "
            f"2 * {number} as twice, hash(i)::varchar as noise{more} from range({n_rows}) as t(i)"
        )
        store.marts = declared(warehouse, {"panel": ("id",)})
        return store.publish(warehouse, {}).release_id


def read_until(
    database: str, is_kept_open: bool, pause: float, up: Barrier, stop: Event, results: Queue
) -> None:
    """Ask until told to stop, plainly and prepared; put (questions, releases, errors)."""
    sql = (
        "select count(*), count(distinct release_id), min(number), max(number), sum(twice), "
        "any_value(release_id) from marts.panel"
    )
    n, seen, errors = 0, set(), []
    held = duckdb.connect(database, read_only=True)
    held.execute(f"prepare again as {sql}")
    up.wait()
    while not stop.is_set():
        for question in (sql, "execute again" if is_kept_open else sql):
            try:
                with (
                    held.cursor() if is_kept_open else duckdb.connect(database, read_only=True) as c
                ):
                    reader = held if question == "execute again" else c
                    rows, releases, low, high, twice, release = reader.execute(question).fetchall()[
                        0
                    ]
                if (releases, low) != (1, high) or twice != 2 * rows * low or rows < 1000:
                    errors.append(f"not one release: {rows} rows of {releases}, {low} to {high}")
                seen.add(release)
                n += 1
            except duckdb.Error as error:
                errors.append(str(error))
        time.sleep(pause)
    results.put((n, seen, errors))


def test_readers_meet_no_error_and_no_mixture_while_releases_change(tmp_path, monkeypatch):
    """Eight readers, half of them on an open connection; releases of other sizes, rollbacks, old
    releases pruned, and once another contract."""
    monkeypatch.setattr(store_module, "DAY", 5.0)  # a query takes less
    store = store_in(tmp_path, keep=3)
    publish(store, 1, 2000)
    context = multiprocessing.get_context("spawn")
    up, stop, results = context.Barrier(READERS + 1), context.Event(), context.Queue()
    readers = [
        context.Process(
            target=read_until,
            args=(str(store.serving_database), n % 2 == 0, 0.01 * (n > 1), up, stop, results),
        )
        for n in range(READERS)
    ]
    for reader in readers:
        reader.start()
    up.wait(timeout=120)
    published, began = 1, time.monotonic()
    while time.monotonic() - began < SECONDS or published < AT_LEAST:
        published += 1
        is_wide = time.monotonic() - began > 0.75 * SECONDS and published > 8
        if is_wide:  # who still has the database before open keeps the contract before
            monkeypatch.setattr(store_module, "DAY", DAY)
        publish(store, published, 2000 + 997 * (published % 5), is_wide=is_wide)
        if published % 4 == 3:
            store.rollback()
    stop.set()
    asked = [results.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join(timeout=30)
    assert [error for _, _, errors in asked for error in errors] == []
    assert min(n for n, _, _ in asked) > 5
    assert len(set().union(*(seen for _, seen, _ in asked))) >= 5
    assert len(store.list()) < published, "nothing was pruned"


@dataclass(frozen=True)
class Scenario:
    """What is on disk before, the step that is killed, and the numbers that may be served."""

    prepare: Callable[[ReleaseStore], object]
    do: Callable[[ReleaseStore], object]
    before: int
    after: int


def _two_old_ones(store: ReleaseStore) -> None:
    for number in (1, 2, 3):
        publish(store, number)
    for name in store.list()[:2]:
        then = time.time() - DAY - 60
        os.utime(store.folder(name) / PUBLISHED, (then, then))


def _two_contracts(store: ReleaseStore) -> None:
    publish(store, 1)
    publish(store, 3, is_wide=True)


SCENARIOS = {
    "publish, and prune": Scenario(_two_old_ones, lambda s: publish(s, 4), 3, 4),
    "publish a new contract": Scenario(
        lambda s: publish(s, 3), lambda s: publish(s, 4, is_wide=True), 3, 4
    ),
    "roll back to another contract": Scenario(_two_contracts, lambda s: s.rollback(), 3, 1),
}
EVENTS = {"open", "os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.utime",
          "os.symlink", "shutil.rmtree"}  # fmt: skip


def _killed_at(folder: Path, step: int, do: Callable[[ReleaseStore], object]) -> bool:
    """Run `do` in a process that is killed before its nth change of a file under `folder`; whether
    it came to that."""
    child = os.fork()
    if child == 0:
        remaining = [step]

        def die_at_the_step(event: str, arguments: Sequence[object]) -> None:
            is_reading = event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in EVENTS and not is_reading and str(folder) in str(arguments):
                remaining[0] -= 1
                if remaining[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(die_at_the_step)
        do(store_in(folder, keep=1))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_killed_at_every_step_one_release_is_served_whole_and_publishing_again_recovers(
    tmp_path, scenario
):
    scenario.prepare(store_in(tmp_path / "base"))
    released = set(store_in(tmp_path / "base").list())
    numbers, step = [], 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "base", folder, symlinks=True)
        if not _killed_at(folder, step, scenario.do):
            break
        store = store_in(folder, keep=1)
        with duckdb.connect(str(store.serving_database), read_only=True) as reader:
            ((number, rows, release),) = reader.execute(
                "select number, count(*), release_id from marts.panel group by all"
            ).fetchall()
        assert rows == 2, step
        assert number in (scenario.before, scenario.after), step
        assert store.current().name == release, f"step {step}: another one is said to be served"
        assert release in store.list()
        assert set(store.list()) <= {*released, release}, f"step {step}: one never served is listed"
        assert [store.verify(name) for name in store.list()] == [[]] * len(store.list()), step
        numbers.append(number)

        again = publish(store, 5)
        assert store.current().name == again
        hidden = {path.name for path in folder.rglob(".*")}
        assert hidden == {".lock"}, step
        assert all((path / PUBLISHED).exists() for path in folder.glob("releases/*/2*")), step
        remove(folder)
    assert numbers == sorted(numbers, key=[scenario.before, scenario.after].index)
    assert set(numbers) == {scenario.before, scenario.after}
    assert len(numbers) > 10
