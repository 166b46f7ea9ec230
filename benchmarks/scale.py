"""How far one machine goes: the trade rows many times over, from raw to the panel, by DuckDB and by
Spark on this machine.

    python -m benchmarks.scale [--quick] [--times 1,10,100] [--memory 2] [--engines duckdb,spark]

`--quick` takes the rows once. Each copy of the rows has its importers moved on by one. Both engines
run the same dbt models (those of `import_panel`, no tests) in as many GB: DuckDB's memory limit,
Spark's heap. The seconds are of dbt; the memory is the most that all processes held.
Needs `make setup-spark`, and the snapshots of a refresh.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.refresh import PeakMemory
from minerals.settings import Settings, environment
from minerals.sources.snapshots import SnapshotStore
from orchestration.resources import dbt_variables, warehouse_of
from orchestration.spark import spark_running

DBT = str(Path(sys.executable).with_name("dbt"))
READ = ("bilateral_trade", "production", "country_indicators", "country_geography")
REPORTED = ["refYear", "reporterCode", "flowCode", "partnerCode", "partner2Code", "netWgt",
            "classificationCode", "cmdCode", "customsCode", "motCode", "primaryValue"]  # fmt: skip


def multiplied(source: Path, target: Path, times: int) -> int:
    """Write the trade rows `times` times over; returns how many there are."""
    moved = f"""
        with rows as (from read_parquet('{source}')),
        codes as (select distinct j, dense_rank() over (order by j) as place from rows),
        moves as (
            select one.j, other.j as moved_j
            from codes as one cross join range({times}) as copies (copy)
            join codes as other
                on other.place = (one.place + copy - 1) % (select count(*) from codes) + 1
        )
        select t, i, moved_j as j, k, v, q from rows join moves using (j)"""
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '2GB'")
        connection.execute("set preserve_insertion_order = false")
        copied = connection.execute(f"copy ({moved}) to '{target}' (format parquet)").fetchall()
    return int(copied[0][0])


def measured(folder: Path, engine: str, trade: Path, memory_gb: int) -> str:
    """Seconds and memory of dbt with this engine, or why it stopped."""
    given = Settings()
    choices = {"engine": engine, "duckdb_memory": f"{memory_gb}GB"}
    settings = given.model_copy(update={"warehouse_dir": folder / engine, **choices})
    store = SnapshotStore(given.raw_dir)
    with environment({"SPARK_DRIVER_MEMORY": f"{memory_gb}g"}), spark_running(settings):
        warehouse = warehouse_of(settings)
        for dataset in READ:
            warehouse.load_snapshot(store.current(dataset))
        warehouse.load_file("bilateral_trade", trade, "multiplied")
        warehouse.load_nothing("reported_trade", REPORTED)
        command = [DBT, "--quiet", "--no-use-colors", "build", "--select", "+import_panel"]
        command += ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        command += ["--target", engine, "--target-path", str(folder / engine / "target")]
        command += ["--profiles-dir", ".", "--vars", json.dumps(dbt_variables(settings))]
        began = time.monotonic()
        with PeakMemory(os.getpid()) as memory:
            done = subprocess.run(
                command, cwd=settings.dbt_project_dir, capture_output=True, text=True, check=False
            )
        seconds = time.monotonic() - began
    peak = max(memory.peaks.values(), default=0) / 1e3
    if done.returncode:
        errors = [line.strip() for line in done.stdout.splitlines() if "Error" in line]
        return f"stopped after {seconds:.0f} s, {peak:.1f} GB: {(errors or ['no words'])[-1]}"
    return f"{seconds:.0f} s, {peak:.1f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--times", default="1,10,100")
    parser.add_argument("--memory", type=int, default=2, help="GB of each engine")
    parser.add_argument("--engines", default="duckdb,spark")
    chosen = parser.parse_args()
    engines = chosen.engines.split(",")
    source = SnapshotStore(Settings().raw_dir).current("bilateral_trade").parquet("bilateral_trade")
    print(f"| trade rows | {' | '.join(engines)} |\n|---:|{'---|' * len(engines)}", flush=True)
    for times in [1] if chosen.quick else map(int, chosen.times.split(",")):
        with tempfile.TemporaryDirectory(prefix="scale-") as name:
            folder, trade = Path(name), Path(name, "trade.parquet")
            n_rows = multiplied(source, trade, times)
            cells = [measured(folder, engine, trade, chosen.memory) for engine in engines]
            print(f"| {n_rows:,} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
