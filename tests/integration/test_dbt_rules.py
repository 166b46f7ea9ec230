"""dbt's own unit tests of the rules, run with dbt: universe, imputation, units, classification."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from minerals.settings import PROJECT_ROOT
from orchestration.assets.transformation import LAYERS


def test_dbt_unit_tests_pass(refreshed, tmp_path):
    """Three-row examples of each rule; dbt reads the tables' types, so a copy is at hand."""
    database = tmp_path / "warehouse.duckdb"
    shutil.copy(refreshed.settings.database, database)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "test", "--profiles-dir", ".",
         "--select", "test_type:unit", "--vars", json.dumps({"warehouse_path": str(database)})],
        cwd=PROJECT_ROOT / "dbt_project",
        env={**os.environ, "DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "run_results.json").read_text())["results"]
    assert len(results) >= 10
    assert {result["status"] for result in results} == {"pass"}


def test_every_dbt_test_ran_in_some_layer(refreshed):
    """dbt leaves out, without a word, a test of which no parent is in the layer that is built."""
    manifest = json.loads((PROJECT_ROOT / "dbt_project/target/manifest.json").read_text())
    expected = {
        name
        for name, node in manifest["nodes"].items()
        # A test of a model that this profile does not have depends on nothing.
        if node["resource_type"] == "test" and node["depends_on"]["nodes"]
    }
    ran = set()
    for layer in LAYERS:
        results = refreshed.settings.warehouse_dir / "dbt" / layer / "run_results.json"
        ran |= {r["unique_id"] for r in json.loads(results.read_text())["results"]}
    assert len(expected) >= 30
    assert expected - ran == set()
