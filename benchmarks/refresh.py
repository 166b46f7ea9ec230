"""What a refresh costs, stage by stage, beside the floor: the same SQL and fits and nothing else.

    python benchmarks/refresh.py [--quick] [--importers 1,16,64,all]

`--quick` times one refresh instead of a first and a second one. With `--importers` it prints, in
place of all else, what refreshes of so many importers cost (India, and others spread evenly over
the value of imports), and the exponent with which time grows from one number to the next.

Both sides run here, one after the other, on the same raw snapshots, so that the ratio means
something on a noisy machine. The floor is one process: DuckDB runs the SQL that dbt compiled,
pandas takes the panel, the same estimator and rankings run, and the marts are written as Parquet.
It has no tests, no gate, no history, no lineage and no recovery.
"""

import argparse
import json
import math
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

from minerals.names import STUDY_IMPORTER
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


def timed_refresh(folder: Path, importers: str | None = None) -> Measured:
    """One `minerals refresh`, as its own lines tell it."""
    started = time.monotonic()
    seconds: dict[str, float] = defaultdict(float)
    chosen = {"MINERALS_IMPORTERS": importers} if importers else {}
    process = subprocess.Popen(
        [MINERALS, "refresh", "--quiet"],
        env={**os.environ, "MINERALS_WAREHOUSE_DIR": str(folder), **chosen},
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
        from minerals.ppml.variants import model_variants
        from minerals.sourcing.portfolio_tables import portfolio_tables
        from minerals.sourcing.ranking_tables import ranking_tables
        from minerals.sourcing.world_tables import Inputs, OfPast, fit_world
        from minerals.sourcing.world_variants import Added, Ties
    settings = Settings(warehouse_dir=folder)
    database = duckdb.connect(str(settings.database))
    for layer in ("conformed", "marts"):
        with clock(stages, layer):
            for schema, name, sql, kind in _compiled(folder / "dbt" / layer):
                database.execute(f"create or replace {kind} {schema}.{name} as {sql}")
    with clock(stages, "estimation"):
        panel = database.sql("select * from marts.import_panel order by all").df()
        printed = database.sql("select * from seeds.published_ppml_coefficients").df()
        estimates = estimate_categories(panel, "IND", settings.choices)
        study = published_coefficients_frame("IND", printed)
        types = database.sql("from marts.supplier_types").df()
        model_variants(
            panel,
            database.sql("from marts.import_panel_covariates").df(),
            "IND",
            settings.choices,
        )
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
        ties = Ties(
            votes=database.sql("from seeds.country_alignment_and_logistics").df(),
            agreements=database.sql("from seeds.register_of_agreements").df(),
            parties=database.sql("from seeds.register_of_agreement_parties").df(),
        )
        added = Added(
            attributes=database.sql("from conformed.int_country__attributes").df(),
            types=types,
        )
        world = fit_world(
            Inputs(OfPast(flows, pairs, production, ties), covariates, panel, study, added),
            settings.importers,
            settings.choices,
        )
        rankings = ranking_tables(
            panel,
            coefficients,
            estimates.bootstrap,
            world.served(panel, settings.importers, settings.choices),
            world.skill,
            settings.choices,
        )
    with clock(stages, "portfolio"):
        portfolio_tables(
            settings.choices,
            panel=panel,
            production=production,
            country_covariates=covariates,
            ranking_forward=rankings["ranking_forward"],
            ranking_persistence=rankings["ranking_persistence"],
            restrictions=database.sql("from marts.policy_events where is_supply_restriction").df(),
            attributes=database.sql("from marts.partner_attributes").df(),
            supplier_types=types,
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


def growth(folder: Path, sizes: list[str]) -> None:
    """Time and memory of refreshes of so many importers, and how the time grows."""
    timed_refresh(folder, STUDY_IMPORTER)  # the trade to choose importers by
    everyone = importers_by_value(folder)
    print(f"{'importers':>9}{'s':>9}{'MB':>9}{'exponent':>10}   stages, s")
    before: tuple[int, float] | None = None
    for size in sizes:
        n = len(everyone) if size == "all" else int(size)
        spread = everyone[:: max(len(everyone) // n, 1)]
        chosen = [STUDY_IMPORTER, *(i for i in spread if i != STUDY_IMPORTER)][:n]
        run = timed_refresh(folder, "all" if size == "all" else ",".join(chosen))
        grows = ""
        if before and n > before[0]:
            grows = f"{math.log(run.total / before[1]) / math.log(n / before[0]):.2f}"
        stages = ", ".join(f"{name} {seconds:.0f}" for name, seconds in run.seconds.items())
        print(f"{n:>9}{run.total:>9.1f}{run.peak:>9.0f}{grows:>10}   {stages}", flush=True)
        before = n, run.total


def importers_by_value(folder: Path) -> list[str]:
    """All importers of the window, the largest first."""
    import duckdb

    settings = Settings(warehouse_dir=folder)
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        rows = connection.execute(
            "select importer_iso3 from conformed.fct_trade_flow where year between ? and ? "
            "group by all having sum(value_usd) > 0 order by sum(value_usd) desc, importer_iso3",
            [settings.first_year, settings.last_year],
        ).fetchall()
    return [row[0] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one refresh, not two")
    parser.add_argument("--importers", help="numbers of importers, such as 1,16,64,all")
    given = parser.parse_args()
    quick = given.quick
    source = Settings()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "warehouse"
        folder.mkdir()
        shutil.copytree(source.downloads_dir, folder / "downloads")
        if given.importers:
            growth(folder, given.importers.split(","))
            return
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
