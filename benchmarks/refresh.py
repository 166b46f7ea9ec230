"""What a refresh costs, stage by stage, beside the floor: the same SQL and fits and nothing else.

Run with `make benchmark`. Both sides run here, one after the other, on the same raw snapshots, so
that the ratio means something on a noisy machine. The floor is one process: DuckDB runs the SQL
that dbt compiled, pandas takes the panel, the same estimator and rankings run, and the marts are
written as Parquet. It has no tests, no gate, no history, no lineage and no recovery.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import psutil

from minerals.settings import Settings, limit_linear_algebra_threads

limit_linear_algebra_threads()

MINERALS = str(Path(sys.executable).with_name("minerals"))
STEP = re.compile(r"\d (\w+): \w+ \w+ after ([\d.]+) s")


class PeakMemory:
    """Samples the resident memory of a process and all its children, in MB."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            total = 0
            try:
                for process in [self.process, *self.process.children(recursive=True)]:
                    total += process.memory_info().rss
            except psutil.Error:
                continue
            self.peak = max(self.peak, total / 1e6)


def timed_refresh(folder: Path) -> tuple[dict[str, float], float, float]:
    """One `minerals refresh`: seconds a stage, seconds in all, peak MB."""
    started = time.monotonic()
    process = subprocess.Popen(
        [MINERALS, "refresh", "--quiet"],
        env={**os.environ, "MINERALS_WAREHOUSE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with PeakMemory(process.pid) as memory:
        output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"the refresh failed:\n{output}")
    stages: dict[str, float] = defaultdict(float)
    for stage, seconds in STEP.findall(output):
        stages[stage] += float(seconds)
    return dict(stages), time.monotonic() - started, memory.peak


@contextmanager
def clock(stages: dict[str, float], stage: str):
    started = time.monotonic()
    yield
    stages[stage] = stages.get(stage, 0.0) + time.monotonic() - started


def floor(folder: Path) -> dict[str, float]:
    """The same SQL and fits with no orchestration, in a database of its own; seconds a stage."""
    stages: dict[str, float] = {}
    with clock(stages, "imports"):
        import duckdb

        from minerals.marts import PUBLISHED_MARTS
        from minerals.ppml.tables import (
            estimate_categories,
            publishable_coefficients,
            published_coefficients_frame,
        )
        from minerals.sourcing.concentration import concentration
        from minerals.sourcing.persistence import persistence
        from minerals.sourcing.ranking import annual_ranking, forward_ranking
    settings = Settings(warehouse_dir=folder)
    database = duckdb.connect(str(settings.database))
    for layer in ("staging", "conformed", "marts"):
        with clock(stages, layer):
            for schema, name, sql, kind in _compiled(folder / "dbt" / layer):
                database.execute(f"create or replace {kind} {schema}.{name} as {sql}")
    with clock(stages, "estimation"):
        panel = database.sql("select * from marts.import_panel order by all").df()
        published = database.sql("select * from seeds.published_ppml_coefficients").df()
        estimates = estimate_categories(panel, "IND")
        study = published_coefficients_frame("IND", published)
    with clock(stages, "ranking"):
        import pandas as pd

        coefficients = publishable_coefficients(
            pd.concat([estimates.coefficients, study], ignore_index=True), estimates.fit
        )
        annual = annual_ranking(panel, coefficients)
        forward = forward_ranking(panel, coefficients, estimates.covariance, seed=settings.seed)
        persistence(annual)
    with clock(stages, "portfolio"):
        concentration(panel, forward)
    with clock(stages, "publication"):
        for mart in PUBLISHED_MARTS:
            target = folder / f"{mart}.parquet"
            database.execute(f"copy marts.{mart} to '{target}' (format parquet, compression zstd)")
    database.close()
    return stages


def _compiled(target: Path) -> list[tuple[str, str, str, str]]:
    """Schema, name, SQL and kind of the models dbt compiled there, in the order it ran them."""
    nodes = json.loads((target / "manifest.json").read_text())["nodes"]
    results = json.loads((target / "run_results.json").read_text())["results"]
    ran = sorted(
        (r for r in results if r["unique_id"].startswith("model.")),
        key=lambda r: r["timing"][-1]["completed_at"],
    )
    models = []
    for result in ran:
        node = nodes[result["unique_id"]]
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        models.append((node["schema"], node["name"], result["compiled_code"], kind))
    return models


def main() -> None:
    source = Settings()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "warehouse"
        folder.mkdir()
        shutil.copytree(source.downloads_dir, folder / "downloads")
        first, first_total, first_memory = timed_refresh(folder)
        again, again_total, again_memory = timed_refresh(folder)
        with PeakMemory(os.getpid()) as memory:
            bare = floor(folder)
    print(f"{'stage':<14}{'first':>9}{'again':>9}{'floor':>9}{'ratio':>9}   (seconds)")
    for stage in dict.fromkeys([*first, *bare]):
        ratio = again.get(stage, 0.0) / bare[stage] if bare.get(stage) else float("nan")
        print(
            f"{stage:<14}{first.get(stage, 0.0):>9.1f}{again.get(stage, 0.0):>9.1f}"
            f"{bare.get(stage, 0.0):>9.1f}{ratio:>9.1f}"
        )
    total = sum(bare.values())
    print(
        f"{'all':<14}{first_total:>9.1f}{again_total:>9.1f}{total:>9.1f}{again_total / total:>9.1f}"
    )
    print(f"{'peak MB':<14}{first_memory:>9.0f}{again_memory:>9.0f}{memory.peak:>9.0f}")


if __name__ == "__main__":
    main()
