"""What a refresh costs, stage by stage, beside the floor: the same SQL and fits and nothing else.

    python benchmarks/refresh.py [--quick]

`--quick` times one refresh instead of a first and a second one. Both sides run here, one after the
other, on the same raw snapshots, so that the ratio means something on a noisy machine. The floor is
one process: DuckDB runs the SQL that dbt compiled, pandas takes the panel, the same estimator and
rankings run, and the marts are written as Parquet. It has no tests, no gate, no history, no lineage
and no recovery.
"""

import argparse
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
from dataclasses import dataclass
from pathlib import Path

import psutil

from minerals.settings import Settings, limit_linear_algebra_threads

limit_linear_algebra_threads()

MINERALS = str(Path(sys.executable).with_name("minerals"))
STARTED = re.compile(r"\d (\w+): \w+ started")
ENDED = re.compile(r"\d (\w+): \w+ \w+ after ([\d.]+) s")


class PeakMemory:
    """Samples the resident memory of a process and all its children, in MB, per stage."""

    def __init__(self, pid: int) -> None:
        self.process = psutil.Process(pid)
        self.stage = "start"
        self.peaks: dict[str, float] = defaultdict(float)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            try:
                tree = [self.process, *self.process.children(recursive=True)]
                total = sum(process.memory_info().rss for process in tree)
            except psutil.Error:
                continue
            self.peaks[self.stage] = max(self.peaks[self.stage], total / 1e6)


@dataclass
class Measured:
    """Seconds and peak MB a stage, and in all."""

    seconds: dict[str, float]
    memory: dict[str, float]
    total: float

    @property
    def peak(self) -> float:
        return max(self.memory.values())


def timed_refresh(folder: Path) -> Measured:
    """One `minerals refresh`, as its own lines tell it."""
    started = time.monotonic()
    seconds: dict[str, float] = defaultdict(float)
    process = subprocess.Popen(
        [MINERALS, "refresh", "--quiet"],
        env={**os.environ, "MINERALS_WAREHOUSE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = []
    with PeakMemory(process.pid) as memory:
        for line in process.stdout or ():
            lines.append(line)
            if begun := STARTED.search(line):
                memory.stage = begun[1]
            elif ended := ENDED.search(line):
                seconds[ended[1]] += float(ended[2])
        process.wait()
    if process.returncode:
        sys.exit("the refresh failed:\n" + "".join(lines))
    total = time.monotonic() - started
    seconds["start, end"] = total - sum(seconds.values())
    memory.peaks["start, end"] = memory.peaks.pop("start", 0.0)
    return Measured(dict(seconds), dict(memory.peaks), total)


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

        from minerals.marts import published
        from minerals.ppml.tables import (
            estimate_categories,
            publishable_coefficients,
            published_coefficients_frame,
        )
        from minerals.sourcing.portfolio_tables import portfolio_tables
        from minerals.sourcing.ranking_tables import ranking_tables
        from minerals.sourcing.world_tables import Inputs
    settings = Settings(warehouse_dir=folder)
    database = duckdb.connect(str(settings.database))
    for layer in ("staging", "conformed", "marts"):
        with clock(stages, layer):
            for schema, name, sql, kind in _compiled(folder / "dbt" / layer):
                database.execute(f"create or replace {kind} {schema}.{name} as {sql}")
    with clock(stages, "estimation"):
        panel = database.sql("select * from marts.import_panel order by all").df()
        printed = database.sql("select * from seeds.published_ppml_coefficients").df()
        estimates = estimate_categories(panel, "IND", settings.choices)
        study = published_coefficients_frame("IND", printed)
    with clock(stages, "ranking"):
        import pandas as pd

        coefficients = publishable_coefficients(
            pd.concat([estimates.coefficients, study], ignore_index=True), estimates.fit
        )
        years = f"where year between {settings.first_year} and {settings.last_year}"
        production = database.sql(f"from conformed.fct_production {years}").df()
        covariates = database.sql("from conformed.fct_country_covariates").df()
        flows = database.sql("from conformed.fct_trade_flow").df()
        pairs = database.sql("from conformed.dim_country_pair").df()
        rankings = ranking_tables(
            Inputs(flows, pairs, production, covariates, panel, study),
            settings.importers,
            settings.choices,
            coefficients,
            estimates.covariance,
            estimates.bootstrap,
        )
    with clock(stages, "portfolio"):
        portfolio_tables(
            settings.choices,
            panel=panel,
            production=production,
            country_covariates=covariates,
            ranking_forward=rankings["ranking_forward"],
            ranking_persistence=rankings["ranking_persistence"],
            supply_events=database.sql("from seeds.supply_events").df(),
        )
    with clock(stages, "publication"):
        for mart in published():
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one refresh, not two")
    quick = parser.parse_args().quick
    source = Settings()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "warehouse"
        folder.mkdir()
        shutil.copytree(source.downloads_dir, folder / "downloads")
        first = timed_refresh(folder)
        again = first if quick else timed_refresh(folder)
        with PeakMemory(os.getpid()) as memory:
            bare = floor(folder)
    print(f"{'':<14}{'first':>18}{'again':>18}{'floor':>9}{'again/floor':>13}")
    print(f"{'stage':<14}" + f"{'s':>9}{'MB':>9}" * 2 + f"{'s':>9}")
    for stage in dict.fromkeys([*again.seconds, *bare]):
        row = f"{stage:<14}"
        for run in (first, again):
            row += f"{run.seconds.get(stage, 0.0):>9.1f}{run.memory.get(stage, 0.0):>9.0f}"
        row += f"{bare[stage]:>9.1f}" if stage in bare else f"{'':>9}"
        if bare.get(stage, 0.0) >= 0.05 and stage in again.seconds:
            row += f"{again.seconds[stage] / bare[stage]:>13.1f}"
        print(row)
    total = sum(bare.values())
    print(
        f"{'all':<14}{first.total:>9.1f}{first.peak:>9.0f}{again.total:>9.1f}{again.peak:>9.0f}"
        f"{total:>9.1f}{again.total / total:>13.1f}   (floor: {max(memory.peaks.values()):.0f} MB)"
    )


if __name__ == "__main__":
    main()
