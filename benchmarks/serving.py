"""Readers beside publications: how long a look-up takes, and whether one is ever wrong.

Eight processes look up rankings, first alone, then while releases are published, rolled back and
pruned beneath them. Prints the latency of a look-up in each, the errors, and the answers that mixed
two releases. Exit code 1 when there is one of either, or, without `--quick`, when the 95th
percentile beside publications is over 100 ms. The readers keep their connection, as BI tools do;
one reader more opens the database anew for each look-up, and is counted apart.

They read a copy of the current release, published again and again; without `--quick` a second part
reads the warehouse itself beside whole refreshes. Run by `make benchmark-serving`.

    python benchmarks/serving.py [--quick] [--readers 8] [--refreshes 3] [--seconds 20]
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb  # and nothing else that is heavy: each reader imports this file

if TYPE_CHECKING:
    from minerals.releases import ReleaseStore
    from minerals.settings import Settings

LOOK_UP = (
    "select exporter_iso3, forward_rank, rank_low, rank_high, top_k_probability, release_id "
    "from {} where importer_iso3 = ? and mineral = 'Copper' "
    "and category = 'ores' and coefficient_source = 'published' order by forward_rank limit 10"
)
WHOLE = (
    "select count(*), count(distinct release_id), min(release_id) from marts.ranking_annual "
    "where importer_iso3 = ?"
)
MOST_MILLISECONDS = 100  # 95th percentile of a look-up beside publications
RELEASES = 10  # on disk while a view is compared with the file


@dataclass
class Seen:
    """What one reader saw: seconds of look-ups, on an open connection and with its opening."""

    seconds: list[float] = field(default_factory=list)
    opening: list[float] = field(default_factory=list)
    releases: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    mixed: int = 0


def read(
    database: str,
    importer: str,
    keeps_open: bool,
    pause: float,
    all_up: Barrier,
    stop: Event,
    results: Queue,
) -> None:
    """Look up until told to stop, from when all readers are up."""
    seen = Seen()
    held = duckdb.connect(database, read_only=True) if keeps_open else None
    all_up.wait()
    while not stop.is_set():
        try:
            started = time.perf_counter()
            connection = held or duckdb.connect(database, read_only=True)
            sql = LOOK_UP.format("marts.ranking_forward")
            rows = connection.execute(sql, [importer]).fetchall()
            (seen.seconds if held else seen.opening).append(time.perf_counter() - started)
            seen.mixed += len({row[-1] for row in rows}) != 1 or len(rows) != 10
            n_rows, n_releases, release = connection.execute(WHOLE, [importer]).fetchall()[0]
            seen.mixed += n_releases != 1 or n_rows == 0
            seen.releases.add(release)
            if held is None:
                connection.close()
        except duckdb.Error as error:
            seen.errors.append(str(error))
        time.sleep(pause)
    results.put(seen)


def observe(
    store: "ReleaseStore", importer: str, n_readers: int, pause: float, work: Callable[[], None]
) -> tuple[Seen, float]:
    """What the readers saw together while `work()` ran, and how long that took."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    all_up = context.Barrier(n_readers + 2)
    database = str(store.serving_database)
    readers = [
        context.Process(target=read, args=(database, importer, n > 0, pause, all_up, stop, results))
        for n in range(n_readers + 1)
    ]
    for reader in readers:
        reader.start()
    all_up.wait(timeout=120)
    started = time.monotonic()
    work()
    took = time.monotonic() - started
    stop.set()
    together = Seen()
    for _ in readers:
        one = results.get(timeout=60)
        together.seconds += one.seconds
        together.opening += one.opening
        together.releases |= one.releases
        together.errors += one.errors
        together.mixed += one.mixed
    for reader in readers:
        reader.join(timeout=30)
    return together, took


def milliseconds(seconds: Sequence[float], percent: int) -> float:
    return 1000 * quantiles(seconds, n=100, method="inclusive")[percent - 1]


def show(name: str, seen: Seen, seconds: float) -> float:
    """Print a line; return the 95th percentile in milliseconds."""
    p50, p95, p99 = (milliseconds(seen.seconds, percent) for percent in (50, 95, 99))
    print(
        f"{name:<38} {len(seen.seconds):>8,} {seconds:>8.0f} {p50:>8.1f} {p95:>8.1f} {p99:>8.1f} "
        f"{len(seen.releases):>9} {len(seen.errors):>7} {seen.mixed:>6}",
        flush=True,
    )
    anew = f"p50 {milliseconds(seen.opening, 50):.1f}, p95 {milliseconds(seen.opening, 95):.1f}"
    print(f"    opened anew for each of {len(seen.opening):,} look-ups: {anew}")
    for error in sorted(set(seen.errors))[:3]:
        print(f"    {error}")
    return p95


