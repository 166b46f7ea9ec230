"""Readers under load: eight processes look up rankings in a loop, first in peace, then while the
warehouse is refreshed and releases flip beneath them.

Prints the latency of a look-up in each, the errors, and the answers that mixed two releases (there
must be none of either). The readers keep their connection, as BI tools do. They are measured in two
ways: as boards, each of which pauses between two look-ups (what a person waits for), and in a
closed loop without a pause (what the machine can answer; with more readers than cores this is
mostly waiting for a core). Beside the refreshes one reader more opens the database anew for each
look-up, and is counted apart. Run by `make benchmark-serving`.

    python benchmarks/serving.py [--readers 8] [--refreshes 3] [--quiet-seconds 20] [--pause 0.2]
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Event

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
CLOSED_SECONDS = 10
MOST_MILLISECONDS = 100  # p95 of a look-up beside refreshes


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
        time.sleep(pause)
    results.put(seen)


def observe(
    settings: Settings, n_readers: int, pause: float, work: Callable[[], None], opens_anew: bool
) -> tuple[Seen, float]:
    """What the readers saw together while `work()` ran, and how long that took."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    all_up = context.Barrier(n_readers + opens_anew + 1)
    database, importer = str(settings.serving_database), settings.importers[0]
    readers = [
        context.Process(target=read, args=(database, importer, n > 0, pause, all_up, stop, results))
        for n in range(0 if opens_anew else 1, n_readers + 1)
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


def refresh(settings: Settings, times: int) -> None:
    for _ in range(times):
        subprocess.run(
            [sys.executable, "-m", "orchestration.cli", "refresh", "--quiet"],
            env=child_environment(settings),
            stdout=subprocess.DEVNULL,
            check=True,
        )


def show(name: str, seen: Seen, seconds: float) -> float:
    p50, p95, p99 = (1000 * float(np.percentile(seen.seconds, q)) for q in (50, 95, 99))
    print(
        f"{name:<34} {len(seen.seconds):>8,} {seconds:>8.0f} {p50:>8.1f} {p95:>8.1f} {p99:>8.1f} "
        f"{len(seen.releases):>9} {len(seen.errors):>7} {seen.mixed:>6}",
        flush=True,
    )
    if seen.opening:
        anew = ", ".join(f"{1000 * float(np.percentile(seen.opening, q)):.1f}" for q in (50, 95))
        print(f"    opened anew for each of {len(seen.opening):,} look-ups: p50, p95 {anew}")
    for error in sorted(set(seen.errors))[:3]:
        print(f"    {error}")
    return p95


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--readers", type=int, default=8)
    arguments.add_argument("--refreshes", type=int, default=3)
    arguments.add_argument("--quiet-seconds", type=float, default=20)
    arguments.add_argument("--pause", type=float, default=0.2, help="of a board, in seconds")
    chosen = arguments.parse_args()
    settings = Settings()
    if ReleaseStore(settings.releases_dir, settings.serving_database).current() is None:
        sys.exit("There is no release yet: run `make refresh` first.")
    print(
        f"{chosen.readers} readers on {os.cpu_count()} cores; a look-up is ten ranks of one "
        f"mineral; milliseconds; load before {os.getloadavg()[0]:.1f}\n"
        f"{'':<34} {'look-ups':>8} {'seconds':>8} {'p50':>8} {'p95':>8} "
        f"{'p99':>8} {'releases':>9} {'errors':>7} {'mixed':>6}"
    )
    every = f"every {1000 * chosen.pause:.0f} ms"
    refreshes = chosen.refreshes
    phases: list[tuple[str, float, Callable[[], None], bool]] = [
        (f"{every}, nothing else runs", chosen.pause,
         lambda: time.sleep(chosen.quiet_seconds), False),
        (f"{every}, beside {refreshes} refreshes", chosen.pause,
         lambda: refresh(settings, refreshes), True),
        ("closed loop, nothing else runs", 0.0, lambda: time.sleep(CLOSED_SECONDS), False),
        ("closed loop, beside a refresh", 0.0, lambda: refresh(settings, 1), False),
    ]  # fmt: skip
    p95, is_sound = [], True
    for name, pause, work, opens_anew in phases:
        seen, took = observe(settings, chosen.readers, pause, work, opens_anew)
        p95.append(show(name, seen, took))
        is_sound &= not seen.errors and not seen.mixed
    print(f"p95 {every}, beside refreshes / in peace: {p95[1] / p95[0]:.2f}")
    if not is_sound:
        sys.exit("A reader met an error or half a release.")
    if p95[1] > MOST_MILLISECONDS:
        sys.exit(f"p95 of a look-up beside refreshes is over {MOST_MILLISECONDS} ms.")


if __name__ == "__main__":
    main()
