"""Readers under load: eight processes look up rankings in a loop, first in peace, then while the
warehouse is refreshed and releases flip beneath them.

Prints the latency of a look-up in both, their ratio, the errors, and the answers that mixed two
releases (there must be none of either). Most readers keep their connection, as BI tools do; two
open the database anew for each look-up, and are counted apart. Run by `make benchmark-serving`;
takes as long as the refreshes.

    python benchmarks/serving.py [--readers 8] [--refreshes 3] [--quiet-seconds 20]
"""

import argparse
import multiprocessing
import subprocess
import sys
import time
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import numpy as np

from minerals.releases import ReleaseStore
from minerals.settings import Settings, child_environment

LOOK_UP = (
    "select exporter_iso3, forward_rank, rank_low, rank_high, top_k_probability, release_id "
    "from marts.ranking_forward where importer_iso3 = ? and mineral = 'Copper' "
    "and category = 'ores' and coefficient_source = 'published' order by forward_rank limit 10"
)
WHOLE = (
    "select count(*), count(distinct release_id), min(release_id) from marts.ranking_annual "
    "where importer_iso3 = ?"
)
PAUSE_SECONDS = 0.25  # between look-ups: eight boards that refresh four times a second


@dataclass
class Seen:
    """What one reader saw: seconds of look-ups, on an open connection and with its opening."""

    seconds: list[float] = field(default_factory=list)
    opening: list[float] = field(default_factory=list)
    releases: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    mixed: int = 0


def read(database: str, importer: str, keeps_open: bool, stop: Event, results: Queue) -> None:
    """Look up until told to stop."""
    seen = Seen()
    held = duckdb.connect(database, read_only=True) if keeps_open else None
    while not stop.is_set():
        try:
            started = time.perf_counter()
            connection = held or duckdb.connect(database, read_only=True)
            rows = connection.execute(LOOK_UP, [importer]).fetchall()
            (seen.seconds if held else seen.opening).append(time.perf_counter() - started)
            seen.mixed += len({row[-1] for row in rows}) != 1 or len(rows) != 10
            n_rows, n_releases, release = connection.execute(WHOLE, [importer]).fetchall()[0]
            seen.mixed += n_releases != 1 or n_rows == 0
            seen.releases.add(release)
            if held is None:
                connection.close()
        except duckdb.Error as error:
            seen.errors.append(str(error))
        time.sleep(PAUSE_SECONDS)
    results.put(seen)


def observe(settings: Settings, n_readers: int, work) -> tuple[Seen, float]:
    """What the readers saw together while `work()` ran, and how long that took."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    database, importer = str(settings.serving_database), settings.importers[0]
    readers = [
        context.Process(target=read, args=(database, importer, n >= 2, stop, results))
        for n in range(n_readers)
    ]
    for reader in readers:
        reader.start()
    time.sleep(3)  # until all are up
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


def refresh(settings: Settings, times: int) -> None:
    for _ in range(times):
        subprocess.run(
            [str(Path(sys.executable).with_name("minerals")), "refresh", "--quiet"],
            env=child_environment(settings),
            stdout=subprocess.DEVNULL,
            check=True,
        )


def show(name: str, seen: Seen, seconds: float) -> float:
    p50, p95, p99 = (1000 * float(np.percentile(seen.seconds, q)) for q in (50, 95, 99))
    print(
        f"{name:<22} {len(seen.seconds):>8,} {seconds:>8.0f} {p50:>8.1f} {p95:>8.1f} {p99:>8.1f} "
        f"{len(seen.releases):>9} {len(seen.errors):>7} {seen.mixed:>6}"
    )
    anew = ", ".join(f"{1000 * float(np.percentile(seen.opening, q)):.1f}" for q in (50, 95, 99))
    print(f"    with the opening of the database: {anew} ({len(seen.opening):,} look-ups)")
    for error in sorted(set(seen.errors))[:3]:
        print(f"    {error}")
    return p95


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--readers", type=int, default=8)
    arguments.add_argument("--refreshes", type=int, default=3)
    arguments.add_argument("--quiet-seconds", type=float, default=20)
    chosen = arguments.parse_args()
    settings = Settings()
    if ReleaseStore(settings.releases_dir, settings.serving_database).current() is None:
        sys.exit("There is no release yet: run `make refresh` first.")
    print(f"{chosen.readers} readers; a look-up is ten ranks of one mineral; milliseconds")
    print(
        f"{'':<22} {'look-ups':>8} {'seconds':>8} {'p50':>8} {'p95':>8} {'p99':>8} "
        f"{'releases':>9} {'errors':>7} {'mixed':>6}"
    )
    quiet = observe(settings, chosen.readers, lambda: time.sleep(chosen.quiet_seconds))
    p95_quiet = show("nothing else runs", *quiet)
    busy = observe(settings, chosen.readers, lambda: refresh(settings, chosen.refreshes))
    p95_busy = show(f"{chosen.refreshes} refreshes beside", *busy)
    print(f"p95 beside refreshes / p95 in peace: {p95_busy / p95_quiet:.2f}")
    if busy[0].errors or busy[0].mixed or quiet[0].errors or quiet[0].mixed:
        sys.exit("A reader met an error or half a release.")


if __name__ == "__main__":
    main()
