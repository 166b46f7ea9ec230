"""Bad input gets a clear error and publishes nothing; no row is lost."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG

from minerals.settings import PROJECT_ROOT
from orchestration.assets.transformation import failing_rows
from orchestration.resources import Warehouse
from orchestration.run import open_instance

LOADED = "__repository__@orchestration.definitions"


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
    assert "SP.POP.TOTL" in done.stdout, done.stdout
    assert f"release {before} is still the one served" in done.stdout
    with open_instance(own.settings) as instance:
        # Overview and Jobs of the UI show runs of the loaded code; a run's page opens at its end.
        (run,) = instance.get_runs(dg.RunsFilter(tags={REPOSITORY_LABEL_TAG: LOADED}), limit=1)
        assert run.status == dg.DagsterRunStatus.FAILURE
        *_, last = instance.all_logs(run.run_id)
        assert last.message.startswith("Cause: ") and "SP.POP.TOTL" in last.message
    assert own.release_id() == before


def test_a_memory_too_small_for_dbt_says_which_setting_gives_more(own):
    before = own.release_id()
    done = own.command("refresh", "--quiet", MINERALS_DUCKDB_MEMORY="40MB")
    assert done.returncode == 1
    assert "Out of Memory Error" in done.stdout
    assert "Give DuckDB more with MINERALS_DUCKDB_MEMORY." in done.stdout
    assert "SET memory_limit" not in done.stdout
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


@pytest.mark.parametrize("damage", ["cut", "other bytes of the same size"])
def test_a_damaged_bundle_is_refused_by_hash(own, damage):
    wheel = next((own.settings.downloads_dir).glob("*.whl"))
    whole = wheel.read_bytes()
    before = own.release_id()
    try:
        half = whole[: len(whole) // 2]
        wheel.write_bytes(half if damage == "cut" else half + bytes(len(whole) - len(half)))
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