def copied(current: Path, folder: Path) -> tuple["ReleaseStore", Callable[[], None]]:
    """A store in `folder`, and what publishes the marts of the release `current` into it."""
    from minerals.releases import ReleaseStore
    from minerals.releases.contract import CONTRACT, RELEASE_ID, read_contract

    marts = {
        mart.name: replace(mart, columns=tuple(c for c in mart.columns if c != RELEASE_ID))
        for mart in read_contract(current / CONTRACT)
    }
    store = ReleaseStore(folder / "releases", folder / "serving.duckdb", marts=marts)
    warehouse = duckdb.connect()
    warehouse.execute("create schema marts")
    for mart in marts:
        warehouse.execute(
            f"create table marts.{mart} as "
            f"select * exclude (release_id) from read_parquet('{current}/{mart}.parquet')"
        )
    return store, lambda: (store.publish(warehouse, {}), None)[1]


def compare_with_the_file(store: "ReleaseStore", importer: str) -> None:
    """Print the time of a look-up through the view beside the same in the file itself."""
    file = f"read_parquet('{store.current()}/ranking_forward.parquet')"
    with duckdb.connect(str(store.serving_database), read_only=True) as connection:
        for name, table in (("file", file), ("view", "marts.ranking_forward")):
            seconds = []
            for _ in range(100):
                started = time.perf_counter()
                connection.execute(LOOK_UP.format(table), [importer]).fetchall()
                seconds.append(time.perf_counter() - started)
            print(f"look-up in the {name}: p50 {1000 * median(seconds):.1f} ms")


def refresh(settings: "Settings", times: int) -> None:
    from minerals.settings import child_environment

    for _ in range(times):
        subprocess.run(
            [sys.executable, "-m", "orchestration.cli", "refresh", "--quiet"],
            env=child_environment(settings),
            stdout=subprocess.DEVNULL,
            check=True,
        )


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, no refresh")
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--refreshes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20, help="of each phase")
    parser.add_argument("--pause", type=float, default=0.2, help="between two look-ups, in seconds")
    return parser.parse_args(arguments)


def main() -> None:
    from minerals.releases import ReleaseStore
    from minerals.settings import Settings

    chosen = parse()
    settings, seconds = Settings(), 4.0 if chosen.quick else chosen.seconds
    served = ReleaseStore(settings.releases_dir, settings.serving_database)
    current, importer = served.current(), settings.importers[0]
    if current is None:
        sys.exit("There is no release yet: run `make refresh` first.")
    with TemporaryDirectory(prefix="minerals-serving-") as temporary:
        store, publish = copied(current, Path(temporary))

        def publish_and_roll_back() -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                publish()
                publish()
                store.rollback()

        for _ in range(RELEASES):
            publish()
        print(f"{len(store.list())} releases on disk")
        compare_with_the_file(store, importer)
        print(
            f"{chosen.readers} readers on {os.cpu_count()} cores; a look-up is ten ranks of one "
            f"mineral; milliseconds; load before {os.getloadavg()[0]:.1f}\n"
            f"{'':<38} {'look-ups':>8} {'seconds':>8} {'p50':>8} {'p95':>8} "
            f"{'p99':>8} {'releases':>9} {'errors':>7} {'mixed':>6}"
        )
        every = f"every {1000 * chosen.pause:.0f} ms"
        phases: list[tuple[str, ReleaseStore, Callable[[], None]]] = [
            (f"{every}, nothing else runs", store, lambda: time.sleep(seconds)),
            (f"{every}, beside publications", store, publish_and_roll_back),
        ]
        if not chosen.quick:
            name = f"{every}, beside {chosen.refreshes} refreshes"
            phases.append((name, served, lambda: refresh(settings, chosen.refreshes)))
        p95, is_sound = [], True
        for name, read_from, work in phases:
            seen, took = observe(read_from, importer, chosen.readers, chosen.pause, work)
            p95.append(show(name, seen, took))
            is_sound &= not seen.errors and not seen.mixed
    if not is_sound:
        sys.exit("A reader met an error or half a release.")
    if not chosen.quick and max(p95[1:]) > MOST_MILLISECONDS:
        sys.exit(f"p95 of a look-up beside publications is over {MOST_MILLISECONDS} ms.")


if __name__ == "__main__":
    main()
